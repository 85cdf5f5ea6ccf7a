"""tools/reproducible: it passes today, and a build that looks around itself fails it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HOOK = """
import {module}
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        with open(self.root + "/src/wellstreak_trust/_built.py", "w") as file:
            file.write("SAID = " + repr({said}))
        build_data["artifacts"].append("src/wellstreak_trust/_built.py")
"""


PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "wellstreak-trust"
version = "1"
license-files = ["LICENSE"]

[tool.hatch.build.targets.wheel]
packages = ["src/wellstreak_trust"]
sbom-files = ["sbom/wellstreak-trust.cdx.json"]
"""
FILES = {
    "pyproject.toml": PROJECT,
    "LICENSE": "none",
    ".gitignore": "_built.py\n",
    "src/wellstreak_trust/__init__.py": "",
    "src/wellstreak_trust/py.typed": "",
    "sbom/wellstreak-trust.cdx.json": "{}",
}


@pytest.fixture
def small(tmp_path: Path, repository: Path, committed: Callable[[Path], None]) -> Path:
    """A project of this name and a single module, which builds in a moment."""
    folder = tmp_path / "small"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "tools").mkdir()
    shutil.copy(repository / "tools/reproducible", folder / "tools/reproducible")
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    committed(folder)
    return folder


def reproducible(clone: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "tools/reproducible", sys.executable], cwd=clone, check=False, capture_output=True, text=True
    )


def test_two_builds_of_this_commit(clone: Path) -> None:
    done = reproducible(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("reproducible: wellstreak_trust-") == 2


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("os", "os.path.expanduser('~')"),
        ("os", "os.environ.get('TZ')"),
        ("os", "os.environ.get('LC_ALL')"),
        ("os", "os.getcwd()"),
        ("os", "hash('a string')"),
    ],
    ids=["home", "time zone", "locale", "folder", "hash seed"],
)
def test_a_build_that_looks_around(small: Path, committed: Callable[[Path], None], module: str, said: str) -> None:
    assert reproducible(small).returncode == 0
    (small / "hatch_build.py").write_text(HOOK.format(module=module, said=said), encoding="utf-8")
    (small / "pyproject.toml").write_text(PROJECT + "\n[tool.hatch.build.hooks.custom]\n", encoding="utf-8")
    committed(small)
    done = reproducible(small)
    assert done.returncode != 0, done.stdout
    assert "differ" in done.stdout


def test_what_is_not_committed_is_said(small: Path) -> None:
    (small / "src/wellstreak_trust/_later.py").write_text("", encoding="utf-8")
    done = reproducible(small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "what is compared is the last commit" in done.stdout


def test_a_wheel_without_its_bill(small: Path, committed: Callable[[Path], None]) -> None:
    lines = [line for line in PROJECT.splitlines() if not line.startswith("sbom-files")]
    (small / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    committed(small)
    done = reproducible(small)
    assert done.returncode == 1
    assert "the wheel lacks sboms/wellstreak-trust.cdx.json" in done.stdout
