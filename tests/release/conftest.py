"""A release of the last commit, made once by the tools that make the real ones."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def git(*arguments: str, cwd: Path = ROOT) -> str:
    known = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", f"safe.directory={ROOT}"]
    return subprocess.run(["git", *known, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def tool() -> Callable[[str], ModuleType]:
    """A script of tools/, as a module."""

    def load(name: str) -> ModuleType:
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
            assert spec
            assert spec.loader
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture(scope="session")
def repository() -> Path:
    """This repository; an unpacked sdist has none."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    return ROOT


@pytest.fixture(scope="session")
def released(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a release: wheel, sdist, bills of material, SHA256SUMS."""
    folder = tmp_path_factory.mktemp("release")
    command = [repository / "tools" / "dist", sys.executable, folder]
    done = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def dist(released: Path, tmp_path: Path) -> Path:
    """A copy of the release that a test may tamper with."""
    return Path(shutil.copytree(released, tmp_path / "dist"))


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Path:
    """A clone of this repository that a test may commit to."""
    git("clone", "--quiet", str(repository), str(tmp_path / "clone"))
    return tmp_path / "clone"


@pytest.fixture
def committed() -> Callable[[Path], None]:
    """Commits whatever was changed in a clone."""

    def commit(folder: Path) -> None:
        git("add", "-A", cwd=folder)
        git("commit", "--quiet", "-m", "changed", cwd=folder)

    return commit


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hook or a workflow around the tests has set must not reach git or a build."""
    for name in [name for name in os.environ if name.startswith("GIT_")] + ["SOURCE_DATE_EPOCH"]:
        monkeypatch.delenv(name, raising=False)
