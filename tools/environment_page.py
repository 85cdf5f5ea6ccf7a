"""The page of every environment variable: found by reading the source, explained by docs/reference/environment.toml.

Python is read as a tree: ``os.environ``, ``os.getenv`` and the ``envvar=`` of the command line. A name that stands in a
constant is looked up; a name that only a run knows (``--url-env NAME``) must be explained as such. Of Makefile and
scripts the variables are read that they do not set themselves.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import fill

from wellstreak_trust.settings import PREFIX, TrustSettings

WORDS = Path("docs/reference/environment.toml")
FIELDS = {"says", "default", "example"}
FOLDERS = ("src", "tests", "bench", "tools", "docs")
READERS = ("os.environ.get", "os.environ.pop", "os.environ.setdefault", "os.getenv")
VERBS = frozenset(each.rpartition(".")[2] for each in READERS)
SHELL_OWN = frozenset(("SECONDS", "EUID", "UID", "PWD", "IFS", "BASH_SOURCE"))
AREAS = {
    "src": ("Package, command line and demo", "Besides the settings."),
    "make": ("Make and scripts", "Given to `make` as `NAME=value`, or in the environment."),
    "tests": ("Tests", "Lengths are for a run of minutes; before a release they are raised."),
    "bench": ("Benches", ""),
}
HEAD = """# Environment variables

Every variable that the package, its command line, its demo, its tests, the Makefile and the benches read. The list is
made by reading the source, and the suite fails where a new one has no words. Nothing else of the environment is read by
this package; drivers and cloud clients read their own, such as `AWS_REGION` or `VAULT_ADDR`.

## Settings

Each setting is one variable, with its meaning, default and example in [Settings](settings.md). A variable that begins
with `WELLSTREAK_TRUST_` and is neither a setting nor listed below is refused.

"""
CHOSEN = """## Names that you choose

Here the package reads a variable whose name somebody gives it.

| where | what is read |
|---|---|
"""
_MAKE_ASKED = re.compile(r"^([A-Z_]+)\s*\?=|\$\(([A-Z_]+)\)", re.MULTILINE)
_MAKE_SET = re.compile(r"^([A-Z_]+)\s*:?=", re.MULTILINE)
_SHELL_ASKED = re.compile(r"\$\{([A-Z][A-Z0-9_]*):?[-?+]|\$\{?([A-Z][A-Z0-9_]*)")
_SHELL_SET = re.compile(r"^\s*(?:export\s+|local\s+)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def words(root: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """What is said of each variable, and of each file that reads names it is given."""
    found = tomllib.loads((root / WORDS).read_text(encoding="utf-8"))
    return found["variables"], found["chosen"]


def read_by(root: Path) -> tuple[dict[str, set[str]], set[str]]:
    """Variable to the files that read it, and the files that read names which only a run knows."""
    found: dict[str, set[str]] = defaultdict(set)
    chosen: set[str] = set()
    trees = {path: ast.parse(text) for path, text in _python(root)}
    constants = {path: _constants(tree) for path, tree in trees.items()}
    modules = {path.stem: held for path, held in constants.items() if path.parent == root / "tests"}
    for path, tree in trees.items():
        name = path.relative_to(root).as_posix()
        for asked in _asked(tree):
            variable = _resolved(asked, constants[path], modules)
            if variable is None:
                chosen.add(name)
            else:
                found[variable].add(name)
    for path in (root / "Makefile", *_scripts(root)):
        for variable in _of_script(path.read_text(encoding="utf-8"), make=path.name == "Makefile"):
            found[variable].add(path.relative_to(root).as_posix())
    return dict(found), chosen


def problems(root: Path) -> list[str]:
    """Variables without words, and words without variable."""
    said, explained = words(root)
    found, chosen = read_by(root)
    faults = [f"{WORDS}: {name} is missing, and {min(found[name])} reads it" for name in sorted(found.keys() - said)]
    faults += [f"{WORDS}: nothing reads {name}" for name in sorted(said.keys() - found)]
    faults += [f"{WORDS}: {name} is a setting" for name in sorted(said.keys() & set(_settings()))]
    faults += [f"{WORDS}: {name} reads names that are not explained" for name in sorted(chosen - explained.keys())]
    faults += [f"{WORDS}: {name} reads no such names" for name in sorted(explained.keys() - chosen)]
    for name, entry in said.items():
        if not entry.get("says", "").strip() or entry.keys() - FIELDS:
            faults.append(f"{WORDS}: {name} says nothing, or too much")
    return faults


def page(root: Path) -> str:
    """The page."""
    said, explained = words(root)
    found, _ = read_by(root)
    lines = [HEAD + fill(", ".join(f"`{name}`" for name in _settings()), 120) + "\n"]
    for area, (title, lead) in AREAS.items():
        lines += [f"## {title}", "", *([lead, ""] if lead else ())]
        lines += ["| variable | meaning | default | example | read by |", "|---|---|---|---|---|"]
        lines += [
            f"| `{name}` | {_row(said.get(name, {}))} | {_files(found[name])} |"
            for name in sorted(found)
            if area_of(found[name]) == area
        ]
        lines.append("")
    rows = "".join(f"| `{name}` | {what} |\n" for name, what in sorted(explained.items()))
    return "\n".join(lines) + "\n" + CHOSEN + rows


def area_of(files: Iterable[str]) -> str:
    """Where a variable is shown: with whoever needs it first."""
    tops = {file.partition("/")[0] for file in files}
    return next((area for area in AREAS if area in tops), "make")


def _settings() -> list[str]:
    return [f"{PREFIX}{name.upper()}" for name in TrustSettings.model_fields]


def _row(entry: Mapping[str, str]) -> str:
    shown = [f"`{entry[field]}`" if entry.get(field) else "" for field in ("default", "example")]
    return " | ".join([entry.get("says", ""), *shown])


def _files(files: set[str]) -> str:
    """The files, or how many where they are many."""
    return ", ".join(f"`{name}`" for name in sorted(files)) if len(files) < 3 else f"{len(files)} files"


# --- reading ---------------------------------------------------------------------------------------------------------


def _python(root: Path) -> Iterator[tuple[Path, str]]:
    """The modules that may read the environment, and those whose constants others name."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if path.parent == root / "tests" or any(word in text for word in ("environ", "getenv", "envvar")):
                yield path, text


