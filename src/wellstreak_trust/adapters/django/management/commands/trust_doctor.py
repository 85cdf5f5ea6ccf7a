"""``manage.py trust_doctor``: is this project set up as it must be?"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any, Literal

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from .....core.errors import ConfigurationError
from ....reports import examined
from ...middleware import edge

__all__ = ["Command"]


class Command(BaseCommand):
    """Exit status 1 where something is as severe as ``--fail-on``, 2 where it could not look."""

    help = "Examine the composition and the settings as they would start here."
    requires_system_checks: (
        list[str] | tuple[str, ...] | Literal["__all__"]
    ) = ()  # what they find, this tells with all the rest

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See ``--help``."""
        parser.add_argument("--json", action="store_true", help="for programs")
        parser.add_argument("--fail-on", choices=("error", "warning"), default="error")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examines it."""
        try:
            said, fails = examined(edge().trust, app=settings, as_json=options["json"], fail_on=options["fail_on"])
        except ConfigurationError as error:
            raise CommandError(f"{error.detail}. {error.hint}", returncode=2) from None
        self.stdout.write(said)
        if fails:
            sys.exit(1)
