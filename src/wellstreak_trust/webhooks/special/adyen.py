"""Adyen's payment notifications: eight fields of every item, joined by colons; the rest of the body is not signed.

https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures (standard webhooks)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ...core.canonical import length_prefixed
from ...core.errors import MalformedBody, MissingSignature
from ..event import load_json
from ..rule import Arrived, Proof, Rule, matched
from ..scheme import Mac, Scheme

__all__ = ["SCHEMES", "signed_fields"]

_FIELDS: Final = (
    ("pspReference",),
    ("originalReference",),
    ("merchantAccountCode",),
    ("merchantReference",),
    ("amount", "value"),
    ("amount", "currency"),
    ("eventCode",),
    ("success",),
)
_MAC: Final = Mac("hmac-sha256", "base64", "hex")


@dataclass(frozen=True, slots=True)
class AdyenRule(Rule):
    """Every item of the batch carries its own signature, and every one must fit."""

    content: ClassVar[str] = "of every item 8 fields joined by `:`; nothing else of the body"
    signed: ClassVar[frozenset[str]] = frozenset(("id",))

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        found = _items(load_json(arrived.body, once=True))
        proven = [matched(keys, _MAC, [signed_fields(item).encode()], _signature(item)) for item in found]
        one = found[0] if len(found) == 1 else {}
        content = length_prefixed(*(content for _, content in proven))
        return Proof(proven[0][0].id, content, id=one.get("pspReference"), type=one.get("eventCode"))


def signed_fields(item: dict[str, Any]) -> str:
    """What one item's signature is over; a missing field is empty, and nothing is escaped."""
    return ":".join(_text(item, path) for path in _FIELDS)


def _text(item: Any, path: tuple[str, ...]) -> str:
    for name in path:
        item = item.get(name) if isinstance(item, dict) else None
    if type(item) is bool:
        return "true" if item else "false"
    if item is None or (type(item) is int and abs(item) < 2**63):
        return "" if item is None else str(item)
    if type(item) is str and not any("\ud800" <= char <= "\udfff" for char in item):
        return item
    raise MalformedBody(f"{'.'.join(path)} is neither text nor a whole number")


def _items(document: Any) -> list[dict[str, Any]]:
    """The items of a batch; a bare item is a batch of one."""
    found: list[Any] = [document]
    if isinstance(document, dict) and "notificationItems" in document:
        batch = document["notificationItems"]
        if not isinstance(batch, list) or not batch:
            raise MissingSignature("no notification item")
        found = [each.get("NotificationRequestItem") if isinstance(each, dict) else None for each in batch]
    whole = [each for each in found if isinstance(each, dict)]
    if len(whole) != len(found):
        raise MalformedBody("not a notification of Adyen")
    return whole


def _signature(item: dict[str, Any]) -> str:
    extra = item.get("additionalData")
    found = extra.get("hmacSignature") if isinstance(extra, dict) else None
    return found if type(found) is str else ""


SCHEMES: Final = (Scheme("adyen_payments", (), mac=_MAC, rule=AdyenRule(), confirmed="vector"),)
