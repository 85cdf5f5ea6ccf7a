"""docs/llms.txt: as the pages are now, in the form of llmstxt.org. `tools/llms.py` writes it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def llms() -> ModuleType:
    spec = importlib.util.spec_from_file_location("llms_tool", ROOT / "tools/llms.py")
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_it_is_up_to_date(llms: ModuleType) -> None:
    assert (ROOT / llms.FILE).read_text(encoding="utf-8") == llms.written(ROOT), "run tools/llms.py"


def test_its_form(llms: ModuleType) -> None:
    head, *parts = re.split(r"^## ", (ROOT / llms.FILE).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert re.fullmatch(r"# \S+\n\n> \S[^\n]+\n\n", head)
    folders = llms.sections(ROOT / "docs")
    assert [part.partition("\n")[0] for part in parts] == list(folders.values())
    assert parts[-1].startswith("Optional\n")
    listed = []
    for part in parts:
        for line in part.splitlines()[2:]:
            if line:
                link = re.fullmatch(r"- \[[^\[\]]+\]\(([^()]+)\)(?:: \S.*)?", line)
                assert link, line
                listed.append(link[1])
    indexes = {"index.md", *(f"{folder}/index.md" for folder in folders)}
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(listed) == sorted(page for page in pages - indexes if not page.startswith("_build"))


def test_a_folder_that_nobody_listed_has_its_own_section(llms: ModuleType, tmp_path: Path) -> None:
    for name, text in {"index": "# H\n\nWhat it is.\n", "adr/1": "# A\n\nWhy.\n", "moving/index": "# Moving *here*\n",
                       "moving/from-x": "# From X\n\nHow it is done.\n", "_static/y": "# No\n"}.items():  # fmt: skip
        (page := tmp_path / "docs" / f"{name}.md").parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    assert llms.written(tmp_path) == (
        "# H\n\n> What it is.\n\n## Moving here\n\n- [From X](moving/from-x.md): How it is done.\n\n"
        "## Optional\n\n- [A](adr/1.md): Why.\n"
    )


PAGES = {
    "# A\n\nFirst `code` and *words*. Second sentence that makes it long enough to say something of use. Third.\n": (
        "First code and words. Second sentence that makes it long enough to say something of use."
    ),
    "# A\n\n```python\nx = 1\n\ny = 2\n```\n\n* a list\n\nOnly [this](b.md#c):\n": "Only this",
    "# A\n\n**Context.** Why it is so\nand not otherwise.\n": "Why it is so and not otherwise.",
    "# A\n\nSee [](other.md).\n": "See The other.",
    "# A\n\n| a | b |\n|---|---|\n": "",
    "# A\n\n" + "word " * 80 + "end.\n": "word " * 43 + "word …",
}


@pytest.mark.parametrize(("text", "said"), PAGES.items(), ids=map(str, range(len(PAGES))))
def test_what_it_says_of_a_page(llms: ModuleType, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "other.md").write_text("# The *other*\n", encoding="utf-8")
    (page := tmp_path / "page.md").write_text(text, encoding="utf-8")
    assert llms.summary(page, tmp_path) == said


def test_a_page_of_a_module_says_what_the_module_says(llms: ModuleType, tmp_path: Path) -> None:
    (room := tmp_path / "src/wellstreak_trust/room").mkdir(parents=True)
    (room / "__init__.py").write_text('"""What the\n`room` is for.\n\nMore.\n"""\n', encoding="utf-8")
    (page := tmp_path / "page.md").write_text(
        "# A\n\nNot this.\n\n```{eval-rst}\n.. automodule:: wellstreak_trust.room\n```\n", encoding="utf-8"
    )
    assert llms.summary(page, tmp_path) == "What the room is for."
