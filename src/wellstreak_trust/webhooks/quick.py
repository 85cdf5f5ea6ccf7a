"""The quick way of `verify`, for deliveries as providers send them: one header, one signature, all as it should be.

It is one function made for a scheme once, and it only ever accepts: fixed places in a header of one length, the MAC,
the clock. Whatever it does not accept at once is answered with None and goes the strict way, which decides again from
the beginning and knows the reasons. So it can be wrong in one direction only, and the tests hold both ways against
each other for every scheme.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final

from ..core.clock import aware, to_micros
from .event import Origin, VerifiedWebhook
from .keys import Code, SharedKey
from .parse import is_id
from .scheme import Content, Pairs, Scheme

__all__ = ["Quick", "quick"]

Quick = Callable[[Any, Any, "datetime | None"], "VerifiedWebhook | None"]

_LONGEST: Final = 256
_HMAC: Final = frozenset(("hmac-sha256", "hmac-sha1", "hmac-sha512"))
_SCALES: Final = {"s": (10, 1_000_000), "ms": (13, 1_000)}  # digits; microseconds in one
# The fields in front of the body: none, the time, or id and time in this order.
_ORDERED: Final = re.compile(r"(?:[^%]|%%)*(?:%\(id\)s(?:[^%]|%%)*)?(?:%\(timestamp\)s(?:[^%]|%%)*)?").fullmatch


def quick(
    scheme: Scheme, keys: tuple[Any, ...], origin: Origin, *, limits: tuple[int, int, int], clock: Callable[[], int]
) -> Quick | None:
    """The function, or None for a scheme that it cannot be made for.

    Args:
        limits: the largest body in bytes; microseconds accepted in the past and in the future.
    """
    ring = tuple((key.id, key.code) for key in keys if isinstance(key, SharedKey) and key.mac == scheme.mac)
    if not ring or not _fits(scheme):
        return None
    length = len(ring[0][1](b"", b"", b""))
    names = {source.header.lower() for source in (scheme.id, scheme.type) if source and source.header}
    time = scheme.timestamp.header.lower() if scheme.timestamp else ""
    wanted = frozenset((names | {scheme.headers[0].lower(), time}) - {""})
    return _accepting(wanted, _reader(scheme, length), ring, origin, limits=limits, clock=clock)


def _fits(scheme: Scheme) -> bool:
    """HMAC of one header's signature, with nothing behind the body and the time where it is read without parsing it."""
    if scheme.rule is not None or scheme.opening or len(scheme.headers) != 1 or scheme.mac.algorithm not in _HMAC:
        return False
    content, fields = Content.parse(scheme.content)
    time = scheme.timestamp
    readable = time is None or (not time.body and time.unit in _SCALES)
    plain = content.has_body and not content.after and not fields & {"url", "method"}
    return readable and plain and _ORDERED(content.before) is not None


# Signature, what stands before the body, and the time in microseconds.
_Read = Callable[[dict[str, str]], "tuple[str, bytes, int | None]"]


def _reader(scheme: Scheme, length: int) -> _Read:
    """One reader for each place where the time stands; each raises `LookupError` for what providers do not send.

    Of the signature only the length is looked at: it has to equal the expected text. ASCII it must be, to be compared.
    """
    content, fields = Content.parse(scheme.content)
    template = content.before.replace("%(timestamp)s", "%s").replace("%(id)s", "%s")
    parser, time = scheme.parser, scheme.timestamp
    lead = f"{scheme.mac.tag}{parser.assign}" if isinstance(parser, Pairs) else parser.prefix
    form = f"{re.escape(lead)}(.{{{length}}})"
    header = scheme.headers[0].lower()
    if time is None:
        return _bare(header, form, (template % ()).encode())
    if not time.header:
        assert isinstance(parser, Pairs)
        stamp = f"{re.escape(parser.timestamp + parser.assign)}([0-9]{{{_SCALES[time.unit][0]}}})"
        return _tagged(header, f"{stamp}{re.escape(parser.separator)}{form}", template, time.unit)
    id = scheme.id.header.lower() if scheme.id and "id" in fields else ""
    return _timed((header, time.header.lower(), id), form, template, time.unit)


def _bare(header: str, form: str, before: bytes) -> _Read:
    match = re.compile(form, re.DOTALL).fullmatch

    def read(found: dict[str, str]) -> tuple[str, bytes, int | None]:
        value = found[header]
        fits = match(value)
        if fits is None or not value.isascii():
            raise LookupError
        return fits[1], before, None

    return read


def _tagged(header: str, form: str, template: str, unit: str) -> _Read:
    match, scale = re.compile(form, re.DOTALL).fullmatch, _SCALES[unit][1]
    front, behind = (part.replace("%%", "%") for part in template.split("%s"))

    def read(found: dict[str, str]) -> tuple[str, bytes, int | None]:
        value = found[header]
        fits = match(value)
        if fits is None or not value.isascii():
            raise LookupError
        stamp, signature = fits.groups()
        return signature, f"{front}{stamp}{behind}".encode(), int(stamp) * scale

    return read


def _timed(names: tuple[str, str, str], form: str, template: str, unit: str) -> _Read:
    match, (digits, scale) = re.compile(form, re.DOTALL).fullmatch, _SCALES[unit]
    header, time, id = names

    def read(found: dict[str, str]) -> tuple[str, bytes, int | None]:
        value, stamp = found[header], found[time]
        fits = match(value)
        if fits is None or len(stamp) != digits or not (value.isascii() and stamp.isdigit() and stamp.isascii()):
            raise LookupError
        if not id:
            return fits[1], (template % stamp).encode(), int(stamp) * scale
        label = found[id]
        if is_id(label) is None:
            raise LookupError
        return fits[1], (template % (label, stamp)).encode(), int(stamp) * scale

    return read


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
                if lengths[len(name)] and (key := name.lower()) in wanted:
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
                    moment = clock() if now is None else to_micros(aware(now, "now"))
                    if not moment - past <= at <= moment + future:
                        return None
                return VerifiedWebhook(origin, body, (key_id, at, before, b"", found, None))
        return None

    return accept
