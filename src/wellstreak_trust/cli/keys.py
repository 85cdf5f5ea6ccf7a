"""``wellstreak-trust keys``: key files made, keys asked how they are, tenants' keys wrapped anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from wellstreak_trust.secrets import LocalKeyProvider, PassphraseKeyProvider, SealedKeyProvider, SecretStore

from .console import say
from .secret_store import BAD, Batch, DryRun, KeysOption, chain, hidden, new_passphrase, over_store, progressed, told

__all__ = ["app"]

app: Final = typer.Typer(no_args_is_help=True, help="Key-encryption keys.")


@app.command("generate")
def generate(
    path: Path,
    *,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="ask for one that opens the file")] = False,
    public: Annotated[Path | None, typer.Option(help="make two halves: this file seals, PATH opens")] = None,
) -> None:
    """Write a new key-encryption key file, readable by its owner alone."""
    with told():
        if public is not None:
            uri = SealedKeyProvider.generate(path, public).uri
        elif passphrase:
            uri = PassphraseKeyProvider.generate(path, new_passphrase()).uri
        else:
            uri = LocalKeyProvider.generate(path).uri
    say(f"{uri} in {path}")


@app.command("change-passphrase")
def change_passphrase(path: Path, new: Path) -> None:
    """Write the same key to a new file under a new passphrase. The old file opens as before until it is removed."""
    with told():
        uri = PassphraseKeyProvider.change(path, hidden("Passphrase"), (new, new_passphrase())).uri
    say(f"{uri} in {new}")


@app.command("status")
def status(kek: KeysOption = None) -> None:
    """Ask every key how it is, the active one first. Status 1: one cannot be used."""
    with told():
        found = chain(kek).status()
    for each in found:
        say(f"{each.state:12} {each.uri} {each.detail}".rstrip())
    raise typer.Exit(0 if all(each.state == "ready" for each in found) else BAD)


@app.command("rewrap")
@over_store
def rewrap(store: SecretStore, *, dry_run: DryRun = False, batch: Batch = 500) -> None:
    """Wrap every tenant's key under the active key. Call it again if it was interrupted. Status 1: some failed."""
    report = store.rewrap(dry_run=dry_run, batch=batch, progress=progressed)
    say(f"{report.rewrapped} keys {'would be ' if dry_run else ''}wrapped anew")
    for tenant_id, version in report.failed:
        say(f"failed: key {version} of {tenant_id}")
    raise typer.Exit(BAD if report.failed else 0)
