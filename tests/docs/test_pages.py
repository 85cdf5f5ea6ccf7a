"""The README and the manual run: every python block, top to bottom, one namespace a page, in an empty directory.

A page is one test, so that no worker gets half of it and no shuffling reorders its blocks.
"""

from __future__ import annotations

import subprocess
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
ONCE = "settings.configure("  # a process has one Django: such a page plays in a process of its own


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
    if ONCE in text:
        played = subprocess.run([sys.executable, __file__, page], cwd=tmp_path, capture_output=True, text=True)
        assert played.returncode == 0, played.stdout + played.stderr
        found = int(played.stdout.splitlines()[-1])
    else:
        found = play(ROOT / page, monkeypatch, tmp_path)
    assert found == text.count(BLOCK) + text.count(SKIP)


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


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        print(play(ROOT / sys.argv[1], patch, Path.cwd()))
