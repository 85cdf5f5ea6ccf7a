"""Runs the published cases, our attacks and legal work in a process of its own; prints what came of each, as JSON.

    python probe.py sqlite|postgresql|rls WHERE CASES STATEMENTS

Beside the database `WHERE` lies its twin `WHERE_single`, which only t1 uses: what legal work does there, without a
guard, is what it must do everywhere. On PostgreSQL both are a superuser's addresses, and the application connects as a
role that owns nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import house


class Database:
    """What the published cases call ``db``."""

    def __init__(self, below: house.Below) -> None:
        self.pg = below.pg
        self.admin = below.sql

    scope = staticmethod(house.scope)

    def executor(self):
        return ThreadPoolExecutor(1)

    def unscoped(self):
        from wellstreak_trust.tenancy.django import unscoped

        return unscoped("a case of the battery")


def run(attack, tenant):
    from django.db import connections

    try:
        if tenant is None:
            return {"error": "", "value": attack()}
        with house.scope(tenant):
            return {"error": "", "value": attack()}
    except Exception as raised:
        line = traceback.extract_tb(raised.__traceback__)[-1]
        return {"error": f"{type(raised).__name__}: {raised}", "value": None, "at": f"{line.name}: {line.line}"}
    finally:
        for connection in connections.all():
            if connection.in_atomic_block or (connection.connection is not None and connection.errors_occurred):
                connection.close()


def published(cases: list[dict], kind: str, below: house.Below) -> dict[str, dict]:
    from django.contrib import admin
    from django.db import connection, models
    from django.forms import modelform_factory
    from django.test import RequestFactory
    from dwelling import models as furniture

    names = {
        "models": models, "connection": connection, "asyncio": asyncio, "threading": threading, "admin": admin,
        "RequestFactory": RequestFactory, "cached_property": cached_property, "modelform_factory": modelform_factory,
        "vs": lambda found: [each.secret for each in found], **vars(furniture),
    }  # fmt: skip
    db, answers = Database(below), {}
    for case in cases:
        if case.get("only", kind) not in {kind, "postgresql" if kind == "rls" else kind}:
            continue
        below.fill(house.ROWS)
        body = "".join(f"    {line}\n" for line in case["code"].splitlines())
        exec("def attack(s, db):\n" + body, names)
        answer = run(lambda attack=names["attack"]: attack(None, db), case.get("tenant", "t1"))
        answer["below"] = bool("leak" in case and below.sql(case["leak"]))
        answer["value"] = repr(answer["value"])
        answers[case["id"]] = answer
    return answers


def functions(module) -> dict:
    return {
        name: each
        for name, each in vars(module).items()
        if getattr(each, "__module__", "") == module.__name__ and callable(each) and hasattr(each, "__code__")
    }


def ours(module, below: house.Below, kind: str, tenant: str | None) -> dict[str, dict]:
    answers = {}
    for name, attack in functions(module).items():
        if attack.__code__.co_varnames[:1] == ("below",) and attack.__code__.co_argcount == 1:
            if kind not in getattr(attack, "kinds", (kind,)):
                continue
            below.fill(house.ROWS)
            answers[name] = run(lambda attack=attack: attack(below), getattr(attack, "tenant", tenant))
            answers[name]["value"] = repr(answers[name]["value"])
    return answers


@contextmanager
def bare() -> Iterator[None]:
    """On the twin, without guard: observe mode restricts nothing."""
    from django.test import override_settings

    token = house.ALIAS.set("single")
    try:
        with override_settings(WELLSTREAK_TENANCY_MODE="observe"):
            yield
    finally:
        house.ALIAS.reset(token)


def t1_rows(below: house.Below) -> dict[str, list]:
    found = {}
    for table, columns in house.TABLES.items():
        rows = [tuple(row) for row in below.sql(f"select {columns} from {table}")]
        found[table] = sorted((row for row in rows if "tenant_id" not in columns or row[1] == "t1"), key=repr)
    del found["task_tags"], found["cafe"]  # no tenant in their rows
    return found


def worked(module, below: house.Below, twin: house.Below) -> dict[str, dict]:
    """Each function on both sides."""
    answers = {}
    for name, work in functions(module).items():
        if work.__code__.co_varnames[:1] == ("stage",) and work.__code__.co_argcount == 1:
            below.fill(house.ROWS)
            twin.fill(house.seen_by("t1"))
            here = run(lambda work=work: work("default"), "t1")
            with bare():
                there = run(lambda work=work: work("single"), "t1")
            answers[name] = {
                "error": here["error"], "wanted_error": there["error"],
                "value": repr(here["value"]), "wanted": repr(there["value"]), "rows": t1_rows(below) == t1_rows(twin),
            }  # fmt: skip
    return answers


def compared(oracle, count: int, below: house.Below, twin: house.Below) -> dict:
    """Random statements on both sides; the seeds of those that differ."""
    below.fill(house.ROWS)
    twin.fill(house.seen_by("t1"))
    differing, errors = {}, 0
    for seed in range(count):
        here, there = side(oracle, seed), None
        with bare():
            there = side(oracle, seed)
        errors += here[0] == "error"
        if here != there:
            differing[seed] = [repr(here), repr(there)]
    return {"differing": differing, "errors": errors, "count": count}


def side(oracle, seed: int):
    try:
        with house.scope("t1"):
            return "value", oracle.statement(seed)
    except Exception as raised:
        return "error", type(raised).__name__


def main() -> None:
    kind, where, cases, statements = sys.argv[1:5]
    below, twin = house.Below(kind, where), house.Below(kind, house.beside(where))
    house.configure(kind, where)
    from dwelling import models as furniture

    for name, each in (("", below), ("single", twin)):
        if each.pg:
            each.roles()
        house.create_tables(furniture.MODELS, name, rls=kind == "rls" and not name)
    import facts
    import oracle
    import work

    import attacks

    found = {
        "published": published(json.loads(Path(cases).read_text(encoding="utf-8")), kind, below),
        "attacks": ours(attacks, below, kind, "t1"),
        "work": worked(work, below, twin),
        "oracle": compared(oracle, int(statements), below, twin),
        "facts": ours(facts, below, kind, None),  # last: they change the schema
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
