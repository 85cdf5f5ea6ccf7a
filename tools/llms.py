"""docs/llms.txt (llmstxt.org): the manual as a list that a program reads first.

::

    tools/llms.py            writes docs/llms.txt
    tools/llms.py --check    tells whether it is stale; status 1 if so

Each page is a line: its title, its address beside this file, and the beginning of its first paragraph. A page of the
reference that is made of a module has the first line of that module's docstring.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = Path("docs/llms.txt")
LEAST, MOST = 70, 220  # characters of a summary
SECTIONS = {
    "tutorial": "Tutorial",
    "how-to": "How-to guides",
    "adopt": "Adopt control by control",
    "operations": "Operations",
    "explanation": "Explanation",
    "explanation/threat-models": "Threat models",
    "reference": "Reference",
    "reference/rooms": "Public names of each room",
    "standards": "Standards",
}
LAST = {"adr": "Optional"}  # what a reader in a hurry leaves out, by the form of such files
MARKUP = (
    (re.compile(r"!?\[([^\]]+)\]\([^)]*\)"), r"\1"),  # links and images leave their text
    (re.compile(r"<((?:https?:|mailto:)[^>]*)>"), r"\1"),
    (re.compile(r"[*`]"), ""),
)
UNNAMED = re.compile(r"\[\]\(([^)#]+)[^)]*\)")  # MyST: a link without text has the title of its page
SENTENCE = re.compile(r".+?(?:[.!?](?= [A-Z\"(]|$)|$)")
BESIDE = ("#", "|", ":::", "<!--", "* ", "- ", "![", "1. ")  # what begins no paragraph


def title(text: str) -> str:
    """The first heading."""
    return plain(next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# "))


def plain(text: str) -> str:
    for pattern, replacement in MARKUP:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def summary(page: Path, root: Path = ROOT) -> str:
    """A sentence or two about a page; empty where it has no words of its own."""
    text = page.read_text(encoding="utf-8")
    if module := re.search(r"\.\. automodule:: wellstreak_trust\.?([\w.]*)", text):
        return _cut(_docstring(root, module[1]))
    named = UNNAMED.sub(lambda link: title((page.parent / link[1]).read_text(encoding="utf-8")), text)
    prose = re.sub(r"(?ms)^(```+|:::+).*?^\1\s*$", "", named)
    for paragraph in re.split(r"\n\s*\n", prose):
        if paragraph.strip() and not paragraph.lstrip().startswith(BESIDE):
            return _cut(plain(re.sub(r"^\*\*\w+\.\*\* ", "", paragraph.strip())))
    return ""


def _docstring(root: Path, module: str) -> str:
    place = root / "src/wellstreak_trust" / module.replace(".", "/")
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return plain(text.partition("\n\n")[0])


def _cut(text: str) -> str:
    """Whole sentences, as few as say something."""
    taken = ""
    for sentence in SENTENCE.findall(text):
        taken = f"{taken} {sentence.strip()}".strip()
        if len(taken) >= LEAST:
            break
    taken = taken.rstrip(":")
    return taken if len(taken) <= MOST else taken[:MOST].rpartition(" ")[0].rstrip(",;:") + " …"


def sections(docs: Path) -> dict[str, str]:
    """Folder and heading of every section; a folder that is not listed has the title of its index."""
    folders = sorted({page.parent.relative_to(docs).as_posix() for page in docs.rglob("*.md")} - {"."})
    others = [each for each in folders if each not in SECTIONS | LAST and not each.startswith("_")]
    named = {each: _heading(docs / each) for each in others}
    return {each: heading for each, heading in (SECTIONS | named | LAST).items() if each in folders}


def _heading(folder: Path) -> str:
    index = folder / "index.md"
    return title(index.read_text(encoding="utf-8")) if index.exists() else folder.name.capitalize()


def lines(root: Path = ROOT) -> Iterator[str]:
    docs = root / "docs"
    paragraphs = re.split(r"\n\s*\n", (docs / "index.md").read_text(encoding="utf-8"))
    yield f"# {title(paragraphs[0])}"
    yield ""
    yield f"> {plain(paragraphs[1])}"
    for folder, heading in sections(docs).items():
        yield from ("", f"## {heading}", "")
        for page in sorted(page for page in (docs / folder).glob("*.md") if page.name != "index.md"):
            about = summary(page, root)
            link = f"- [{title(page.read_text(encoding='utf-8'))}]({page.relative_to(docs).as_posix()})"
            yield f"{link}: {about}" if about else link


def written(root: Path = ROOT) -> str:
    return "\n".join([*lines(root), ""])


def main() -> int:
    if sys.argv[1:] != ["--check"]:
        (ROOT / FILE).write_text(written(), encoding="utf-8")
    elif not (ROOT / FILE).exists() or (ROOT / FILE).read_text(encoding="utf-8") != written():
        print(f"{FILE} is stale: run tools/llms.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
