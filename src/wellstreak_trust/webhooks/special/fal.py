"""fal: Ed25519 over four lines, one of them the body's hash, with keys from its key set.

https://docs.fal.ai/model-endpoints/webhooks#signature-verification
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar, Final

from ...core.errors import MalformedHeader, MissingSignature, SignatureMismatch, UntrustedCertificate
from ..codecs import decode_signature
from ..key_source import KeySource
from ..parse import is_id, time_reader
from ..rule import Arrived, Proof, Rule
from ..scheme import Mac, Scheme, Source, Timestamp
from .pinned import Pinned, build

__all__ = ["SCHEMES", "signed_lines"]

_ADDRESS: Final = re.compile(r"|https://rest(\.alpha)?\.fal\.ai/\.well-known/jwks\.json")
_HEADERS: Final = ("X-Fal-Webhook-Request-Id", "X-Fal-Webhook-User-Id", "X-Fal-Webhook-Timestamp")
_MAX_KEYS: Final = 16
_seconds: Final = time_reader("s")
_LABEL: Final = re.compile(r"[!-~]{1,256}")


@dataclass(frozen=True, slots=True)
class FalRule(Rule):
    """The key set names no key id, so each of its keys is tried."""

    content: ClassVar[str] = "request id, user id, {timestamp} and the body's SHA-256, one a line"
    configured: ClassVar[str] = "address of the key set, or the key set"
    signed: ClassVar[frozenset[str]] = frozenset(("id", "timestamp", "body"))
    fetches: ClassVar[bool] = True

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """The key set's address, or the key set itself."""
        return build(texts, source, _ADDRESS.fullmatch, "https://rest.fal.ai/.well-known/jwks.json, or the key set")

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        id, user, stamp = (arrived.headers.get(name.lower(), "") for name in _HEADERS)
        signature = arrived.headers.get("x-fal-webhook-signature", "")
        if not signature or not id or not user or not stamp:
            raise MissingSignature("an X-Fal-Webhook header is missing")
        at, octets = _seconds(stamp), decode_signature(signature, "hex")
        if octets is None or not is_id(id) or not _LABEL.fullmatch(user):
            raise MalformedHeader("an id or the signature has not its form")
        message = signed_lines(id, user, stamp, arrived.body)
        for key in keys:
            if _signs(key, octets, message, anew=False) or (
                not key.material and _signs(key, octets, message, anew=True)
            ):
                return Proof(key.id, None, at, id=id)
        raise SignatureMismatch("no published key made this signature")


def signed_lines(id: str, user: str, stamp: str, body: bytes) -> bytes:
    """What is signed."""
    return f"{id}\n{user}\n{stamp}\n{sha256(body).hexdigest()}".encode()


def _signs(key: Pinned, signature: bytes, message: bytes, *, anew: bool) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for jwk in key.jwks(key.identity, anew=anew)[:_MAX_KEYS]:
        octets = decode_signature(str(jwk.get("x")), "base64url")
        if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519" or octets is None or len(octets) != 32:
            raise UntrustedCertificate("the key set holds another kind of key")
        try:
            Ed25519PublicKey.from_public_bytes(octets).verify(signature, message)
            return True
        except InvalidSignature:
            continue
    return False


SCHEMES: Final = (
    Scheme(
        "fal",
        ("X-Fal-Webhook-Signature",),
        mac=Mac("ed25519", "hex", "ed25519-hex"),
        rule=FalRule(),
        timestamp=Timestamp(_HEADERS[2], past=300, future=300),
        id=Source(header=_HEADERS[0]),
        type=Source(body="status"),
        reads=(_HEADERS[1],),
    ),
)
