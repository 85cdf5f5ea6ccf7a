"""``audit new-key | vkey``: the keys of a trail made, and the public half shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from wellstreak_trust.core.entropy import SYSTEM_ENTROPY
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.core.secret import Secret

from .audit_store import told
from .console import say

__all__ = ["add"]

_PERSONAL: Final = 32  # bytes


def add(app: typer.Typer) -> None:
    """Puts these commands under ``audit``."""
    app.command("new-key")(new_key)
    app.command("vkey")(vkey)


def new_key(
    path: Path,
    *,
    personal: Annotated[bool, typer.Option("--personal", help="the key of personal values instead")] = False,
) -> None:
    """Write a new key, readable by its owner alone: for `audit_key_file`, or for `audit_personal_key_file`.

    A file that exists is never touched. Keep a copy of a personal key elsewhere: without it nobody reads the values.
    """
    from wellstreak_trust.secrets.providers.files import created

    with told():
        created(path, Secret(SYSTEM_ENTROPY.octets(_PERSONAL).hex() if personal else _signing_key()))
    say(f"{'personal values are under' if personal else 'checkpoints are signed by'} {path}")


def vkey(
    tenant: Annotated[str | None, typer.Argument(help="whose tree; without it, the log's spine")] = None,
    *,
    key_file: Annotated[Path | None, typer.Option(help="else the setting `audit_key_file`")] = None,
    origin: Annotated[str, typer.Option(help="else the setting `audit_origin`")] = "",
) -> None:
    """Show what verifies checkpoints. Hand it over by another way than the trail."""
    from wellstreak_trust.audit import Ed25519Signer
    from wellstreak_trust.audit.checkpoint import tree_origin
    from wellstreak_trust.settings import TrustSettings

    with told():
        settings = TrustSettings()
        path, name = key_file or settings.audit_key_file, origin or settings.audit_origin
        if path is None:
            raise ConfigurationError(
                "no key signs this trail", hint="--key-file, or the setting audit_key_file", reason="audit_key"
            )
        signer = Ed25519Signer.from_pem(path.read_bytes())
        say(str(signer.key(name if tenant is None else tree_origin(name, tenant))))


def _signing_key() -> str:
    """As openssl writes one: PKCS #8 in PEM."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.decode("ascii").rstrip("\n")
