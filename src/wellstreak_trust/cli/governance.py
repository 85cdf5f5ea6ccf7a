"""``wellstreak-trust governance``: who may do what under which plan, out of a host's own declarations."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from wellstreak_trust.authz import Policy
from wellstreak_trust.core.errors import TrustError, UsageError
from wellstreak_trust.guard import Operation
from wellstreak_trust.guard.governance import governance
from wellstreak_trust.tenancy import Plan

from .console import say, stop

__all__ = ["named", "show"]


class Form(StrEnum):
    """How the matrix is written."""

    MARKDOWN = "md"
    HTML = "html"


def show(
    operations: Annotated[str, typer.Argument(help="where the operations are: package.module:NAME")],
    policy: Annotated[Path, typer.Argument(help="the policy document")],
    *,
    plans: Annotated[str, typer.Option(help="where the plans are: package.module:NAME")] = "",
    form: Annotated[Form, typer.Option("--format", help="how it is written")] = Form.MARKDOWN,
    reviewed: Annotated[Path | None, typer.Option("--check", help="compare with this file")] = None,
) -> None:
    """Show operations by roles, for each plan: yes, if (under a condition), plan (not included) or no."""
    try:
        declared = named(operations, Operation)
        found = governance(declared, Policy.load(policy), named(plans, Plan) if plans else ())
    except TrustError as error:
        stop(error)
    written = found.to_html() if form is Form.HTML else found.to_markdown()
    if reviewed is None:
        typer.echo(written, nl=False)
        return
    same = reviewed.is_file() and reviewed.read_text(encoding="utf-8") == written
    say(f"{reviewed}: {'as reviewed' if same else 'differs; review it and write it anew'}")
    raise typer.Exit(0 if same else 1)


def named(place: str, kind: type) -> list[Any]:
    """The declarations of a host's own module, found as Python finds it from the working directory."""
    module, _, name = place.partition(":")
    sys.path.insert(0, "")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise UsageError(f"{place} is not there", hint="package.module:NAME, importable from here") from None
    finally:
        sys.path.remove("")
    if isinstance(found, Mapping):  # Operations, which are looked up by name
        found = found.values()
    listed = [found] if isinstance(found, kind) or not isinstance(found, Iterable) else list(found)
    if not all(isinstance(each, kind) for each in listed):
        raise UsageError(f"{place} holds no {kind.__name__} objects", hint=f"NAME = ({kind.__name__}(...), ...)")
    return listed
