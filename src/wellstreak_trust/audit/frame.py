"""What an entry must be besides hashed: an event of this tenant, at this place, recorded in this order.

A leaf is canonical JSON, so its keys stand in one order and its frame is known to the byte::

    {"action":"...  ...,"recorded_at":"2026-11-24T12:00:00.000000Z",...,"seq":7,...,"tenant_id":"acme","v":1}

Inside JSON text the bytes ``,"recorded_at":"`` are always a key, because a quote inside a string is escaped. If they
occur once in a JSON object that has the member, they are its member; where they occur twice (an event may hold a key
of that name), or anything else is not as drawn, the entry is parsed. So the frame saves work and judges nothing on
its own.

What the frame cannot see is whether the rest is JSON at all, and whether a key stands twice, so that two readers read
two things. Only a log that signs nonsense brings that about; a *thorough* check parses every entry and finds it. No
entry is ever serialised again: its bytes are what was hashed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from .event import LEAF_VERSION

__all__ = ["Frames", "parsed"]

_RECORDED: Final = b',"recorded_at":"'
_SKIP: Final = len(_RECORDED)
_TIME: Final = b"0000-00-00T00:00:00.000000Z"
_TIME_OCTETS: Final = len(_TIME)
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_NOTHING: Final[Mapping[str, Any]] = {}
_NO_EVENT: Final = "an entry is not an event"


class Frames:
    """Judges entries in order.

    Args:
        tenant_id: the tenant all entries must be of; None takes that of the first entry.
        thorough: parse every entry.

    Attributes:
        in_order: whether `recorded_at` never went back.
    """

    def __init__(self, tenant_id: str | None, *, thorough: bool) -> None:
        self.in_order: bool = True
        self._tenant_id: str | None = tenant_id
        self._tail: bytes = b"" if tenant_id is None else _tail(tenant_id)
        self._thorough: bool = thorough
        self._latest: bytes = b""

    def faults(self, entries: Sequence[bytes], start: int) -> Iterator[tuple[int, str]]:
        """What is wrong with entries that stand from `start` on, as (seq, reason)."""
        stamps = []
        framed = bool(self._tail) and not self._thorough
        for seq, entry in enumerate(entries, start):  # the hot loop of verification: no call that is not needed
            at = entry.find(_RECORDED) + _SKIP
            end = at + _TIME_OCTETS
            place = b',"seq":%d,' % seq
            if (
                framed
                and at > _SKIP
                and entry.endswith(self._tail)
                and entry.find(_RECORDED, end) < 0
                and (entry.startswith(place, end + 1) or entry.find(place, end) > 0)
            ):
                stamps.append(entry[at:end])
                continue
            stamp, reasons = self._parsed(entry, seq)
            stamps.append(stamp)
            yield from ((seq, reason) for reason in reasons)
            framed = bool(self._tail) and not self._thorough
        yield from self._ordered(stamps, start)

    def _ordered(self, stamps: list[bytes], start: int) -> Iterator[tuple[int, str]]:
        """Times are of one shape, so the order of their bytes is the order of time."""
        if b"".join(stamps).translate(_DIGITS) != _TIME * len(stamps):
            wrong = (n for n, stamp in enumerate(stamps, start) if stamp.translate(_DIGITS) not in (_TIME, b""))
            yield from ((seq, _NO_EVENT) for seq in wrong)
        told = [self._latest, *(stamp for stamp in stamps if stamp)]
        self.in_order = self.in_order and told == sorted(told)
        self._latest = told[-1]

    def _parsed(self, entry: bytes, seq: int) -> tuple[bytes, list[str]]:
        fields = parsed(entry)
        stamp, tenant_id = fields.get("recorded_at"), fields.get("tenant_id")
        if type(fields.get("v")) is not int or fields.get("v") != LEAF_VERSION or type(stamp) is not str:
            return b"", [_NO_EVENT]
        reasons = []
        if type(fields.get("seq")) is not int or fields.get("seq") != seq:
            reasons.append("an entry stands at another place than it says")
        if self._tenant_id is None and type(tenant_id) is str:
            self._tenant_id, self._tail = tenant_id, _tail(tenant_id)
        if tenant_id != self._tenant_id or type(tenant_id) is not str:
            reasons.append("an entry is of another tenant")
        octets = stamp.encode("utf-8", "replace")
        return octets or b"?", reasons


def _tail(tenant_id: str) -> bytes:
    text = json.dumps(tenant_id, ensure_ascii=False)
    return f',"tenant_id":{text},"v":{LEAF_VERSION}}}'.encode("utf-8", "replace")


def parsed(entry: bytes) -> Mapping[str, Any]:
    """The members of an entry; none where it is no JSON object that every reader reads alike."""
    try:
        found = _DECODE(entry.decode("utf-8"))
    except (ValueError, RecursionError):
        return _NOTHING
    return found if isinstance(found, dict) else _NOTHING


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(number: str) -> None:
    raise ValueError("not a whole number")


_DECODE: Final = json.JSONDecoder(object_pairs_hook=_members, parse_float=_refuse, parse_constant=_refuse).decode
