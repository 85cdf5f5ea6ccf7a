"""What pages claim (standards, threat models, architecture): what they name is there, and nothing is left out.

A page names a test as "`attacks/test_x.py`: `what_it_shows`", and code as "`room/module.py`: `name`".
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def asvs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("asvs_tool", ROOT / "tools/asvs.py")
    assert spec is not None
    assert spec.loader is not None
    found = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_asvs_page_is_up_to_date_and_every_requirement_proved(asvs):
    assert asvs.problems(ROOT) == []


def test_the_list_is_whole(asvs):
    """Each chapter with as many requirements as ASVS 5.0.0 has in it, each once."""
    numbers = [each.number for each in asvs.required(ROOT)]
    assert len(numbers) == len(set(numbers))
    counts = Counter(number.partition(".")[0] for number in numbers)
    assert counts == {
        "1": 30, "2": 13, "3": 31, "4": 16, "6": 47, "7": 19, "8": 13, "9": 7, "10": 36, "11": 24, "12": 12, "13": 21,
        "14": 13, "15": 21, "16": 17,
    }  # fmt: skip


def house(folder: Path, requirements: str, test: str) -> Path:
    (folder / "docs/standards").mkdir(parents=True)
    (folder / "tests/room").mkdir(parents=True)
    (folder / "docs/standards/asvs-5.toml").write_text(requirements)
    (folder / "tests/room/test_one.py").write_text("import pytest\n" + test)
    return folder


def test_what_the_tool_finds(asvs, tmp_path):
    root = house(
        tmp_path,
        '[V9]\n"9.1.1" = {says = "One."}\n"9.1.2" = {says = "Two."}\n"9.1.3" = {says = "Three.", host = "Yours."}\n'
        '"9.2.1" = {says = "Four.", open = "Not yet."}\n[V8]\n"7.1.1" = {says = "Five.", absent = ""}\n',
        '@pytest.mark.asvs("9.1.1", "1.1.1")\ndef test_a(): ...\n'
        '@pytest.mark.asvs("9.1.1", "9.2.1")\nasync def test_b(): ...\n',
    )
    assert asvs.problems(root) == [
        "9.1.2 has no test",
        "9.2.1 is proved by room/test_one.py::test_b and said to have no test (open)",
        "7.1.1 stands in chapter V8",
        "1.1.1 is proved by room/test_one.py::test_a and is not in docs/standards/asvs-5.toml",
        "docs/standards/asvs-5.md is stale: run tools/asvs.py",
    ]
    page = asvs.written(asvs.required(root), asvs.proofs(root))
    assert "| 9.1.1 | One. | `room/test_one.py`: `a`, `b` |" in page
    assert "| 9.1.3 | Three. | *The host's task.* Yours. |" in page
    assert "| 7.1.1 | Five. | *Does not apply.* |" in page
    assert "| V9 Self-contained tokens | 2 | 1 | 1 | 0 |" in page
    assert "| all | 2 | 1 | 1 | 1 |" in page
    (root / "docs/standards/asvs-5.md").write_text(page)
    assert len(asvs.problems(root)) == 4


@pytest.mark.parametrize(
    "marks",
    ['pytestmark = pytest.mark.asvs("9.1.1")\n', 'pytestmark = [pytest.mark.anyio, pytest.mark.asvs("9.1.1")]\n'],
)
def test_a_mark_for_a_whole_module(asvs, tmp_path, marks):
    root = house(tmp_path, '[V9]\n"9.1.1" = { says = "One." }\n', marks + "class TestX:\n    def test_a(self): ...\n")
    assert asvs.proofs(root) == {"9.1.1": ["room/test_one.py::test_a"]}


TESTS, CODE = ROOT / "tests", ROOT / "src/wellstreak_trust"
NAMED = re.compile(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)`(?:: ((?:`[\w.]+`(?:, )?)+))?")
MODELS = ROOT / "docs/explanation/threat-models"
CLAIMING = sorted([*(ROOT / "docs/standards").glob("*.md"), *(ROOT / "docs/explanation").rglob("*.md")])
ROOMS = ("tenancy", "authz", "identity", "secrets", "webhooks", "ratelimit", "origin", "audit", "connections",
         "disclosure", "telemetry", "guard-and-adapters")  # fmt: skip
SECTIONS = ["What is at stake", "Who attacks", "Boundaries", "Threats", "What this does not protect against"]


def missing(text: str) -> list[str]:
    """Files, tests and names that a page speaks of and that are not there."""
    found = []
    for file, names in NAMED.findall(text):
        is_test = file.rpartition("/")[2].startswith("test_")
        path = (ROOT if file.startswith("tools/") else TESTS if is_test else CODE) / file
        if not path.is_file():
            found.append(file)
            continue
        there = names_in(path, is_test=is_test)
        found += [f"{file}: {name}" for name in re.findall(r"[\w.]+", names) if name.split(".")[-1] not in there]
    return found


@cache
def names_in(path: Path, *, is_test: bool) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(shown_by(tree) if is_test else identifiers(tree))


def shown_by(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_")


def identifiers(tree: ast.Module) -> Iterator[str]:
    """What a module defines: classes, functions, parameters, fields and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def id_of(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix()


@pytest.mark.parametrize("page", CLAIMING, ids=id_of)
def test_what_a_page_names_is_there(page):
    assert missing(page.read_text(encoding="utf-8")) == []


def test_what_is_not_there_is_found():
    page = (
        "`origin/csrf.py`: `OriginPolicy`, `check` `origin/csrf.py`: `Nobody` `test_guard.py`: `nothing` "
        "`origin/gone.py` `attacks/test_gone.py`: `x` `origin/test_csrf.py`: `the_table`"
    )
    assert missing(page) == [
        "origin/csrf.py: Nobody",
        "test_guard.py: nothing",
        "origin/gone.py",
        "attacks/test_gone.py",
    ]


@pytest.mark.parametrize("page", sorted((ROOT / "docs/standards").glob("*.md")), ids=id_of)
def test_a_page_on_a_standard_names_its_tests(page):
    text = page.read_text(encoding="utf-8")
    if page.name not in {"index.md", "asvs-v16.md", "cryptography.md"}:
        assert "proved by" in text
        assert sum(bool(names) for file, names in NAMED.findall(text) if "test_" in file) >= 4


def rows_of(text: str) -> list[list[str]]:
    """The cells of the tables under "Threats", without their heads."""
    section = text.partition("\n## Threats\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if not line.startswith("| threat")
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_threat_model_is_whole(room):
    """Every threat has its control with the place in the code, its test, and what remains."""
    text = (MODELS / f"{room}.md").read_text(encoding="utf-8")
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == SECTIONS
    assert "```text\n" in text.partition("## Boundaries")[2].partition("## Threats")[0]
    rows = rows_of(text)
    assert len(rows) >= 5
    for row in rows:
        assert len(row) == 4, row
        modules = [file for file, _ in NAMED.findall(row[1]) if "test_" not in file]
        tests = [file for file, names in NAMED.findall(row[2]) if "test_" in file and names]
        assert modules, f"no place in the code: {row[0]}"
        assert tests, f"no test: {row[0]}"
        assert row[3], f"nothing said of what remains: {row[0]}"


def test_every_attack_stands_in_a_threat_model():
    cited = "".join(page.read_text(encoding="utf-8") for page in MODELS.glob("*.md"))
    attacks = [f"attacks/{path.name}" for path in (TESTS / "attacks").glob("test_*.py")]
    assert [attack for attack in sorted(attacks) if f"`{attack}`" not in cited] == []


POLICY = re.compile(r"on_(?:outage|unknown|error|failure|unavailable|store_error|sign_count)")


def test_every_failure_policy_is_in_the_table():
    """Each row names its place and its test; each parameter that declares a policy has a row."""
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    table = page.partition("\n## When something fails\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines() if line[:2] == "| "]
    assert len(rows) > 30
    for row in rows[1:]:
        assert len(row) == 4, row
        assert any(names for _, names in NAMED.findall(row[2])), row
        assert any(names for _, names in NAMED.findall(row[3])), row
    told = {f"{file}: {name}" for file, names in NAMED.findall(table) for name in re.findall(r"\w+", names)}
    declared = {
        f"{path.relative_to(CODE).as_posix()}: {name}"
        for path in CODE.rglob("*.py")
        for name in public_parameters(ast.parse(path.read_text(encoding="utf-8")))
        if POLICY.fullmatch(name)
    }
    assert len(declared) >= 7
    assert sorted(declared - told) == []


def public_parameters(tree: ast.Module) -> Iterator[str]:
    """Parameters and fields of public classes, as their constructors take them."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for part in node.body:
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    yield part.target.id
                elif isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    yield from (each.arg for each in (*part.args.args, *part.args.kwonlyargs))


CRYPTOGRAPHIC = frozenset(("hashlib", "hmac", "cryptography", "jwt", "argon2", "webauthn", "pkcs11", "ssl"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0]


@pytest.mark.asvs("11.1.2", "11.1.3", "11.2.1")
def test_every_use_of_cryptography_is_in_the_inventory():
    listed = {file for file, _ in NAMED.findall((ROOT / "docs/standards/cryptography.md").read_text(encoding="utf-8"))}
    used = set()
    for path in sorted(CODE.rglob("*.py")):
        name, text = path.relative_to(CODE).as_posix(), path.read_text(encoding="utf-8")
        if name.partition("/")[0] in {"testing", "demo"}:
            continue  # tools for tests, and a host
        if CRYPTOGRAPHIC & set(imported(ast.parse(text))):
            used.add(name)
        assert not re.search(r"\bmd5\b", text, re.IGNORECASE), name
    assert used == listed - {"test_standards.py"}
