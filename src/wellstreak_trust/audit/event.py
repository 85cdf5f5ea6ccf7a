"""From an event to the bytes of its leaf.

A leaf is canonical JSON and the only thing that is ever hashed: it is encoded once, stored as it is, and verified as
it is stored. `seq` and `recorded_at` are known only inside the store's write lock, so a *draft* holds the bytes before,
between and after their values, and stamping is concatenation. Without both members the same bytes are the event's
content, whose digest tells a retry from a conflict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, get_args

from ..core.canonical import canonical_json
from ..core.clock import rfc3339, to_micros
from ..core.entropy import random_hex
from ..core.errors import AuditEventRejected, AuditEventTooLarge, TrustError, UsageError
from ..core.event import AuditEvent, Outcome
from ..core.principal import Principal
from ..core.redact import MASKED, redact, redact_text
from .tiles import ENTRY_MAX

__all__ = ["LEAF_VERSION", "Draft", "Sealed", "content_digest", "draft", "reduced", "spine_draft"]

LEAF_VERSION: Final = 1
_RECORDED: Final = b',"recorded_at":"'
_SEQ: Final = b',"seq":'
_SEAM: Final = random_hex()  # marks where the stamps go; never leaves the process, so no event can hold it
_STAMPS: Final = 27 + 16  # a time and the longest sequence number
_OUTCOMES: Final = frozenset(get_args(Outcome))
_IMPERSONATIONS: Final = 4
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # NUL has no place in a PostgreSQL text column
_KEY: Final = re.compile(r'"([A-Za-z0-9_.-]+)":')
_WINDOW, _OVERLAP = 8_000, 192  # the redactor looks at 8 KiB at a time
_SPOKEN: Final = ("targets", "source", "changes", "reason", "request", "decision", "data")  # what hosts fill freely


class Sealed(NamedTuple):
    """A personal value of one event, encrypted: kept beside the tree, so that it can be deleted without touching it.

    Args:
        subject: opaque index of the person it is about; never the person's name or address.
        octets: the disclosure under that person's key.
    """

    subject: str
    octets: bytes


class Draft(NamedTuple):
    """An event ready to be stamped: what a store indexes, and the leaf in pieces. Times are microseconds UTC.

    `sealed` is stored in the same transaction as the leaf and is no part of it.
    """

    tenant_id: str
    id: str
    action: str
    actor: str
    outcome: str
    occurred_at: int
    before: bytes
    between: bytes
    after: bytes
    sealed: tuple[Sealed, ...] = ()

    def digest(self) -> bytes:
        """SHA-256 of the content: the canonical JSON of the leaf without `seq` and `recorded_at`."""
        return sha256(self.before[: -len(_RECORDED)] + self.between[1 : -len(_SEQ)] + self.after).digest()

    def leaf(self, seq: int, recorded_at: str) -> bytes:
        """The leaf at a place in the tree; keys stay sorted, so these are again canonical bytes."""
        return b"%b%b%b%d%b" % (self.before, recorded_at.encode(), self.between, seq, self.after)


def draft(event: AuditEvent) -> Draft:
    """Checks and encodes an event; what looks like a credential is masked (OWASP ASVS 5, 16.2.5).

    Raises:
        AuditEventRejected: a field of the wrong kind or outside canonical JSON. Names the place, never the value.
        AuditEventTooLarge: a leaf of more than 65,535 bytes.
    """
    try:
        found = _draft(event, _fields(event))
        if _speaks_of_credentials(found):
            found = _draft(event, _masked(_fields(event)))
    except AuditEventRejected:
        raise
    except (UsageError, OverflowError) as error:
        raise AuditEventRejected(getattr(error, "detail", "a time out of range")) from None
    if len(found.before) + len(found.between) + len(found.after) + _STAMPS > ENTRY_MAX:
        raise AuditEventTooLarge("the event does not fit 65,535 bytes", hint="refer to large content by id")
    return found


def spine_draft(event: AuditEvent) -> Draft:
    """The draft of an event of the log itself, whose tenant is nobody; see `spine`."""
    return _draft(event, {**_fields(replace(event, tenant_id="-")), "tenant_id": event.tenant_id})


def reduced(event: AuditEvent, refusal: TrustError) -> AuditEvent:
    """The event without what its host filled freely: a denial must be recorded even if its details cannot be.

    Otherwise whoever controls a detail, such as a header, could make refusals vanish from the trail.
    """
    return replace(
        event, targets=(), source=None, changes=(), reason=None, request=None, decision=None, data={"cut": refusal.code}
    )


def content_digest(leaf: bytes) -> bytes | None:
    """`Draft.digest` of a stored leaf, or None for bytes that are no leaf."""
    try:
        fields = json.loads(leaf)
        return sha256(canonical_json({n: v for n, v in fields.items() if n not in ("seq", "recorded_at")})).digest()
    except (ValueError, TypeError, AttributeError, RecursionError, UsageError):
        return None


# --- fields ----------------------------------------------------------------------------------------------------------


def _fields(event: AuditEvent) -> dict[str, Any]:
    if not isinstance(event, AuditEvent):
        raise AuditEventRejected("not an AuditEvent")
    if event.outcome not in _OUTCOMES:
        raise AuditEventRejected("unknown outcome", hint=f"one of {', '.join(sorted(_OUTCOMES))}")
    fields: dict[str, Any] = {
        "v": LEAF_VERSION,
        "id": _label(event.id, "id"),
        "occurred_at": rfc3339(_moment(event.occurred_at)),
        "tenant_id": _label(event.tenant_id, "tenant_id"),
        "action": _label(event.action, "action"),
        "outcome": event.outcome,
        "actor": _actor(event.actor),
    }
    for name in _SPOKEN:
        value = getattr(event, name)
        if isinstance(value, Mapping):
            value = dict(value)
        elif isinstance(value, list | tuple):
            value = [dict(item) if isinstance(item, Mapping) else item for item in value]
        if value is not None and value not in ({}, []):
            fields[name] = value
    return fields


def _label(value: object, name: str) -> str:
    """Identifiers become index columns and log text: short, and nothing that breaks a line (ASVS 5, 16.4.1)."""
    if type(value) is not str or not 0 < len(value) <= 256 or _UNPRINTABLE.search(value):
        raise AuditEventRejected(f"{name} is not text of 1 to 256 printable characters")
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise AuditEventRejected("occurred_at is not an aware datetime", hint="datetime.now(UTC)")
    return value


def _actor(actor: object, depth: int = 0) -> dict[str, Any]:
    if isinstance(actor, Principal):
        fields: dict[str, Any] = {"id": _label(actor.id, "actor.id"), "kind": actor.kind}
        if actor.credential_id is not None:
            fields["credential_id"] = actor.credential_id
        if actor.reason is not None:
            fields["reason"] = actor.reason
        if actor.actor is not None:
            if depth == _IMPERSONATIONS:
                raise AuditEventRejected("actor: too many impersonations inside one another")
            fields["actor"] = _actor(actor.actor, depth + 1)
        return fields
    if isinstance(actor, Mapping):
        return {**actor, "id": _label(actor.get("id"), "actor.id")}
    raise AuditEventRejected("actor is neither a Principal nor a mapping with an id")


# --- bytes -----------------------------------------------------------------------------------------------------------


def _draft(event: AuditEvent, fields: dict[str, Any]) -> Draft:
    text = canonical_json({**fields, "recorded_at": _SEAM, "seq": _SEAM})
    before, between, after = text.split(_SEAM.encode())
    return Draft(
        event.tenant_id,
        event.id,
        event.action,
        fields["actor"]["id"],
        event.outcome,
        to_micros(event.occurred_at),
        before,
        between[:-1],  # a number stands without the quotes of the seam
        after[1:],
    )


def _speaks_of_credentials(found: Draft) -> bool:
    text = (found.before + found.between + found.after).decode()
    if _any_masked(frozenset(_KEY.findall(text))):
        return True
    windows = (text[at : at + _WINDOW + _OVERLAP] for at in range(0, len(text), _WINDOW))
    return any(redact_text(window) != window for window in windows)


@lru_cache(maxsize=1024)
def _any_masked(keys: frozenset[str]) -> bool:
    return any(redact({key: ""}) == {key: MASKED} for key in keys)


def _masked(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: redact(value) if name in _SPOKEN or name == "actor" else value for name, value in fields.items()}
