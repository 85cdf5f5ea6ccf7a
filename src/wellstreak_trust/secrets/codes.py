"""The three codes around the envelopes: of a version's row, of a secret's head, and of a tenant key.

Each is the first half of ``HMAC-SHA512(tenant key, LP(domain, ...) || 0x01)``. The row code keeps state, expiry and
labels honest; the head code says which version is current and covers that version's row code, so that putting an old
row back does not revive it; the check value tells a key service that answered with another key.
"""

from __future__ import annotations

from hmac import compare_digest
from struct import Struct
from struct import error as _StructError
from typing import Final

from ..core.canonical import length_prefixed, u32, u64
from ..core.errors import SecretTampered
from .envelope import EnvelopeKey
from .rows import Head, SecretRow

__all__ = ["check_value", "signed_head", "signed_row", "verify_head", "verify_row"]

_CHECK: Final = "wellstreak-trust/key-check/v1"

# `length_prefixed` put together without its loop: every read compares two of these.
_ROW: Final = u32(13) + length_prefixed("wellstreak-trust/row/v1")[4:]
_HEAD: Final = u32(8) + length_prefixed("wellstreak-trust/head/v1")[4:]
_LENGTH: Final = Struct(">I").pack
_NUMBER: Final = Struct(">IQ").pack
_NUMBER_THEN: Final = Struct(">IQI").pack
_THREE: Final = Struct(">IQIQIQI").pack
_TIME: Final = Struct(">Iq").pack
_WORDS: Final = {word: length_prefixed(word)[4:] for word in ("text", "bytes", "enabled", "disabled", "destroyed")}
_NULL: Final = u32(0)


def check_value(key: EnvelopeKey, store: str, tenant_id: str) -> bytes:
    """The key check value of a tenant key."""
    return key.expand(length_prefixed(_CHECK, store, tenant_id, u64(key.version)))[:32]


def signed_row(key: EnvelopeKey, store: str, row: SecretRow) -> SecretRow:
    """`row` with its code."""
    return row._replace(row_mac=_row_mac(key, store, row))


def signed_head(key: EnvelopeKey, store: str, head: Head, row: SecretRow) -> Head:
    """`head` with its code; `row` is the current version's, with its own."""
    return head._replace(head_mac=_head_mac(key, store, head, row))


def verify_row(key: EnvelopeKey, store: str, row: SecretRow) -> None:
    """Raises `SecretTampered`."""
    if row.key_version != key.version or not compare_digest(_row_mac(key, store, row), row.row_mac):
        raise SecretTampered("the code of a version's row does not verify", hint="the row was edited or moved")


def verify_head(key: EnvelopeKey, store: str, head: Head, row: SecretRow) -> None:
    """Raises `SecretTampered`."""
    if head.key_version != key.version or not compare_digest(_head_mac(key, store, head, row), head.head_mac):
        raise SecretTampered("the code of a secret's head does not verify", hint="the head or its version was edited")


def _row_mac(key: EnvelopeKey, store: str, row: SecretRow) -> bytes:
    """``MAC(domain, store, tenant, name, version, envelope, kind, key version, state, three times, labels, 0x01)``."""
    tenant, name, labels = row.tenant_id.encode(), row.name.encode(), row.labels.encode()
    place, envelope = store.encode(), row.envelope or b""
    try:
        return key.mac(
            b"".join(
                (
                    *(_ROW, _LENGTH(len(place)), place, _LENGTH(len(tenant)), tenant, _LENGTH(len(name)), name),
                    *(_NUMBER_THEN(8, row.version, len(envelope)), envelope, _WORDS[row.kind]),
                    *(_NUMBER(8, row.key_version), _WORDS[row.state], _time(row.created_at), _time(row.not_after)),
                    *(_time(row.rotate_after), _LENGTH(len(labels)), labels, b"\x01"),
                )
            )
        )[:32]
    except (_StructError, KeyError):
        raise SecretTampered("a row holds what no row can") from None


def _head_mac(key: EnvelopeKey, store: str, head: Head, row: SecretRow) -> bytes:
    """``MAC(domain, store, tenant, name, current, revision, key version, row code of the current version, 0x01)``."""
    tenant, name, place, code = head.tenant_id.encode(), head.name.encode(), store.encode(), row.row_mac
    try:
        numbers = _THREE(8, head.current, 8, head.revision, 8, head.key_version, len(code))
    except _StructError:
        raise SecretTampered("a head holds what no head can") from None
    lengths = _LENGTH(len(place)), _LENGTH(len(tenant)), _LENGTH(len(name))
    return key.mac(b"".join((_HEAD, lengths[0], place, lengths[1], tenant, lengths[2], name, numbers, code, b"\x01")))[
        :32
    ]


def _time(moment: int | None) -> bytes:
    return _NULL if moment is None else _TIME(8, moment)
