"""``flask trust routes`` and ``flask trust doctor``; `TrustExtension.init_app` registers them.

Exit status 0 is good, 1 is found bad, 2 is could not look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from ..core.errors import ConfigurationError
from .reports import declared, examined, in_columns, in_json
from .shared import Declaration

__all__ = ["commands"]

_IMPLIED: Final = frozenset(("HEAD", "OPTIONS"))
_FOUND: Final = 1


class _CannotLook(click.ClickException):
    exit_code = 2


def commands(
    look: Callable[[Flask], list[tuple[str, set[str] | None, Declaration | None]]], public: dict[str, str]
) -> AppGroup:
    """The group ``trust``.

    Args:
        look: (path, methods, declaration) of every route of an application.
        public: reasons of the routes that the host opened when it asserted that all are declared.
    """
    group = AppGroup("trust", help="What the guard knows of this app.")

    @group.command("routes")
    @click.option("--json", "as_json", is_flag=True, help="for programs")
    @with_appcontext
    def routes(as_json: bool) -> None:
        """List every route with what it declares; status 1 where one says nothing."""
        found = declared(
            ((path, ",".join(sorted((verbs or set()) - _IMPLIED)), said) for path, verbs, said in look(_app())), public
        )
        click.echo(in_json(found) if as_json else in_columns(found))
        if not all(route.is_declared for route in found):
            raise SystemExit(_FOUND)

    @group.command("doctor")
    @click.option("--json", "as_json", is_flag=True, help="for programs")
    @click.option("--fail-on", type=click.Choice(["error", "warning"]), default="error", show_default=True)
    @with_appcontext
    def doctor(as_json: bool, fail_on: Any) -> None:
        """Examine the composition as it would start here; status 1 where something is that severe."""
        try:
            said, fails = examined(_app(), as_json=as_json, fail_on=fail_on)
        except ConfigurationError as error:
            raise _CannotLook(f"{error.detail}. {error.hint}") from None
        click.echo(said)
        if fails:
            raise SystemExit(_FOUND)

    return group


def _app() -> Flask:
    found: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # what the proxy stands for
    return found
