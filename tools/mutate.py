"""Which faults in a module would its tests not notice?

::

    tools/mutate src/wellstreak_trust/authz/logic.py ... [--tests tests/authz tests/testing] [--sample 200] [--seed 1]

Each mutant lives in a process forked off one that has collected the tests already. There the fault is put into the
functions and constants themselves, and the tests that were seen to enter the function run, the quickest first, until
one fails. Whatever survives so is tried once more by a process that imports the faulty module from the start, because
a test may have been prepared before the fault. Tests that need a server take no part, and of those that remain
untold after BUDGET seconds of work neither do the slowest.

Status 0: every mutant was noticed; 1: some were not; 2: the tests fail without a fault.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import importlib.abc
import importlib.util
import itertools
import json
import os
import random
import re
import select
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, TextIO

import pytest
from _pytest.runner import runtestprotocol
from mutants import Mutant, mutants

ROOT = Path(__file__).parents[1]
TESTS = ("tests/authz", "tests/testing", "tests/cli")
PRELOADED = ("hypothesis", "sqlalchemy.orm", "pydantic", "yaml", "typer", "rich.table", "cedarpy", "cel", "psycopg")
REWRITE = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
OPTIONS = ("-q", "-s", "-W", REWRITE, "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header")
SERVERS = frozenset(("postgres_server", "postgres_url", "redis_url"))
DATA = (int, str, frozenset, set, dict, tuple, list, re.Pattern)
PATIENCE = 20.0  # seconds beyond five times what the tests take without a fault

BUDGET = 6.0  # seconds of tests for one mutant

Code = tuple[str, int]  # qualified name and first line


def main() -> int:
    options = argparse.ArgumentParser(description="Which faults in a module would its tests not notice?")
    options.add_argument("modules", type=Path, nargs="+")
    options.add_argument("--tests", nargs="+", default=list(TESTS))
    options.add_argument("--sample", type=int, help="try so many mutants of each module, picked by chance")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    os.chdir(ROOT)
    os.environ["CI"] = "true"  # the same examples in every run
    sys.path.append(str(ROOT / "tests"))
    for name in PRELOADED:
        importlib.import_module(name)
    paths = [path.resolve() for path in asked.modules]
    picked = {path: _picked(len(_searched(path)[1]), asked.sample, asked.seed) for path in paths}
    told = _in_child(lambda: _Quick(picked).run(asked.tests), 6 * 3600)
    if told is None or told["failed"]:
        print("the tests fail without a fault:", *(told or {"failed": ["no answer"]})["failed"], sep="\n  ")
        return 2
    return max(_reported(path, picked[path], told["modules"][str(path)]) for path in paths)


def _reported(path: Path, numbers: Sequence[int], told: dict[str, Any]) -> int:
    left = 0
    for number in numbers:
        if told["states"][str(number)] == "survived":
            mutant = _searched(path)[1][number]
            if _afresh(path, number, told["tests"].get(mutant.owner) or told["tests"].get("", ())) == "survived":
                left += 1
                print(f"  {path.name}:{mutant.line}: {mutant.what}", flush=True)
    noticed = len(numbers) - left
    print(f"{path.relative_to(ROOT)}: {noticed} of {len(numbers)} noticed ({100 * noticed // max(len(numbers), 1)} %)",
          flush=True)  # fmt: skip
    return 1 if left else 0


def _picked(count: int, sample: int | None, seed: int) -> list[int]:
    every = range(count)
    return list(every) if sample is None or sample >= count else sorted(random.Random(seed).sample(every, sample))


def _searched(path: Path) -> tuple[ast.Module, list[Mutant]]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return tree, mutants(tree)


def _faulty(path: Path, number: int) -> CodeType:
    tree, found = _searched(path)
    found[number].apply()
    return compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)


def _in_child(work: Callable[[], Any], patience: float) -> Any:
    """What `work` returns in a forked process; None where it dies or takes longer than `patience`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setpgid(0, 0)
        answer = b"null"
        try:
            answer = json.dumps(work()).encode()
        except BaseException:
            traceback.print_exc()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    parts, until = [], time.monotonic() + patience
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            part = pipe.read(1 << 16)
            if not part:
                break
            parts.append(part)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with suppress(ValueError):
        return json.loads(b"".join(parts))
    return None


def _silent() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


# --- in the functions themselves -------------------------------------------------------------------------------------


class _Plugin:
    """Hypothesis looks for a failure and does not make it small: that it fails is all that is asked."""

    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings

        settings.register_profile("mutation", settings.get_profile("house"), phases=(Phase.explicit, Phase.generate))
        settings.load_profile("mutation")


