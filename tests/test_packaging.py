"""What the package promises as a package: its metadata, its pins, its import cost, and gates that can fail."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import wellstreak_trust

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS = sorted(path.name for path in (ROOT / "src/wellstreak_trust").iterdir() if (path / "__init__.py").is_file())
PRIMITIVES = sorted(set(ROOMS) - {"adapters", "cli", "demo", "storage", "testing"})
PINS = sorted((ROOT / "requirements").glob("*.txt"))


def tool(name: str) -> ModuleType:
    """A gate script, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- metadata ----------------------------------------------------------------------------------------------------


def test_the_installed_metadata_is_this_project() -> None:
    installed = metadata("wellstreak-trust")
    assert installed["Version"] == wellstreak_trust.__version__ == PROJECT["project"]["version"]
    assert installed["License-Expression"] == "Apache-2.0"
    assert installed["Requires-Python"] == ">=3.11"


def test_the_package_is_typed_and_licensed() -> None:
    assert (ROOT / "src/wellstreak_trust/py.typed").is_file()
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_every_extra_is_part_of_all() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    gathered = set(re.search(r"\[(.*)]", everything)[1].split(","))
    assert gathered == set(extras) - {"all", "demo", "arq"}  # arq holds redis back


def test_an_extra_named_in_a_hint_exists() -> None:
    named = set()
    for path in (ROOT / "src").rglob("*.py"):
        named |= set(re.findall(r"wellstreak-trust\[([a-z0-9]+)]", path.read_text(encoding="utf-8")))
    assert named <= set(PROJECT["project"]["optional-dependencies"])


# --- pins --------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("15.1.2", "15.2.4")
@pytest.mark.parametrize("path", PINS, ids=lambda path: path.stem)
def test_every_pin_is_exact_and_has_hashes(path: Path) -> None:
    entries = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9][\w.-]*(\[[\w,-]+])?==\S+ ( ?; .+? )?( *--hash=sha256:[0-9a-f]{64})+$", entry), entry


def test_one_environment_holds_every_file() -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for path in (path for path in PINS if path.name != "floor.txt"):  # an environment of its own
        for name, version, marker in re.findall(
            r"^([\w.-]+)==(\S+)(?: ; ([^\\\n]*))? \\$", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            versions.setdefault((name, marker.strip()), set()).add(version)
    assert [key for key, found in versions.items() if len(found) > 1] == []


# --- import ------------------------------------------------------------------------------------------------------

HEAVY = {
    "flask", "werkzeug", "fastapi", "starlette", "django", "sqlalchemy", "redis", "httpx", "psycopg", "asyncpg",
    "uvicorn", "opentelemetry", "prometheus_client", "boto3",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """Top-level names of what a fresh interpreter loads for it."""
    code = f"import sys, json; before = set(sys.modules); {statement}; print(json.dumps([*set(sys.modules) - before]))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(run.stdout)}


def test_the_root_loads_nothing() -> None:
    assert loaded_by("import wellstreak_trust") == {"wellstreak_trust"}


@pytest.mark.parametrize("room", PRIMITIVES)
def test_a_primitive_loads_no_framework_and_no_driver(room: str) -> None:
    assert loaded_by(f"import wellstreak_trust.{room}") & HEAVY == set()


def test_the_core_needs_only_the_standard_library() -> None:
    assert loaded_by("import wellstreak_trust.core") - {"wellstreak_trust"} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", wellstreak_trust.__all__)
def test_every_public_name_loads_on_first_use(name: str) -> None:
    assert getattr(wellstreak_trust, name) is not None
    assert name in dir(wellstreak_trust)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        wellstreak_trust.Nonsense  # noqa: B018  the access is what is tested


@pytest.mark.parametrize("room", [*PRIMITIVES, "storage.sql", "testing"])
def test_every_room_says_what_it_exports(room: str) -> None:
    module = importlib.import_module(f"wellstreak_trust.{room}")
    assert isinstance(module.__all__, list | tuple)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


# --- gates that can fail -----------------------------------------------------------------------------------------

INDEX_OPTION = "--index" + "-url somewhere"
HOME_PATH = "/" + "home/somebody/project"


@pytest.mark.parametrize(
    ("name", "text", "faulty"),
    [
        ("uv.lock", "", True),
        ("pylock.dev.toml", "", True),
        ("notes.txt", INDEX_OPTION, True),
        ("notes.txt", f"see {HOME_PATH}", True),
        ("notes.txt", "see docs/" + "home/somebody", False),
    ],
)
def test_the_gate_for_tracked_files(name: str, text: str, faulty: bool) -> None:
    assert bool(list(tool("tracked").faults(name, text))) is faulty


@pytest.mark.parametrize(
    ("text", "faulty"),
    [
        ("x = 1\n" * 401, True),
        ("TABLE = [\n" + "    1,\n" * 500 + "]\n", False),
        ("def f():\n" + "    x()\n" * 50, True),
        ("def f(a, b, c, d, e, f): ...\n", True),
        ("def f(self, a, b, c, d, e, *, f): ...\n", False),
        ("def f():\n    global x\n", True),
        ("x = 1  # type" + ": ignore[misc]\n", True),
        ("x = 1  # type" + ": ignore[misc]  # the stubs are wrong here\n", False),
    ],
)
def test_the_gate_for_sizes(text: str, faulty: bool) -> None:
    assert bool(list(tool("sizes").faults("room/module.py", text))) is faulty
