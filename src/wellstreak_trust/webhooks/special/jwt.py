"""Providers that sign with a JWT (RFC 7519): Plaid and FusionAuth bind the body's hash, Google binds nothing of it.

https://plaid.com/docs/api/webhooks/webhook-verification/,
https://fusionauth.io/docs/extend/events-and-webhooks/signing,
https://developers.google.com/workspace/chat/verify-requests-from-chat,
https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions

The algorithm is the scheme's, never the token's (RFC 8725, 3.1). A token has one spelling here: base64url that decodes
and encodes to itself.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any, ClassVar, Final

from ...core.canonical import length_prefixed
from ...core.errors import (
    MalformedBody,
    MalformedHeader,
    MissingSignature,
    SignatureMismatch,
    UnsupportedScheme,
    UntrustedCertificate,
    WeakSecret,
)
from ..codecs import decode_signature
from ..event import dig, load_json
from ..key_source import KeySource
from ..rule import Arrived, Proof, Rule
from ..scheme import Mac, Scheme, Source, Timestamp
from .pinned import Pinned, build

__all__ = ["SCHEMES", "Token"]

_SECOND: Final = 1_000_000
_MAX_KEYS: Final = 32


@dataclass(frozen=True, slots=True)
class Token:
    """A compact JWS that parsed; nothing in it is trusted yet."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, text: str) -> Token:
        """Raises `MalformedHeader`."""
        parts = text.split(".", 3)
        octets = [decode_signature(part, "base64url") for part in parts]
        if len(parts) != 3 or None in octets:
            raise MalformedHeader("not a compact JWS", hint="three parts of base64url without padding")
        try:
            header, claims = load_json(octets[0] or b"", once=True), load_json(octets[1] or b"", once=True)
        except MalformedBody:
            raise MalformedHeader("the token holds no JSON") from None
        if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header:
            raise MalformedHeader("the token is not of a form that is read here")
        return cls(header, claims, ".".join(parts[:2]).encode(), octets[2] or b"")

    def time(self, name: str) -> int | None:
        """A NumericDate in microseconds; None where there is none."""
        value = self.claims.get(name)
        if value is None:
            return None
        if type(value) is not int or not 0 < value < 10**10:
            raise MalformedHeader(f"{name} is not a time in seconds")
        return value * _SECOND

    def text(self, name: str) -> str:
        """A claim that is text, or empty."""
        value = self.claims.get(name)
        return value if isinstance(value, str) else ""

    def is_by(self, jwk: dict[str, Any], algorithm: str) -> bool:
        """Whether that key made it; a key of another kind is `UntrustedCertificate`."""
        from jwt import PyJWK
        from jwt.exceptions import PyJWTError

        if jwk.get("kty") == "oct":
            raise UntrustedCertificate("a published key is no shared secret")
        try:
            key = PyJWK(jwk, algorithm)
            return bool(key.Algorithm.verify(self.signed, key.key, self.signature))
        except (PyJWTError, ValueError, TypeError, AttributeError):
            raise UntrustedCertificate("the key is not of the algorithm that this provider signs with") from None


