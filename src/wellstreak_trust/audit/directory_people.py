"""What a directory store keeps beside its journal: persons, legal holds, and how far each sink has come."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from .journal import store_file
from .sealed import SealedFiles
from .store import EVERYBODY, SealedValue, require_free

__all__ = ["DirectoryPeople", "Located"]


class Located(Protocol):
    """The part of a store's state that tells where an event stands."""

    @property
    def trees(self) -> Any:
        """The trees by tenant; of each, `places` by event id."""
        ...


class DirectoryPeople:
    """`SubjectStore` and `shipping.CursorStore` in files; each verb under the store's lock."""

    directory: Path
    _sealed: SealedFiles

    @abstractmethod
    def _held(self) -> AbstractContextManager[Located]:
        """The store's lock, and its state."""

    async def subject_key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """As `SubjectStore.subject_key`."""
        with self._held():
            return self._sealed.key(tenant_id, subject, fresh)

    async def disclosures(self, tenant_id: str, subject: str) -> list[tuple[int, bytes]]:
        """As `SubjectStore.disclosures`."""
        with self._held() as state:
            found = self._sealed.read(tenant_id, subject)
            return [(seq, octets) for seq, id, octets in found if _stands(state, tenant_id, seq, id)]

    async def sealed(self, tenant_id: str, start: int, stop: int) -> list[SealedValue]:
        """As `SubjectStore.sealed`."""
        with self._held() as state:
            return [
                SealedValue(seq, subject, octets, key)
                for subject, key in self._sealed.subjects(tenant_id)
                for seq, id, octets in self._sealed.read(tenant_id, subject)
                if start <= seq < stop and _stands(state, tenant_id, seq, id)
            ]

    async def forget(self, tenant_id: str, subject: str) -> int:
        """As `SubjectStore.forget`."""
        with self._held() as state:
            require_free(self._sealed.holds(tenant_id) & {subject, EVERYBODY})
            gone = self._sealed.forget(tenant_id, subject)
            return sum(_stands(state, tenant_id, seq, id) for seq, id, _ in gone)

    async def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """As `SubjectStore.hold`."""
        with self._held():
            return self._sealed.hold(tenant_id, subject, held=held)

    async def holds(self, tenant_id: str) -> frozenset[str]:
        """As `SubjectStore.holds`."""
        with self._held():
            return self._sealed.holds(tenant_id)

    async def cursor(self, sink: str, tenant_id: str) -> int:
        """As `shipping.CursorStore.cursor`."""
        with self._held():
            return _read_cursor(self._cursor(sink, tenant_id))

    async def move_cursor_if(self, sink: str, tenant_id: str, old: int, new: int) -> bool:
        """As `shipping.CursorStore.move_cursor_if`."""
        with self._held():
            path = self._cursor(sink, tenant_id)
            if _read_cursor(path) != old:
                return False
            store_file(path, str(new).encode())
            return True

    def _cursor(self, sink: str, tenant_id: str) -> Path:
        names = (sha256(text.encode()).hexdigest()[:32] for text in (sink, tenant_id))
        return self.directory.joinpath("cursors", *names)


def _stands(state: Located, tenant_id: str, seq: int, id: str) -> bool:
    """Whether the journal has that event at that place; a crash may leave a value whose event was never recorded."""
    tree = state.trees.get(tenant_id)
    return tree is not None and tree.places.get(id) == seq


def _read_cursor(path: Path) -> int:
    try:
        return int(path.read_bytes())
    except (FileNotFoundError, ValueError):  # lost: begin anew, for a batch may come twice and must not be left out
        return 0
