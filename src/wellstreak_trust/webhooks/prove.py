"""Which key signed what, for schemes that are data.

Two ways lead to the same answer. The general one parses strictly and knows every refusal. In front of it stands a quick
one, made of the scheme once: an expression that the usual header fits as a whole, and the MAC of the first key. It only
ever accepts; whatever it does not accept at once goes the general way, which decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from ..core.errors import MalformedHeader, MissingSignature, SignatureMismatch
from .codecs import pattern, shape
from .keys import Code, Key, SharedKey
from .parse import Fields, Signatures, is_id, reader, time_reader
from .scheme import Content, Pairs, Scheme

__all__ = ["Prover", "Quick", "Signed", "quick"]

Signed = tuple[str, int | None, bytes, bytes]  # key id, time in microseconds, what was signed before and after the body
Quick = Callable[[Fields, bytes], Signed | None]

_HMAC: Final = frozenset(("hmac-sha256", "hmac-sha1", "hmac-sha512"))
_SCALES: Final = {"s": (r"\d{10}", 1_000_000), "ms": (r"\d{13}", 1_000)}


class Prover:
    """The general way."""

    __slots__ = ("_content", "_headers", "_id", "_keys", "_names", "_read_time", "_reads", "_shapes", "_time")

    def __init__(self, scheme: Scheme, keys: tuple[Key, ...]) -> None:
        time, id = scheme.timestamp, scheme.id
        self._keys: tuple[Key, ...] = keys
        self._names: str = " or ".join(scheme.headers)
        self._headers: tuple[str, ...] = tuple(header.lower() for header in scheme.headers)
        self._time: str = time.header.lower() if time else ""
        self._id: str = id.header.lower() if id and "{id}" in scheme.content else ""
        self._read_time: Callable[[str], int] = time_reader(time.unit if time else "s")
        self._content: Content = Content.parse(scheme.content)[0]
        self._reads: Callable[[str, Signatures, Fields], None] = reader(
            scheme.parser, frozenset(key.mac.tag for key in keys)
        )
        self._shapes: dict[str, Callable[[str], object]] = {mac.tag: shape(mac) for mac in scheme.macs}

    def prove(self, found: Fields, body: bytes, address: Fields) -> Signed:
        """What was signed, and by which key; `address` is what the content takes from the request line."""
        signatures, fields = self._presented(found)
        fields |= address
        at = self._read_time(fields["timestamp"]) if "timestamp" in fields else None
        content = self._content
        before = (content.before % fields).encode()
        after = (content.after % fields).encode() if content.after else b""
        key = self._matching(before, body if content.has_body else b"", after, signatures)
        return key.id, at, before, after

    def _presented(self, found: Fields) -> tuple[Signatures, Fields]:
        signatures: Signatures = {}
        fields: Fields = {}
        for header in self._headers:
            value = found.get(header)
            if value is not None:
                self._reads(value, signatures, fields)
        if not signatures:
            raise MissingSignature(f"no known signature in {self._names}")
        if self._time:
            fields["timestamp"] = _required(found, self._time)
        if self._id:
            fields["id"] = _required(found, self._id)
            if not is_id(fields["id"]):
                raise MalformedHeader(f"{self._id} is not of [A-Za-z0-9_:-]")
        return signatures, fields

    def _matching(self, before: bytes, body: bytes, after: bytes, signatures: Signatures) -> Key:
        for key in self._keys:
            texts = signatures.get(key.mac.tag)
            if texts is not None and key.matches(before, body, after, texts):
                return key
        for tag, texts in signatures.items():
            if any(map(self._shapes[tag], texts)):
                raise SignatureMismatch(
                    f"none of {len(self._keys)} secrets made this signature", hint="webhooks.explain() names the cause"
                )
        raise MalformedHeader("no entry has the form of a signature", hint="hex is lower case, base64 canonical")


def quick(scheme: Scheme, keys: tuple[Key, ...]) -> Quick | None:
    """The quick way, for HMAC of one header's signature with nothing behind the body; None for all other schemes."""
    content, fields = Content.parse(scheme.content)
    first = keys[0]
    time = scheme.timestamp if scheme.timestamp and not scheme.timestamp.body else None
    if (
        len(scheme.headers) != 1
        or not isinstance(first, SharedKey)
        or first.mac.algorithm not in _HMAC
        or content.after
        or not content.has_body
        or fields & {"url", "method"}
        or (time is not None and time.unit not in _SCALES)
    ):
        return None
    form = re.compile(_form(scheme, first)).fullmatch
    header, code, key_id = scheme.headers[0].lower(), first.code, first.id
    if time is None:
        return _bare(header, form, code, (key_id, None, content.before.encode(), b""))
    scale, template = _SCALES[time.unit][1], _positional(content.before)
    if not time.header:
        return _tagged(header, form, code, (key_id, scale, template))
    stamped = re.compile(_SCALES[time.unit][0], re.ASCII).fullmatch
    id = scheme.id.header.lower() if scheme.id and "id" in fields else ""
    if id:
        names = (id, time.header.lower()) if content.before.find("(id)") < content.before.find("(time") else ()
        return _named(header, form, code, (key_id, scale, template, names, stamped)) if names else None
    return _timed(header, form, code, (key_id, scale, template, time.header.lower(), stamped))