def _scripts(root: Path) -> Iterator[Path]:
    for path in sorted([*(root / "tools").glob("*"), *(root / ".ci").glob("*")]):
        if path.is_file() and not path.suffix:
            yield path


def _asked(tree: ast.Module) -> Iterator[ast.expr]:
    """The expressions that name a variable."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if getattr(node.func, "attr", "") in VERBS and ast.unparse(node.func) in READERS:
                yield node.args[0]
            yield from (word.value for word in node.keywords if word.arg == "envvar")
        elif isinstance(node, ast.Subscript) and _is_environment(node.value):
            yield node.slice
        elif isinstance(node, ast.Compare) and any(map(_is_environment, node.comparators)):
            yield node.left
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            # Read by its bare name it would not be found, so that spelling is not allowed.
            hidden = sorted({each.name for each in node.names} & {"environ", "getenv"})
            yield from (ast.Name(id=name) for name in hidden)
        elif isinstance(node, ast.FunctionDef) and any(
            each.arg == "environ" and each.annotation and ast.unparse(each.annotation) == "Mapping[str, str]"
            for each in node.args.args
        ):  # it is handed the whole environment; that of a request (PEP 3333) holds more than texts
            calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
            yield from (each.args[0] for each in calls if ast.unparse(each.func) == "environ.get")


def _is_environment(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "environ" and getattr(node.value, "id", "") == "os"


def _constants(tree: ast.Module) -> dict[str, str]:
    """The texts that a module keeps under a name."""
    found: dict[str, str] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.update((each.id, value.value) for each in targets if isinstance(each, ast.Name))
    return found


def _resolved(asked: ast.expr, own: Mapping[str, str], modules: Mapping[str, Mapping[str, str]]) -> str | None:
    if isinstance(asked, ast.Constant):
        return str(asked.value)
    if isinstance(asked, ast.Name):
        return own.get(asked.id)
    if isinstance(asked, ast.Attribute) and isinstance(asked.value, ast.Name):
        return modules.get(asked.value.id, {}).get(asked.attr)
    return None


def _of_script(text: str, *, make: bool) -> set[str]:
    """What a Makefile or a shell script reads and does not set itself."""
    text = re.sub(r"(?m)(?:^|\s)#.*$", "", text)
    asked = _MAKE_ASKED if make else _SHELL_ASKED
    own = set(_MAKE_SET.findall(text)) if make else set(_SHELL_SET.findall(text)) | SHELL_OWN
    # A default is what the environment may replace, whether the script sets the name later or not.
    given = {match[1] for match in asked.finditer(text) if match[1]}
    return given | ({match[2] for match in asked.finditer(text) if match[2]} - own)
