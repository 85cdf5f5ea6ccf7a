"""How a client proves itself to a provider's endpoints, and what it reads of their answers (RFC 6749, RFC 7523)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from ..core.clock import Clock
from ..core.egress import EgressResponse
from ..core.entropy import random_token
from ..core.errors import ConfigurationError, InvalidCredential
from ..core.secret import Secret
from .documents import HttpWay, asked, json_document
from .issuer import SigningKey

__all__ = ["ClientAuthentication", "ClientKey", "ClientSecret", "TokenAnswer", "token_answer"]

_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME: Final = timedelta(minutes=1)
_SIGNING: Final = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"))
_OURS: Final = frozenset(("invalid_client", "unauthorized_client"))


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A private key that signs client assertions (RFC 7523).

    Args:
        key: a private key of `cryptography`, or PEM.
        alg: what it signs with, never HMAC.
        kid: the name under which the provider knows it.
    """

    key: Any = field(repr=False)
    alg: str
    kid: str | None = None

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT of these claims.

        Raises:
            ConfigurationError: no private key, or one that does not fit its algorithm, by the rules of `SigningKey`.
        """
        named = {} if self.kid is None else {"kid": self.kid}  # a name that the provider never heard is worse than none
        payload = json.dumps(dict(claims), separators=(",", ":")).encode("ascii")
        return SigningKey(self.key, self.alg, self.kid).sign({"typ": "JWT", **named}, payload)


ClientSecret = str | Secret[str] | ClientKey | Callable[[], str] | None
"""What a client proves itself with: see `OidcProvider`."""


class ClientAuthentication:
    """Adds this client's proof to a request.

    Raises:
        ConfigurationError: a method that is unknown, or does not go with what was given as secret.
    """

    def __init__(self, client_id: str, secret: ClientSecret, method: str, clock: Clock) -> None:
        kind = "key" if isinstance(secret, ClientKey) else "none" if secret is None else "secret"
        method = method if isinstance(method, str) else ""
        wanted = {"private_key_jwt": "key", "none": "none"}.get(method, "secret")
        fits = not isinstance(secret, ClientKey) or secret.alg in _SIGNING
        if method not in _METHODS or kind != wanted or not fits or secret == "":
            raise ConfigurationError(
                "the client's secret does not go with its way to authenticate",
                hint=f"auth_method is one of {', '.join(_METHODS)}; private_key_jwt takes a ClientKey",
                reason="auth_method",
            )
        self._client_id: str = client_id
        self._secret: ClientSecret = secret
        self._method: str = method
        self._clock: Clock = clock

    def post(self, way: HttpWay, what: str, url: str, audience: str, form: Mapping[str, str]) -> EgressResponse:
        """Posts a form with this client's proof.

        Args:
            audience: whom an assertion is for: the issuer, so that no other endpoint can use it (RFC 7523bis).

        Raises:
            ProviderUnavailable: no answer, or the provider's own failure.
        """
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        fields = dict(form)
        if self._method != "client_secret_basic":
            fields["client_id"] = self._client_id
        if isinstance(self._secret, ClientKey):
            fields |= {"client_assertion_type": _ASSERTION, "client_assertion": self._assertion(self._secret, audience)}
        elif self._method == "client_secret_basic":
            # Form-encoded before base64 (RFC 6749, 2.3.1): a colon in the id would otherwise move the border.
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._text())}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode("ascii")).decode("ascii")
        elif self._method == "client_secret_post":
            fields["client_secret"] = self._text()
        return asked(way, what, url, headers, body=urlencode(fields).encode("ascii"))

    def _text(self) -> str:
        if isinstance(self._secret, Secret):
            return self._secret.reveal()
        return self._secret() if callable(self._secret) else str(self._secret)

    def _assertion(self, key: ClientKey, audience: str) -> str:
        now = int(self._clock.now().timestamp())
        times = {"iat": now, "exp": now + int(_LIFETIME.total_seconds())}
        claims = {"iss": self._client_id, "sub": self._client_id, "aud": audience, "jti": random_token()}
        return key.sign({**claims, **times})


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What a token endpoint handed out."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    id_token: str | None = field(repr=False)


def token_answer(answer: EgressResponse, *, code: str) -> TokenAnswer:
    """Reads the answer of a token endpoint (RFC 6749, 5; OpenID Connect Core, 3.1.3.3).

    Args:
        code: the reason under which a refusal goes into the trail.

    Raises:
        InvalidCredential: the provider refused, or its answer is not one.
        ConfigurationError: the provider does not take this client.
    """
    found = json_document(answer.body) or {}
    error = found.get("error")
    if isinstance(error, str) and error in _OURS:
        raise ConfigurationError(
            "the provider does not take this client", hint="check client id, secret and auth_method", reason="client"
        )
    if answer.status != 200 or error is not None:
        raise InvalidCredential(f"the token endpoint refused with status {answer.status}", reason=code)
    kind, access, refresh, identity = (
        found.get(name) for name in ("token_type", "access_token", "refresh_token", "id_token")
    )
    if not isinstance(kind, str) or kind.lower() not in ("bearer", "dpop"):
        raise InvalidCredential("a token of a type that is not taken", reason="token_answer")
    if not access or not all(_is_text(token) for token in (access, refresh, identity)):
        raise InvalidCredential("a token that is missing, or is not printable ASCII", reason="token_answer")
    if identity is not None and identity.count(".") != 2:
        raise InvalidCredential("an ID token that is not in three parts", reason="token_answer")
    return TokenAnswer(access, refresh or None, identity)


def _is_text(token: object) -> bool:
    """What RFC 6749 (A.12, A.17) lets a token consist of; None where there is none."""
    return token is None or (isinstance(token, str) and token.isascii() and token.isprintable())