@dataclass(frozen=True, slots=True)
class JwtRule(Rule):
    """One JWT in a header.

    Args:
        header, prefix: where it stands.
        algorithms: those the scheme takes; each is bound to its kind of key.
        hashed: how the claim ``request_body_sha256`` is written; None where the body is not bound.
        says: the address of the keys, given the configured identity and the token; raises where a claim is wrong.
        fits, hint: the form of the identity.
        about: where the body, which is not bound, says what it is about; retries differ in the rest.
    """

    fetches: ClassVar[bool] = True

    header: str
    algorithms: tuple[str, ...]
    says: Callable[[Pinned, Token], tuple[str, bytes | None]]
    fits: Callable[[str], object]
    hint: str
    hashed: Callable[[bytes], str] | None = None
    prefix: str = ""
    about: tuple[str, ...] = ()

    @property
    def content(self) -> str:  # type: ignore[override]  # one class for schemes that bind the body and that do not
        """In words."""
        return "a JWT with the body's SHA-256" if self.hashed else "a JWT; the body is NOT signed"

    @property
    def configured(self) -> str:  # type: ignore[override]  # likewise
        """In words."""
        return f"{self.hint} [, keys]"

    @property
    def signed(self) -> frozenset[str]:  # type: ignore[override]  # likewise
        """A bearer token that says nothing about the request signs nothing of it."""
        return frozenset(("body", "timestamp")) if self.hashed else frozenset()

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """Identity, and optionally the provider's keys."""
        return build(texts, source, self.fits, self.hint)

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`."""
        value = arrived.headers.get(self.header.lower(), "")
        if not value.startswith(self.prefix) or len(value) == len(self.prefix):
            raise MissingSignature(f"no token in {self.header}")
        token = Token.parse(value[len(self.prefix) :])
        refused: SignatureMismatch | UntrustedCertificate | None = None
        for key in keys:
            try:
                self._check(key, token)
                return self._proof(key, token, arrived.body)
            except (SignatureMismatch, UntrustedCertificate) as error:
                refused = refused or error
        assert refused is not None
        raise refused

    def _check(self, key: Pinned, token: Token) -> None:
        algorithm = token.header.get("alg")
        url, ask = self.says(key, token)
        if key.identity.startswith("hmac:"):
            expected = hmac_digest(key.identity[5:].encode(), token.signed, "sha256")
            if algorithm != "HS256" or not compare_digest(expected, token.signature):
                raise SignatureMismatch("the shared secret did not make this token")
            return
        if algorithm not in self.algorithms or not isinstance(algorithm, str):
            raise UnsupportedScheme("another algorithm than this provider signs with")
        kid = token.header.get("kid")
        if kid is not None and not (isinstance(kid, str) and re.fullmatch(r"[!-~]{1,128}", kid)):
            raise MalformedHeader("the key id has not its form")
        found = _of(key.jwks(url, ask=ask), kid)
        if not found and not key.material:
            found = _of(key.jwks(url, ask=ask, anew=True), kid)
        if not found:
            raise UntrustedCertificate("no published key has this key id")
        if not any([token.is_by(jwk, algorithm) for jwk in found]):
            raise SignatureMismatch("the published key did not make this token")

    def _proof(self, key: Pinned, token: Token, body: bytes) -> Proof:
        at = token.time("iat")
        if at is None:
            raise MalformedHeader("the token has no iat")
        if self.hashed is not None:
            claim = token.text("request_body_sha256").encode("utf-8", "surrogatepass")
            if not compare_digest(claim, self.hashed(body).encode()):
                raise SignatureMismatch("the body is not the one whose hash was signed")
        content = sha256(token.signed).digest() if self.hashed else self._about(body)
        return Proof(key.id, content, at, token.time("exp"))

    def _about(self, body: bytes) -> bytes:
        """What tells an unbound body from another one."""
        with suppress(MalformedBody):
            document = load_json(body, once=True)
            found = [dig(document, path) for path in self.about]
            if found and all(found):
                return length_prefixed(*found)
        return body


def _of(keys: list[dict[str, Any]], kid: str | None) -> list[dict[str, Any]]:
    return [key for key in keys[:_MAX_KEYS] if kid is None or key.get("kid") == kid]


def _hex(body: bytes) -> str:
    return sha256(body).hexdigest()


def _base64(body: bytes) -> str:
    return b64encode(sha256(body).digest()).decode()


# --- what each provider's token has to say ---------------------------------------------------------------------------


def _plaid(key: Pinned, token: Token) -> tuple[str, bytes | None]:
    """Plaid hands a key out by its id, to whoever has the client's credentials."""
    *named, client, secret = key.identity.split(":") if key.identity else ("", "")
    environment = named[0] if named else "production"
    ask = {"client_id": client, "secret": secret, "key_id": token.header.get("kid")}
    return f"https://{environment}.plaid.com/webhook_verification_key/get", json.dumps(ask).encode()


def _fusionauth(key: Pinned, token: Token) -> tuple[str, bytes | None]:
    return f"{key.identity}/.well-known/jwks.json", None


_CHAT: Final = "chat@system.gserviceaccount.com"
_GOOGLE: Final = ("https://accounts.google.com", "accounts.google.com")
_GOOGLE_KEYS: Final = "https://www.googleapis.com/oauth2/v3/certs"


def _google_chat(key: Pinned, token: Token) -> tuple[str, bytes | None]:
    """A project number: signed by Chat itself. An https URL: an OpenID Connect token of Chat's account."""
    if token.text("aud") != key.identity:
        raise SignatureMismatch("made for another audience", hint="the secret is the app's audience")
    if key.identity.isdigit():
        if token.text("iss") != _CHAT:
            raise SignatureMismatch("not issued by Google Chat")
        return f"https://www.googleapis.com/service_accounts/v1/jwk/{_CHAT}", None
    return _google_account(token, _CHAT)


def _pubsub(key: Pinned, token: Token) -> tuple[str, bytes | None]:
    """An audience and the service account that pushes: Google signs for every account."""
    audience, _, account = key.identity.partition(" ")
    if token.text("aud") != audience:
        raise SignatureMismatch("made for another audience", hint="the secret is 'audience account@…'")
    return _google_account(token, account)


def _google_account(token: Token, account: str) -> tuple[str, bytes | None]:
    if token.text("iss") not in _GOOGLE:
        raise SignatureMismatch("not issued by Google")
    if token.text("email") != account or token.claims.get("email_verified") is not True:
        raise SignatureMismatch("made by another account")
    return _GOOGLE_KEYS, None


def _fusion_identity(text: str) -> object:
    if text.startswith("hmac:") and len(text) < 37:
        raise WeakSecret("a shared secret of under 32 characters")
    return re.fullmatch(r"|hmac:[ -~]{32,512}|https://[a-z0-9.-]{1,253}(:\d{1,5})?", text)


_ES256: Final = Mac("ecdsa-p256", "base64url", "p256-spki")
_RS256: Final = Mac("rsa-sha256", "base64url", "rsa-pem")
_JWT_TIME: Final = Timestamp(past=3_600, future=60)  # Google's tokens live an hour

SCHEMES: Final = (
    Scheme(
        "plaid",
        ("Plaid-Verification",),
        mac=_ES256,
        timestamp=Timestamp(),
        rule=JwtRule(
            "Plaid-Verification",
            ("ES256",),
            _plaid,
            re.compile(r"|(?:(?:production|sandbox):)?[0-9a-zA-Z]{8,64}:[0-9a-zA-Z]{16,64}").fullmatch,
            "client_id:secret, or sandbox:client_id:secret",
            _hex,
        ),
        confirmed="docs",
    ),
    Scheme(
        "fusionauth",
        ("X-FusionAuth-Signature-JWT",),
        mac=_RS256,
        timestamp=Timestamp(),
        rule=JwtRule(
            "X-FusionAuth-Signature-JWT",
            ("RS256", "ES256", "EdDSA"),
            _fusionauth,
            _fusion_identity,
            "https://your-fusionauth, or hmac:secret, or the public keys",
            _base64,
        ),
    ),
    Scheme(
        "google_chat",
        ("Authorization",),
        mac=_RS256,
        timestamp=_JWT_TIME,
        rule=JwtRule(
            "Authorization",
            ("RS256",),
            _google_chat,
            re.compile(r"\d{4,20}|https://[!-~]{1,512}", re.ASCII).fullmatch,
            "the app's project number, or its URL",
            prefix="Bearer ",
        ),
    ),
    Scheme(
        "pubsub",
        ("Authorization",),
        mac=_RS256,
        timestamp=_JWT_TIME,
        rule=JwtRule(
            "Authorization",
            ("RS256",),
            _pubsub,
            re.compile(r"[!-~]{1,512} [!-~]{1,256}@[a-z0-9.-]{1,253}").fullmatch,
            "'audience account@project.iam.gserviceaccount.com'",
            prefix="Bearer ",
            about=("subscription", "message.messageId"),
        ),
        id=Source(body="message.messageId"),
    ),
)
