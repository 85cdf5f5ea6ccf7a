"""The quick way of `verify`, for deliveries as providers send them: one header, one signature, all as it should be.

It is one function made for a scheme once, and it only ever accepts: an expression that the header fits as a whole, the
MAC, the clock. Whatever it does not accept at once is answered with None and goes the strict way, which decides again
from the beginning and knows the reasons. So it can be wrong in one direction only, and the tests hold both ways
against each other for every scheme.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final

from ..core.clock import aware, to_micros
from .codecs import pattern
from .event import Origin, VerifiedWebhook
from .keys import Code, SharedKey
from .parse import is_id
from .scheme import Content, Pairs, Scheme

__all__ = ["Quick", "quick"]

Quick = Callable[[Any, Any, "datetime | None"], "VerifiedWebhook | None"]

_LONGEST: Final = 256
_HMAC: Final = frozenset(("hmac-sha256", "hmac-sha1", "hmac-sha512"))
_SCALES: Final = {"s": ("[0-9]{10}", 1_000_000), "ms": ("[0-9]{13}", 1_000)}
# The fields in front of the body: none, the time, or id and time in this order.
_ORDERED: Final = re.compile(r"(?:[^%]|%%)*(?:%\(id\)s(?:[^%]|%%)*)?(?:%\(timestamp\)s(?:[^%]|%%)*)?").fullmatch


def quick(
    scheme: Scheme, keys: tuple[Any, ...], origin: Origin, *, limits: tuple[int, int, int], clock: Callable[[], int]
) -> Quick | None:
    """The function, or None for a scheme that it cannot be made for.

    Args:
        limits: the largest body in bytes; microseconds accepted in the past and in the future.
    """
    if not _fits(scheme):
        return None
    ring = tuple((key.id, key.code) for key in keys if isinstance(key, SharedKey) and key.mac == scheme.mac)
    time, (content, fields) = scheme.timestamp, Content.parse(scheme.content)
    digits, scale = _SCALES[time.unit] if time is not None else ("", 0)
    template = content.before.replace("%(timestamp)s", "%s").replace("%(id)s", "%s")
    id = scheme.id.header.lower() if scheme.id and "id" in fields else ""
    names = {source.header.lower() for source in (scheme.id, scheme.type) if source and source.header}
    stamped = (time.header.lower() if time is not None else "", re.compile(digits).fullmatch, scale)
    header = scheme.headers[0].lower()
    wanted = frozenset((names | {header, stamped[0], id}) - {""})
    read = _reader(
        header, re.compile(_form(scheme, digits)).fullmatch, stamped if time else None, id, template=template
    )
    return _accepting(wanted, read, ring, origin, limits=limits, clock=clock)


def _fits(scheme: Scheme) -> bool:
    """HMAC of one header's signature, with nothing behind the body and the time where it is read without parsing it."""
    if scheme.rule is not None or len(scheme.headers) != 1 or scheme.mac.algorithm not in _HMAC:
        return False
    content, fields = Content.parse(scheme.content)
    time = scheme.timestamp
    readable = time is None or (not time.body and time.unit in _SCALES)
    plain = content.has_body and not content.after and not fields & {"url", "method"}
    return readable and plain and _ORDERED(content.before) is not None


def _form(scheme: Scheme, digits: str) -> str:
    """An expression with the groups time (where the header carries it) and signature."""
    mac, parser = scheme.mac, scheme.parser
    if not isinstance(parser, Pairs):
        return f"{re.escape(parser.prefix)}({pattern(mac)})"
    tagged = f"{re.escape(mac.tag + parser.assign)}({pattern(mac)})"
    if not parser.timestamp:
        return tagged
    return f"{re.escape(parser.timestamp + parser.assign)}({digits}){re.escape(parser.separator)}{tagged}"


# Signature, what stands before the body, and the time in microseconds.
_Read = Callable[[dict[str, str]], "tuple[str, bytes, int | None]"]
_Match = Callable[[str], "re.Match[str] | None"]


def _reader(header: str, form: _Match, stamped: tuple[str, _Match, int] | None, id: str, *, template: str) -> _Read:
    """One reader for each place where the time stands; each raises `LookupError` for what providers do not send."""
    if stamped is None:
        before = (template % ()).encode()

        def bare(found: dict[str, str]) -> tuple[str, bytes, int | None]:
            match = form(found[header])
            if match is None:
                raise LookupError
            return match[1], before, None

        return bare
    time, is_stamp, scale = stamped
    if not time:

        def tagged(found: dict[str, str]) -> tuple[str, bytes, int | None]:
            match = form(found[header])
            if match is None:
                raise LookupError
            stamp, signature = match.groups()
            return signature, (template % stamp).encode(), int(stamp) * scale

        return tagged

    def timed(found: dict[str, str]) -> tuple[str, bytes, int | None]:
        match, stamp = form(found[header]), found[time]
        if match is None or is_stamp(stamp) is None:
            raise LookupError
        if not id:
            return match[1], (template % stamp).encode(), int(stamp) * scale
        label = found[id]
        if is_id(label) is None:
            raise LookupError
        return match[1], (template % (label, stamp)).encode(), int(stamp) * scale

    return timed


def _accepting(
    wanted: frozenset[str],
    read: _Read,
    ring: tuple[tuple[str, Code], ...],
    origin: Origin,
    *,
    limits: tuple[int, int, int],
    clock: Callable[[], int],
) -> Quick:
    # Most headers are told apart by their length alone; an index costs less than a look-up in a set.
    lengths = [length in set(map(len, wanted)) for length in range(_LONGEST)]
    most, past, future = limits

    def accept(headers: Any, body: Any, now: datetime | None) -> VerifiedWebhook | None:
        if type(headers) is not dict or type(body) is not bytes or len(body) > most:
            return None
        found: dict[str, str] = {}
        try:
            for name in headers:
                if lengths[len(name)]:
                    key = name.lower()
                    if key in wanted:
                        value = headers[name]
                        if key in found or type(value) is not str:
                            return None
                        found[key] = value
            signature, before, at = read(found)
        except (LookupError, TypeError, AttributeError):
            return None
        for key_id, code in ring:
            if compare_digest(code(before, body, b""), signature):
                if at is not None:
                    age = (clock() if now is None else to_micros(aware(now, "now"))) - at
                    if age > past or -age > future:
                        return None
                return VerifiedWebhook(origin, body, key_id, at, (before, b"", found, None))
        return None

    return accept
