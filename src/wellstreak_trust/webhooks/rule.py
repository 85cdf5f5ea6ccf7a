"""`Rule`: what a scheme does that data cannot say.

A `Scheme` with a rule is still data for everybody who reads about it (headers, tolerance, handshake, documentation);
the rule only answers one question: which key signed what. The verifier does the rest in the same order for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..core.errors import MalformedHeader, MissingSignature, SignatureMismatch
from .codecs import shape
from .key_source import KeySource
from .keys import Key, build_keys
from .parse import Fields

if TYPE_CHECKING:
    from .scheme import Mac, Scheme

__all__ = ["Arrived", "Proof", "Rule", "matched"]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery after the cheap refusals: size, repeated headers, lengths.

    Args:
        headers: by lower-case name; those that the scheme reads, or all where its rule asks for all.
        url: the configured public URL where the rule needs it, else empty.
        now: microseconds since 1970, for certificates; the tolerance is the verifier's business.
    """

    headers: Fields
    body: bytes
    url: str
    method: str
    now: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What a rule found to be authentic.

    Args:
        key_id: which configured key it was.
        content: what makes the delivery this one and no other, for the replay key; None where the signed id does.
        at: the signed time in microseconds since 1970; None where none is signed.
        until: the signed end, likewise.
        id, type: where they stand in no header or JSON path.
    """

    key_id: str
    content: bytes | None
    at: int | None = None
    until: int | None = None
    id: str | None = None
    type: str | None = None


class Rule(ABC):
    """Base of the special schemes; a rule holds no secrets and no state.

    Attributes:
        content: in words, what is signed.
        configured: in words, what a verifier is configured with; empty where the codec of the MAC says it.
        signed: of ``body``, ``url``, ``timestamp``, ``id``.
        needs_url: whether the public URL is signed.
        every_header: whether any header may be signed.
        fetches: whether keys may be had from an address, so that verifying may block.
    """

    __slots__ = ()

    content: ClassVar[str] = ""
    configured: ClassVar[str] = ""
    signed: ClassVar[frozenset[str]] = frozenset()
    needs_url: ClassVar[bool] = False
    every_header: ClassVar[bool] = False
    fetches: ClassVar[bool] = False

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """What `prove` is given for the configured secrets; raises `WeakSecret`."""
        return build_keys(scheme, texts, allow_weak=allow_weak)

    @abstractmethod
    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """Which key signed what; raises a `WebhookError`."""


def matched(keys: Sequence[Key], mac: Mac, contents: Iterable[bytes], signature: str) -> tuple[Key, bytes]:
    """The key and the content that one signature is over.

    Raises:
        MissingSignature: it is empty. MalformedHeader: it has not the form of one. SignatureMismatch: it fits nothing.
    """
    if not signature:
        raise MissingSignature("no signature")
    if not shape(mac)(signature):
        raise MalformedHeader("the signature has not the form of one", hint="hex is lower case, base64 canonical")
    tried = tuple(contents)
    for key in keys:
        for content in tried:
            if key.matches(content, b"", b"", (signature,)):
                return key, content
    raise SignatureMismatch(
        f"none of {len(keys)} secrets made this signature", hint="webhooks.explain() names the cause"
    )
