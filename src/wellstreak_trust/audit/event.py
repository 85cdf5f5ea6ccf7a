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
from hashlib import sha256
from typing import Any, Final, NamedTuple, get_args

from ..core.canonical import canonical_json
from ..core.clock import rfc3339, to_micros
from ..core.entropy import random_hex
from ..core.errors import AuditEventRejected, AuditEventTooLarge, TrustError, UsageError
from ..core.event import AuditEvent, Outcome
from ..core.principal import Principal
from ..core.redact import redact, redact_text
from .encode import encoded, plain, speaks_of_credentials
from .tiles import ENTRY_MAX

__all__ = ["LEAF_VERSION", "Draft", "Sealed", "content_digest", "draft", "masked", "reduced", "spine_draft"]

LEAF_VERSION: Final = 1
_RECORDED: Final = b',"recorded_at":"'
_SEQ: Final = b',"seq":'
_SEAM: Final = random_hex()  # marks where the stamps go; never leaves the process, so no event can hold it
_SEAM_OCTETS: Final = _SEAM.encode()
_ENCODED_MAX: Final = ENTRY_MAX - (27 + 16) + 2 * len(_SEAM) + 2  # a time and the longest number for two quoted seams
_NOTHING: Final[dict[str, Any]] = {}
_LISTS: Final = (tuple, list)
_LABEL_MAX: Final = 256
_OUTCOMES: Final = frozenset(get_args(Outcome))
_IMPERSONATIONS: Final = 4
# NUL has no place in a PostgreSQL text column; C1 controls and U+2028, U+2029 end a line for some readers.
_OWN_ID: Final = re.compile(r"[0-9a-f-]{36}")  # nothing that JSON would escape
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


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

    def retold(self, event: AuditEvent) -> Draft:
        """The draft of an event with the same content and an id, a time and an outcome of its own.

        The three are neighbours: keys are sorted, and after the last ``"id":"`` that is no part of a text come only
        texts, in which quotes are escaped.
        """
        told = rfc3339(_moment(event.occurred_at))
        start = self.before.rindex(b'"id":"')
        stop = self.before.index(b'"outcome":"', start) + len(b'"outcome":""') + len(self.outcome)
        own = f'"id":"{event.id}","occurred_at":"{told}","outcome":"{event.outcome}"'.encode()
        return self._replace(
            id=event.id,
            outcome=event.outcome,
            occurred_at=to_micros(event.occurred_at),
            before=self.before[:start] + own + self.before[stop:],
        )

    def leaf(self, seq: int, recorded_at: bytes) -> bytes:
        """The leaf at a place in the tree; keys stay sorted, so these are again canonical bytes."""
        return b"%b%b%b%d%b" % (self.before, recorded_at, self.between, seq, self.after)


def draft(event: AuditEvent) -> Draft:
    """Checks and encodes an event; what looks like a credential is masked (OWASP ASVS 5, 16.2.5).

    Raises:
        AuditEventRejected: a field of the wrong kind or outside canonical JSON. Names the place, never the value.
        AuditEventTooLarge: a leaf of more than 65,535 bytes.
    """
    if not isinstance(event, AuditEvent):
        raise AuditEventRejected("not an AuditEvent")
    try:
        if _is_retold(event):
            return event.prepared.retold(event)  # type: ignore[no-any-return]  # by the line above it is a Draft
        made = _draft(event, _label(event.tenant_id, "tenant_id"), _admitted(event))
        object.__setattr__(event, "prepared", made)
        return made
    except (AuditEventRejected, AuditEventTooLarge):
        raise
    except (UsageError, OverflowError) as error:
        raise AuditEventRejected(getattr(error, "detail", "a time out of range")) from None


def _is_retold(event: AuditEvent) -> bool:
    """Whether `AuditEvent.ended` made it of one that was drafted; the same event twice is encoded twice."""
    before, id = event.prepared, event.id
    fits = isinstance(before, Draft) and before.id != id and type(id) is str and _OWN_ID.fullmatch(id) is not None
    return fits and _is_outcome(event.outcome) and len(event.outcome) <= len(before.outcome)


