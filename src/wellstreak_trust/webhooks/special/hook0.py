"""Coinbase Developer Platform (Hook0): the header names which headers are signed; only a fixed set may be named.

https://docs.cdp.coinbase.com/webhooks/verify-signatures
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ...core.errors import MalformedBody, MalformedHeader, MissingSignature
from ..parse import MAX_SIGNATURES, time_reader
from ..rule import Arrived, Proof, Rule, matched
from ..scheme import Mac, Scheme, Source, Timestamp

__all__ = ["SCHEMES", "signed_content"]

_HEADER: Final = "x-hook0-signature"
_NAMED: Final = ("content-type", "x-event-id", "x-event-type", "x-hook0-id")
_VALUE: Final = re.compile(r"[^.{]*")  # no dot, which is the border, and no beginning of a body
_EVENT: Final = re.compile(r"[^{]*")  # event types have dots
_seconds: Final = time_reader("s")


@dataclass(frozen=True, slots=True)
class Hook0Rule(Rule):
    """``t=…,h=names,v1=hex``."""

    content: ClassVar[str] = "{timestamp}.{names}.{values of the named headers, joined by dots}.{body}"
    signed: ClassVar[frozenset[str]] = frozenset(("timestamp", "body"))

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`; a set of names chosen by the sender would move bytes between headers and body."""
        entries = [part.partition("=") for part in arrived.headers.get(_HEADER, "").split(",", MAX_SIGNATURES + 1)]
        fields = {tag: text for tag, mark, text in entries if mark}
        if "v1" not in fields:
            raise MissingSignature("no v1 signature")
        if len(fields) != len(entries) or len(entries) > MAX_SIGNATURES:
            raise MalformedHeader("the signature header is not t=, h=, v1=, each once")
        at, named = _seconds(fields.get("t", "")), fields.get("h", "").split(" ")
        if len(set(named)) != len(named) or not set(named) <= set(_NAMED):
            raise MalformedHeader("the signature names headers that this provider does not sign")
        values = [arrived.headers.get(name, "") for name in named]
        for name, value in zip(named, values, strict=True):
            if not (_EVENT if name == "x-event-type" else _VALUE).fullmatch(value):
                raise MalformedHeader(f"{name} holds what could be a border")
        if not arrived.body.startswith(b"{"):
            raise MalformedBody("the border between headers and body is not clear", hint="such bodies are JSON objects")
        head = signed_content(fields["t"], named, values)
        key, _ = matched(keys, Mac(), [head + arrived.body], fields["v1"])
        return Proof(key.id, head + arrived.body, at)


def signed_content(stamp: str, named: Sequence[str], values: Sequence[str]) -> bytes:
    """What stands in front of the body."""
    return f"{stamp}.{' '.join(named)}.{'.'.join(values)}.".encode("latin-1", "replace")


SCHEMES: Final = (
    Scheme(
        "coinbase_cdp",
        ("X-Hook0-Signature",),
        rule=Hook0Rule(),
        timestamp=Timestamp(),
        id=Source(header="X-Hook0-Id"),
        type=Source(header="X-Event-Type"),
        reads=_NAMED,
    ),
)
