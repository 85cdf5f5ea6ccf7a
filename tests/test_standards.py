"""The pages under docs/standards: written out of the tests where they can be, and naming no test that there is not."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
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
    """73 requirements of identity and five of cookies."""
    numbers = [each.number for each in asvs.required(ROOT)]
    assert len(numbers) == len(set(numbers)) == 78


def house(folder: Path, requirements: str, test: str) -> Path:
    (folder / "docs/standards").mkdir(parents=True)
    (folder / "tests/room").mkdir(parents=True)
    (folder / "docs/standards/asvs-5.toml").write_text(requirements)
    (folder / "tests/room/test_one.py").write_text("import pytest\n" + test)
    return folder


def test_what_the_tool_finds(asvs, tmp_path):
    root = house(
        tmp_path,
        '[tokens]\n"9.1.1" = {says = "One."}\n"9.1.2" = {says = "Two."}\n"9.1.3" = {says = "Three.", pending = true}\n',
        '@pytest.mark.asvs("9.1.1", "1.1.1")\ndef test_a(): ...\n@pytest.mark.asvs("9.1.1")\nasync def test_b(): ...\n',
    )
    assert asvs.problems(root) == [
        "9.1.2 has no test",
        "1.1.1 is proved by room/test_one.py::test_a and is not in docs/standards/asvs-5.toml",
        "docs/standards/asvs-5.md is stale: run tools/asvs.py",
    ]
    page = asvs.written(asvs.required(root), asvs.proofs(root))
    assert "| 9.1.1 | One. | `room/test_one.py`: `a`, `b` |" in page
    assert "| 9.1.3 | Three. | *no test yet* |" in page
    (root / "docs/standards/asvs-5.md").write_text(page)
    assert len(asvs.problems(root)) == 2


@pytest.mark.parametrize(
    "marks",
    ['pytestmark = pytest.mark.asvs("9.1.1")\n', 'pytestmark = [pytest.mark.anyio, pytest.mark.asvs("9.1.1")]\n'],
)
def test_a_mark_for_a_whole_module(asvs, tmp_path, marks):
    root = house(
        tmp_path, '[tokens]\n"9.1.1" = { says = "One." }\n', marks + "class TestX:\n    def test_a(self): ...\n"
    )
    assert asvs.proofs(root) == {"9.1.1": ["room/test_one.py::test_a"]}


NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)*/test_[a-z_0-9]+\.py)`: ((?:`\w+`(?:, )?)+)")


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs/standards").glob("*.md")))
def test_the_tests_that_a_page_names_are_there(page):
    text = (ROOT / "docs/standards" / page).read_text(encoding="utf-8")
    missing = []
    for file, names in NAMED.findall(text):
        there = {
            node.name.removeprefix("test_")
            for node in ast.walk(ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        missing += [f"{file}: {name}" for name in re.findall(r"\w+", names) if name not in there]
    assert missing == []
