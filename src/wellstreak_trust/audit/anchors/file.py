"""Checkpoints in a file that only grows: on another machine's disk, a write-once mount, a printer.

One line of JSON for each note, ``{"at": ..., "note": ...}``, appended by one write and synced before it counts. A
line that a crash cut short is passed over, and the next one starts on a line of its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from ...core.clock import Clock, SystemClock, rfc3339
from ...core.errors import NoteInvalid
from ..checkpoint import Checkpoint
from .base import Anchor

__all__ = ["FileAnchor"]

_CLOCK: Final = SystemClock()


class FileAnchor(Anchor):
    """Appends to one file; several processes may.

    Args:
        path: the file; its folder must stand. Whoever can write the log's store should not be able to write here.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock = _CLOCK) -> None:
        super().__init__()
        self._path: Path = Path(path)
        self._clock: Clock = clock
        self._latest: dict[str, str] = {}
        self._read: int = 0

    async def alatest(self, origin: str, /) -> str | None:
        """The newest note of an origin in the file."""
        with self._guard:
            self._catch_up()
            return self._latest.get(origin)

    async def _keep(self, found: Checkpoint, note: str) -> None:
        line = json.dumps({"at": rfc3339(self._clock.now()), "note": note}) + "\n"
        fresh = not self._path.exists()
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            octets = (b"\n" if torn else b"") + line.encode()
            if os.write(handle, octets) != len(octets):
                raise OSError("a short write")
            os.fsync(handle)
        finally:
            os.close(handle)
        if fresh:
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # else a crash may take the name of the file with it
            finally:
                os.close(folder)

    def _catch_up(self) -> None:
        """Reads what was appended since; a file that has become shorter is read anew."""
        if not self._path.exists():
            self._latest, self._read = {}, 0
            return
        with self._path.open("rb") as file:
            if file.seek(0, os.SEEK_END) < self._read:
                self._latest, self._read = {}, 0
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            note = json.loads(line)["note"]
            found = Checkpoint.unverified(note)
            before = self._latest.get(found.origin)
        except (ValueError, TypeError, LookupError, NoteInvalid):
            return
        if before is None or Checkpoint.unverified(before).size <= found.size:
            self._latest[found.origin] = note
