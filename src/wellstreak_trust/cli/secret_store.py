"""How the commands of ``keys`` and ``secrets`` come to a store: database and keys from settings or options.

A value, a passphrase or a PIN is read from a terminal without echo, or from standard input; never from an argument,
which every process of the machine can read.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec, get_type_hints

import typer

from wellstreak_trust.core.errors import ConfigurationError, TrustError, UsageError
from wellstreak_trust.core.principal import Principal
from wellstreak_trust.core.secret import Secret
from wellstreak_trust.secrets import (
    AwsKmsProvider,
    AzureKeyVaultProvider,
    EnvKeyProvider,
    GcpKmsProvider,
    KeyChain,
    KeyProvider,
    LocalKeyProvider,
    PassphraseKeyProvider,
    Pkcs11Provider,
    SealedKeyProvider,
    SecretStore,
    VaultTransitProvider,
)

from .console import say, stop

__all__ = [
    "BAD",
    "Batch",
    "DryRun",
    "KeysOption",
    "asked_value",
    "chain",
    "hidden",
    "new_passphrase",
    "over_store",
    "progressed",
    "told",
]

P = ParamSpec("P")

BAD: Final = 1  # done, and something is wrong; 2 is "not done"
DryRun = Annotated[bool, typer.Option("--dry-run", help="check and count only")]
Batch = Annotated[int, typer.Option(help="rows a transaction")]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="SQLAlchemy URL; better in WELLSTREAK_TRUST_DATABASE_URL")
]
KeysOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kek",
        help="a key file, aws-kms:<arn>, gcp-kms:<name>, vault-transit:<mount>/<key>, azure-key-vault:<id> or "
        "pkcs11:<token>/<key>; the first is active, further ones are older",
    ),
]
_MODULE: Final = "WELLSTREAK_TRUST_PKCS11_MODULE"


@contextmanager
def told(status: int = 2) -> Iterator[None]:
    """An error of ours ends the command with its text and fix."""
    try:
        yield
    except TrustError as error:
        stop(error, status)


def progressed(done: int) -> None:
    """Tells how far long work is."""
    say(f"{done} ...")


def over_store(command: Callable[Concatenate[SecretStore, P], None]) -> Callable[..., None]:
    """A command whose first argument is the store: the command line names it by ``--database`` and ``--kek``."""

    @wraps(command)
    def run(*args: Any, database: str | None = None, kek: list[str] | None = None, **kwargs: Any) -> None:
        store = _opened(database, kek)
        with told():
            command(store, *args, **kwargs)

    types = get_type_hints(command, include_extras=True)
    types |= {"database": DatabaseOption, "kek": KeysOption}
    own = list(signature(command).parameters.values())[1:]
    options = [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in ("database", "kek")]
    shown = [each.replace(annotation=types[each.name]) for each in (*own, *options)]
    run.__annotations__ = {each.name: each.annotation for each in shown}
    run.__dict__["__signature__"] = Signature(shown)
    return run


def _opened(database: str | None, keks: list[str] | None) -> SecretStore:
    """The store of settings and options; every access is recorded in the database's own trail."""
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    from wellstreak_trust.audit import AuditLog
    from wellstreak_trust.settings import TrustSettings
    from wellstreak_trust.storage.sql import Database, SqlAuditStore, SqlSecretBackend

    with told():
        settings = TrustSettings()
        url = database or settings.database_url.reveal()
        try:
            if make_url(url).get_dialect().is_async:
                raise ArgumentError
            port = Database(create_engine(url))
        except (ArgumentError, NoSuchModuleError, ImportError):
            raise ConfigurationError(
                "the database's URL names no blocking driver that is installed", hint="sqlite:///app.db"
            ) from None
        audit = AuditLog(SqlAuditStore(port), origin=settings.audit_origin)
        store = SecretStore(SqlSecretBackend(port), chain(keks, settings), audit=audit)
        return store.acting_as(Principal(f"cli:{getpass.getuser()}", kind="system"))


def chain(keks: list[str] | None, settings: Any = None) -> KeyChain:
    """The keys of the options, or else of settings."""
    if keks:
        return KeyChain([_provider(text) for text in keks])
    if settings is None:
        from wellstreak_trust.settings import TrustSettings

        settings = TrustSettings()
    if settings.kek_file is not None:
        return KeyChain([_provider(str(settings.kek_file))])
    if settings.kek is not None:
        return KeyChain([EnvKeyProvider(settings.kek)])
    raise ConfigurationError("no key-encryption key", hint="--kek, or WELLSTREAK_TRUST_KEK_FILE", reason="kek")


def _provider(text: str) -> KeyProvider:
    scheme, _, rest = text.partition(":")
    if scheme == "aws-kms":
        return AwsKmsProvider(rest)
    if scheme == "gcp-kms":
        return GcpKmsProvider(rest)
    if scheme == "vault-transit":
        import hvac

        mount, _, key = rest.rpartition("/")
        return VaultTransitProvider(key, client=hvac.Client(), mount=mount)
    if scheme == "azure-key-vault":
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.keys.crypto import CryptographyClient

        return AzureKeyVaultProvider(rest, client=CryptographyClient(rest, DefaultAzureCredential()))
    if scheme == "pkcs11":
        token, _, key = rest.rpartition("/")
        return Pkcs11Provider(os.environ.get(_MODULE, ""), token=token, key=key, pin=hidden("PIN"))
    return _from_file(Path(text))


def _from_file(path: Path) -> KeyProvider:
    """Each kind of key file names its format; reading it decides whether it may be believed."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:4_096]
    except OSError:
        text = ""
    if '"wellstreak-trust/kek-passphrase/' in text:
        return PassphraseKeyProvider.from_file(path, hidden(f"Passphrase of {path.name}"))
    if '"wellstreak-trust/hpke-' in text:
        return SealedKeyProvider.from_file(path)
    return LocalKeyProvider.from_file(path)


def asked_value(*, as_bytes: bool) -> Secret[str] | Secret[bytes]:
    """A value from the terminal, twice and without echo, or the whole of standard input, less a last line feed."""
    if sys.stdin.isatty():
        text = hidden("Value")
        if hidden("Value, again") != text:
            raise UsageError("the two values differ")
        return Secret(text.reveal().encode()) if as_bytes else text
    octets = sys.stdin.buffer.read()
    if as_bytes:
        return Secret(octets)
    try:
        return Secret(octets.decode().removesuffix("\n").removesuffix("\r"))
    except UnicodeDecodeError:
        pass
    raise UsageError("the value is no UTF-8", hint="--bytes keeps it as it is")


def new_passphrase() -> Secret[str]:
    """A passphrase, asked for twice at a terminal."""
    text = hidden("New passphrase")
    if sys.stdin.isatty() and hidden("New passphrase, again") != text:
        raise UsageError("the two passphrases differ")
    return text


def hidden(prompt: str) -> Secret[str]:
    """A line without echo from a terminal, or the next one of standard input."""
    if sys.stdin.isatty():
        return Secret(getpass.getpass(f"{prompt}: "))
    return Secret(sys.stdin.readline().removesuffix("\n"))
