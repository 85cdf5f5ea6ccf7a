"""What other stores wrote, taken over by an explicit call and never on the way of a read.

A Fernet token names no key, so each key is tried: that is why this is not how anything of ours is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..core.errors import SecretConflict, SecretNotFound, SecretTooLarge, UsageError
from ..core.secret import Secret
from .model import Taken, checked_address, labels_text
from .reports import ImportReport
from .rules import Written, written
from .trail import facts
from .vault import Vault

__all__ = ["Importer", "fernet_of"]


class Importer:
    """One import. Raises `UsageError` where there is no key."""

    def __init__(self, fernet: MultiFernet | None, *, dry_run: bool) -> None:
        if fernet is None:
            raise UsageError("a Fernet key is the base64 of 32 bytes, and at least one is needed")
        self._fernet: MultiFernet = fernet
        self._dry_run: bool = dry_run
        self._imported: list[str] = []
        self._skipped: list[str] = []
        self._failed: list[str] = []

    async def admit(self, vault: Vault, tenant_id: str, name: str, token: str | bytes) -> Secret[Any] | None:
        """The value, unless the name stands already or the token does not open."""
        try:
            checked_address(tenant_id, name)
            value: Secret[Any] = _text_or_bytes(self._fernet.decrypt(token))
            Taken(value).octets()
        except (InvalidToken, TypeError, UsageError, SecretTooLarge):
            self._failed.append(str(name))
            return None
        try:
            await vault.read(tenant_id, name, None)
        except SecretNotFound:
            if self._dry_run:
                self._imported.append(name)
            return value
        self._skipped.append(name)
        return None

    async def write(
        self, vault: Vault, place: tuple[str, str], value: Secret[Any], labels: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """Stores a value where nothing stands; what the trail is told of it."""
        held = Taken(value)
        new = Written(held.octets(), held.kind, vault.now(), labels=labels_text(labels), expected=0)
        try:
            change = await vault.change(*place, None, lambda address, locked, keys: written(address, locked, keys, new))
        except SecretConflict:  # somebody wrote it since it was looked for
            self._skipped.append(place[1])
            return {"skipped": True}
        self._imported.append(place[1])
        return facts(change)

    def report(self) -> ImportReport:
        """What was done."""
        return ImportReport(tuple(self._imported), tuple(self._skipped), tuple(self._failed), self._dry_run)


def fernet_of(keys: Iterable[str | bytes]) -> MultiFernet | None:
    """What decrypts under any of the keys; None where one is no key: who raises must not hold them in its frame."""
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except (ValueError, TypeError):
        return None


def _text_or_bytes(plain: bytes) -> Secret[Any]:
    try:
        return Secret(plain.decode())
    except UnicodeDecodeError:
        return Secret(plain)
