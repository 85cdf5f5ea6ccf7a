"""The three codes around the envelopes: of a version's row, of a secret's head, and of a tenant key.

Each is the first half of ``HMAC-SHA512(tenant key, LP(domain, ...) || 0x01)``. The row code keeps state, expiry and
labels honest; the head code says which version is current and covers that version's row code, so that putting an old
row back does not revive it; the check value tells a key service that answered with another key.
"""

from __future__ import annotations

import hmac
from typing import Final

from ..core.canonical import i64, length_prefixed, u64
from ..core.errors import SecretTampered
from .envelope import EnvelopeKey
from .rows import Head, SecretRow

__all__ = ["check_value", "signed_head", "signed_row", "verify_head", "verify_row"]

_ROW: Final = "wellstreak-trust/row/v1"
_HEAD: Final = "wellstreak-trust/head/v1"
_CHECK: Final = "wellstreak-trust/key-check/v1"


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
    if row.key_version != key.version or not hmac.compare_digest(_row_mac(key, store, row), row.row_mac):
        raise SecretTampered("the code of a version's row does not verify", hint="the row was edited or moved")


def verify_head(key: EnvelopeKey, store: str, head: Head, row: SecretRow) -> None:
    """Raises `SecretTampered`."""
    if head.key_version != key.version or not hmac.compare_digest(_head_mac(key, store, head, row), head.head_mac):
        raise SecretTampered("the code of a secret's head does not verify", hint="the head or its version was edited")


def _row_mac(key: EnvelopeKey, store: str, row: SecretRow) -> bytes:
    times = [b"" if time is None else i64(time) for time in (row.created_at, row.not_after, row.rotate_after)]
    stated = [row.envelope or b"", row.kind.encode(), u64(row.key_version), row.state.encode(), *times]
    place = row.tenant_id, row.name
    return key.expand(length_prefixed(_ROW, store, *place, u64(row.version), *stated, row.labels))[:32]


def _head_mac(key: EnvelopeKey, store: str, head: Head, row: SecretRow) -> bytes:
    counted = u64(head.current), u64(head.revision), u64(head.key_version)
    return key.expand(length_prefixed(_HEAD, store, head.tenant_id, head.name, *counted, row.row_mac))[:32]
