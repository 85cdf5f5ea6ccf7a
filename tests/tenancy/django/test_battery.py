"""The battery: published cases, attacks, legal work and random statements, on real databases.

Django is configured once in a process, so each kind of database has a process of its own (`probe`), started when the
first test asks for it. ``rls`` is PostgreSQL with the policies of `EnableTenantRLS`; on both kinds of PostgreSQL the
application connects as a role that does not own the tables.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

HERE = Path(__file__).parent
CASES = HERE.parents[1] / "vectors" / "tenancy" / "django.json"
PUBLISHED = {case["id"]: case for case in json.loads(CASES.read_text(encoding="utf-8"))}
KINDS = ("sqlite", "postgresql", "rls")
STATEMENTS = os.environ.get("WST_DJANGO_STATEMENTS", "40")


def functions(module: str, argument: str) -> dict[str, ast.FunctionDef]:
    """The module's cases, read and not imported: it needs Django."""
    tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))
    found = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
    return {each.name: each for each in found if [a.arg for a in each.args.args] == [argument]}


def kinds_of(function: ast.FunctionDef) -> tuple[str, ...]:
    """What ``@only(...)`` names."""
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call):
            return tuple(argument.value for argument in mark.args)
    return KINDS


ATTACKS = functions("attacks", "below")
NOBODY = {name for name, each in ATTACKS.items() if name.startswith("nobody_")}
WORK = functions("work", "stage")
FACTS = [(kind, name) for name, each in functions("facts", "below").items() for kind in kinds_of(each)]


class Probes:
    def __init__(self, folder: Path, server: pytest.FixtureRequest) -> None:
        self.folder, self.request, self.answers = folder, server, {}

    def __call__(self, kind: str) -> dict:
        if kind not in self.answers:
            done = subprocess.run(
                [sys.executable, str(HERE / "probe.py"), kind, self.where(kind), str(CASES), STATEMENTS],
                capture_output=True, text=True, timeout=600,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-3000:]
            self.answers[kind] = json.loads(done.stdout)
        return self.answers[kind]

    def where(self, kind: str) -> str:
        if kind == "sqlite":
            return str(self.folder / "house.db")
        import psycopg

        server, name = self.request.getfixturevalue("postgres_server"), f"wt_django_{kind}_{os.getpid()}"
        with psycopg.connect(server, autocommit=True) as connection:
            for each in (name, f"{name}_single"):
                connection.execute(f'DROP DATABASE IF EXISTS "{each}" WITH (FORCE)')
                connection.execute(f'CREATE DATABASE "{each}"')
        return urlsplit(server)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def probed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Probes:
    return Probes(tmp_path_factory.mktemp("house"), request)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", PUBLISHED)
def test_published(probed, kind, case):
    told = PUBLISHED[case]
    if told.get("only", kind) not in {kind, "postgresql" if kind == "rls" else kind}:
        assert case not in probed(kind)["published"]
        return
    answer = probed(kind)["published"][case]
    assert not answer["below"], answer
    if told.get("must_pass"):
        assert not answer["error"], answer
    elif not answer["error"]:
        assert told.get("marker", "S" if "tenant" in told else "S2") not in answer["value"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(probed, kind, attack):
    answer = probed(kind)["attacks"][attack]
    if attack in NOBODY:
        assert answer["error"].startswith(("NoTenant", "UnscopedStatement")), answer
    else:
        assert "S2" not in (answer["value"] or ""), answer
        assert not answer["error"].startswith(("NameError", "AttributeError", "TypeError", "Template")), answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("work", WORK)
def test_legal_work(probed, kind, work):
    answer = probed(kind)["work"][work]
    assert answer["error"] == answer["wanted_error"]
    assert answer["value"] == answer["wanted"]
    assert answer["rows"], "t1's rows differ afterwards"


@pytest.mark.parametrize(("kind", "fact"), FACTS)
def test_fact(probed, kind, fact):
    answer = probed(kind)["facts"][fact]
    assert not answer["error"], answer


@pytest.mark.parametrize("kind", KINDS)
def test_random_statements(probed, kind):
    found = probed(kind)["oracle"]
    assert found["count"] == int(STATEMENTS)
    assert not found["differing"]
    assert found["errors"] < found["count"] / 10  # most of them say something