def masked(event: AuditEvent) -> AuditEvent:
    """The event as `draft` would record it, for who has to keep it until then; raises as `draft` does."""
    draft(event)
    fields = _admitted(event)
    fields.pop("actor")  # a Principal stays one; none of its parts that are recorded is filled freely
    for name in ("targets", "changes"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return replace(event, **fields)


def spine_draft(event: AuditEvent) -> Draft:
    """The draft of an event of the log itself, whose tenant is nobody; see `spine`."""
    return _draft(event, event.tenant_id, _spoken(event))


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


def _spoken(event: AuditEvent) -> dict[str, Any]:
    """What hosts fill freely, in exact types: only of those can be said what an encoder will see."""
    fields: dict[str, Any] = {"actor": _actor(event.actor)}
    if event.targets:
        fields["targets"] = _listed(event.targets)
    if event.source is not None:
        fields["source"] = _exact(event.source)
    if event.changes:
        fields["changes"] = _listed(event.changes)
    if event.reason is not None:
        fields["reason"] = event.reason
    if event.request is not None:
        fields["request"] = _exact(event.request)
    if event.decision is not None:
        fields["decision"] = _exact(event.decision)
    if event.data != _NOTHING:
        fields["data"] = _exact(event.data)
    return fields


def _admitted(event: AuditEvent) -> dict[str, Any]:
    """What the host filled in, inside the domain and without credentials."""
    spoken = _spoken(event)
    if not plain(spoken):
        canonical_json(spoken)  # refuses what is outside
        if speaks_of_credentials(spoken):
            spoken = {name: redact(value) for name, value in spoken.items()}
    _name_sessions(spoken["actor"], event.actor)
    return spoken


def _name_sessions(fields: dict[str, Any], actor: object) -> None:
    """Adds the public ids of sessions, which `session.revoked` names; under that key the redactor masks everything."""
    while isinstance(actor, Principal):
        found = actor.session_id
        if found is not None:
            fit = type(found) is str and len(found) <= _LABEL_MAX and not _UNPRINTABLE.search(found)
            fields["session_id"] = redact_text(found) if fit else "***"  # an odd one must not keep the event out
        fields, actor = fields.get("actor", {}), actor.actor


def _exact(value: Any) -> Any:
    return dict(value) if type(value) is not dict and isinstance(value, Mapping) else value


def _listed(value: Any) -> Any:
    return [_exact(item) for item in value] if type(value) in _LISTS else value


def _label(value: object, name: str) -> str:
    """Identifiers become index columns and log text: short, and nothing that breaks a line (ASVS 5, 16.4.1)."""
    if type(value) is str and 0 < len(value) <= _LABEL_MAX and value.isascii() and value.isprintable():
        return value
    if type(value) is not str or not 0 < len(value) <= _LABEL_MAX or _UNPRINTABLE.search(value):
        raise AuditEventRejected(f"{name} is not text of 1 to 256 printable characters")
    return value


def _is_outcome(value: object) -> bool:
    return type(value) is str and value in _OUTCOMES


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


def _draft(event: AuditEvent, tenant_id: str, spoken: dict[str, Any]) -> Draft:
    outcome, moment, actor = event.outcome, _moment(event.occurred_at), spoken["actor"]["id"]
    if not _is_outcome(outcome):
        raise AuditEventRejected("unknown outcome", hint=f"one of {', '.join(sorted(_OUTCOMES))}")
    id, action = _label(event.id, "id"), _label(event.action, "action")
    spoken["v"], spoken["seq"], spoken["recorded_at"] = LEAF_VERSION, _SEAM, _SEAM
    spoken["id"], spoken["occurred_at"], spoken["tenant_id"] = id, rfc3339(moment), tenant_id
    spoken["action"], spoken["outcome"] = action, outcome
    text = encoded(spoken)
    if len(text) > _ENCODED_MAX:
        raise AuditEventTooLarge("the event does not fit 65,535 bytes", hint="refer to large content by id")
    before, between, after = text.split(_SEAM_OCTETS)
    # A number stands without the quotes of the seam.
    return Draft(tenant_id, id, action, actor, outcome, to_micros(moment), before, between[:-1], after[1:])
