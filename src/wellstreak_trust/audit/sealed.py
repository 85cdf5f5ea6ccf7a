"""Sealed personal values as files, apart from the journal, so that they can be deleted.

``<hash of tenant>/<subject in hex>.key`` is the key, and ``.sealed`` a line a value: ``seq base64 event-id``. A line
counts only where the journal has that event at that place: a crash may leave one whose event was never acknowledged.
``<hash of tenant>/holds`` names the subjects under legal hold, a line each, in hex.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from .event import Draft
from .journal import store_file, sync_directory
from .store import Leaf

__all__ = ["SealedFiles"]


class SealedFiles:
    """The files of all subjects below one directory; the caller holds the store's lock."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        self._directory: Path = directory

    def key(self, tenant_id: str, subject: str, fresh: bytes) -> bytes:
        """As `SubjectStore.subject_key`."""
        path = self._path(tenant_id, subject, "key")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            store_file(path, fresh)
            return fresh

    def add(self, placed: Iterable[tuple[Draft, Leaf]]) -> None:
        """Writes and syncs what drafts bring, before their leaves are committed."""
        lines: dict[Path, list[str]] = {}
        for draft, leaf in placed:
            for sealed in draft.sealed:
                line = f"{leaf.seq} {b64encode(sealed.octets).decode()} {leaf.id}\n"
                lines.setdefault(self._path(leaf.tenant_id, sealed.subject, "sealed"), []).append(line)
        for path, added in lines.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not path.exists()
            with path.open("ab") as out:
                out.write(_torn(path) + "".join(added).encode())
                out.flush()
                os.fsync(out.fileno())
            if fresh:
                sync_directory(path.parent)

    def read(self, tenant_id: str, subject: str) -> list[tuple[int, str, bytes]]:
        """Seq, event id and sealed value, in the order written; a torn last line is none."""
        try:
            text = self._path(tenant_id, subject, "sealed").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [value for line in text.split("\n")[:-1] if (value := _value(line)) is not None]

    def forget(self, tenant_id: str, subject: str) -> list[tuple[int, str, bytes]]:
        """Overwrites and deletes key and values; returns what there was. The key goes first."""
        gone = self.read(tenant_id, subject)
        for kind in ("key", "sealed"):
            path = self._path(tenant_id, subject, kind)
            if path.exists():
                with path.open("r+b") as out:
                    out.write(bytes(path.stat().st_size))
                    out.flush()
                    os.fsync(out.fileno())
                path.unlink()
                sync_directory(path.parent)
        return gone

    def prune(self, tenant_id: str, first: int) -> None:
        """Drops the values of events below `first`."""
        for path in sorted(self._folder(tenant_id).glob("*.sealed")):
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
            kept = [line for line in lines if (value := _value(line)) is not None and value[0] >= first]
            if len(kept) < len(lines):
                store_file(path, "".join(f"{line}\n" for line in kept).encode())

    def subjects(self, tenant_id: str) -> list[tuple[str, bytes]]:
        """All subjects that something is sealed of, with the keys that stand."""
        folder = self._folder(tenant_id)
        found = ((path, path.with_suffix(".key")) for path in sorted(folder.glob("*.sealed")))
        return [(bytes.fromhex(path.stem).decode(), key.read_bytes()) for path, key in found if key.exists()]

    def holds(self, tenant_id: str) -> frozenset[str]:
        """The subjects under hold."""
        try:
            lines = (self._folder(tenant_id) / "holds").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return frozenset()
        return frozenset(bytes.fromhex(line).decode() for line in lines)

    def hold(self, tenant_id: str, subject: str, *, held: bool) -> bool:
        """Places or releases a hold; tells whether that changed anything."""
        before = self.holds(tenant_id)
        after = before | {subject} if held else before - {subject}
        if after != before:
            text = "".join(f"{one.encode().hex()}\n" for one in sorted(after))
            store_file(self._folder(tenant_id) / "holds", text.encode())
        return after != before

    def _folder(self, tenant_id: str) -> Path:
        return self._directory / sha256(tenant_id.encode()).hexdigest()[:32]

    def _path(self, tenant_id: str, subject: str, kind: str) -> Path:
        return self._folder(tenant_id) / f"{subject.encode().hex()}.{kind}"


def _value(line: str) -> tuple[int, str, bytes] | None:
    """What a line says, None for one that a crash tore."""
    try:
        seq, sealed, id = line.split(" ", 2)
        return int(seq), id, b64decode(sealed, validate=True)
    except ValueError:
        return None


def _torn(path: Path) -> bytes:
    """The newline that a torn last line lacks; else it would take the next value with it."""
    with path.open("rb") as standing:
        end = standing.seek(0, os.SEEK_END)
        standing.seek(max(0, end - 1))
        return b"\n" if standing.read(1) not in (b"", b"\n") else b""
