"""An append-only file of whole records that survives a crash at any moment.

::

    file     magic line, then records
    record   "WSR1"  u32 length  first 16 bytes of SHA-256(payload)  payload           integers are big-endian

A record is written at once and synced before anybody is told. What a crash leaves of the last one is *torn*: too short,
of zeros, or another digest at the very end of the file. It was never acknowledged, so it is cut. A damaged record that
anything valid follows was not left by a crash: somebody changed the file, and nothing is cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

from ..core.errors import AuditForkDetected, StoreUnavailable

__all__ = ["Journal", "store_file", "sync_directory", "unavailable"]

_MAGIC: Final = b"wellstreak-trust/audit-journal/v1\n"
_MARK: Final = b"WSR1"
_DIGEST: Final = 16
_HEADER: Final = len(_MARK) + 4 + _DIGEST
_PIECE: Final = 1 << 20
_CHANGED: Final = "run verify on this log; restore the file from a copy if it is damaged"


class Journal:
    """One open file.

    Attributes:
        end: where the last whole record ends that was read or written here.
    """

    __slots__ = ("_descriptor", "_path", "end")

    def __init__(self, path: Path) -> None:
        self._path: Path = path
        self._descriptor: int = -1
        self.end: int = 0

    def opened(self, *, begun: bool = False) -> bool:
        """Opens the file, or opens it again where another one has its name by now; tells whether it did.

        Args:
            begun: there was a journal before, so that none is made.

        Raises:
            AuditForkDetected: the file is gone, is not a journal, or is shorter than what was read of it.
        """
        if self._descriptor >= 0:
            standing, ours = self._stat(), os.fstat(self._descriptor)
            if standing is not None and (standing.st_dev, standing.st_ino) == (ours.st_dev, ours.st_ino):
                if standing.st_size < self.end:
                    raise AuditForkDetected("the journal is shorter than it was", hint=_CHANGED)
                return False
            self.close()
        if begun and self._stat() is None:
            raise AuditForkDetected("the journal is gone", hint=_CHANGED)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        begin = os.pread(self._descriptor, len(_MAGIC), 0)
        if begin != _MAGIC:
            if begun or not _MAGIC.startswith(begin):
                raise AuditForkDetected("the journal does not begin as one", hint=_CHANGED)
            self._write(_MAGIC, 0)  # new, or the crash came as it was made
            os.fsync(self._descriptor)
            sync_directory(self._path.parent)
        self.end = len(_MAGIC)
        return True

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _stat(self) -> os.stat_result | None:
        try:
            return self._path.stat()
        except FileNotFoundError:
            return None

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Offset and payload of every whole record behind `end`, which moves along; stops at the first that is not."""
        while True:
            header = os.pread(self._descriptor, _HEADER, self.end)
            if len(header) < _HEADER or not header.startswith(_MARK):
                return
            length = int.from_bytes(header[4:8], "big")
            payload = self.read(self.end + _HEADER, length)
            if len(payload) < length or sha256(payload).digest()[:_DIGEST] != header[8:]:
                return
            at = self.end + _HEADER
            self.end = at + length
            yield at, payload

    def cut(self) -> int:
        """Cuts what is torn behind `end`; returns how many bytes that were.

        Raises:
            AuditForkDetected: it is no torn end.
        """
        torn = os.fstat(self._descriptor).st_size - self.end
        if torn > 0:
            if self._holds_more(torn):
                raise AuditForkDetected("a damaged record, with others behind it", hint=_CHANGED)
            os.ftruncate(self._descriptor, self.end)
            os.fsync(self._descriptor)
        return max(torn, 0)

    def _holds_more(self, count: int) -> bool:
        """Whether a whole record begins anywhere behind the one that is not; entries are text, so none can pose as one.

        A length that was changed may point behind the end of the file: only looking at every place tells.
        """
        rest = self.read(self.end, count)
        at = rest.find(_MARK, 1)
        while at >= 0:
            length = int.from_bytes(rest[at + 4 : at + 8], "big")
            payload = rest[at + _HEADER : at + _HEADER + length]
            digest = rest[at + 8 : at + _HEADER]
            if len(payload) == length and sha256(payload).digest()[:_DIGEST] == digest:
                return True
            at = rest.find(_MARK, at + 1)
        length = int.from_bytes(rest[4:8], "big")
        return len(rest) > _HEADER + length and rest.strip(b"\x00") != b""

    def append(self, payload: bytes) -> int:
        """Writes and syncs a record; returns the offset of its payload. What fails is taken back as far as possible.

        Raises:
            OSError: it does not stand, or nobody can tell: read on before the next append.
        """
        record = _MARK + len(payload).to_bytes(4, "big") + sha256(payload).digest()[:_DIGEST] + payload
        begin = self.end
        try:
            self._write(record, begin)
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, begin)
            raise
        self.end = begin + len(record)
        return begin + _HEADER

    def _write(self, octets: bytes, at: int) -> None:
        view = memoryview(octets)
        while view:
            written = os.pwrite(self._descriptor, view, at)
            view, at = view[written:], at + written

    def read(self, at: int, length: int) -> bytes:
        """Up to `length` bytes."""
        parts = []
        while length > 0:
            part = os.pread(self._descriptor, min(length, _PIECE), at)
            if not part:
                break
            parts.append(part)
            at, length = at + len(part), length - len(part)
        return b"".join(parts)


def store_file(path: Path, octets: bytes) -> None:
    """Replaces a file as a whole: written beside, synced, renamed, its directory synced."""
    beside = path.with_name(path.name + ".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(octets)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes names durable: a synced file whose directory is not may be gone after a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unavailable(error: OSError) -> StoreUnavailable:
    """An error of the file system in our words, without the path."""
    return StoreUnavailable(f"audit directory: {type(error).__name__} {error.errno}", hint="check space and rights")
