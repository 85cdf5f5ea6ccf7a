"""tools/reproducible: it passes today, and a build that looks around itself fails it."""

from __future__ import annotations

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
def test_a_build_that_looks_around(clone: Path, committed: Callable[[Path], None], module: str, said: str) -> None:
    (clone / "hatch_build.py").write_text(HOOK.format(module=module, said=said), encoding="utf-8")
    project = clone / "pyproject.toml"
    project.write_text(project.read_text() + "\n[tool.hatch.build.hooks.custom]\n", encoding="utf-8")
    (clone / ".gitignore").write_text((clone / ".gitignore").read_text() + "_built.py\n", encoding="utf-8")
    committed(clone)
    done = reproducible(clone)
    assert done.returncode != 0, done.stdout
    assert "differ" in done.stdout


def test_what_is_not_committed_is_said(clone: Path) -> None:
    (clone / "src/wellstreak_trust/_later.py").write_text("", encoding="utf-8")
    done = reproducible(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "what is compared is the last commit" in done.stdout


def test_a_wheel_without_its_bill(clone: Path, committed: Callable[[Path], None]) -> None:
    project = clone / "pyproject.toml"
    lines = [line for line in project.read_text().splitlines() if not line.startswith("sbom-files")]
    project.write_text("\n".join(lines) + "\n", encoding="utf-8")
    committed(clone)
    done = reproducible(clone)
    assert done.returncode == 1
    assert "the wheel lacks sboms/wellstreak-trust.cdx.json" in done.stdout
