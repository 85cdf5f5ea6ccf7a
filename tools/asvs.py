"""OWASP ASVS 5.0: which requirement is proved by which tests.

::

    tools/asvs.py            writes docs/standards/asvs-5.md
    tools/asvs.py --check    tells what is wrong with it; status 1 if anything is

A test says what it proves by ``@pytest.mark.asvs("9.1.1", "9.1.2")``; ``pytestmark`` counts for a module. They are read
from the source, so that nothing has to be imported. What must be proved stands in docs/standards/asvs-5.toml.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path("docs/standards/asvs-5.toml")
PAGE = Path("docs/standards/asvs-5.md")
HEAD = """# OWASP ASVS 5.0

The requirements of the OWASP Application Security Verification Standard 5.0.0 that this package answers for, in our own
words, and the tests that prove them. What is the host's alone, such as its forms and its network, is not in the list.
`tools/asvs.py` writes this page; the suite fails where it is stale.
"""
PENDING = "*no test yet*"


@dataclass(frozen=True)
class Requirement:
    """One requirement: its number, what it says in our words, and whether its test is still to come."""

    number: str
    chapter: str
    says: str
    pending: bool


def required(root: Path = ROOT) -> list[Requirement]:
    chapters = tomllib.loads((root / LIST).read_text(encoding="utf-8"))
    return [
        Requirement(number, chapter, entry["says"], entry.get("pending", False))
        for chapter, entries in chapters.items()
        for number, entry in entries.items()
    ]


def proofs(root: Path = ROOT) -> dict[str, list[str]]:
    """The tests that carry each number, as ``identity/test_jwt.py::test_name``."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.asvs(" in text:
            name = path.relative_to(root / "tests").as_posix()
            for test, number in _marked(ast.parse(text)):
                found[number].append(f"{name}::{test}")
    return found


def problems(root: Path = ROOT) -> list[str]:
    wanted, proved = required(root), proofs(root)
    known = {each.number for each in wanted}
    found = [f"{each.number} has no test" for each in wanted if not each.pending and each.number not in proved]
    strange = [number for number in proved if number not in known]
    found += [f"{number} is proved by {proved[number][0]} and is not in {LIST}" for number in strange]
    page = root / PAGE
    if not page.exists() or page.read_text(encoding="utf-8") != written(wanted, proved):
        found.append(f"{PAGE} is stale: run tools/asvs.py")
    return found


def written(wanted: list[Requirement], proved: Mapping[str, list[str]]) -> str:
    lines = [HEAD]
    for chapter in dict.fromkeys(each.chapter for each in wanted):
        lines += [f"## {chapter.capitalize()}", "", "| | requirement | tests |", "|---|---|---|"]
        for each in wanted:
            if each.chapter == chapter:
                tests = "<br>".join(_short(proved[each.number])) if each.number in proved else PENDING
                lines.append(f"| {each.number} | {each.says} | {tests} |")
        lines.append("")
    return "\n".join(lines)


def _short(tests: list[str]) -> Iterator[str]:
    """The tests of one file together, so that a row stays readable."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        name, _, function = test.partition("::")
        by_file[name].append(function)
    for name, functions in by_file.items():
        yield f"`{name}`: " + ", ".join(f"`{function.removeprefix('test_')}`" for function in dict.fromkeys(functions))


def _marked(tree: ast.Module) -> Iterator[tuple[str, str]]:
    everywhere = [
        number
        for node in tree.body
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
        for mark in (node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value])
        for number in _numbers(mark)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for number in (*everywhere, *(each for mark in node.decorator_list for each in _numbers(mark))):
                yield node.name, number


def _numbers(mark: ast.expr) -> Iterator[str]:
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.asvs":
        for argument in mark.args:
            yield str(ast.literal_eval(argument))


def main() -> int:
    if sys.argv[1:] != ["--check"]:
        (ROOT / PAGE).write_text(written(required(), proofs()), encoding="utf-8")
    found = problems()
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
