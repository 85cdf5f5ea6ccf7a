"""Syslog (RFC 5424), one message without its framing; a transport adds what RFC 6587 or RFC 5425 wants.

The structured data names what a collector sorts by; the message is the leaf itself, which holds no line break.
"""

from __future__ import annotations

import re
from typing import Final

from .record import Record, severity_of

__all__ = ["SYSLOG_PARAMS", "syslog_line"]

SYSLOG_PARAMS: Final = ("tenant", "seq", "id", "action", "outcome", "actor", "permission", "request", "leafHash")
_FACILITY: Final = 13  # log audit (RFC 5424, 6.2.1)
_SEVERITIES: Final = (6, 5, 4, 3)  # informational, notice, warning, error
_SD_ID: Final = "audit@32473"  # the enterprise number for documentation (RFC 5612): this package has none of its own
_NOT_PRINTUSASCII: Final = re.compile(r"[^\x21-\x7e]")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"


def syslog_line(record: Record) -> str:
    """One message."""
    priority = _FACILITY * 8 + _SEVERITIES[severity_of(record)]
    host = _name(record.origin.partition("/")[0], 255)
    message_id = _name(record.text("action"), 32)
    at, leaf = record.text("recorded_at") or "-", record.leaf.leaf.decode()
    return f"<{priority}>1 {at} {host} wellstreak-trust - {message_id} {_structured(record)} {_BOM}{leaf}"


def _structured(record: Record) -> str:
    values = (
        record.text("tenant_id"),
        str(record.leaf.seq),
        record.text("id"),
        record.text("action"),
        record.text("outcome"),
        record.inner("actor", "id"),
        record.inner("decision", "permission"),
        record.inner("request", "id"),
        record.leaf_hash,
    )
    written = (f' {name}="{_value(value)}"' for name, value in zip(SYSLOG_PARAMS, values, strict=True) if value)
    return f"[{_SD_ID}{''.join(written)}]"


def _value(text: str) -> str:
    plain = _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _name(text: str, most: int) -> str:
    return _NOT_PRINTUSASCII.sub("_", text)[:most] or "-"
