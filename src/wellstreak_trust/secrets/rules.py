"""The rules: what counts as authentic, what may be served, and what a write does. Plain functions over rows.

1. Nothing is believed before the head's code, the current row's code and the asked row's code verify, in that order.
2. The head says which version is current; versions grow by one and are never removed, so a gap is tampering.
3. Every change raises `revision` by one and makes both codes anew; a change builds only on what has verified. A process
   that only seals may put a new value over what it cannot verify: of that it takes over nothing but the two numbers.
4. A destroyed version or key stays destroyed.
5. Who writes as the holder of a lease writes only while the lease is still theirs; the write gives it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, NoReturn

from ..core.errors import SecretConflict, SecretDisabled, SecretExpired, SecretNotFound, SecretShredded, SecretTampered
from .codes import signed_head, signed_row, verify_head, verify_row
from .envelope import EnvelopeContext, EnvelopeKey, open, seal
from .model import Kind
from .rows import Change, Head, Locked, Resealed, SecretRow, TenantKeyRow, Whole, checked_head, checked_key, checked_row

__all__ = [
    "Address",
    "KeyAbsent",
    "KeyNeeded",
    "KeySealed",
    "Keys",
    "Move",
    "Written",
    "context_of",
    "moved",
    "servable",
    "text_of",
    "verified",
    "written",
]

Keys = Callable[[TenantKeyRow], EnvelopeKey]
Move = Literal["enabled", "disabled", "destroyed"]
_KINDS: Final[Mapping[str, Kind]] = MappingProxyType({"text": "text", "bytes": "bytes"})
_LAST_VERSION: Final = 2**31 - 1
_LAST_REVISION: Final = 2**62


class KeyAbsent(Exception):
    """The tenant has no key that could be used; `version` is the next one."""

    def __init__(self, version: int = 1) -> None:
        super().__init__()
        self.version: int = version


class KeyNeeded(Exception):
    """A rule met a key that is not at hand; key services are not called inside a transaction."""

    def __init__(self, row: TenantKeyRow) -> None:
        super().__init__()
        self.row: TenantKeyRow = row


class KeySealed(KeyNeeded):
    """A key that this process cannot open: it only seals, and another process made the key."""


class Address(NamedTuple):
    """Where a secret lives."""

    store: str
    tenant_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Written:
    """A version to be written; times in microseconds.

    Args:
        expected: None writes in any case, 0 only where nothing stands, n only over version n.
        must_exist: refuse to create.
        labels: canonical JSON; None keeps those of the current version.
        overlap: how long the version before is served from now on; None leaves it as it is.
        owner: the lease that this write is made under, and ends.
    """

    octets: bytes = field(repr=False)  # error reporters print locals
    kind: Kind
    created_at: int
    not_after: int | None = None
    rotate_after: int | None = None
    labels: str | None = None
    expected: int | None = None
    must_exist: bool = False
    overlap: int | None = None
    owner: str | None = None


def context_of(address: Address, row: SecretRow) -> EnvelopeContext:
    """The context of a row's envelope, rebuilt from where it was asked for."""
    return EnvelopeContext(*address, row.version, f"value/{row.kind}")


def not_found() -> SecretNotFound:
    """Missing secret, missing version, another tenant's secret: one text for all."""
    return SecretNotFound("no such secret", hint="check name and tenant")


def text_of(octets: bytes) -> str:
    """The text that was sealed. Raises `SecretTampered`."""
    with suppress(UnicodeDecodeError):
        return octets.decode()
    del octets  # as the codec's own error does, this frame would show them
    raise SecretTampered("a text that is no UTF-8 was sealed")


def verified(
    address: Address,
    head: Head,
    current: SecretRow | None,
    key: EnvelopeKey,
    *,
    wanted: SecretRow | None = None,
    asked: int | None = None,
) -> SecretRow:
    """The asked row, after rule 1, but for its own code where it is not the current one. Raises `SecretTampered`."""
    if current is None:
        raise SecretTampered("the current version of a secret is missing", hint="rows were deleted")
    checked_head(head)
    _at(address, checked_row(current), head.current)
    if (head.tenant_id, head.name) != address[1:]:
        raise SecretTampered("a head of another address came back")
    verify_head(key, address.store, head, current)
    verify_row(key, address.store, current)
    if asked is None or asked == head.current:
        return current
    if wanted is None:
        if 0 < asked < head.current:
            raise SecretTampered("a version of a secret is missing", hint="rows were deleted")
        raise not_found()
    return _at(address, checked_row(wanted), asked)


