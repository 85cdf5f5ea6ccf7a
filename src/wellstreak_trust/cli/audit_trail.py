"""``audit tail | query | report | export | inventory | erase | hold | release | prune | detect``: a trail in use.

Whoever reads, exports or changes is recorded as ``cli:<user>``, with the reason given. Nothing here prints a secret or
an erased value, and a name out of the trail cannot steer the terminal. Exit status: 0 done; 1 something is wrong with
the trail, or a hold forbids it; 2 could not look.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from time import sleep
from typing import Annotated, Any, Final, TextIO

import typer

from wellstreak_trust.core.errors import AuditQueryInvalid, UsageError

from .audit_detect import detect_anomalies
from .audit_store import acting, bar, log_of, told
from .console import ERR, say, visible
from .governance import named
from .secret_store import DatabaseOption

__all__ = ["add"]

_BAD: Final = 1
_PAUSE: Final = 1.0  # seconds between two looks of `tail --follow`
_BURST: Final = 10_000
Reason = Annotated[str, typer.Option(help="why; it is recorded")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a line")]
Since = Annotated[datetime | None, typer.Option(help="in UTC, as 2026-11-01")]
Tenant = Annotated[str, typer.Argument(help="whose trail")]
Whom = Annotated[str, typer.Option("--subject", help="one person; - reads standard input; else the whole tenant")]
Registry = Annotated[str, typer.Option(help="where the host's ActionRegistry is: package.module:NAME")]


class Export(StrEnum):
    """What a trail can be exported as."""

    TILES = "tiles"
    BUNDLE = "bundle"
    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"
    CLOUDEVENTS = "cloudevents"
    CEF = "cef"
    SYSLOG = "syslog"


class Listing(StrEnum):
    """How the inventory is written."""

    MARKDOWN = "md"
    JSON = "json"


def add(app: typer.Typer) -> None:
    """Puts these commands under ``audit``."""
    for command in (tail, query, report, export, inventory, erase, hold, release, prune):
        app.command(command.__name__)(command)
    app.command("detect")(detect_anomalies)


def tail(
    tenant: Tenant,
    *,
    limit: Annotated[int, typer.Option(help="events at the start")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until interrupted")] = False,
    as_json: AsJson = False,
    reason: Reason = "",
    database: DatabaseOption = None,
) -> None:
    """The newest events, oldest first."""
    with told():
        log, after = log_of(database), -1
        found = log.events(tenant, limit=limit, actor=acting(), reason=reason or None)
        while True:
            for event in reversed(found):
                _show(event, as_json=as_json)
                after = event["seq"]
            if not follow:
                return
            sleep(_PAUSE)
            found = [event for event in log.events(tenant, limit=_BURST) if event["seq"] > after]


def query(
    tenant: Tenant,
    text: Annotated[str, typer.Argument(help="as actor:u1 -action:session.* created:>=2026-11-01")],
    *,
    limit: Annotated[int, typer.Option(help="events at most")] = 100,
    before: Annotated[int | None, typer.Option(help="only events below this seq")] = None,
    disclose: Annotated[bool, typer.Option("--disclose", help="with personal values; needs a reason")] = False,
    as_json: AsJson = False,
    reason: Reason = "",
    database: DatabaseOption = None,
) -> None:
    """Events that match, newest first. See the manual for the language."""
    with told():
        log = log_of(database)
        left = limit
        try:
            while left > 0:
                page = log.query(
                    text,
                    tenant_id=tenant,
                    limit=left,
                    before=before,
                    disclose=disclose,
                    actor=acting(),
                    reason=reason or None,
                )
                for event in page:
                    _show(event, as_json=as_json)
                left, before = left - len(page), page.next
                if before is None:
                    return
        except AuditQueryInvalid as error:
            _point_at(text, error.column)
            raise
    ERR.print(f"more: --before {before}", markup=False, highlight=False)


def report(
    tenant: Tenant,
    *,
    html: Annotated[Path | None, typer.Option(help="write one self-contained page here; else JSON is printed")] = None,
    since: Since = None,
    until: Since = None,
    key: Annotated[list[str] | None, typer.Option(help="verifier key of the log or of a witness")] = None,
    pinned: Annotated[Path | None, typer.Option(help="a checkpoint you kept")] = None,
    title: str = "",
    reason: Reason = "",
    database: DatabaseOption = None,
) -> None:
    """What happened, verified on the way. Status 1: the trail does not verify."""
    from wellstreak_trust.audit import verify

    with told():
        log = log_of(database)
        pin = None if pinned is None else pinned.read_bytes()
        with bar("verifying") as progress:
            verification = verify(log.store, tenant_id=tenant, pinned=pin, keys=tuple(key or ()), progress=progress)
        with bar("reading") as progress:
            found = log.report(
                tenant,
                actor=acting(),
                reason=reason or None,
                since=_utc(since),
                until=_utc(until),
                verification=verification,
                title=title or None,
                progress=progress,
            )
        if html is None:
            typer.echo(json.dumps(found.as_dict(), indent=2))
        else:
            html.write_text(found.html(), encoding="utf-8")
            say(f"{html}: {found.summary.events} events, {verification.level}")
    raise typer.Exit(_BAD if verification.failed else 0)


def export(
    tenant: Tenant,
    out: Annotated[Path, typer.Argument(help="a file; a directory for tiles; either for a bundle")],
    *,
    form: Annotated[Export, typer.Option("--format", help="how it is written")] = Export.TILES,
    query: Annotated[str, typer.Option(help="only events that match; not for tiles and bundles")] = "",
    reason: Reason = "",
    database: DatabaseOption = None,
) -> None:
    """Hand the trail out. Tiles and bundles verify offline; the other formats are for reading and for collectors."""
    with told(), bar("exporting") as progress:
        log = log_of(database)
        told_ = {"actor": acting(), "reason": reason or None, "progress": progress}
        if form in (Export.TILES, Export.BUNDLE) and query:
            raise UsageError("a tree is exported as a whole", hint="--format jsonl takes a --query")
        if form is Export.TILES:
            log.export(tenant, out, **told_)  # type: ignore[arg-type]  # a dict of keywords
        elif form is Export.BUNDLE:
            log.bundle(tenant, out, **told_)  # type: ignore[arg-type]  # as above
        else:
            with _whole(out) as file:
                log.write(tenant, form.value, file.write, query=query, **told_)  # type: ignore[arg-type]  # as above
    say(str(out))


def inventory(
    *,
    registry: Registry = "",
    form: Annotated[Listing, typer.Option("--format", help="how it is written")] = Listing.MARKDOWN,
    reviewed: Annotated[Path | None, typer.Option("--check", help="compare with this file")] = None,
) -> None:
    """Every action that may be recorded, and what asks for it (OWASP ASVS 5, 16.1.1). Status 1: it differs."""
    from wellstreak_trust.audit import ActionRegistry
    from wellstreak_trust.audit.inventory import inventory_json, inventory_markdown

    with told():
        found = named(registry, ActionRegistry)[0] if registry else ActionRegistry()
        written = inventory_json(found) if form is Listing.JSON else inventory_markdown(found)
        if reviewed is None:
            typer.echo(written, nl=False)
            return
        same = reviewed.is_file() and reviewed.read_text(encoding="utf-8") == written
    say(f"{reviewed}: {'as reviewed' if same else 'differs; review it and write it anew'}")
    raise typer.Exit(0 if same else _BAD)


def erase(
    tenant: Tenant,
    *,
    reason: Reason,
    subject: Annotated[
        str, typer.Option(help="the person's id; better on standard input, which no process list shows")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    database: DatabaseOption = None,
) -> None:
    """Erase the personal values of a person; the trail stays as it is. Status 1: a legal hold forbids it."""
    if not yes:
        typer.confirm("Erase for good?", abort=True, err=True)
    with told():
        log = log_of(database)
        receipt = log.erase(_subject(subject), tenant_id=tenant, reason=reason, actor=acting())
        say(json.dumps({"subject": receipt.subject, "fields_erased": receipt.fields_erased, "seq": receipt.seq}))


def hold(tenant: Tenant, *, reason: Reason, subject: Whom = "", database: DatabaseOption = None) -> None:
    """Forbid erasure and pruning, until `release`."""
    with told():
        whom = _subject(subject) if subject else None
        placed = log_of(database).hold(whom, tenant_id=tenant, reason=reason, actor=acting())
        say("held" if placed else "was held already")


def release(tenant: Tenant, *, reason: Reason, subject: Whom = "", database: DatabaseOption = None) -> None:
    """End a hold of exactly this kind."""
    with told():
        whom = _subject(subject) if subject else None
        ended = log_of(database).release(whom, tenant_id=tenant, reason=reason, actor=acting())
        say("released" if ended else "was not held")


def prune(
    tenant: Tenant,
    archive: Annotated[Path, typer.Argument(help="directory of the tenant's archive")],
    *,
    before: Annotated[datetime, typer.Option(help="in UTC, as 2025-11-01: what was recorded earlier goes")],
    reason: Reason,
    database: DatabaseOption = None,
) -> None:
    """Archive a trail, verify the archive, and delete old events. Status 1: a hold forbids it, or it did not verify."""
    with told(), bar("archiving") as progress:
        receipt = log_of(database).prune(
            tenant,
            before=before.replace(tzinfo=UTC),
            archive=archive,
            reason=reason,
            actor=acting(),
            progress=progress,
        )
    say(
        f"{receipt.pruned} events pruned; the first is now {receipt.first}; keep {archive / 'checkpoint'} elsewhere too"
    )


# --- inside ----------------------------------------------------------------------------------------------------------


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A new file that is there when all of it is."""
    if path.exists():
        raise UsageError("something stands there already", hint="a path of its own")
    draft = path.with_name(f".{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _show(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(event, sort_keys=True))  # ASCII: nothing in it steers a terminal
        return
    targets = [target["id"] if isinstance(target, dict) else target for target in event.get("targets", ())]
    parts = (
        f"{event['seq']:>7}",
        event["occurred_at"][:19],
        f"{event['outcome']:9}",
        event["action"],
        event["actor"]["id"],
        *map(str, targets),
        *([f"({event['reason']})"] if event.get("reason") else ()),
    )
    say(" ".join(" ".join(part.splitlines()) if part else part for part in parts))


def _point_at(text: str, column: int) -> None:
    ERR.print(visible(text), markup=False, highlight=False, soft_wrap=True)
    ERR.print(" " * (column - 1) + "^", markup=False, highlight=False, soft_wrap=True)


def _subject(given: str) -> str:
    found = sys.stdin.readline().removesuffix("\n") if given in ("", "-") else given
    if not found:
        raise UsageError("no subject", hint="--subject, or a line on standard input")
    return found


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
