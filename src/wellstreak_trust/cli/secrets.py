"""``wellstreak-trust secrets``: one secret at a time, and the long work over all of them.

Values come from standard input or a terminal, never from arguments. `reveal` shows one value; nothing shows many.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from wellstreak_trust.core.errors import UsageError
from wellstreak_trust.secrets import SecretInfo, SecretStore

from .console import say
from .secret_store import BAD, Batch, DryRun, asked_value, over_store, progressed

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, help="Integration tokens.")

_CENTURY: Final = 36_525 * 86_400
Version = Annotated[int | None, typer.Option(help="an older version; the current one by default")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="name=value, as often as you like")]
Moment = Annotated[datetime | None, typer.Option(help="in UTC, as 2027-01-31T12:00:00")]
AsBytes = Annotated[bool, typer.Option("--bytes", help="keep the value as bytes, its last line feed included")]


def _line(found: SecretInfo) -> str:
    times = [
        f"{name} {moment:%Y-%m-%dT%H:%M:%SZ}"
        for name, moment in (("until", found.not_after), ("due", found.rotate_after))
        if moment is not None
    ]
    labels = [f"{name}={value}" for name, value in sorted(found.labels.items())]
    return " ".join([f"{found.name} v{found.version} {found.state} {found.kind}", *times, *labels])


@app.command("list")
@over_store
def list_(store: SecretStore, tenant: str, *, after: str = "", limit: int = 100) -> None:
    """Names, versions, states and times; never values."""
    page = store.list(tenant, after=after, limit=limit)
    for found in page:
        say(_line(found))


@app.command("describe")
@over_store
def describe(store: SecretStore, tenant: str, name: str, *, version: Version = None) -> None:
    """One version, authenticated; not its value."""
    say(_line(store.describe(tenant, name, version=version)))


@app.command("versions")
@over_store
def versions(store: SecretStore, tenant: str, name: str) -> None:
    """The history of a secret."""
    found = store.versions(tenant, name)
    for each in found:
        say(f"{'*' if each.current else ' '} {_line(each)}")


@app.command("put")
@over_store
def put(
    store: SecretStore,
    tenant: str,
    name: str,
    *,
    expect: Annotated[int | None, typer.Option(help="only over this version; 0: only if it is new")] = None,
    not_after: Moment = None,
    rotate_after: Moment = None,
    label: Labels = None,
    as_bytes: AsBytes = False,
) -> None:
    """Store a value from standard input or the terminal."""
    ref = store.put(
        *(tenant, name, asked_value(as_bytes=as_bytes)),
        expected_version=expect,
        not_after=_utc(not_after),
        rotate_after=_utc(rotate_after),
        labels=_labels(label),
    )
    say(f"{name} v{ref.version}")


@app.command("rotate")
@over_store
def rotate(
    store: SecretStore,
    tenant: str,
    name: str,
    *,
    expect: Annotated[int | None, typer.Option(help="only over this version")] = None,
    overlap: Annotated[int | None, typer.Option(help="seconds that the version before is served", max=_CENTURY)] = None,
    not_after: Moment = None,
    rotate_after: Moment = None,
    as_bytes: AsBytes = False,
) -> None:
    """Replace a value with one from standard input or the terminal."""
    ref = store.rotate(
        *(tenant, name, asked_value(as_bytes=as_bytes)),
        expected_version=expect,
        overlap=None if overlap is None else timedelta(seconds=overlap),
        not_after=_utc(not_after),
        rotate_after=_utc(rotate_after),
    )
    say(f"{name} v{ref.version}")


@app.command("reveal")
@over_store
def reveal(
    store: SecretStore,
    tenant: str,
    name: str,
    *,
    version: Version = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Write one value to standard output. It is recorded as a read."""
    if not yes:
        typer.confirm("Show the value here?", abort=True, err=True)
    with store.use(tenant, name, version=version) as octets:
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()


@app.command("disable")
@over_store
def disable(store: SecretStore, tenant: str, name: str, *, version: Version = None) -> None:
    """Stop serving a version; `enable` undoes it."""
    say(_line(store.disable(tenant, name, version=version)))


@app.command("enable")
@over_store
def enable(store: SecretStore, tenant: str, name: str, *, version: Version = None) -> None:
    """Serve a disabled version again."""
    say(_line(store.enable(tenant, name, version=version)))


@app.command("destroy")
@over_store
def destroy(
    store: SecretStore,
    tenant: str,
    name: str,
    *,
    version: Version = None,
    confirm: Annotated[str, typer.Option(help="the name once more")],
) -> None:
    """Remove a version's ciphertext for good."""
    if confirm != name:
        raise UsageError("destroying is not confirmed", hint="--confirm with the name")
    say(_line(store.destroy(tenant, name, version=version)))


@app.command("revert")
@over_store
def revert(store: SecretStore, tenant: str, name: str, version: int) -> None:
    """Make an older value the current one, as a new version."""
    say(f"{name} v{store.revert(tenant, name, version).version}")


