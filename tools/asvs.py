"""OWASP ASVS 5.0: which requirement is proved by which tests.

::

    tools/asvs.py            writes docs/standards/asvs-5.md
    tools/asvs.py --check    tells what is wrong with it; status 1 if anything is

A test says what it proves by ``@pytest.mark.asvs("9.1.1", "9.1.2")``; ``pytestmark`` counts for a module. They are read
from the source, so that nothing has to be imported. docs/standards/asvs-5.toml lists every requirement of the chapters
that this package touches. One that stands there with nothing but its words must have a test; any other says why it has
none, under `host` (the task of whoever installs this package), `open` (not covered) or `absent` (nothing to apply to).
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

Every requirement of the OWASP Application Security Verification Standard 5.0.0 in the chapters that this package
touches, in our own words. A requirement is *proved by tests*, *the host's task*, *not covered*, or *does not apply*
because there is nothing here that it could apply to. Left out are V5 (files that users upload) and V17 (WebRTC).

A proof here is about this package. A host that installs it has the control; that its own code uses the control
everywhere is for its own verification to show. `tools/asvs.py` writes this page; the suite fails where it is stale.
"""
TITLES = {
    "V1": "Encoding and sanitization",
    "V2": "Validation and business logic",
    "V3": "Web frontend security",
    "V4": "API and web service",
    "V6": "Authentication",
    "V7": "Session management",
    "V8": "Authorization",
    "V9": "Self-contained tokens",
    "V10": "OAuth and OIDC",
    "V11": "Cryptography",
    "V12": "Secure communication",
    "V13": "Configuration",
    "V14": "Data protection",
    "V15": "Secure coding and architecture",
    "V16": "Security logging and error handling",
}
NO_TEST = "No test yet"
REASONS = {"host": "The host's task", "open": "Not covered", "absent": "Does not apply"}


@dataclass(frozen=True)
class Requirement:
    """One requirement: its number, what it says in our words, and why it has no test, if it has none."""

    number: str
    chapter: str
    says: str
    status: str = "proved"
    why: str = ""


def required(root: Path = ROOT) -> list[Requirement]:
    chapters = tomllib.loads((root / LIST).read_text(encoding="utf-8"))
    return [
        Requirement(number, chapter, entry["says"], *next(((key, entry[key]) for key in REASONS if key in entry), ()))
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
    found = [f"{each.number} has no test" for each in wanted if each.status == "proved" and each.number not in proved]
    found += [
        f"{each.number} is proved by {proved[each.number][0]} and said to have no test ({each.status})"
        for each in wanted
        if each.status != "proved" and each.number in proved
    ]
    found += [
        f"{each.number} stands in chapter {each.chapter}"
        for each in wanted
        if each.chapter not in TITLES or not each.number.startswith(f"{each.chapter[1:]}.")
    ]
    strange = [number for number in proved if number not in known]
    found += [f"{number} is proved by {proved[number][0]} and is not in {LIST}" for number in strange]
    page = root / PAGE
    if not page.exists() or page.read_text(encoding="utf-8") != written(wanted, proved):
        found.append(f"{PAGE} is stale: run tools/asvs.py")
    return found


def written(wanted: list[Requirement], proved: Mapping[str, list[str]]) -> str:
    by_chapter: dict[str, list[Requirement]] = defaultdict(list)
    for each in wanted:
        by_chapter[each.chapter].append(each)
    lines = [HEAD, *_counts(by_chapter)]
    for chapter, entries in by_chapter.items():
        lines += ["", f"## {chapter} {TITLES.get(chapter, '')}", "", "| | requirement | |", "|---|---|---|"]
        for each in entries:
            reason = f"*{REASONS.get(each.status, NO_TEST)}.* {each.why}".rstrip()
            said = "<br>".join(_short(proved[each.number])) if each.number in proved else reason
            lines.append(f"| {each.number} | {each.says} | {said} |")
    return "\n".join([*lines, ""])


def _counts(by_chapter: Mapping[str, list[Requirement]]) -> Iterator[str]:
    """How many requirements of each chapter have which status, and the sum."""
    names = ("proved", *REASONS)
    yield "| chapter | proved by tests | the host's task | not covered | does not apply |"
    yield "|---|---|---|---|---|"
    total = dict.fromkeys(names, 0)
    for chapter, entries in by_chapter.items():
        counts = {name: sum(each.status == name for each in entries) for name in names}
        total = {name: total[name] + counts[name] for name in names}
        yield f"| {chapter} {TITLES.get(chapter, '')} | " + " | ".join(map(str, counts.values())) + " |"
    yield "| all | " + " | ".join(map(str, total.values())) + " |"


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