def _form(scheme: Scheme, key: SharedKey) -> str:
    """An expression with the groups time (where the header carries it) and signature."""
    signature, parser = f"({pattern(key.mac)})", scheme.parser
    if not isinstance(parser, Pairs):
        return re.escape(parser.prefix) + signature
    tagged = re.escape(key.mac.tag + parser.assign) + signature
    if not parser.timestamp or scheme.timestamp is None:
        return tagged
    stamp = _SCALES[scheme.timestamp.unit][0]
    return f"{re.escape(parser.timestamp + parser.assign)}((?a:{stamp})){re.escape(parser.separator)}{tagged}"


def _positional(template: str) -> str:
    return template.replace("%(timestamp)s", "%s").replace("%(id)s", "%s")


Form = Callable[[str], "re.Match[str] | None"]


def _bare(header: str, form: Form, code: Code, signed: Signed) -> Quick:
    before = signed[2]

    def prove(found: Fields, body: bytes) -> Signed | None:
        match = form(found.get(header, ""))
        if match is not None and compare_digest(code(before, body, b""), match[1]):
            return signed
        return None

    return prove


def _tagged(header: str, form: Form, code: Code, known: tuple[str, int, str]) -> Quick:
    key_id, scale, template = known

    def prove(found: Fields, body: bytes) -> Signed | None:
        match = form(found.get(header, ""))
        if match is None:
            return None
        stamp, signature = match.groups()
        before = (template % stamp).encode()
        if compare_digest(code(before, body, b""), signature):
            return key_id, int(stamp) * scale, before, b""
        return None

    return prove


def _timed(header: str, form: Form, code: Code, known: tuple[str, int, str, str, Form]) -> Quick:
    key_id, scale, template, time, stamped = known

    def prove(found: Fields, body: bytes) -> Signed | None:
        match, stamp = form(found.get(header, "")), found.get(time, "")
        if match is None or not stamped(stamp):
            return None
        before = (template % stamp).encode()
        if compare_digest(code(before, body, b""), match[1]):
            return key_id, int(stamp) * scale, before, b""
        return None

    return prove


def _named(header: str, form: Form, code: Code, known: tuple[str, int, str, tuple[str, ...], Form]) -> Quick:
    key_id, scale, template, (name, time), stamped = known

    def prove(found: Fields, body: bytes) -> Signed | None:
        match, stamp, id = form(found.get(header, "")), found.get(time, ""), found.get(name, "")
        if match is None or not stamped(stamp) or not is_id(id):
            return None
        before = (template % (id, stamp)).encode()
        if compare_digest(code(before, body, b""), match[1]):
            return key_id, int(stamp) * scale, before, b""
        return None

    return prove


def _required(found: Fields, header: str) -> str:
    value = found.get(header)
    if value is None:
        raise MissingSignature(f"no {header} header")
    return value