@app.command("reencrypt")
@over_store
def reencrypt(
    store: SecretStore,
    tenant: str,
    *,
    dry_run: DryRun = False,
    retire: Annotated[bool, typer.Option("--retire", help="destroy older keys that nothing is under")] = False,
    batch: Batch = 500,
) -> None:
    """Give a tenant a new key and seal all its secrets under it. Status 1: some did not verify."""
    report = store.reencrypt(tenant, dry_run=dry_run, retire=retire, batch=batch, progress=progressed)
    say(f"key {report.key_version}: {report.secrets} secrets, {report.versions} versions")
    for name in report.failed:
        say(f"failed: {name}")
    raise typer.Exit(BAD if report.failed else 0)


@app.command("verify")
@over_store
def verify(store: SecretStore, tenant: str | None = None) -> None:
    """Open every key and version, of one tenant or of all. Status 1: something does not verify."""
    report = store.verify(tenant)
    say(f"{report.tenants} tenants, {report.secrets} secrets, {report.versions} versions")
    for fault in report.faults:
        what = fault.name or "key"
        say(f"failed: {what} {'' if fault.version is None else fault.version} of {fault.tenant_id}: {fault.cause}")
    raise typer.Exit(0 if report.sound else BAD)


@app.command("import-fernet")
@over_store
def import_fernet(
    store: SecretStore,
    tenant: str,
    tokens: Annotated[Path, typer.Argument(help="JSON: {name: token}")],
    key: Annotated[list[Path], typer.Option(help="file with a Fernet key, newest first")],
    *,
    dry_run: DryRun = False,
) -> None:
    """Take over Fernet tokens; names that exist are left alone. Status 1: some did not open."""
    try:
        found: Any = json.loads(tokens.read_text(encoding="utf-8"))
        keys = [each.read_text(encoding="utf-8").strip() for each in key]
    except (OSError, ValueError) as error:
        fault = f"an input file cannot be read ({type(error).__name__})"
        raise UsageError(fault, hint="JSON of names and tokens; a key a file") from None
    if not isinstance(found, dict):
        raise UsageError("the tokens are no JSON object", hint='{"slack/bot": "gAAAA..."}')
    report = store.import_fernet(tenant, found, keys, dry_run=dry_run)
    say(f"{len(report.imported)} imported, {len(report.skipped)} there already, {len(report.failed)} failed")
    for name in report.failed:
        say(f"failed: {name}")
    raise typer.Exit(BAD if report.failed else 0)


@app.command("shred")
@over_store
def shred(
    store: SecretStore,
    tenant: str,
    *,
    confirm: Annotated[str, typer.Option(help="the tenant's id once more")],
) -> None:
    """Destroy a tenant's keys, and print a receipt that says what backups still hold."""
    receipt = store.shred(tenant, confirm=confirm)
    facts = {
        **{"store": receipt.store, "tenant": receipt.tenant_id, "keys": list(receipt.keys)},
        **{"secrets": receipt.secrets, "shredded_at": f"{receipt.shredded_at.isoformat()}"},
        **{"kek_uris": list(receipt.kek_uris), "backups": receipt.backups},
    }
    say(json.dumps(facts, indent=2))


@app.command("doctor")
@over_store
def doctor(
    store: SecretStore,
    against_audit: Annotated[list[Path], typer.Option(help="an exported trail, one directory a tenant")],
    *,
    key: Annotated[list[str] | None, typer.Option(help="verifier key of the log")] = None,
    pinned: Annotated[list[Path] | None, typer.Option(help="a checkpoint you kept, one a trail")] = None,
) -> None:
    """Compare what is stored with the audit trail. Status 1: something went back; 2: the trail does not verify."""
    events = list(_trail(against_audit, tuple(key or ()), pinned or []))
    report = store.doctor(events)
    say(f"{report.secrets} secrets against {report.events} events")
    for found in report.findings:
        place = f"{found.name or 'key'} of {found.tenant_id}"
        say(f"{found.kind}: {place}, {found.stored} stored, {found.recorded} recorded")
    raise typer.Exit(0 if report.healthy else BAD)


def _trail(directories: list[Path], keys: tuple[str, ...], pinned: list[Path]) -> Iterator[dict[str, Any]]:
    """The events of exported trails, once each has verified."""
    from wellstreak_trust.audit import verify as verify_trail
    from wellstreak_trust.audit.tiles import TileStore, tiles_of, unbundle

    for number, directory in enumerate(directories):
        try:
            pin = pinned[number].read_text(encoding="utf-8") if number < len(pinned) else None
        except OSError as error:
            raise UsageError(f"a checkpoint cannot be read ({type(error).__name__})") from None
        report = verify_trail(directory, pinned=pin, keys=keys)
        if report.failed:
            raise UsageError(f"the trail in {directory.name} does not verify", hint="audit verify tells why")
        source = TileStore(directory)
        for tile in tiles_of(report.size):
            if tile.level is None:
                for entry in unbundle(source.read(tile.path) or b""):
                    yield json.loads(entry)


def _labels(labels: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in labels or ()]
    if not all(mark for _, mark, _ in pairs):
        raise UsageError("a label is name=value")
    return {name: value for name, _, value in pairs}


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
