"""``manage.py trust_routes``: every route, with what it declares."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any, Literal

from django.conf import settings
from django.core.management.base import BaseCommand

from .....core.errors import ConfigurationError
from ....reports import declared, in_columns, in_json
from ...middleware import edge
from ...routes import declared_routes

__all__ = ["Command"]


class Command(BaseCommand):
    """Exit status 1 where a route says nothing, or names an operation that cannot be served."""

    help = "List every route with its operation and permission, or with the reason why it is open."
    requires_system_checks: (
        list[str] | tuple[str, ...] | Literal["__all__"]
    ) = ()  # they refuse what is to be listed here

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See ``--help``."""
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument("--urlconf", help="another URL configuration than the project's")

    def handle(self, *args: Any, **options: Any) -> None:
        """Lists them."""
        said = list(declared_routes(options["urlconf"]))
        opened = getattr(settings, "WELLSTREAK_TRUST_PUBLIC", None)
        found = declared(((path, "", declaration) for path, declaration in said), opened)
        self.stdout.write(in_json(found) if options["json"] else in_columns(found))
        try:
            for operation in {d.operation for _, d in said if d is not None and d.operation is not None}:
                edge().guard.vet(operation)
        except ConfigurationError as error:
            self.stderr.write(f"{error.detail}. {error.hint}")
            sys.exit(1)
        if not all(route.is_declared for route in found):
            sys.exit(1)
