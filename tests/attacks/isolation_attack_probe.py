"""Runs the attacks on a Django host in a process of its own, and prints what came of each as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

import isolation_bazaar  # noqa: E402  the line above makes it importable


def main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(folder, "host.db"))}
        isolation_bazaar.configure(database, guard=kind == "guard")
        from django.db import connection

        isolation_bazaar.create_tables(connection)
        from isolation_bazaar import attacks

        below(connection, f"create view isolation_view as select * from {attacks.TABLE}")
        print(json.dumps({name: attempt(connection, attacks, each) for name, each in attacks.ATTACKS.items()}))
        connection.close()


def below(connection, sql):
    with connection.cursor() as cursor:
        cursor.cursor.execute(sql)
        return cursor.cursor.fetchall() if cursor.cursor.description else []


def attempt(connection, attacks, attack):
    from django.db import transaction

    from wellstreak_trust.tenancy import tenant_scope, testing_context

    value, refused = None, None
    with transaction.atomic():
        for each in attacks.ROWS:
            below(connection, each)
        try:
            with transaction.atomic(), tenant_scope(testing_context("t1")):
                value = repr(attack())
        except Exception as error:
            refused = repr(error)[:200]
        harm = [row[0] for row in below(connection, attacks.HARM)]
        transaction.set_rollback(True)
    return {"leaked": "S2" in str(value), "harm": harm, "value": str(value)[:200], "refused": refused}


if __name__ == "__main__":
    main(sys.argv[1])
