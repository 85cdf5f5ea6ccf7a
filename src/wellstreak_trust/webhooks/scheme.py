"""`Scheme`: how a provider signs, as data.

A scheme says where the signature stands, what is signed, with which algorithm, and what of it names the delivery and
its time. Verifier, signer, explainer and the reference table all read the same value, so a provider is one line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Final, Literal

from ..core.errors import ConfigurationError

if TYPE_CHECKING:
    from .rule import Rule

__all__ = ["Algorithm", "Codec", "Content", "Encoding", "Mac", "Pairs", "Plain", "Scheme", "Source", "Timestamp"]

Algorithm = Literal[
    "hmac-sha256", "hmac-sha1", "hmac-sha512", "sha256-concat", "ed25519", "ecdsa-p256", "rsa-sha256", "token"
]
Encoding = Literal["hex", "base64", "base64url", "text"]
Codec = Literal["utf8", "base64", "hex", "sha256", "whsec", "whpk", "ed25519-hex", "p256-spki", "rsa-pem"]

FIELDS: Final = frozenset(("body", "timestamp", "id", "url", "method"))
_NAME: Final = re.compile(r"[a-z0-9_.-]{1,64}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_ID_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_:-]*")


@dataclass(frozen=True, slots=True)
class Mac:
    """How one signature is made.

    Args:
        algorithm: ``sha256-concat`` hashes secret and content without HMAC, so it is length-extendable; ``token`` signs
            nothing: the header *is* the shared secret.
        encoding: of the signature text; hex is lower case, base64 canonical, base64url unpadded.
        codec: how key bytes are had from the configured secret text. Never guessed: ``whsec_`` is text to one provider
            and base64 to another.
        tag: the version that stands before the signature in a header of pairs.
    """

    algorithm: Algorithm = "hmac-sha256"
    encoding: Encoding = "hex"
    codec: Codec = "utf8"
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Plain:
    """The header is the signature, after a fixed prefix; with a separator, several of them."""

    prefix: str = ""
    separator: str = ""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The header is a list of tagged values in any order: ``t=1,v1=ab,v1=cd`` or ``v1,ab v1a,cd``.

    Args:
        timestamp: the tag of the timestamp, empty where the time stands elsewhere.
    """

    separator: str = ","
    assign: str = "="
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """The time of the delivery; `header` and `body` empty: it stands in the signature header's pairs.

    Args:
        body: dotted path of a JSON number in the body.
        unit: ``s`` is exactly 10 digits, ``ms`` exactly 13, ``iso`` one ISO 8601 form with offset.
        past, future: seconds of tolerance, both inclusive.
    """

    header: str = ""
    body: str = ""
    unit: Literal["s", "ms", "iso"] = "s"
    past: int = 300
    future: int = 60


