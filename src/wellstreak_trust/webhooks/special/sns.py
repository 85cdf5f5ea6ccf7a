"""Amazon SNS: named fields of the body, line by line, signed with a key whose certificate the message points to.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

Anybody can make SNS sign: it signs every topic's messages with the same keys. So the topic is part of the
configuration, and the secret is its ARN.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from ...core.errors import MalformedBody, MissingSignature, SignatureMismatch, UnsupportedScheme
from ..codecs import decode_signature
from ..event import load_json
from ..key_source import KeySource, trusted
from ..parse import time_reader
from ..rule import Arrived, Proof, Rule
from ..scheme import Mac, Scheme, Source, Timestamp
from .pinned import Pinned, build, public_key, rsa_verifies

__all__ = ["HOST", "SCHEMES", "signed_lines"]

# A region and nothing else: `sns.s3-us-west-2.amazonaws.com` is a bucket of whoever took the name.
HOST: Final = re.compile(r"sns\.[a-z]{2}(-[a-z]{2,16}){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?")
_PATH: Final = re.compile(r"/SimpleNotificationService-[0-9a-zA-Z]{1,64}\.pem")
_TOPIC: Final = re.compile(r"arn:aws(-[a-z-]+)?:sns:[a-z0-9-]{3,32}:\d{12}:[A-Za-z0-9_.-]{1,256}", re.ASCII)
_MESSAGE: Final = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRM: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_LINES: Final = {
    "Notification": _MESSAGE,
    "SubscriptionConfirmation": _CONFIRM,
    "UnsubscribeConfirmation": _CONFIRM,
}
_iso: Final = time_reader("iso")


@dataclass(frozen=True, slots=True)
class SnsRule(Rule):
    """Version 2 (SHA-256); version 1 is SHA-1 and only taken by the scheme that asks for it."""

    content: ClassVar[str] = "body: Key\\nValue\\n of the message's fields; other fields are NOT signed"
    configured: ClassVar[str] = "topic ARN [, certificate]"
    signed: ClassVar[frozenset[str]] = frozenset(("timestamp", "id"))
    fetches: ClassVar[bool] = True

    versions: tuple[str, ...] = ("2",)

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """The topic's ARN, optionally with the certificate."""
        return build(texts, source, _TOPIC.fullmatch, "the topic's ARN: arn:aws:sns:region:account:topic")

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`; what costs a request comes last."""
        document = load_json(arrived.body, once=True)
        lines = signed_lines(document)
        signature = document.get("Signature")
        if not isinstance(signature, str) or not signature:
            raise MissingSignature("no signature in the body")
        if document.get("SignatureVersion") not in self.versions:
            raise UnsupportedScheme("another signature version", hint="set the topic to SignatureVersion 2")
        octets = decode_signature(signature, "base64")
        at = _iso(document["Timestamp"])
        mine = [key for key in keys if key.identity == document["TopicArn"]]
        if octets is None or not mine:
            raise SignatureMismatch("signed for another topic", hint="the secret is the topic's ARN")
        url = trusted(document.get("SigningCertURL"), HOST, _PATH)
        digest = "sha256" if document["SignatureVersion"] == "2" else "sha1"
        if not rsa_verifies(_certified(mine[0], url, arrived.now), octets, lines, digest):
            raise SignatureMismatch("the certificate's key did not make this signature")
        return Proof(mine[0].id, None, at, id=document["MessageId"], type=document["Type"])


def _certified(key: Pinned, url: str, now: int) -> Any:
    return public_key(key.material.encode() if key.material else key.source.fetch(url), now)


def signed_lines(document: Any) -> bytes:
    """The string to sign; `MalformedBody` where a field is no text or could not be told from the next."""
    kind = document.get("Type") if isinstance(document, dict) else None
    names = _LINES.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise MalformedBody("not a message of SNS")
    found = []
    for name in names:
        value = document.get(name)
        if value is None and name == "Subject":
            continue
        # Only the free text may hold line feeds: a field that ran over several lines could be read as two.
        if not isinstance(value, str) or (name != "Message" and "\n" in value):
            raise MalformedBody(f"{name} is not text")
        found.append(f"{name}\n{value}\n")
    try:
        return "".join(found).encode()
    except UnicodeError:
        raise MalformedBody("a signed field is not Unicode text") from None


_TIME: Final = Timestamp(body="Timestamp", unit="iso", past=3_600, future=300)
_ID: Final = Source(body="MessageId")
_RSA: Final = Mac("rsa-sha256", "base64", "rsa-pem")

SCHEMES: Final = (
    Scheme("sns", (), mac=_RSA, rule=SnsRule(), timestamp=_TIME, id=_ID, challenge="sns"),
    # SHA-1: for topics that cannot be changed.
    Scheme("sns_sha1", (), mac=_RSA, rule=SnsRule(("1", "2")), timestamp=_TIME, id=_ID, challenge="sns"),
)
