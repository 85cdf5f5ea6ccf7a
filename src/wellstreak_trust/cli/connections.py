"""``connections``: what state integrations are in, and their tests. The host's own `Connections` does the work."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from inspect import isawaitable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.live import Live
from rich.table import Table

from wellstreak_trust.connections import ConnectionReport, Connections, ConnectionStatus
from wellstreak_trust.core.errors import TrustError

from .console import ERR, OUT, say, stop, visible

__all__ = ["app"]

T = TypeVar("T")

app: Final = typer.Typer(no_args_is_help=True, help="Integration connections.")

_COLUMNS: Final = ("tenant", "provider", "state", "since", "reason", "last proof", "next check", "generation")
_COLOURS: Final = {"active": "green", "testing": "cyan", "degraded": "yellow", "unverified": "yellow"}

Source = Annotated[str, typer.Option("--app", envvar="WELLSTREAK_TRUST_APP", help="module:attribute, a `Connections`")]
Tenant = Annotated[str, typer.Option(help="the tenant's id")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON document")]


@app.command("status")
def show_status(
    provider: Annotated[str | None, typer.Argument(help="one connection, with its last checks")] = None,
    *,
    source: Source,
    tenant: Annotated[str | None, typer.Option(help="the tenant's id; all tenants without it")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the state of connections. Status 1: one of them is not active."""
    found = _loaded(source)
    if provider is not None:
        if tenant is None:
            _fail("one connection is that of a tenant: --tenant")
        _one(found, tenant, provider, as_json)
        return
    rows = _rows(found, tenant)
    if as_json:
        _print_json([_plain(owner, row) for owner, row in rows])
    else:
        OUT.print(_table(rows))
    raise typer.Exit(0 if all(row.state == "active" for _, row in rows) else 1)


@app.command("test")
def run_test(provider: str, *, source: Source, tenant: Tenant, as_json: AsJson = False) -> None:
    """Run the probes of one connection now. Status 1: it is not active afterwards."""
    found = _loaded(source)
    try:
        after = _done(found, lambda: found.atest(tenant, provider), lambda: found.test(tenant, provider))
    except TrustError as error:
        stop(error)
    if as_json:
        _print_json(_plain(tenant, after))
    else:
        say(f"{after.state} ({after.reason})" + (f"\n  {after.hint}" if after.hint else ""))
    raise typer.Exit(0 if after.state == "active" else 1)


@app.command()
def watch(
    *,
    source: Source,
    tenant: Annotated[str | None, typer.Option(help="the tenant's id; all tenants without it")] = None,
    every: Annotated[float, typer.Option(min=0.1, help="seconds between two looks")] = 2.0,
    probe: Annotated[bool, typer.Option(help="also test what is due, as a worker does")] = False,
    looks: Annotated[int, typer.Option(min=0, help="end after so many; 0 is never")] = 0,
) -> None:
    """Follow the states until interrupted."""
    found, seen = _loaded(source), 0
    # One loop for all looks: drivers keep connections that belong to the loop in which they were made.
    with asyncio.Runner() as runner, Live(console=OUT, auto_refresh=False) as live:
        while True:
            if probe:
                _done(found, found.aprobe_due, found.probe_due, runner)
            live.update(_table(_rows(found, tenant, runner)), refresh=True)
            seen += 1
            if seen == looks:
                return
            time.sleep(every)


def _one(found: Connections, tenant: str, provider: str, as_json: bool) -> None:
    try:
        report = _done(found, lambda: found.ainspect(tenant, provider), lambda: found.inspect(tenant, provider))
    except TrustError as error:
        stop(error)
    if as_json:
        days = [[day.day.isoformat(), day.passed, day.total] for day in report.days]
        checks = [[_at(c.at), c.source, c.verdict, c.code, [list(probe) for probe in c.probes]] for c in report.checks]
        _print_json({**_plain(tenant, report.status), "checks": checks, "days": days})
    else:
        OUT.print(_table([(tenant, report.status)]))
        _tell(report)
    raise typer.Exit(0 if report.status.state == "active" else 1)


def _tell(report: ConnectionReport) -> None:
    for found in report.status.conditions:
        say(f"  {found.name} ({found.kind}): {found.status}, {found.reason}, since {_at(found.since)}")
    for check in report.checks[:10]:
        asked = [
            f"{name} {code} {micros / 1000:.0f} ms {said}".rstrip() for name, _, code, micros, said in check.probes
        ]
        say(f"  {_at(check.at)} {check.source}: {check.verdict} {check.code} [{'; '.join(asked)}]")
    total = sum(day.total for day in report.days)
    if total:
        share = sum(day.passed for day in report.days) / total
        say(f"  {share:.1%} of {total} checks in {len(report.days)} days")


def _rows(
    found: Connections, tenant: str | None, runner: asyncio.Runner | None = None
) -> Sequence[tuple[str, ConnectionStatus]]:
    if tenant is None:
        return _done(found, found.aoverview, found.overview, runner)
    return [(tenant, row) for row in _done(found, lambda: found.alist(tenant), lambda: found.list(tenant), runner)]


def _done(
    found: Connections, later: Callable[[], Awaitable[T]], now: Callable[[], T], runner: asyncio.Runner | None = None
) -> T:
    async def run() -> T:
        return await later()

    if not found.suspends:
        return now()
    return asyncio.run(run()) if runner is None else runner.run(run())


def _loaded(source: str) -> Connections:
    module, mark, attribute = source.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = import_module(module)
        for name in attribute.split(".") if mark else ():
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        _fail(f"--app {source}: {error}")
    found = found() if callable(found) and not isinstance(found, Connections) else found
    if isawaitable(found) or not isinstance(found, Connections):
        _fail(f"--app {source} is {type(found).__name__}, not a Connections or a function that returns one")
    return found


def _table(rows: Sequence[tuple[str, ConnectionStatus]]) -> Table:
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    for owner, row in rows:
        colour = _COLOURS.get(row.state, "red")
        cells = (owner, row.provider, row.state, _at(row.since), row.reason, _at(row.last_ok), _at(row.next_check))
        table.add_row(*(visible(cell) for cell in cells), str(row.generation), style=colour)
    return table


def _plain(owner: str, row: ConnectionStatus) -> dict[str, Any]:
    found: dict[str, Any] = {"tenant": owner}
    for name in ("provider", "state", "reason", "hint", "generation"):
        found[name] = getattr(row, name)
    for name in ("since", "last_ok", "last_checked", "next_check"):
        found[name] = _at(getattr(row, name)) or None
    found["conditions"] = [[c.name, c.kind, c.status, c.reason, _at(c.since)] for c in row.conditions]
    found["candidate"] = row.candidate
    return found


def _at(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_json(document: object) -> None:
    say(json.dumps(document, indent=2))


def _fail(text: str) -> NoReturn:
    ERR.print(visible(text), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)
