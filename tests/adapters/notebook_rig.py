"""For the suites that run inside the notebook project, each in a process of its own (see test_notebook)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection
from notebook import models, security
from ways import HOST, Answer, call_asgi, call_wsgi

from wellstreak_trust.adapters.django import middleware
from wellstreak_trust.tenancy import tenant_scope, testing_context, unscoped

OWN = ("Sec-Fetch-Site", "same-origin")
JSON = ("Content-Type", "application/json")


MIGRATED: list[bool] = []


class Rig:
    """The project anew, and a client."""

    def __init__(self, way: str = "wsgi", **parts: Any) -> None:
        self.way = way
        security.HELD[:] = [security.Parts(**parts)]
        middleware._EDGES.clear()
        self.parts = security.HELD[0]
        self.cookies: dict[str, tuple[str, str]] = {}
        if not MIGRATED:
            call_command("migrate", "--run-syncdb", verbosity=0)
            MIGRATED.append(True)
        with unscoped("a test begins anew"), connection.cursor() as cursor:
            for model in (models.Note, models.Notice):
                cursor.execute(f"DELETE FROM {model._meta.db_table}")
        self.notes = {
            (tenant, owner): self.note(tenant, owner)
            for tenant, owner in (("acme", "ada"), ("acme", "bo"), ("evil", "eve"))
        }

    def note(self, tenant: str, owner: str) -> int:
        with tenant_scope(testing_context(tenant)):
            return int(models.Note.objects.create(text=f"of {owner}", owner_id=owner).pk)

    def ask(
        self,
        target: str,
        *more: tuple[str, Any],
        method: str = "GET",
        body: Any = b"",
        who: str = "ada",
        **session: Any,
    ) -> Answer:
        lines = [("Host", HOST), OWN]
        if who:
            if who not in self.cookies:
                self.cookies[who] = self.parts.cookie(who, **session)
            lines.append(self.cookies[who])
        if not isinstance(body, bytes):
            body, more = json.dumps(body).encode(), (*more, JSON)
        if self.way == "asgi":
            lines.append(("Content-Length", str(len(body))))
        asked = (method, target, [*lines, *more], body)
        if self.way == "wsgi":
            return call_wsgi(WSGIHandler(), *asked)
        return asyncio.run(call_asgi(ASGIHandler(), *asked))
