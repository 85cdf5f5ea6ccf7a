"""Personal values in events, and what makes them erasable.

The host wraps a value and names the person it is about. The leaf then holds ``{"_sd": digest}`` in its place: the
digest of a *disclosure* as SD-JWT (RFC 9901, 4.2) defines it, which is base64url of the JSON array of salt, name and
value. The disclosure itself stands beside the tree, sealed with AES-256-GCM under a key of that person. Deleting the
key and what it sealed leaves every leaf, root and proof as it was, and nothing that the value could be guessed from:

* The salt is an HMAC of event id and place under the person's key, so that a retry gives the same leaf although
  nothing remembers the first attempt, and without the key no list of addresses can be tried against the digest.
* Persons are found by an HMAC of their id under a key of the tenant, never by the id.
* Where the host holds a key outside the database, all of these keys are derived with it, and a copy of the database
  discloses nothing.

Everything here is a function of values; `people` does the reading and writing.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..core.canonical import CANONICAL_DEPTH, canonical_json, length_prefixed, u32
from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import AuditEventRejected, AuditEventTooLarge, UsageError
from ..core.event import AuditEvent
from ..core.redact import MASKED, is_marker, redact, redact_text
from .encode import speaks_of_credentials
from .tiles import ENTRY_MAX

__all__ = [
    "Disclosure",
    "PersonKey",
    "Personal",
    "Place",
    "checked",
    "disclosed",
    "is_marked",
    "is_subject",
    "subject_index",
    "subjects",
    "veiled",
]

_FREE: Final = ("actor", "targets", "source", "changes", "reason", "request", "decision", "data")
_NONCE: Final = 12  # NIST SP 800-38D, 8.2.2: random, and far fewer than 2^32 values a person
_SALT: Final = 16
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

Place = tuple[str, ...]
Veil = Callable[["Personal", Place], object]


class Personal:
    """A value about a person, for the free fields of an `AuditEvent`. It never prints.

    Args:
        value: text, whole number, boolean, None, or lists and mappings of them.
        subject: the id of the person it is about, by which it is erased; 1 to 256 characters.

    Raises:
        UsageError: a subject that is none.
    """

    __slots__ = ("subject", "value")

    def __init__(self, value: object, *, subject: str) -> None:
        if not is_subject(subject):
            raise UsageError("the subject of a personal value is text of 1 to 256 characters")
        self.value: object = value
        self.subject: str = subject

    def __repr__(self) -> str:
        return f"Personal({MASKED!r})"

    def __reduce__(self) -> NoReturn:
        raise UsageError("a personal value is not pickled", hint="send the person's id")


class PersonKey:
    """The two keys derived from the stored key of a person.

    Args:
        stored: 32 random bytes from the store.
        pepper: the host's own key, held elsewhere; empty where there is none.
    """

    __slots__ = ("_salts", "_seals")

    def __init__(self, stored: bytes, pepper: bytes) -> None:
        root = hmac.digest(pepper, b"wst/audit/person\0" + stored, "sha256")
        self._salts: bytes = hmac.digest(root, b"salt", "sha256")
        self._seals: AESGCM = AESGCM(hmac.digest(root, b"seal", "sha256"))

    def disclosure(self, event_id: str, place: Place, value: object) -> Disclosure:
        """The same for every retry. A digest that looks like a credential would be masked, so another salt is tried."""
        where = length_prefixed(event_id, *place)
        for attempt in range(1_000):
            salt = hmac.digest(self._salts, where + (u32(attempt) if attempt else b""), "sha256")[:_SALT]
            found = Disclosure.of(_base64url(salt), _name(place), value)
            if redact_text(found.digest) == found.digest:
                break
        return found

    def seal(self, disclosure: Disclosure, tenant_id: str, subject: str) -> bytes:
        """Nonce and ciphertext, bound to the tenant and the opaque id of the person."""
        nonce = SYSTEM_ENTROPY.octets(_NONCE)
        return nonce + self._seals.encrypt(nonce, disclosure.text.encode(), _bound_to(tenant_id, subject))

    def open(self, sealed: bytes, tenant_id: str, subject: str) -> Disclosure | None:
        """The disclosure, or None where key or place are others: the value is as good as erased."""
        try:
            octets = self._seals.decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound_to(tenant_id, subject))
            return Disclosure(octets.decode("ascii"))
        except (InvalidTag, ValueError):
            return None


class Disclosure:
    """Salt, name and value in the one text that is digested (RFC 9901, 4.2.1)."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self.digest: str = _base64url(sha256(text.encode("ascii")).digest())

    @classmethod
    def of(cls, salt: str, name: str, value: object) -> Disclosure:
        """The disclosure of a value; raises `UsageError` for one outside canonical JSON."""
        return cls(_base64url(canonical_json([salt, name, value])))

    @property
    def value(self) -> Any:
        """The value that was wrapped."""
        return json.loads(urlsafe_b64decode(self.text + "=" * (-len(self.text) % 4)))[2]


