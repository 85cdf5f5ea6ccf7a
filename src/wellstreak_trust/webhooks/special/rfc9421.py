"""HTTP Message Signatures (RFC 9421) for requests, with the body bound by `Content-Digest` (RFC 9530).

The sender lists what it signs, so a verifier that takes any list takes a signature over nothing. By default the method,
the target and the content digest must be covered, and `created` must stand. The algorithm is the key's; what the
message says about it may only agree (RFC 9421, 3.2, step 6).
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, sha512
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Any, ClassVar, Final

from ...core.errors import MalformedHeader, MissingSignature, SignatureMismatch, WeakSecret
from ...core.http import Target
from ..codecs import MIN_OCTETS, decode_signature
from ..key_source import KeySource
from ..parse import MAX_SIGNATURES
from ..rule import Arrived, Proof, Rule
from ..scheme import Mac, Scheme, Timestamp

__all__ = ["REQUIRED", "SCHEMES", "content_digest", "rfc9421", "signature_base"]

# One of these sets has to be covered.
_TARGETS: Final = (frozenset(("@target-uri",)), frozenset(("@authority", "@path", "@query")))
REQUIRED: Final = ("@method", "content-digest")
_LABEL: Final = r"[a-z*][a-z0-9_.*-]{0,63}"
_PARAMETER: Final = r';(?:created|expires|keyid|alg|nonce|tag)=(?:\d{1,15}|"[ !#-\[\]-~]{0,256}")'
_INPUT: Final = re.compile(rf'({_LABEL})=(\(((?:"[a-z0-9@-]{{1,64}}"(?: (?="))?){{0,32}})\)((?:{_PARAMETER}){{0,6}}))')
_VALUE: Final = re.compile(rf"({_LABEL})=:([A-Za-z0-9+/]+={{0,2}}):")
_DIGEST: Final = re.compile(r"(sha-256|sha-512)=:([A-Za-z0-9+/]+={0,2}):")
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """One signature of the message."""

    components: tuple[str, ...]
    parameters: dict[str, str | int]
    raw: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class _SignatureKey:
    id: str
    algorithm: str
    verifies: Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class MessageRule(Rule):
    """Signature-Input and Signature.

    Args:
        required: components that must be covered; ``target`` stands for one of the ways to name the target.
    """

    configured: ClassVar[str] = "base64 of a shared secret, or a public key"
    needs_url: ClassVar[bool] = True
    every_header: ClassVar[bool] = True

    required: tuple[str, ...] = (*REQUIRED, "target")

    @property
    def content(self) -> str:  # type: ignore[override]  # depends on the required components
        """In words."""
        return f"the signature base; must cover {', '.join(self.required) or 'nothing'}"

    @property
    def signed(self) -> frozenset[str]:  # type: ignore[override]  # likewise
        """What every accepted message has bound."""
        found = {"timestamp"}
        found |= {"body"} if "content-digest" in self.required else set()
        return frozenset(found | ({"url"} if "target" in self.required else set()))

    def build(self, scheme: Scheme, texts: Sequence[str], *, allow_weak: bool, source: KeySource) -> tuple[Any, ...]:
        """Base64 of a shared secret, or a public key (PEM, or base64 of its DER)."""
        return tuple(_key(text, allow_weak=allow_weak) for text in texts)

    def prove(self, keys: Sequence[Any], arrived: Arrived) -> Proof:
        """See `Rule`: the first entry that covers enough and that a key made."""
        entries = _entries(arrived.headers)
        fitting = [entry for entry in entries if self._covers(entry)]
        if not fitting:
            raise MissingSignature("no signature covers what it must", hint=f"cover {', '.join(self.required)}")
        if "content-digest" in arrived.headers:
            _check_digest(arrived.headers["content-digest"], arrived.body)
        for entry in fitting:
            base = signature_base(entry.components, entry.raw, arrived.headers, arrived.url, arrived.method)
            for key in keys:
                if entry.parameters.get("alg", key.algorithm) == key.algorithm and key.verifies(entry.signature, base):
                    created, expires = entry.parameters["created"], entry.parameters.get("expires")
                    assert isinstance(created, int)
                    until = expires * _SECOND if isinstance(expires, int) else None
                    return Proof(key.id, base, created * _SECOND, until)
        raise SignatureMismatch(f"none of {len(keys)} keys made a signature", hint="webhooks.explain() names the cause")

    def _covers(self, entry: _Entry) -> bool:
        covered = set(entry.components)
        target = any(names <= covered for names in _TARGETS)
        created = isinstance(entry.parameters.get("created"), int)
        return created and all(target if name == "target" else name in covered for name in self.required)


def signature_base(components: Sequence[str], raw: str, headers: Mapping[str, str], url: str, method: str) -> bytes:
    """RFC 9421, 2.5; raises `MalformedHeader` for a component that the message does not have."""
    target = Target.parse(url)
    default = {"https": 443, "http": 80}.get(target.scheme)
    port = "" if target.port in (None, default) else f":{target.port}"
    path = url.partition("://")[2].partition("/")[1] and target.path
    derived = {
        "@method": method,
        "@target-uri": url,
        "@authority": target.host + port,
        "@scheme": target.scheme,
        "@path": path or "/",
        "@query": f"?{target.query}",
        "@request-target": (path or "/") + (f"?{target.query}" if target.query else ""),
    }
    lines = []
    for name in components:
        value = derived.get(name) if name.startswith("@") else headers.get(name)
        if value is None:
            raise MalformedHeader(f"the covered component {name} is not there, or came more than once")
        lines.append(f'"{name}": {value.strip(chr(32) + chr(9))}')
    lines.append(f'"@signature-params": {raw}')
    try:
        return "\n".join(lines).encode("ascii")
    except UnicodeError:
        raise MalformedHeader("a covered component is not ASCII") from None


def content_digest(body: bytes) -> str:
    """The field's value (RFC 9530, 2) by SHA-256."""
    from base64 import b64encode

    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def _entries(headers: Mapping[str, str]) -> list[_Entry]:
    inputs = _members(headers.get("signature-input", ""), _INPUT)
    values = _members(headers.get("signature", ""), _VALUE)
    found = []
    for label, match in inputs.items():
        if label not in values:
            continue
        components = tuple(re.findall(r'"([^"]*)"', match[3]))
        parameters = _parameters(match[4])
        octets = decode_signature(values[label][2], "base64")
        if len(set(components)) != len(components) or octets is None:
            raise MalformedHeader("a component is covered twice, or a signature is not canonical base64")
        found.append(_Entry(components, parameters, match[2], octets))
    if not found:
        raise MissingSignature("no entry stands in both Signature-Input and Signature")
    return found


