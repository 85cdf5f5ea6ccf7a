"""The persons of a trail: their keys, what is sealed under them, and their erasure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import AuditEventRejected, ConfigurationError, UsageError
from ..core.event import AuditEvent
from ..core.redact import MASKED
from ..core.secret import Secret
from .event import Draft, Sealed, draft
from .personal import Disclosure, Personal, PersonKey, checked, is_subject, subject_index, subjects, veiled
from .store import EVERYBODY, SubjectStore

__all__ = ["People", "without_values"]

_KEY_OCTETS: Final = 32
_INDEX_KEYS: Final = 10_000  # tenants whose index key is remembered; a key never changes
_RESERVED: Final = b'"_sd":'


class People:
    """Writes personal values into drafts and reads them back.

    Args:
        store: where keys and sealed values are.
        pepper: the host's own key; None where it has none.

    Raises:
        ConfigurationError: a key that could be guessed.
    """

    __slots__ = ("_index_keys", "_pepper", "_store")

    def __init__(self, store: Any, pepper: Secret[bytes] | None) -> None:
        self._store: SubjectStore = store
        self._pepper: bytes = b"" if pepper is None else pepper.reveal()
        if pepper is not None and len(self._pepper) < _KEY_OCTETS:
            raise ConfigurationError(
                f"the personal key has fewer than {_KEY_OCTETS} bytes",
                hint="openssl rand -out FILE 32",
                reason="personal_key",
            )
        self._index_keys: dict[str, bytes] = {}

    @property
    def keyed(self) -> bool:
        """Whether personal values need the host's own key to be read."""
        return bool(self._pepper)

    async def index(self, tenant_id: str, subject: str) -> str:
        """The opaque id of a person; makes the tenant's index key where there is none."""
        if not is_subject(subject):
            raise UsageError("a subject is text of 1 to 256 characters")
        key = self._index_keys.get(tenant_id)
        if key is None:
            stored = await self._store.subject_key(tenant_id, EVERYBODY, SYSTEM_ENTROPY.octets(_KEY_OCTETS))
            key = self._pepper + stored
            if len(self._index_keys) < _INDEX_KEYS:
                self._index_keys[tenant_id] = key
        return subject_index(key, tenant_id, subject)

    async def draft(self, event: AuditEvent) -> Draft:
        """The draft of an event that holds personal values or secrets.

        Raises:
            Unavailable: the keys cannot be had.
        """
        names = subjects(event)
        indexes = {name: await self.index(event.tenant_id, name) for name in sorted(names)}
        keys = {name: await self._key(event.tenant_id, index) for name, index in indexes.items()}
        rows: dict[str, Sealed] = {}

        def veil(personal: Personal, place: tuple[str, ...]) -> object:
            index, key = indexes[personal.subject], keys[personal.subject]
            found = key.disclosure(event.id, place, checked(personal))
            rows[found.digest] = Sealed(index, key.seal(found, event.tenant_id, index))
            return {"_sd": found.digest}

        written = draft(veiled(event, veil))
        text = written.before + written.between + written.after
        kept = tuple(row for digest, row in rows.items() if f'{{"_sd":"{digest}"}}'.encode() in text)
        if text.count(_RESERVED) != len(kept):
            raise AuditEventRejected("_sd is a reserved key", hint="Personal(value, subject=...) makes it")
        return written._replace(sealed=kept)

    async def _key(self, tenant_id: str, index: str) -> PersonKey:
        stored = await self._store.subject_key(tenant_id, index, SYSTEM_ENTROPY.octets(_KEY_OCTETS))
        return PersonKey(stored, self._pepper)

    async def disclosures(self, tenant_id: str, start: int, stop: int) -> Mapping[int, Mapping[str, Disclosure]]:
        """What can be disclosed of a range of events: by seq and digest."""
        found: defaultdict[int, dict[str, Disclosure]] = defaultdict(dict)
        keys: dict[str, PersonKey] = {}
        for seq, subject, octets, stored in await self._store.sealed(tenant_id, start, stop):
            key = keys.get(subject) or keys.setdefault(subject, PersonKey(stored, self._pepper))
            opened = key.open(octets, tenant_id, subject)
            if opened is not None:
                found[seq][opened.digest] = opened
        return found


def without_values(event: AuditEvent) -> Draft:
    """The draft of an event whose values cannot be sealed now: they are left out, and the event stands.

    Raises:
        AuditEventRejected, AuditEventTooLarge: as `event.draft`.
    """
    return draft(veiled(event, lambda *_: MASKED))
