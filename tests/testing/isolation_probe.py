"""Runs the Django kit in a process of its own: Django is configured once. Prints one JSON document.

Usage: isolation_probe.py (guard | manager) STATEMENTS SEED [URL of PostgreSQL]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

import isolation_bazaar

ROLE = "wst_isolation_django"


def addresses(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the host's role, and of the owner."""
    found = urlsplit(url)
    server = {
        "ENGINE": "django.db.backends.postgresql", "NAME": found.path[1:], "HOST": found.hostname, "PORT": found.port,
    }  # fmt: skip
    return {**server, "USER": ROLE}, {**server, "USER": found.username}


def policies(connection: Any) -> None:
    """Row level security, as migrations would set it up."""
    from django.apps import apps
    from django.db.migrations.state import ProjectState

    from isolation_bazaar.models import MODELS
    from wellstreak_trust.tenancy.django.operations import EnableTenantRLS

    with connection.cursor() as cursor:
        cursor.execute(f"grant all on all tables in schema public to {ROLE}")
        cursor.execute(f"grant all on all sequences in schema public to {ROLE}")
    state = ProjectState.from_apps(apps)
    with connection.schema_editor() as editor:
        for model in MODELS:
            EnableTenantRLS(model.__name__).database_forwards("isolation_bazaar", editor, state, state)


def oracle(statements: int, seed: str, url: str | None) -> dict[str, Any]:
    from isolation_bazaar.models import MODELS
    from wellstreak_trust.testing.isolation.django import PhysicalOracle

    its = {} if url is None else {"databases": addresses(url), "prepare": policies}
    with PhysicalOracle(MODELS, seed=seed, **its) as found:
        report = found.run(statements, most=2)
        again = str(found.run(min(statements, 20), most=1)), str(found.run(min(statements, 20), most=1))
        scripts = None if url is not None else found.interference(max(4, statements // 30))
    return {
        "report": str(report), "statements": report.statements, "kinds": [each.kind for each in report.differences],
        "denials": report.denial_rate, "failed": report.failed_alike, "repeats": again[0] == again[1],
        "scripts": None if scripts is None else [each.kind for each in scripts.differences],
    }  # fmt: skip


def emptied(url: str) -> None:
    """The tables that the oracle made are the battery's, too."""
    import psycopg

    from isolation_bazaar.models import MODELS

    tables = ", ".join(model._meta.db_table for model in MODELS)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"truncate {tables}, isolation_bazaar_region, isolation_bazaar_good_labels")


def battery(*, rls: bool) -> dict[str, str]:
    """What each case says."""
    from isolation_bazaar.models import FACTORIES
    from wellstreak_trust.testing.isolation.django import IsolationSuite

    answers: dict[str, str] = {}
    for case in IsolationSuite(FACTORIES, rls=rls).cases:
        try:
            case()
            answers[str(case)] = "withstood"
        except AssertionError as finding:
            answers[str(case)] = str(finding)
        except Exception as error:  # a case that breaks
            answers[str(case)] = f"broken: {error!r}"
    return answers


def helpers() -> list[str]:
    """What `untouched` says of a harmless and of a harmful block."""
    from isolation_bazaar.models import MODELS, Label
    from wellstreak_trust.tenancy import tenant_scope, testing_context
    from wellstreak_trust.testing.isolation.django import untouched

    said = []
    for tenant in ("t1", "t2"):
        try:
            with untouched(MODELS, "t2"), tenant_scope(testing_context(tenant)):
                Label(name="x").save()
            said.append("")
        except AssertionError as finding:
            said.append(str(finding))
    return said


def main(kind: str, statements: str, seed: str, url: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(folder, "host.db"))}
        isolation_bazaar.configure(file if url is None else addresses(url)[0], guard=kind == "guard")
        from django.db import connection

        if url is None:
            isolation_bazaar.create_tables(connection)
        found = oracle(int(statements), seed, url)
        if url is not None:
            emptied(url)
        found |= {"cases": battery(rls=url is not None), "helpers": helpers() if url is None else []}
        connection.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
