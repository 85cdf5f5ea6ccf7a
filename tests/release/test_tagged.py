"""tools/tagged: a tag that is not what the tree says makes no release."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "CHANGELOG.md", "src/wellstreak_trust/__init__.py", "sbom/wellstreak-trust.cdx.json")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Today's files, with a section for the version."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    log = tmp_path / "CHANGELOG.md"
    log.write_text(log.read_text() + "\n## [0.1.0] - 2026-12-01\n")
    return tmp_path


@pytest.fixture
def tagged(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("tagged")


def test_a_tree_that_is_ready(tree: Path, tagged: ModuleType) -> None:
    assert list(tagged.faults("v0.1.0", tree)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"', "pyproject.toml says 0.2.0"),
        ("src/wellstreak_trust/__init__.py", '"0.1.0"', '"0.1.1"', "__version__ is not"),
        ("CHANGELOG.md", "2026-12-01", "soon", "has no section"),
        ("sbom/wellstreak-trust.cdx.json", '"version": "0.1.0"', '"version": "0.0.9"', "another version"),
    ],
)
def test_a_tree_that_is_not(tree: Path, tagged: ModuleType, name: str, old: str, new: str, said: str) -> None:
    text = (tree / name).read_text()
    assert old in text
    (tree / name).write_text(text.replace(old, new))
    assert any(said in fault for fault in tagged.faults("v0.1.0", tree))


@pytest.mark.parametrize("tag", ["0.1.0", "v0.1", "v0.1.0-rc1", "v0.1.0 ; true"])
def test_another_tag(tree: Path, tagged: ModuleType, tag: str) -> None:
    assert any("the tag is" in fault for fault in tagged.faults(tag, tree))


def test_usage(tagged: ModuleType) -> None:
    assert tagged.main([]) == 2
