"""The client's side of DPoP (RFC 9449): a key, and a proof for each request."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex
from ..core.errors import ConfigurationError
from .dpop import access_token_hash
from .issuer import KeyMaterial, SigningKey
from .presented import Presented

__all__ = ["DpopSigner"]


class DpopSigner:
    """Signs proofs with one key, for tokens that were issued to it.

    Args:
        key: a private key as for `SigningKey`; None makes a fresh one on P-256, which no request ever leaves.
        alg: as for `SigningKey`.

    Raises:
        ConfigurationError: no such key, or an HMAC secret.
    """

    def __init__(self, key: KeyMaterial | None = None, *, alg: str | None = None, clock: Clock | None = None) -> None:
        self._key: SigningKey = SigningKey(generate_private_key(SECP256R1()) if key is None else key, alg)
        published = self._key.public()
        if published is None:
            raise ConfigurationError("a proof is signed with a private key, not with a secret", reason="key")
        self.jwk: dict[str, str] = {name: published[name] for name in published if name not in ("use", "alg", "kid")}
        self.jkt: str = published["kid"]
        self._clock: Clock = clock or SystemClock()

    def sign(self, method: str, url: str, *, access_token: Presented | None = None, nonce: str | None = None) -> str:
        """The value of the ``DPoP`` field for one request; never send one twice.

        Args:
            url: of the request; its query and fragment are left out.
            access_token: sent beside it as ``Authorization: DPoP <token>``.
            nonce: the server's last ``DPoP-Nonce``.
        """
        target = url.partition("#")[0].partition("?")[0]
        claims: dict[str, Any] = {
            "jti": random_hex(),
            "htm": method,
            "htu": target,
            "iat": int(self._clock.now().timestamp()),
        }
        if access_token is not None:
            claims["ath"] = access_token_hash(access_token)
        if nonce is not None:
            claims["nonce"] = nonce
        payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
        return self._key.sign({"typ": "dpop+jwt", "jwk": self.jwk}, payload)
