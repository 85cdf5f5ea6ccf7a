"""Does a filter ever differ from the check? Random policies over rows a third NULL, in Python, SQL and Django.

    python bench/authz_filter.py [POLICIES] [URL]

`URL` is a SQLAlchemy URL, an SQLite database in memory unless told; Django always uses SQLite in memory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from time import process_time_ns

import django
import report
from django.conf import settings
from django.db import connection, models
from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table, create_engine, insert, select

sys.path.append(str(Path(__file__).parents[1] / "tests" / "authz"))

import filter_policies as make

ROWS = 200
COLUMNS = {"string": String, "int": BigInteger, "bool": Boolean}


def fields() -> dict[str, models.Field]:
    made = {"string": models.TextField, "int": models.BigIntegerField, "bool": models.BooleanField}
    return {name: made[kind](null=True) for name, kind in make.TYPES.items()}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else report.size(10_000, 200)
    engine = create_engine(sys.argv[2] if len(sys.argv) > 2 else "sqlite://")
    typed = [Column(name, COLUMNS[kind]()) for name, kind in make.TYPES.items()]
    table = Table("d", MetaData(), Column("id", String(), primary_key=True), Column("tenant_id", String()), *typed)
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    django.setup()
    own = {"__module__": "bench", "Meta": type("Meta", (), {"app_label": "bench"})}
    keys = {"id": models.TextField(primary_key=True), "tenant_id": models.TextField(null=True)}
    model = type("Row", (models.Model,), {**own, **keys, **fields()})
    rows = make.rows(Random(0), ROWS)
    with connection.schema_editor() as editor:
        editor.create_model(model)
    model.objects.bulk_create(model(**row) for row in rows)
    differing = {"python": 0, "sqlalchemy": 0, "django": 0}
    partial = 0
    started = process_time_ns()
    with engine.connect() as database:
        table.create(database)
        database.execute(insert(table), rows)
        for seed in range(count):
            random = Random(seed)
            policy, subject, context = make.policy(random), make.subject(random), make.facts(random)
            wanted = {row["id"] for row in rows if policy.check(subject, "d:x", row, context)}
            partial += 0 < len(wanted) < ROWS
            found = policy.filter(subject, "d:x", "d", context)
            answers = {
                "python": {row["id"] for row in rows if found.matches(row)},
                "sqlalchemy": set(database.scalars(select(table.c.id).where(found.to_sqlalchemy(table)))),
                "django": set(model.objects.filter(found.to_django_q()).values_list("id", flat=True)),
            }
            for name, answer in answers.items():
                differing[name] += answer != wanted
    seconds = (process_time_ns() - started) / 1e9
    print(f"{count} policies x {ROWS} rows in {seconds:.0f} s; {partial} allow some rows and not all")
    print("policies for which the filter differs from the check:", differing)
    total = sum(differing.values())
    report.measured("authz", f"filters that differ from the check, {count:,} policies", total, "", target=0)
    sys.exit(any(differing.values()))


if __name__ == "__main__":
    main()
