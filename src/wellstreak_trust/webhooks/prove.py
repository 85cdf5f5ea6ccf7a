"""Which key signed what, for schemes that are data: strict parsing, one MAC a key, a reason for every refusal."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import MalformedHeader, MissingSignature, SignatureMismatch
from .codecs import shape
from .keys import Key
from .parse import Fields, Signatures, is_id, reader, time_reader
from .scheme import Content, Scheme

__all__ = ["Prover", "Signed"]

Signed = tuple[str, int | None, bytes, bytes]  # key id, time in microseconds, what was signed before and after the body


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


def _required(found: Fields, header: str) -> str:
    value = found.get(header)
    if value is None:
        raise MissingSignature(f"no {header} header")
    return value
