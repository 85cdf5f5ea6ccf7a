"""``audit verify | prove | witness | verifier``: what shows, to others too, that a trail is what it was.

Exit status: 0 verified; 1 tampered or damaged; 2 could not look; 3 nothing wrong, but weaker than asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_args

import typer

from wellstreak_trust.core.errors import ConfigurationError, UsageError
from wellstreak_trust.core.sansio import drive

from .audit_store import bar, database_of, readable
from .console import say
from .secret_store import DatabaseOption, told

if TYPE_CHECKING:
    from wellstreak_trust.audit import ProofReport, VerifyReport

__all__ = ["add"]

_TAMPERED, _CANNOT, _WEAKER = 1, 2, 3
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="verifier key of the log (`AuditLog.vkey`) or of a witness; as often as you like"),
]
AtLeast = Annotated[str, typer.Option(help="internal, signed, anchored or witnessed; less is status 3")]
Quorum = Annotated[int, typer.Option(help="how many of the given witnesses must have cosigned")]


def add(app: typer.Typer) -> None:
    """Puts these commands under ``audit``."""
    app.command("verify")(verify)
    app.command("prove")(prove)
    app.command("witness")(witness)
    app.command("verifier")(verifier)


def verify(
    source: Annotated[
        Path | None, typer.Argument(help="an export directory or a .tlog-proof; else the database")
    ] = None,
    *,
    key: Keys = None,
    pinned: Annotated[Path | None, typer.Option(help="file with a checkpoint you kept")] = None,
    tenant: Annotated[str | None, typer.Option(help="whose tree it must be; of a database, else all of them")] = None,
    entry: Annotated[Path | None, typer.Option(help="file with the entry that a proof is about")] = None,
    at_least: AtLeast = "",
    quorum: Quorum = 1,
    minimum_index: Annotated[int | None, typer.Option(help="entries below it were pruned on purpose")] = None,
    thorough: Annotated[bool | None, typer.Option(help="parse every entry, however many")] = None,
    database: DatabaseOption = None,
) -> None:
    """Verify an export, a proof or a database. Status 1: tampered; 2: cannot verify; 3: weaker than asked for."""
    from wellstreak_trust.audit import verify as verified
    from wellstreak_trust.audit import verify_proof

    keys = tuple(key or ())
    wanted = at_least or ("anchored" if entry is None else "signed")
    with told(_CANNOT), readable():
        _require_level(wanted)
        if entry is not None:
            _end(verify_proof(_file(source).read_bytes(), entry.read_bytes(), keys, quorum=quorum), wanted)
        with bar("verifying") as progress:
            report = verified(
                _opened(database) if source is None else _directory(source),
                tenant_id=tenant,
                pinned=pinned.read_bytes() if pinned is not None else None,
                keys=keys,
                quorum=quorum,
                minimum_index=minimum_index,
                thorough=thorough,
                progress=progress,
            )
    _end(report, wanted)


def prove(
    seq: Annotated[int, typer.Argument(help="the place of the entry, from 0")],
    source: Annotated[Path | None, typer.Argument(help="an export directory; else the database")] = None,
    *,
    tenant: Annotated[str | None, typer.Option(help="whose tree, in a database")] = None,
    out: Annotated[Path | None, typer.Option(help="where the .tlog-proof goes; else to standard output")] = None,
    entry_out: Annotated[Path | None, typer.Option(help="where the entry itself goes")] = None,
    database: DatabaseOption = None,
) -> None:
    """Make the proof of one entry under the checkpoint that the log signed last; it needs no key."""
    from wellstreak_trust.audit import TileStore
    from wellstreak_trust.audit.proofs import proof_from_export, proof_from_store
    from wellstreak_trust.settings import TrustSettings

    with told(_CANNOT), readable():
        if source is not None:
            proof, octets = drive(proof_from_export(TileStore(_directory(source)), seq))
        elif tenant is None:
            raise UsageError("a database holds many trees", hint="--tenant, or an export directory")
        else:
            origin = TrustSettings().audit_origin
            proof, octets = drive(proof_from_store(_opened(database), origin, tenant, seq))
        if out is None:
            typer.echo(proof.text(), nl=False)
        else:
            out.write_text(proof.text(), encoding="utf-8")
        if entry_out is not None:
            entry_out.write_bytes(octets)


def witness(
    name: Annotated[str, typer.Argument(help="of the witness, as witness.example.com/w1")],
    *,
    key_file: Annotated[Path, typer.Option(help="PEM of its own Ed25519 key: openssl genpkey -algorithm ed25519")],
    log: Annotated[list[str], typer.Option(help="verifier key of a log to watch; as often as you like")],
    host: Annotated[str, typer.Option(help="address to listen on; TLS is the proxy's part")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8089,
    prefix: Annotated[str, typer.Option(help="path below which /add-checkpoint stands")] = "",
    database: DatabaseOption = None,
) -> None:
    """Serve a witness (c2sp.org/tlog-witness): it cosigns logs that only grow."""
    from wellstreak_trust.audit import Ed25519Signer, Witness, WitnessApp
    from wellstreak_trust.storage.sql import SqlWitnessStore

    with told(_CANNOT), readable():
        port_of = database_of(database)
        port_of.create_all()
        watching = Witness(SqlWitnessStore(port_of), Ed25519Signer.from_pem(key_file.read_bytes()), name, log)
        try:
            from waitress.server import create_server
        except ImportError:
            raise ConfigurationError(
                "serving needs waitress", hint="pip install 'wellstreak-trust[demo]'", reason="extra"
            ) from None
        server = create_server(WitnessApp(watching, prefix=prefix).wsgi, host=host, port=port, threads=4)
    say(f"key {watching.vkey}")
    say(f"http://{host}:{server.effective_port}{prefix}/add-checkpoint")
    try:
        server.run()
    finally:
        server.close()


def verifier(
    folder: Annotated[Path, typer.Argument(help="the folder that goes to the tenant, beside the export in it")],
) -> None:
    """Write the stand-alone verifying script: one file, under 200 lines, Python and nothing else."""
    from wellstreak_trust.audit import write_verifier

    with told(_CANNOT):
        say(str(write_verifier(folder)))


# --- inside ---------------------------------------------------------------------------------------------------------


def _end(report: VerifyReport | ProofReport, wanted: Any) -> NoReturn:
    say(str(report))
    if report.failed:
        raise typer.Exit(_TAMPERED)
    if not report.reaches(wanted):
        say(f"weaker than asked for: {report.level}, not {wanted}")
        raise typer.Exit(_WEAKER)
    raise typer.Exit(0)


def _require_level(wanted: str) -> None:
    from wellstreak_trust.audit.verdict import Level

    if wanted not in get_args(Level):
        raise UsageError("no such level", hint=", ".join(get_args(Level)))


def _file(source: Path | None) -> Path:
    if source is None:
        raise UsageError("which proof?", hint="audit verify FILE.tlog-proof --entry FILE --key KEY")
    return source


def _directory(source: Path) -> Path:
    if not source.is_dir():
        raise UsageError("no such export directory", hint="the folder that `log.export` or `audit export` wrote")
    return source


def _opened(url: str | None) -> Any:
    from wellstreak_trust.storage.sql import SqlAuditStore

    return SqlAuditStore(database_of(url))
