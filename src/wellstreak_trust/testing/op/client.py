"""The provider's one client, and how it proves itself."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote_plus

import jwt

__all__ = ["Client"]

_FORM: Final = "application/x-www-form-urlencoded"
_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA"]


class Client:
    """A client with a secret, or with a key.

    Args:
        key: the public half checks client assertions; then no secret is taken.
    """

    def __init__(self, name: str, secret: str, key: Any) -> None:
        self.name: str = name
        self.secret: str = secret
        self.key: Any = key
        self._lock: Lock = Lock()
        self._used: set[str] = set()

    def is_proved(self, headers: Mapping[str, str], form: Mapping[str, str], audience: str) -> bool:
        """Whether exactly one sound proof of the client came along, in a form."""
        if headers.get("content-type") != _FORM:
            return False
        if self.key is not None:
            return self._asserts(form, audience)
        kind, _, text = headers.get("authorization", "").partition(" ")
        if kind == "Basic" and "client_secret" not in form:
            name, _, secret = _decoded(text).partition(":")
            return (unquote_plus(name), unquote_plus(secret)) == (self.name, self.secret)
        return not kind and (form.get("client_id"), form.get("client_secret")) == (self.name, self.secret)

    def _asserts(self, form: Mapping[str, str], audience: str) -> bool:
        if form.get("client_assertion_type") != _ASSERTION or form.get("client_id") != self.name:
            return False
        try:
            claims = jwt.decode(
                form.get("client_assertion", ""),
                self.key,
                _ALGORITHMS,
                audience=audience,
                issuer=self.name,
                options={"require": ["exp", "iat", "jti", "sub"]},
            )
        except jwt.InvalidTokenError:
            return False
        with self._lock:
            fresh = claims["jti"] not in self._used
            self._used.add(claims["jti"])
        return fresh and claims["sub"] == self.name


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return ""