def is_subject(subject: object) -> bool:
    """Whether this can name a person: 1 to 256 characters of Unicode, so no lone surrogate."""
    return type(subject) is str and 0 < len(subject) <= 256 and not _SURROGATE.search(subject)


def subject_index(index_key: bytes, tenant_id: str, subject: str) -> str:
    """The opaque id of a person in a tenant: 128 bits of an HMAC, in hex."""
    return hmac.digest(index_key, length_prefixed("wst/audit/subject", tenant_id, subject), "sha256")[:16].hex()


def _bound_to(tenant_id: str, subject: str) -> bytes:
    return length_prefixed("wst/audit/disclosure", tenant_id, subject)


# --- going through an event ------------------------------------------------------------------------------------------


def is_marked(event: AuditEvent) -> bool:
    """Whether there is a `Personal` or a secret in its free fields, as far down as an event may reach."""
    found: list[object] = []
    with suppress(AuditEventRejected, AttributeError):  # not even an event
        veiled(event, lambda personal, _: found.append(personal), found.append)
    return bool(found)


def subjects(event: AuditEvent) -> frozenset[str]:
    """The persons that its personal values are about."""
    found: set[str] = set()
    veiled(event, lambda personal, _: found.add(personal.subject))
    return frozenset(found)


def veiled(event: AuditEvent, veil: Veil, secret: Callable[[object], object] = lambda _: MASKED) -> AuditEvent:
    """A copy in which each `Personal` is what `veil` makes of it; a secret is masked, whoever wrapped it.

    Raises:
        AuditEventRejected: nested too deep, or a personal value where an id must stand.
    """
    walk = _Walk(veil, secret)
    changed = {name: walk.visit(getattr(event, name), (name,)) for name in _FREE}
    return replace(event, **changed)


def disclosed(fields: Any, known: Mapping[str, Disclosure]) -> Any:
    """A parsed leaf with the values back in their places; what is not known any more stays a digest."""
    if isinstance(fields, dict):
        digest = fields.get("_sd") if len(fields) == 1 else None
        if isinstance(digest, str) and digest in known:
            return known[digest].value
        return {name: disclosed(value, known) for name, value in fields.items()}
    return [disclosed(item, known) for item in fields] if isinstance(fields, list) else fields


class _Walk:
    """One traversal; foreign objects are left for the encoder to refuse."""

    __slots__ = ("_secret", "_veil")

    def __init__(self, veil: Veil, secret: Callable[[object], object]) -> None:
        self._veil: Veil = veil
        self._secret: Callable[[object], object] = secret

    def visit(self, value: Any, place: Place) -> Any:
        if type(value) is Personal:
            if place in (("actor", "id"), ("actor",)):
                raise AuditEventRejected("actor.id is an id and cannot be personal", hint="an opaque id of the user")
            return self._veil(value, place)
        if is_marker(type(value)):
            return self._secret(value)
        if len(place) > CANONICAL_DEPTH:
            raise AuditEventRejected(f"nested deeper than {CANONICAL_DEPTH} levels")
        if isinstance(value, Mapping):
            return {name: self.visit(item, (*place, str(name))) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._items(value, place)) if type(value) in (list, tuple) else list(value)
        return value

    def _items(self, value: Iterable[object], place: Place) -> Iterator[object]:
        for index, item in enumerate(value):
            yield self.visit(item, (*place, str(index)))


def checked(personal: Personal) -> object:
    """The value as it may be kept: what looks like a credential in it is masked, as anywhere else in an event.

    Raises:
        AuditEventRejected: outside canonical JSON. Names the place, never the value.
        AuditEventTooLarge: more than an event may hold.
    """
    try:
        octets = canonical_json(personal.value)
    except UsageError as error:
        raise AuditEventRejected(f"a personal value: {error.detail}", hint=error.hint) from None
    if len(octets) > ENTRY_MAX:
        raise AuditEventTooLarge("a personal value of more than 65,535 bytes", hint="refer to large content by id")
    return redact(personal.value) if speaks_of_credentials(personal.value) else personal.value


def _name(place: Place) -> str:
    """The claim name: the key that the value stands under, or the one that its list stands under."""
    return next((step for step in reversed(place) if not step.isdecimal()), place[-1])


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
