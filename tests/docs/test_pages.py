"""The README and the manual run: every python block, top to bottom, one namespace a page, in an empty directory.

A page is one test, so that no worker gets half of it and no shuffling reorders its blocks.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from unittest import SkipTest

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md"))]
BLOCK, SKIP = "```python\n", "<!-- skip:"


def play(page: Path, monkeypatch: pytest.MonkeyPatch, directory: Path) -> int:
    """Runs a page as a module, so that its classes can look themselves up; returns the blocks and skips it met."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.chdir(directory)
    document = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(page.parent)).parse(page)
    document.namespace = module.__dict__
    examples = list(document.examples())
    for example in examples:
        with suppress(SkipTest):  # how Sybil tells of a skip that gives its reason
            example.evaluate()
    return len(examples)


@pytest.mark.parametrize("page", PAGES)
def test_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert play(ROOT / page, monkeypatch, tmp_path) == text.count(BLOCK) + text.count(SKIP)


def test_skipped_blocks_are_few() -> None:
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES]
    assert sum(text.count(SKIP) for text in texts) * 10 <= sum(text.count(BLOCK) for text in texts)


GOOD = {
    "one namespace": "```python\nanswer = 42\n```\n\n```python\nassert answer == 42\n```\n",
    "skipped": "<!-- skip: next -->\n\n```python\nassert 1 == 2\n```\n",
    "shell": "```console\n$ not python\n```\n",
    "classes": (
        "```python\nfrom __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Point:\n    x: int\n\nassert Point(1).x == 1\n```\n"
    ),
    "empty directory": "```python\nimport os\nassert os.listdir() == []\n```\n",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_the_runner_passes(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (page := tmp_path / "page.md").write_text(text, encoding="utf-8")
    (empty := tmp_path / "empty").mkdir()
    assert play(page, monkeypatch, empty) == text.count(BLOCK) + text.count(SKIP)


def test_the_runner_fails_a_page_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (page := tmp_path / "page.md").write_text("```python\nassert 1 == 2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        play(page, monkeypatch, tmp_path)
