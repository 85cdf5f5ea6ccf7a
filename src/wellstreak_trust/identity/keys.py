"""Keys that verify signatures: each bound to one algorithm when it is loaded, and checked before it is ever used.

What is refused when loading is what cannot be made safe later: keys that are too short, weak by construction (ROCA,
CVE-2017-15361), made for encryption, private, or ambiguous. The signatures themselves are PyJWT's algorithm objects
over `cryptography`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import Algorithm, get_default_algorithms

from ..core.secret import Secret
from .jwk import public_key_of, refused_key
from .keytext import is_key_text

__all__ = ["ALGORITHMS", "KeyFinder", "KeySet", "VerifyKey", "verify_key"]

MAX_KEYS: Final = 64
_RSA_BITS: Final = range(2_048, 6_144 + 1)  # a longer key makes signatures beyond the size limit of a token
_EXPONENT_BITS: Final = 64  # a long one makes each check a private operation's work, and proofs bring their own key
_DIGESTS: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_DIGEST_OCTETS: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

ALGORITHMS: Final[tuple[str, ...]] = (*_DIGEST_OCTETS, *_RSA, *_CURVES.values(), "EdDSA")
"""Every algorithm a verifier may allow (RFC 7518, 3.1; RFC 8037, 3.1): ``none`` is not among them."""

_VERIFY: Final[Mapping[str, Algorithm]] = {
    name: found for name, found in get_default_algorithms().items() if name in ALGORITHMS
}


@dataclass(frozen=True, slots=True, eq=False)
class VerifyKey:
    """One key and the only algorithm it is ever used with. Equal to itself alone."""

    alg: str
    kid: str | None
    material: Any = field(repr=False)
    _check: Callable[[bytes, bytes], bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check = _keyed(self.material, _DIGESTS[self.alg]) if self.alg in _DIGESTS else _against(self.material, self.alg)
        object.__setattr__(self, "_check", check)

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's. Total: a signature that is no signature is a wrong one."""
        try:
            return self._check(signing_input, signature)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return False


def _keyed(secret: bytes, digest: str) -> Callable[[bytes, bytes], bool]:
    """HMAC with the key worked in once: a third of what each one over a token costs."""
    keyed = hmac.new(secret, digestmod=digest)

    def check(signing_input: bytes, signature: bytes) -> bool:
        mac = keyed.copy()
        mac.update(signing_input)
        return hmac.compare_digest(mac.digest(), signature)

    return check


def _against(material: Any, alg: str) -> Callable[[bytes, bytes], bool]:
    verify = _VERIFY[alg].verify
    return lambda signing_input, signature: bool(verify(signing_input, material, signature))


class KeyFinder(Protocol):
    """Where a verifier finds keys: a `KeySet`, or keys that are fetched and change."""

    @property
    def suspends(self) -> bool:
        """Whether `afind` may suspend; then only the ``a``-methods of a verifier can use it."""
        ...

    def find(self, alg: str, kid: str | None, /) -> VerifyKey | None:
        """The key a header names, or None: by exact `kid`, or without one the only key of that algorithm."""
        ...

    async def afind(self, alg: str, kid: str | None, /) -> VerifyKey | None:
        """`find`, for callers that await."""
        ...