def _members(text: str, form: re.Pattern[str]) -> dict[str, re.Match[str]]:
    """The members of a dictionary (RFC 8941, 3.2) of the one form that is read here."""
    found: dict[str, re.Match[str]] = {}
    at = 0
    while at < len(text):
        match = form.match(text, at)
        if match is None or match[1] in found or len(found) == MAX_SIGNATURES:
            raise MalformedHeader(
                "Signature-Input or Signature does not parse", hint="component parameters are not read"
            )
        found[match[1]] = match
        at = match.end()
        if at < len(text):
            gap = re.compile(r"[ \t]{0,4},[ \t]{0,4}(?=.)").match(text, at)
            if gap is None:
                raise MalformedHeader("Signature-Input or Signature does not parse")
            at = gap.end()
    return found


def _parameters(text: str) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for name, value in re.findall(r';([a-z]+)=(\d+|"[^"]*")', text):
        if name in found or (name in ("created", "expires")) == value.startswith('"'):
            raise MalformedHeader("a signature parameter is repeated, or of the wrong type")
        found[name] = value.strip('"') if value.startswith('"') else int(value)
    return found


def _check_digest(text: str, body: bytes) -> None:
    known = 0
    for part in text.split(","):
        match = _DIGEST.fullmatch(part.strip(" \t"))
        if match is None:
            continue
        known += 1
        expected = (sha256 if match[1] == "sha-256" else sha512)(body).digest()
        if not compare_digest(expected, decode_signature(match[2], "base64") or b""):
            raise SignatureMismatch("the body is not the one whose digest was signed")
    if not known:
        raise MalformedHeader("Content-Digest holds neither sha-256 nor sha-512")


# --- keys ------------------------------------------------------------------------------------------------------------


def _key(text: str, *, allow_weak: bool) -> _SignatureKey:
    id = sha256(b"wellstreak_trust webhook key id" + text.encode()).hexdigest()[:16]
    try:
        public = _public(text)
        octets = b64decode(text, validate=True) if public is None else b""
    except ValueError:
        raise WeakSecret("neither a shared secret nor a public key", hint="base64, or PEM") from None
    if public is not None:
        return _SignatureKey(id, *_checked(public))
    if len(octets) < MIN_OCTETS and not allow_weak:
        raise WeakSecret("a shared secret of under 16 bytes", hint="allow_weak=True only for published examples")

    def verifies(signature: bytes, base: bytes) -> bool:
        return compare_digest(hmac_digest(octets, base, "sha256"), signature)

    return _SignatureKey(id, "hmac-sha256", verifies)


def _public(text: str) -> Any:
    """The public key that the text is, or None for one that is a shared secret."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

    if text.startswith("-----BEGIN "):
        return load_pem_public_key(text.encode())
    try:
        return load_der_public_key(b64decode(text, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None


def _checked(key: Any) -> tuple[str, Callable[[bytes, bytes], bool]]:
    """The one algorithm of a key (RFC 9421, 3.3) and its check."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256, SHA512

    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519", _quiet(key.verify)
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):

        def raw(signature: bytes, base: bytes) -> None:
            if len(signature) != 64:
                raise ValueError
            halves = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(*halves), base, ec.ECDSA(SHA256()))

        return "ecdsa-p256-sha256", _quiet(raw)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048:
        pss = padding.PSS(padding.MGF1(SHA512()), 64)
        return "rsa-pss-sha512", _quiet(lambda signature, base: key.verify(signature, base, pss, SHA512()))
    raise WeakSecret("not a key that RFC 9421 names", hint="Ed25519, P-256, or RSA of at least 2048 bits")


def _quiet(check: Callable[[bytes, bytes], object]) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature

    def verifies(signature: bytes, base: bytes) -> bool:
        try:
            check(signature, base)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verifies


def rfc9421(*required: str, name: str = "rfc9421") -> Scheme:
    """A scheme that demands other components than method, target and content digest.

    Args:
        required: component names in lower case, such as ``@authority``; ``target`` for any way to name the target.
            Without ``content-digest`` the body is not bound, and `VerifiedWebhook.signed` says so.
    """
    return Scheme(
        name,
        ("Signature",),
        mac=Mac("hmac-sha256", "base64", "base64"),
        rule=MessageRule(required),
        timestamp=Timestamp(past=300, future=60),
        reads=("Signature-Input", "Content-Digest"),
        confirmed="vector",
    )


SCHEMES: Final = (rfc9421(*REQUIRED, "target"),)
