"""Runs the published cases in a process of its own and prints what came of each, as JSON.

    python vector_probe.py sqlite|postgresql|rls CASES WHERE

A case that is legal work must pass; any other leaks when its value holds the marker, when it returns at all without a
tenant, or when its question to the database below the guard is answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import house


class Database:
    def __init__(self, kind: str, where: str) -> None:
        self.pg = kind != "sqlite"
        self.below = house.Below(kind, where)

    scope = staticmethod(house.scope)

    def executor(self):
        return ThreadPoolExecutor(1)

    def unscoped(self):
        from wellstreak_trust.tenancy.django import unscoped

        return unscoped("a case of the battery")

    def admin(self, sql):
        return self.below.sql(sql)


def run(case: dict, db: Database, names: dict) -> dict:
    body = "".join(f"    {line}\n" for line in case["code"].splitlines())
    exec("def attack(s, db):\n" + body, names)
    error, value = "", None
    try:
        if "tenant" in case and case["tenant"] is None:
            value = names["attack"](None, db)
        else:
            with house.scope(case.get("tenant", "t1")):
                value = names["attack"](None, db)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    marker = case.get("marker", "S" if "tenant" in case else "S2")
    leaks = []
    if not error and value is not None and marker in repr(value):
        leaks.append(repr(value))
    if "leak" in case and db.admin(case["leak"]):
        leaks.append("below the guard")
    return {"error": error, "value": repr(value), "leaks": leaks}


def main() -> None:
    kind, cases, where = sys.argv[1:4]
    below = house.Below(kind, where)
    if below.pg:
        below.roles()
    house.configure(kind, where)
    from dwelling import models as furniture

    house.create_tables(furniture.MODELS, rls=kind == "rls")
    from django.contrib import admin
    from django.db import connection, models
    from django.forms import modelform_factory
    from django.test import RequestFactory

    db, answers = Database(kind, where), {}
    names = {
        "models": models, "connection": connection, "asyncio": asyncio, "threading": threading, "admin": admin,
        "RequestFactory": RequestFactory, "cached_property": cached_property, "modelform_factory": modelform_factory,
        "vs": lambda found: [each.secret for each in found], **vars(furniture),
    }  # fmt: skip
    for case in json.loads(Path(cases).read_text(encoding="utf-8")):
        if case.get("only", kind) not in {kind, "postgresql" if kind == "rls" else kind}:
            continue
        below.fill(house.ROWS)
        answers[case["id"]] = run(case, db, dict(names))
        connection.close()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