class KeySet:
    """An immutable set of keys; ``a | b`` holds the keys of both.

    Raises:
        ConfigurationError: no key, more than 64, or one `kid` twice.
    """

    __slots__ = ("_by_kid", "_only", "keys")

    suspends: ClassVar[bool] = False

    def __init__(self, keys: Iterable[VerifyKey]) -> None:
        self.keys: tuple[VerifyKey, ...] = tuple(keys)
        if not 0 < len(self.keys) <= MAX_KEYS:
            raise refused_key(f"a key set holds 1 to {MAX_KEYS} keys")
        named = [key for key in self.keys if key.kid is not None]
        self._by_kid: dict[str | None, VerifyKey] = {key.kid: key for key in named}
        if len(self._by_kid) != len(named):
            raise refused_key("a kid twice in one set", "which of them signed would depend on the order")
        self._only: dict[str, VerifyKey | None] = {}
        for key in self.keys:
            self._only[key.alg] = None if key.alg in self._only else key

    def find(self, alg: str, kid: str | None) -> VerifyKey | None:
        """The key a header names: by exact `kid`, or without one the only key of that algorithm."""
        if kid is None:
            return self._only.get(alg)
        key = self._by_kid.get(kid)
        return key if key is not None and key.alg == alg else None

    async def afind(self, alg: str, kid: str | None) -> VerifyKey | None:
        """See `KeyFinder`."""
        return self.find(alg, kid)

    def __or__(self, other: KeySet) -> KeySet:
        return KeySet((*self.keys, *other.keys))

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"KeySet({', '.join(f'{key.alg}:{key.kid}' for key in self.keys)})"

    @classmethod
    def from_jwks(cls, document: Mapping[str, Any]) -> KeySet:
        """Reads a JWK Set (RFC 7517, 5) of public keys, all of which must be usable.

        Raises:
            ConfigurationError: see `jwk.public_key_of`; also an `alg` that does not fit the key.
        """
        members = document.get("keys") if isinstance(document, Mapping) else None
        if not isinstance(members, list) or len(members) > MAX_KEYS:
            raise refused_key(f"a JWK Set is an object with a list of at most {MAX_KEYS} keys")
        return cls(verify_key(public_key_of(each), each.get("alg"), each.get("kid")) for each in members)

    @classmethod
    def from_pem(cls, pem: str | bytes, alg: str | None = None, kid: str | None = None) -> KeySet:
        """Reads one public key in PEM (RFC 7468, 13; PKCS #1 for RSA).

        Args:
            alg: what the key is used with; by default RS256, ES256, ES384, ES512 or EdDSA, after its type.
            kid: the name that tokens give it. A token that names a key matches exactly, or not at all.

        Raises:
            ConfigurationError: no public key in PEM, or an `alg` that does not fit it.
        """
        try:
            material = load_pem_public_key(pem.encode("ascii") if isinstance(pem, str) else pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise refused_key("not a public key in PEM", "-----BEGIN PUBLIC KEY-----; never a private one") from None
        return cls((verify_key(material, alg, kid),))

    @classmethod
    def from_secret(cls, octets: bytes | Secret[bytes], alg: str = "HS256", kid: str | None = None) -> KeySet:
        """An HMAC key.

        Raises:
            ConfigurationError: text instead of octets, shorter than the digest (RFC 7518, 3.2), or a key of another
                kind in disguise.
        """
        secret = octets.reveal() if isinstance(octets, Secret) else octets
        if not isinstance(secret, bytes):
            raise refused_key("an HMAC secret is octets", "base64-decode it, or encode it yourself")
        if not isinstance(alg, str) or alg not in _DIGEST_OCTETS:
            raise refused_key("not an HMAC algorithm", f"one of {', '.join(_DIGEST_OCTETS)}")
        if len(secret) < _DIGEST_OCTETS[alg]:
            raise refused_key(f"{alg} needs {_DIGEST_OCTETS[alg]} octets or more", "draw them at random")
        if is_key_text(secret):
            raise refused_key("the HMAC secret is a key of another kind", "KeySet.from_pem or KeySet.from_jwks")
        return cls((VerifyKey(alg, _named(kid), secret),))


def verify_key(material: object, alg: object = None, kid: object = None) -> VerifyKey:
    """A public key of `cryptography`, bound to one algorithm: `alg`, or the one of its type.

    Raises:
        ConfigurationError: a type, size or curve that is not taken, an `alg` that does not fit, a `kid` of no name.
    """
    if isinstance(material, RSAPublicKey):
        _refuse_weak_rsa(material)
        fitting: tuple[str, ...] = _RSA
    elif isinstance(material, EllipticCurvePublicKey) and material.curve.name in _CURVES:
        fitting = (_CURVES[material.curve.name],)
    elif isinstance(material, Ed25519PublicKey):
        fitting = ("EdDSA",)
    else:
        raise refused_key("its type or curve is not taken", "RSA, P-256, P-384, P-521 and Ed25519 are")
    if alg is None:
        return VerifyKey(fitting[0], _named(kid), material)
    if alg not in fitting:
        raise refused_key("its alg does not fit its type", f"one of {', '.join(fitting)}")
    return VerifyKey(str(alg), _named(kid), material)


def _named(kid: object) -> str | None:
    if kid is None or (type(kid) is str and kid):
        return kid
    raise refused_key("a kid is a non-empty str")


def _refuse_weak_rsa(key: RSAPublicKey) -> None:
    if key.key_size not in _RSA_BITS:
        raise refused_key(f"an RSA key has {_RSA_BITS.start} to {_RSA_BITS.stop - 1} bits")
    numbers = key.public_numbers()
    n = numbers.n
    if numbers.e.bit_length() > _EXPONENT_BITS:
        raise refused_key(f"an RSA exponent has {_EXPONENT_BITS} bits at most", "65537 is what everybody takes")
    if all(n % prime in residues for prime, residues in _ROCA):
        raise refused_key("an RSA key with the ROCA weakness", "make a new key outside that chip")


def _roca() -> tuple[tuple[int, frozenset[int]], ...]:
    """Residues of moduli made by the flawed library: powers of 65537 modulo small primes (Nemec et al. 2017, 4.1)."""
    primes = [p for p in range(3, 168) if all(p % q for q in range(2, p))]
    return tuple((p, frozenset(pow(65_537, power, p) for power in range(p))) for p in primes)


_ROCA: Final = _roca()