def _at(address: Address, row: SecretRow, version: int) -> SecretRow:
    if (row.tenant_id, row.name, row.version) != (*address[1:], version):
        raise SecretTampered("a row of another address came back")
    return row


def servable(row: SecretRow, now: int) -> bytes:
    """The envelope of a row that may be opened at `now`. Raises `SecretDisabled`, `SecretShredded`, `SecretExpired`."""
    if row.state == "disabled":
        raise SecretDisabled("this version is disabled", hint="enable() it, or put() a new one")
    if row.envelope is None:
        raise SecretShredded("this version was destroyed", hint="put() a new one")
    if row.not_after is not None and row.not_after <= now:
        raise SecretExpired("this version is past its not_after", hint="rotate() it")
    return row.envelope


def written(address: Address, locked: Locked, keys: Keys, new: Written) -> Change:
    """A new version on top of what stands.

    Raises:
        KeyAbsent: the tenant has no key yet. SecretShredded: its keys were destroyed.
        SecretConflict: compare-and-set lost. SecretNotFound: nothing to rotate.
    """
    head, current = locked.head, _built_on(address, locked, keys, new)
    try:
        key = keys(_active(locked.keys))  # after that: a tenant that has secrets and no key was tampered with
    except KeySealed:
        raise KeyAbsent(locked.keys[-1].version + 1) from None
    if head is None and new.must_exist:
        raise not_found()
    actual = head.current if head is not None else 0
    lost = new.owner is not None and (head is None or head.lease_owner != new.owner)
    if lost or (new.expected is not None and new.expected != actual):
        raise SecretConflict(new.expected, actual)
    if actual >= _LAST_VERSION or (head is not None and head.revision >= _LAST_REVISION):
        raise SecretTampered("a secret has more versions than can be")
    kept = current.labels if current is not None and new.must_exist else "{}"
    row = SecretRow(
        *(address.tenant_id, address.name, actual + 1, b"", new.kind, key.version, "enabled"),
        *(new.created_at, new.not_after, new.rotate_after, kept if new.labels is None else new.labels, b""),
    )
    row = signed_row(key, address.store, row._replace(envelope=seal(key, new.octets, context_of(address, row))))
    fresh = Head(address.tenant_id, address.name, 0, 0, 0, None, None, b"") if head is None else head
    fresh = fresh._replace(current=row.version, revision=fresh.revision + 1, key_version=key.version)
    if new.owner is not None:
        fresh = fresh._replace(lease_owner=None, lease_until=None)
    before = None if current is None else _ending(address, current, locked, keys, new)
    return Change(signed_head(key, address.store, fresh, row), row, "insert", before)


def _built_on(address: Address, locked: Locked, keys: Keys, new: Written) -> SecretRow | None:
    try:
        return standing(address, locked, keys)
    except KeySealed:
        if new.must_exist:  # it takes over labels, or ends a lease or the version before
            raise
        return None


def _ending(address: Address, row: SecretRow, locked: Locked, keys: Keys, new: Written) -> SecretRow | None:
    """The version before, served until the overlap is over and never longer than it was."""
    if new.overlap is None or row.state == "destroyed":
        return None
    ends = new.created_at + new.overlap
    if row.not_after is not None and row.not_after <= ends:
        return None
    return signed_row(keys(_of(locked.keys, row.key_version)), address.store, row._replace(not_after=ends))


def reverted(address: Address, locked: Locked, keys: Keys, asked: int, new: Written) -> Change:
    """The value and labels of an older version as a new one; times are those of `new`, which has no value.

    Raises:
        SecretNotFound, SecretDisabled, SecretShredded, SecretExpired: the older one is not there or not served.
    """
    _, row = _asked(address, locked, keys, asked)
    key, kind = keys(_of(locked.keys, row.key_version)), _KINDS[row.kind]
    again = replace(
        new,
        octets=open(key, servable(row, new.created_at), context_of(address, row)),
        kind=kind,
        labels=row.labels,
        must_exist=True,
    )
    return written(address, locked, keys, again)