class _Quick(_Plugin):
    """A pytest plugin: collects the tests, learns which of them enter which function, and tries every mutant."""

    def __init__(self, picked: dict[Path, list[int]]) -> None:
        self._picked: dict[Path, list[int]] = picked
        self._files: frozenset[str] = frozenset(map(str, picked))
        self._entered: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)  # by test or file: the functions
        self._now: str = ""
        self._out: TextIO = sys.stdout
        self._told: dict[str, Any] = {"failed": ["nothing was collected"]}

    def run(self, tests: Sequence[str]) -> dict[str, Any]:
        self._out = os.fdopen(os.dup(1), "w")
        sys.setprofile(self._entering)
        pytest.main([*OPTIONS, *tests], plugins=[self])
        return self._told

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.Module):
            self._now = str(collector.path)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        _silent()
        items = [item for item in session.items if SERVERS.isdisjoint(getattr(item, "fixturenames", ()))]
        took = {}
        failed = []
        for item in items:
            self._now, begun = item.nodeid, time.monotonic()
            sys.setprofile(self._entering)  # each time: a test that ends the stack ends the profile with it
            if not _passes(item):
                failed.append(item.nodeid)
            took[item.nodeid] = time.monotonic() - begun
        sys.setprofile(None)
        by_name = {item.nodeid: item for item in items}
        in_order = sorted(took, key=lambda name: took[name])
        entered = {name: self._entered[name] | self._entered[str(by_name[name].path)] for name in in_order}
        self._told = {"failed": failed, "modules": {}}
        functions = {path: _functions(path) for path in self._picked}
        gc.freeze()  # what is here is shared by every child, and no longer listed
        for path, numbers in self._picked.items() if not failed else ():
            found: defaultdict[str, list[str]] = defaultdict(list)
            for name in in_order:
                for owner in {"", *(owner for file, owner in entered[name] if file == str(path))}:
                    if owner or any(file == str(path) for file, _ in entered[name]):
                        found[owner].append(name)
            tests = {owner: _affordable(names, took) for owner, names in found.items()}
            tried = _Trial(path, tests, functions[path], by_name, took)
            states = {str(number): tried.state(number) for number in numbers}
            noticed = list(states.values()).count("killed")
            print(f"{path.name}: {noticed} of {len(numbers)} at once", file=self._out, flush=True)
            self._told["modules"][str(path)] = {"tests": tests, "states": states}
        return True

    def _entering(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename in self._files:
            self._entered[self._now].add((code.co_filename, code.co_qualname.partition(".<locals>")[0]))


@dataclass(frozen=True, slots=True)
class _Trial:
    """The mutants of one module, each in a process of its own."""

    path: Path
    tests: dict[str, list[str]]
    functions: dict[Code, list[FunctionType]]
    items: dict[str, pytest.Item]
    took: dict[str, float]

    def state(self, number: int) -> str:
        owner = _searched(self.path)[1][number].owner
        tests = self.tests.get(owner, ())

        def work() -> bool:
            faulty = _faulty(self.path, number)
            if owner:
                _put_into_functions(faulty, self.functions)
            else:
                _put_into_constants(faulty, _name_of(self.path))
            return all(_passes(self.items[name]) for name in tests)

        passed = _in_child(work, PATIENCE + 5 * sum(self.took[name] for name in tests))
        return "survived" if passed else "killed"


def _passes(item: pytest.Item) -> bool:
    reports = runtestprotocol(item, nextitem=None, log=False)
    return not any(report.failed for report in reports)


def _affordable(tests: Sequence[str], took: dict[str, float]) -> list[str]:
    spent = itertools.accumulate(took[name] for name in tests)
    return [name for name, so_far in zip(tests, spent, strict=True) if so_far <= BUDGET]


def _put_into_functions(faulty: CodeType, functions: dict[Code, list[FunctionType]]) -> None:
    for code in _codes(faulty):
        for function in functions.get((code.co_qualname, code.co_firstlineno), ()):
            function.__code__ = code


def _put_into_constants(faulty: CodeType, name: str) -> None:
    """The module once more, and its new tables and numbers wherever the old ones were imported."""
    fresh = dict(sys.modules[name].__dict__)
    exec(faulty, fresh)
    for constant, old in list(sys.modules[name].__dict__.items()):
        if isinstance(fresh[constant], DATA) and not constant.startswith("__"):
            for module in list(sys.modules.values()):
                held = getattr(module, "__dict__", {})
                if held.get(constant) is old:
                    held[constant] = fresh[constant]


def _name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


def _functions(path: Path) -> dict[Code, list[FunctionType]]:
    found: defaultdict[Code, list[FunctionType]] = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename == str(path):
            found[each.__code__.co_qualname, each.__code__.co_firstlineno].append(each)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


# --- from the start --------------------------------------------------------------------------------------------------


class _Faulty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module with its fault."""

    def __init__(self, path: Path, number: int) -> None:
        self._path: Path = path
        self._code: CodeType = _faulty(path, number)
        self._name: str = _name_of(path)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self._name:
            return None
        folders = [str(self._path.parent)] if self._path.name == "__init__.py" else None
        spec = importlib.util.spec_from_file_location(name, self._path, loader=self, submodule_search_locations=folders)
        return spec

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)


class _Only(_Plugin):
    """A pytest plugin: runs these tests, in this order, on a faulty module."""

    def __init__(self, tests: Sequence[str], faulty: _Faulty) -> None:
        self._faulty: _Faulty = faulty
        self._order: dict[str, int] = {name: index for index, name in enumerate(tests)}

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        sys.meta_path.insert(0, self._faulty)  # pytest's own finder is there by now, and nothing of ours is loaded yet

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self._order), key=lambda i: self._order[i.nodeid])


def _afresh(path: Path, number: int, tests: Sequence[str]) -> str:
    def work() -> int:
        _silent()
        files = dict.fromkeys(name.partition("::")[0] for name in tests)
        return int(pytest.main([*OPTIONS, "-x", *files], plugins=[_Only(tests, _Faulty(path, number))]))

    unnoticed = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return "survived" if not tests or _in_child(work, 120) in unnoticed else "killed"


if __name__ == "__main__":
    sys.exit(main())