@dataclass(frozen=True, slots=True)
class Source:
    """Where a label of the delivery stands: a header, or a dotted path in the JSON body."""

    header: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What is signed, split at the body so that a large body is never copied; the parts are ``%``-formats."""

    before: str
    has_body: bool
    after: str

    @classmethod
    def parse(cls, template: str) -> tuple[Content, frozenset[str]]:
        """The compiled template and its fields; `ConfigurationError` for one that is not well formed."""
        try:
            pieces = list(Formatter().parse(template))
        except ValueError:
            raise _refuse("content is not a template", "such as '{timestamp}.{body}'") from None
        halves, fields = [""], list[str]()
        for literal, name, spec, conversion in pieces:
            halves[-1] += literal.replace("%", "%%")
            if name is None:
                continue
            if name not in FIELDS or spec or conversion or name in fields:
                raise _refuse(f"content names {name!r}", "body, timestamp, id, url and method, each at most once")
            fields.append(name)
            halves = [*halves, ""] if name == "body" else [*halves[:-1], f"{halves[-1]}%({name})s"]
        return cls(halves[0], len(halves) == 2, halves[-1] if len(halves) == 2 else ""), frozenset(fields)


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a provider signs.

    Args:
        name: the provider key, ``[a-z0-9_.-]{1,64}``.
        headers: where the signature may stand; more than one only where the provider sends one a key.
        parser: the form of those headers.
        content: what is signed, a template of ``{body}``, ``{timestamp}``, ``{id}``, ``{url}`` and ``{method}``.
        mac: how it is signed; `also`: further algorithms the same header may carry.
        timestamp, id, type: where they stand; None where the provider sends none.
        rule: what of this data cannot say; `parser` and `content` are then unused.
        reads: further headers that a rule reads.
        challenge: the handshake the provider opens an endpoint with; empty for none.
        confirmed: what this row was checked against: a published ``vector``, a live ``peer`` in the tests, public
            ``code``, or the provider's ``docs``.

    Raises:
        ConfigurationError: fields that contradict each other, or a content whose borders could be shifted.
    """

    name: str
    headers: tuple[str, ...]
    parser: Plain | Pairs = Plain()
    content: str = "{body}"
    mac: Mac = Mac()
    also: tuple[Mac, ...] = ()
    timestamp: Timestamp | None = None
    id: Source | None = None
    type: Source | None = None
    challenge: str = ""
    confirmed: Literal["vector", "peer", "code", "docs"] = "docs"
    rule: Rule | None = None
    reads: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise _refuse("the name of a scheme is [a-z0-9_.-]{1,64}", "such as 'acme'")
        if not all(_HEADER.fullmatch(header) for header in (*self.headers, *self.reads)):
            raise _refuse(f"{self.name}: headers are not field names", "such as headers=('X-Acme-Signature',)")
        if self.rule is None:
            self._check_fields()

    def _check_fields(self) -> None:
        if not self.headers:
            raise _refuse(f"{self.name}: no header carries the signature", "such as headers=('X-Acme-Signature',)")
        _, fields = Content.parse(self.content)
        if ("timestamp" in fields) != self._sends_time():
            raise _refuse(
                f"{self.name}: content and timestamp disagree", "sign the time you check, check the time you sign"
            )
        if "id" in fields and not (self.id and self.id.header):
            raise _refuse(f"{self.name}: the signed id has no header", "id=Source(header='X-Acme-Id')")
        if any(bool(mac.tag) != isinstance(self.parser, Pairs) for mac in self.macs):
            raise _refuse(f"{self.name}: pairs need a tag, a plain header has none", "Pairs() with Mac(tag='v1')")
        if (self.mac.algorithm == "token") != (not fields):
            raise _refuse(
                f"{self.name}: a token signs nothing, everything else signs something", "content='' for tokens"
            )
        _check_borders(self.name, self.content)

    def _sends_time(self) -> bool:
        """Whether a time stands outside the body; one inside is signed with it."""
        return self.timestamp is not None and not self.timestamp.body

    @property
    def macs(self) -> tuple[Mac, ...]:
        """All algorithms that a header of this scheme may carry."""
        return (self.mac, *self.also)

    @property
    def needs_url(self) -> bool:
        """Whether the public URL is signed."""
        return self.rule.needs_url if self.rule is not None else "{url}" in self.content

    @property
    def opening(self) -> bytes:
        """What every body begins with, where the handshake signs any other text for anybody who asks."""
        return b"{" if self.challenge == "x" else b""

    @property
    def signed(self) -> frozenset[str]:
        """What the signature binds: of ``body``, ``url``, ``timestamp``, ``id``."""
        if self.rule is not None:
            return self.rule.signed
        _, fields = Content.parse(self.content)
        bound = set(fields) - {"method"}
        if "body" in bound:
            bound |= {"timestamp"} if self.timestamp and self.timestamp.body else set()
            bound |= {"id"} if self.id and self.id.body else set()
        return frozenset(bound)


def _check_borders(name: str, content: str) -> None:
    """An id has no fixed width: without a foreign character beside it, bytes could move over its border."""
    before, mark, after = content.partition("{id}")
    if not mark:
        return
    left, right = before.rpartition("}")[2], after.partition("{")[0]
    if (before and _ID_CHARACTERS.fullmatch(left)) or (after and _ID_CHARACTERS.fullmatch(right)):
        raise _refuse(f"{name}: the id has no border in the content", "put a dot beside it: '{id}.{body}'")


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="webhook_scheme")