def moved(address: Address, locked: Locked, keys: Keys, asked: int | None, to: Move) -> Change:
    """A version in another state; nothing to write where it is there already.

    Raises:
        SecretNotFound: no such secret or version. SecretShredded: it was destroyed.
    """
    head, row = _asked(address, locked, keys, asked)
    if row.state == to:
        return Change(head, row, "nothing")
    if row.state == "destroyed":
        raise SecretShredded("this version was destroyed", hint="put() a new one")
    row_key = keys(_of(locked.keys, row.key_version))
    envelope = None if to == "destroyed" else row.envelope
    after = signed_row(row_key, address.store, row._replace(state=to, envelope=envelope))
    head = head._replace(revision=head.revision + 1)
    current = after if row.version == head.current else locked.current or _keyless()
    return Change(signed_head(keys(_of(locked.keys, head.key_version)), address.store, head, current), after, "update")


def verified_whole(address: Address, whole: Whole, keys: Mapping[int, EnvelopeKey]) -> Head:
    """The head of a secret all of whose versions verify, none missing. Raises `SecretTampered`."""
    if whole.head is None:
        raise SecretTampered("versions stand without a head", hint="a head was deleted")
    head = checked_head(whole.head)
    rows = {checked_row(row).version: _at(address, row, row.version) for row in whole.rows}
    if sorted(rows) != list(range(1, head.current + 1)):
        raise SecretTampered("versions of a secret are missing", hint="rows were deleted or added")
    verified(address, head, rows[head.current], keys.get(head.key_version) or _keyless())
    for row in whole.rows:
        if row.version != head.current:
            verify_row(keys.get(row.key_version) or _keyless(), address.store, row)
    return head


def turned(address: Address, whole: Whole, keys: Mapping[int, EnvelopeKey], key: EnvelopeKey) -> Resealed | None:
    """A verified secret under another tenant key: its head and the rows that moved; None where all are there.

    Raises:
        SecretTampered, EnvelopeUnsupported: something of it does not verify, and it must not be made to look sound.
    """
    head = verified_whole(address, whole, keys)
    moving = [row for row in whole.rows if row.key_version != key.version]
    if not moving and head.key_version == key.version:
        return None
    rows = {row.version: row for row in whole.rows}
    for row in moving:
        envelope = row.envelope
        if envelope is not None:
            context = context_of(address, row)
            envelope = seal(key, open(keys[row.key_version], envelope, context), context)
        fresh = row._replace(envelope=envelope, key_version=key.version)
        rows[row.version] = signed_row(key, address.store, fresh)
    head = head._replace(revision=head.revision + 1, key_version=key.version)
    signed = signed_head(key, address.store, head, rows[head.current])
    return Resealed(signed, tuple(rows[row.version] for row in moving))


def standing(address: Address, locked: Locked, keys: Keys) -> SecretRow | None:
    """The verified current row, or None where nothing stands. Raises `SecretTampered`."""
    if locked.head is None:
        return None
    key = keys(_of(locked.keys, checked_head(locked.head).key_version))
    return verified(address, locked.head, locked.current, key)


def _asked(address: Address, locked: Locked, keys: Keys, asked: int | None) -> tuple[Head, SecretRow]:
    """The head and the asked version, verified."""
    head = locked.head
    if head is None:
        raise not_found()
    key = keys(_of(locked.keys, checked_head(head).key_version))
    row = verified(address, head, locked.current, key, wanted=locked.wanted, asked=asked)
    if row is not locked.current:
        verify_row(keys(_of(locked.keys, row.key_version)), address.store, row)
    return head, row


def _of(rows: tuple[TenantKeyRow, ...], version: int) -> TenantKeyRow:
    return next((row for row in rows if row.version == version), None) or _keyless()


def _keyless() -> NoReturn:
    raise SecretTampered("the tenant key of a row is missing", hint="key rows were deleted")


def _active(rows: tuple[TenantKeyRow, ...]) -> TenantKeyRow:
    if not rows:
        raise KeyAbsent
    found = [row for row in rows if checked_key(row).state == "active"]
    if not found:
        raise SecretShredded("the tenant's keys were destroyed", hint="a shredded tenant takes no new secrets")
    return max(found, key=lambda row: row.version)
