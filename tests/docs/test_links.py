"""The manual holds together: links and anchors lead somewhere, every page is found, every how-to shows its primitive.

Nothing is fetched. Anchors are those that MyST makes of headings; GitHub makes the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from myst_parser.mdit_to_docutils.base import default_slugify

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
MANUAL = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
HOW_TO = sorted(page for page in (DOCS / "how-to").glob("*.md") if page.name != "index.md")
PRIMITIVES = ("tenancy", "authz", "identity", "secrets", "webhooks", "ratelimit", "origin", "audit", "connections",
              "disclosure", "telemetry")  # fmt: skip
# Rooms that put primitives together or serve them: a how-to may be about one of these instead.
SERVING = ("adapters", "console", "core", "doctor", "guard", "settings", "storage", "testing", "trust")
DEPTH = 3  # myst_heading_anchors in docs/conf.py
SCHEMES = {"https", "mailto"}
TOCTREE = re.compile(r"^(:::+|```+)\{toctree\}\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def targets(page: Path) -> Iterator[str]:
    """Every link and image of a page, also in tables, never in code."""
    for token in tokens(page):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield str(target)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, a second one of the same name with its number."""
    found: list[str] = []
    for at, token in enumerate(tokens(page)):
        if token.type == "heading_open" and int(token.tag[1:]) <= DEPTH:
            shown = "".join(part.content for part in tokens(page)[at + 1].children or [] if part.content)
            slug = start = default_slugify(shown)
            number = 0
            while slug in found:
                number += 1
                slug = f"{start}-{number}"
            found.append(slug)
    return frozenset(found)


def broken(page: Path, target: str) -> str | None:
    """Why a link leads nowhere, or None."""
    where = urlsplit(target)
    if where.scheme or where.netloc:
        return None if where.scheme in SCHEMES else f"{target}: not https"
    found = (page.parent / unquote(where.path)).resolve() if where.path else page
    if not found.is_file() or not found.is_relative_to(ROOT):
        return f"{target}: no such file"
    if where.fragment and where.fragment not in anchors(found):
        return f"{target}: no such heading"
    return None


@pytest.mark.parametrize("page", [*TOP, *MANUAL], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [why for target in targets(page) if (why := broken(page, target)) is not None] == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (page := tmp_path / "page.md").write_text(
        "# One `two`\n\n## One two\n\n[a](page.md#one-two) [b](#one-two-1) [c](#one-two-2) [d](gone.md)\n"
        "[e](http://example.org) [f](https://example.org#x) [](page.md#three)\n\n"
        "| a |\n|---|\n| [g](gone.png) |\n\n`[h](gone.md)`\n\n```text\n[i](gone.md)\n```\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert [why for target in targets(page) if (why := broken(page, target))] == [
        "#one-two-2: no such heading", "gone.md: no such file", "http://example.org: not https",
        "page.md#three: no such heading", "gone.png: no such file",
    ]  # fmt: skip


def children(page: Path) -> Iterator[Path]:
    """The pages in the toctrees of a page."""
    for _, body in TOCTREE.findall(page.read_text(encoding="utf-8")):
        lines = [line.strip() for line in body.splitlines()]
        for entry in (line for line in lines if line and not line.startswith(":")):
            path = entry.rpartition("<")[2].rstrip(">")
            if ":glob:" in lines and "*" in path:
                yield from page.parent.glob(f"{path}.md")
            else:
                yield page.parent / f"{path}.md"


def test_every_page_is_reached_from_the_first() -> None:
    reached, waiting = set[Path](), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page not in reached:
            assert page.is_file(), f"a toctree names {page}"
            reached.add(page)
            waiting += children(page)
    assert sorted(name(page) for page in MANUAL if page not in reached) == []


IMPORT = re.compile(
    r"^\s*(?:from|import) wellstreak_trust(?:\.([\w.]+))?(?: import ([\w, ]+|\([^)]*\)))?", re.MULTILINE
)


def imports(page: Path) -> set[str]:
    """The modules of this package that the python blocks of a page import, also in modules that they write to files."""
    found = set[str]()
    for token in tokens(page):
        if token.type == "fence" and token.info.strip() == "python":
            for module, names in IMPORT.findall(token.content):
                found |= {module} if module else {*re.findall(r"\w+", names)} & {*PRIMITIVES, *SERVING}
    return found


def public() -> set[str]:
    """The rooms, and the parts of them that the reference documents under a path of their own."""
    return {*PRIMITIVES, *(page.stem for page in (DOCS / "reference/rooms").glob("*.md"))}


@pytest.mark.parametrize("page", [page for page in HOW_TO if "```python" in page.read_text(encoding="utf-8")], ids=name)
def test_a_how_to_imports_what_it_is_about(page: Path) -> None:
    found = imports(page)
    about = found & public() or {each for each in found if each.partition(".")[0] in SERVING}
    assert about, f"{name(page)} imports {sorted(found)}"


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_every_primitive_has_a_how_to(primitive: str) -> None:
    assert [page for page in HOW_TO if primitive in {each.partition(".")[0] for each in imports(page)}]
