"""An authenticator in software: makes real key pairs, real attestation objects and real assertions (WebAuthn Level 3).

It does what a phone does; every field that a browser or an attacker could bend is an argument.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Es256:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def cose(self) -> bytes:
        at = self._key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: at.x.to_bytes(32, "big"), -3: at.y.to_bytes(32, "big")})

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(SHA256()))


class EdDsa:
    def __init__(self) -> None:
        self._key = ed25519.Ed25519PrivateKey.generate()

    def cose(self) -> bytes:
        return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: self._key.public_key().public_bytes_raw()})

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)


class Rs256:
    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65_537, 2_048)

    def cose(self) -> bytes:
        at = self._key.public_key().public_numbers()
        return cbor2.dumps({1: 3, 3: -257, -1: at.n.to_bytes(256, "big"), -2: at.e.to_bytes(3, "big")})

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, padding.PKCS1v15(), SHA256())


@dataclass
class Authenticator:
    """One passkey on one device."""

    origin: str
    key: Any = field(default_factory=Es256)
    flags: int = PRESENT | VERIFIED
    counts: int | None = None
    """The sign count; None for one that does not count."""
    id: bytes = field(default_factory=lambda: os.urandom(16))
    handle: bytes = b""

    def create(self, options: dict[str, Any], *, rp_id: str | None = None, **client: Any) -> dict[str, Any]:
        """``navigator.credentials.create()``."""
        self.handle = unb64(options["user"]["id"])
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + self.key.cose()
        data = self._data(rp_id or options["rp"]["id"], ATTESTED) + attested
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer(
            {
                "clientDataJSON": b64(self._client("webauthn.create", options, client)),
                "attestationObject": b64(made),
                "transports": ["internal", "hybrid", "future"],
            }
        )

    def get(
        self, options: dict[str, Any], *, rp_id: str | None = None, handle: bytes | None = None, **client: Any
    ) -> dict[str, Any]:
        """``navigator.credentials.get()``."""
        if self.counts is not None:
            self.counts += 1
        data = self._data(rp_id or options["rpId"])
        told = self._client("webauthn.get", options, client)
        return self._answer(
            {
                "clientDataJSON": b64(told),
                "authenticatorData": b64(data),
                "signature": b64(self.key.sign(data + sha256(told).digest())),
                "userHandle": b64(self.handle if handle is None else handle),
            }
        )

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        return sha256(rp_id.encode()).digest() + bytes([self.flags | more]) + (self.counts or 0).to_bytes(4, "big")

    def _client(self, kind: str, options: dict[str, Any], bent: dict[str, Any]) -> bytes:
        told = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps({**told, **bent}).encode()

    def _answer(self, response: dict[str, Any]) -> dict[str, Any]:
        name = b64(self.id)
        return {
            "id": name,
            "rawId": name,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
            "authenticatorAttachment": "platform",
        }
