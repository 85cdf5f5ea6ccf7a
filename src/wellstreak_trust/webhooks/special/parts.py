"""Providers that sign a part of the body: Braintree, Mailgun, Dropbox Sign, Microsoft Graph.

https://developer.paypal.com/braintree/docs/guides/webhooks/parse,
https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks,
https://developers.hellosign.com/docs/events/walkthrough/ (event hash verification),
https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks (clientState)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from hmac import compare_digest
from typing import Any, ClassVar, Final

from ...core.canonical import length_prefixed
from ...core.errors import MalformedBody, MalformedHeader, MissingSignature, SignatureMismatch, WeakSecret
from ..event import dig, load_json
from ..key_source import KeySource
from ..keys import SharedKey, build_keys
from ..parse import time_reader
from ..rule import Arrived, Proof, Rule, matched
from ..scheme import Mac, Scheme, Source, Timestamp
from .forms import field, multipart, pairs

__all__ = ["CHALLENGE", "SCHEMES", "BraintreeKey"]

_HEX: Final = Mac()
_HEX1: Final = Mac("hmac-sha1")
_seconds: Final = time_reader("s")
_TOKEN: Final = re.compile(r"[0-9a-f]{50}")
CHALLENGE: Final = re.compile(r"[a-f0-9]{20,32}")


@dataclass(frozen=True, slots=True)
class BraintreeRule(Rule):
    """A form of a payload and of ``public_key|signature`` pairs; the configured public key picks the pair."""

    content: ClassVar[str] = "bt_payload; the key is SHA-1 of the private key"
    configured: ClassVar[str] = "public_key|private_key"
    signed: ClassVar[frozenset[str]] = frozenset(("body",))

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """One secret is ``public_key|private_key``."""
        return tuple(_braintree_key(text, allow_weak) for text in texts)

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        found = pairs(arrived.body)
        if {name for name, _ in found} - {"bt_signature", "bt_payload"}:
            raise MalformedBody("the form holds more than Braintree sends")
        payload, entries = field(found, "bt_payload"), field(found, "bt_signature").split("&")
        if len(entries) > 8:
            raise MalformedBody("more than 8 signatures")
        presented = dict(entry.split("|") for entry in entries if entry.count("|") == 1)
        if len(presented) != len(entries):
            raise MissingSignature("bt_signature is not a list of public_key|signature")
        mine = [key for key in keys if key.public in presented]
        if not mine:
            raise SignatureMismatch("signed for another public key", hint="the secret is 'public_key|private_key'")
        if CHALLENGE.fullmatch(payload.rstrip("\n")):
            # The handshake signs such texts for whoever asks (`challenge`), so here they prove nothing.
            raise MalformedBody("the payload is what a handshake signs, and no notification")
        # The provider's own libraries also take the payload with the line feed that some stacks strip.
        matched(mine[:1], _HEX1, (payload.encode(), payload.encode() + b"\n"), presented[mine[0].public])
        return Proof(mine[0].id, payload.rstrip("\n").encode())


class BraintreeKey(SharedKey):
    """The pair of the control panel; `public` names it in requests."""

    __slots__ = ("public",)

    def __init__(self, public: str, private: str) -> None:
        super().__init__(sha1(private.encode(), usedforsecurity=False).digest(), _HEX1)
        self.public: str = public


def _braintree_key(text: str, allow_weak: bool) -> BraintreeKey:
    public, mark, private = text.partition("|")
    if not mark or not public or not private or "|" in private:
        raise WeakSecret("not public_key|private_key", hint="both from the control panel, joined by |")
    if len(private) < 16 and not allow_weak:
        raise WeakSecret("the private key has under 16 characters", hint="allow_weak=True only for examples")
    return BraintreeKey(public, private)


@dataclass(frozen=True, slots=True)
class MailgunRule(Rule):
    """A token and a time; whoever sees one delivery may put another body beside them until the token is claimed."""

    content: ClassVar[str] = "body `signature.timestamp` and `signature.token`; the event itself is NOT signed"
    signed: ClassVar[frozenset[str]] = frozenset(("timestamp", "id"))

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        document = load_json(arrived.body, once=True)
        stamp, token = dig(document, "signature.timestamp"), dig(document, "signature.token")
        signature = dig(document, "signature.signature")
        if not signature:
            raise MissingSignature("no signature in the body")
        at = _seconds(stamp)
        if not _TOKEN.fullmatch(token):
            raise MalformedHeader("the token is not 50 hex digits")
        key, _ = matched(keys, _HEX, [(stamp + token).encode()], signature)
        return Proof(key.id, None, at, id=token)


@dataclass(frozen=True, slots=True)
class DropboxSignRule(Rule):
    """An event's time and type; the body may be JSON, a form, or multipart with the JSON in its field.

    Two customers may sign within one second, so time and type do not tell events apart. The replay key adds what the
    event is about. That is not signed, which costs nothing: who can make a delivery pass once can choose its body
    anyway, until the time is over.
    """

    content: ClassVar[str] = "body `event.event_time` and `event.event_type`; the rest is NOT signed"
    signed: ClassVar[frozenset[str]] = frozenset(("timestamp",))

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        document = load_json(_json_part(arrived), once=True)
        stamp, kind = dig(document, "event.event_time"), dig(document, "event.event_type")
        signature = dig(document, "event.event_hash")
        if not signature:
            raise MissingSignature("no event_hash in the body")
        at = _seconds(stamp)
        if not re.fullmatch(r"[a-z_]{1,64}", kind):
            raise MalformedHeader("the event type is not lower-case words")
        key, content = matched(keys, _HEX, [(stamp + kind).encode()], signature)
        return Proof(key.id, length_prefixed(content, *(dig(document, path) for path in _ABOUT)), at, type=kind)


_ABOUT: Final = (
    "event.event_metadata.related_signature_id",
    "event.event_metadata.reported_for_account_id",
    "event.event_metadata.reported_for_app_id",
    "signature_request.signature_request_id",
    "template.template_id",
    "account.account_id",
)


def _json_part(arrived: Arrived) -> bytes:
    kind = arrived.headers.get("content-type", "")
    if kind.lower().startswith("multipart/form-data"):
        return multipart(kind, arrived.body, "json")
    if arrived.body.startswith(b"json="):
        return field(pairs(arrived.body), "json").encode()
    return arrived.body


@dataclass(frozen=True, slots=True)
class ClientStateRule(Rule):
    """A shared token in every notification of the batch."""

    content: ClassVar[str] = "none: a shared token in the body (`value[].clientState`)"

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """The clientState as given when the subscription was made, at most 128 characters."""
        return build_keys(scheme, texts, allow_weak=allow_weak)

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        document = load_json(arrived.body, once=True)
        batch = document.get("value") if isinstance(document, dict) else None
        if not isinstance(batch, list) or not batch:
            raise MissingSignature("no notification in the body")
        states = [each.get("clientState") if isinstance(each, dict) else None for each in batch]
        if not all(isinstance(state, str) and state for state in states):
            raise MissingSignature("a notification carries no clientState")
        presented = [str(state).encode("utf-8", "surrogatepass") for state in states]
        for key in keys:
            expected = key.code(b"", b"", b"").encode()
            if all([compare_digest(expected, state) for state in presented]):
                return Proof(key.id, arrived.body)
        raise SignatureMismatch("a clientState is not the configured one")


SCHEMES: Final = (
    Scheme("braintree", (), mac=_HEX1, rule=BraintreeRule(), challenge="braintree", confirmed="vector"),
    Scheme(
        "mailgun",
        (),
        rule=MailgunRule(),
        timestamp=Timestamp(body="signature.timestamp"),
        id=Source(body="signature.token"),
        type=Source(body="event-data.event"),
    ),
    Scheme(
        "dropbox_sign",
        (),
        rule=DropboxSignRule(),
        timestamp=Timestamp(body="event.event_time", past=3 * 86_400),  # of the event: retries for three days carry it
        reads=("Content-Type",),
    ),
    Scheme("msgraph", (), mac=Mac("token", "text"), rule=ClientStateRule(), challenge="msgraph"),
)
