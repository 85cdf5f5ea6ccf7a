"""``manage.py trust_verify``: does the audit trail of this project still hold?"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final, Literal

from django.core.management.base import BaseCommand, CommandError

from .....audit import averify
from .....audit.verdict import LEVELS
from .....core.errors import TrustError
from ...bodies import settled
from ...middleware import edge

__all__ = ["Command"]

_TAMPERED: Final = 1  # as `wellstreak-trust audit verify` says it
_CANNOT: Final = 2
_WEAKER: Final = 3


class Command(BaseCommand):
    """Exit status 0 verified, 1 tampered or damaged, 2 could not look, 3 weaker than asked for."""

    help = "Verify the trail that the composition writes to: one tenant's tree, or all of them against the spine."
    requires_system_checks: (
        list[str] | tuple[str, ...] | Literal["__all__"]
    ) = ()  # a trail is looked at also where the project would not start

    def add_arguments(self, parser: ArgumentParser) -> None:
        """See ``--help``."""
        parser.add_argument("tenant", nargs="?", help="whose tree; all of them without it")
        parser.add_argument("--key", action="append", default=[], help="verifier key of the log or of a witness")
        parser.add_argument("--pinned", type=Path, help="file with a checkpoint that was kept elsewhere")
        parser.add_argument("--at-least", choices=LEVELS, default="internal", help="less is status 3")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verifies it."""
        found = edge()
        store = getattr(found.trust.audit, "store", None)
        if store is None:
            raise CommandError("the composition's trail has no store that could be read", returncode=_CANNOT)
        try:
            pinned = options["pinned"].read_bytes() if options["pinned"] is not None else None
            report = settled(found, averify(store, tenant_id=options["tenant"], pinned=pinned, keys=options["key"]))
        except (OSError, TrustError) as error:
            raise CommandError(str(error), returncode=_CANNOT) from None
        self.stdout.write(str(report))
        if report.failed:
            sys.exit(_TAMPERED)
        if not report.reaches(options["at_least"]):
            sys.exit(_WEAKER)
