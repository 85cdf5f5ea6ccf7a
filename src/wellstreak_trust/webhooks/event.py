"""`VerifiedWebhook`: what an authentic delivery says, and how much of it the signature binds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..core.canonical import length_prefixed
from ..core.clock import from_micros
from ..core.errors import MalformedBody, UsageError
from .scheme import Source

if TYPE_CHECKING:
    from .rule import Proof

__all__ = ["Origin", "VerifiedWebhook", "dig", "load_json"]

_LABEL: Final = re.compile(r"[!-~]{1,256}").fullmatch


@dataclass(frozen=True, slots=True)
class Origin:
    """What all deliveries of one verifier share."""

    provider: str
    endpoint: str
    signed: frozenset[str]
    id: Source | None
    type: Source | None
    window: timedelta


# Which key signed and when, in microseconds; what was signed in front of the body and behind it; the headers that were
# read, by lower-case name; what a rule found. One value, because to build an event of many costs as much as parsing it.
Facts = tuple[str, int | None, bytes, bytes, dict[str, str], "Proof | None"]


class VerifiedWebhook:
    """An authentic delivery. Only a verifier makes one, so holding one is the proof; it has no truth value."""

    __slots__ = ("_body", "_document", "_facts", "_labels", "_origin")

    _document: Any
    _labels: tuple[str | None, str | None]

    def __init__(self, origin: Origin, body: bytes, facts: Facts) -> None:
        self._origin: Origin = origin
        self._body: bytes = body
        self._facts: Facts = facts

    @property
    def body(self) -> bytes:
        """The raw bytes that were verified."""
        return self._body

    @property
    def key_id(self) -> str:
        """Which configured secret signed it; tells when an old one is no longer used."""
        return self._facts[0]

    @property
    def provider(self) -> str:
        """The name of the scheme."""
        return self._origin.provider

    @property
    def endpoint(self) -> str:
        """The endpoint the verifier was made for; empty if it was not said."""
        return self._origin.endpoint

    @property
    def signed(self) -> frozenset[str]:
        """What the signature binds: of ``body``, ``url``, ``timestamp``, ``id``. Empty for a mere shared token."""
        return self._origin.signed

    @property
    def window(self) -> timedelta:
        """How long one signature stays acceptable; zero where no time is signed."""
        return self._origin.window

    @property
    def timestamp(self) -> datetime | None:
        """The signed time in UTC; None where the scheme signs none."""
        at = self._facts[1]
        return None if at is None else from_micros(at)

    @property
    def id(self) -> str | None:
        """The provider's id of the event. Unsigned (see `id_signed`) it is a label for logs, never a key."""
        return self._named()[0]

    @property
    def id_signed(self) -> bool:
        """Whether the signature binds the id."""
        return "id" in self._origin.signed and self.id is not None

    @property
    def type(self) -> str | None:
        """What the provider calls the event; from a header it is not signed, so decide nothing by it alone."""
        return self._named()[1]

    @property
    def replay_key(self) -> str:
        """64 hex digits, equal for deliveries of one event: over the signed id, else over the signed content.

        Never over an unsigned header, which anybody could change to make an old delivery new; never over the signature,
        because a rotation window carries two and dropping one would do the same.
        """
        where = (self.provider, self.endpoint)
        _, _, before, after, _, proof = self._facts
        if self.id_signed and (proof is None or proof.content is None):
            octets = length_prefixed("replay by id", *where, self.id or "")
        elif proof is not None:
            octets = length_prefixed("replay by content", *where, proof.content or b"", b"", b"")
        else:
            octets = length_prefixed("replay by content", *where, before, self._body, after)
        return sha256(octets).hexdigest()

    def json(self) -> Any:
        """The body parsed, once; raises `MalformedBody` if it is no JSON."""
        try:
            return self._document
        except AttributeError:  # not asked for yet
            self._document = load_json(self._body)
            return self._document

    def _named(self) -> tuple[str | None, str | None]:
        """Id and type, read once."""
        try:
            return self._labels
        except AttributeError:  # not asked for yet
            proof = self._facts[5]
            self._labels = (
                self._label(self._origin.id, proof.id if proof is not None else None),
                self._label(self._origin.type, proof.type if proof is not None else None),
            )
            return self._labels

    def _label(self, source: Source | None, proven: str | None) -> str | None:
        if proven is not None:
            return proven if _LABEL(proven) else None
        if source is None:
            return None
        if source.header:
            text = self._facts[4].get(source.header.lower(), "")
        else:
            try:
                text = dig(load_json(self._body), source.body)
            except MalformedBody:
                return None
        return text if _LABEL(text) else None

    def __bool__(self) -> NoReturn:
        raise UsageError("a verified webhook has no truth value", hint="verify() raises when it refuses; test nothing")

    def __repr__(self) -> str:
        return f"VerifiedWebhook({self.provider!r}, key_id={self.key_id!r})"


def load_json(body: bytes, *, once: bool = False) -> Any:
    """UTF-8 JSON (RFC 8259, 8.1); `MalformedBody` for anything else, however deep or long its numbers are.

    Args:
        once: refuse names that stand twice in one object, where a signature is over parsed fields: two readers may
            each take another one.
    """
    try:
        hook = _each_once if once else None
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=hook)
    except (ValueError, RecursionError):
        raise MalformedBody("the body is not JSON", hint="some providers send forms: read event.body instead") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def dig(document: Any, path: str) -> str:
    """The text or whole number at a dotted path, as text; empty if there is none."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    if type(document) is int:
        return str(document) if -_I64 <= document < _I64 else ""
    return document if type(document) is str else ""


_I64: Final = 2**63
