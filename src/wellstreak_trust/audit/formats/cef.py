"""Common Event Format, version 0 (ArcSight).

The header escapes backslash and bar, an extension backslash, equals sign and line breaks; a value is a value whatever
it holds. Other control characters have no escape and become a replacement character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .record import Record, severity_of

__all__ = ["CEF_FIELDS", "cef_line"]

CEF_FIELDS: Final = (
    ("externalId", "id"),
    ("rt", "recorded_at, in milliseconds"),
    ("start", "occurred_at, in milliseconds"),
    ("act", "action"),
    ("outcome", "outcome"),
    ("suid", "actor.id"),
    ("spriv", "actor.kind"),
    ("src", "source.address"),
    ("requestClientApplication", "source.user_agent"),
    ("reason", "reason"),
    ("cs1", "tenant_id"),
    ("cs2", "leaf hash, hex"),
    ("cs3", "ids of the targets"),
    ("cs4", "decision.permission"),
    ("cs5", "request.id"),
    ("cs6", "data as canonical JSON"),
    ("cn1", "seq"),
)
_LABELS: Final = (
    ("cs1", "tenant"),
    ("cs2", "leafHash"),
    ("cs3", "targets"),
    ("cs4", "permission"),
    ("cs5", "request"),
    ("cs6", "data"),
    ("cn1", "seq"),
)
_MOST: Final = 4_000  # characters of a custom string, by the format's dictionary
_CONTROLS: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")
_SEVERITIES: Final = (2, 4, 6, 8)


def cef_line(record: Record) -> str:
    """One event on one line."""
    action = record.text("action")
    head = ("CEF:0", "WellStreak", "wellstreak_trust", "1", action, f"{action} {record.text('outcome')}")
    severity = str(_SEVERITIES[severity_of(record)])
    return "|".join((head[0], *map(_header, head[1:]), severity, " ".join(_extensions(record))))


def _extensions(record: Record) -> Iterator[str]:
    values = {
        "externalId": record.text("id"),
        "rt": str(record.millis("recorded_at")),
        "start": str(record.millis("occurred_at")),
        "act": record.text("action"),
        "outcome": record.text("outcome"),
        "suid": record.inner("actor", "id"),
        "spriv": record.inner("actor", "kind"),
        "src": record.inner("source", "address", "ip"),
        "requestClientApplication": record.inner("source", "user_agent", "agent"),
        "reason": record.text("reason"),
        "cs1": record.text("tenant_id"),
        "cs2": record.leaf_hash,
        "cs3": ",".join(id for _, id in record.targets()),
        "cs4": record.inner("decision", "permission"),
        "cs5": record.inner("request", "id"),
        "cs6": record.json("data"),
        "cn1": str(record.leaf.seq),
    }
    labels = dict(_LABELS)
    for name, _ in CEF_FIELDS:
        if values[name]:
            yield f"{name}={_value(values[name])}"
            if name in labels:
                yield f"{name}Label={labels[name]}"


def _header(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _value(text: str) -> str:
    cut = _plain(text[:_MOST])
    return cut.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")


def _plain(text: str) -> str:
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
