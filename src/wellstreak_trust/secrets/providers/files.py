"""Key files: made once, for their owner alone, and read only while that holds."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...core.errors import ConfigurationError
from ...core.secret import Secret

__all__ = ["LONGEST", "created", "read", "refusal"]

LONGEST: Final = 4_096


def created(path: str | os.PathLike[str], text: Secret[str]) -> None:
    """Writes a new file of mode 0600; one that exists is never touched. Raises `ConfigurationError`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text.reveal() + "\n")
                file.flush()
                os.fsync(file.fileno())  # secrets sealed under a key that a power cut takes away are gone
        except OSError:
            with suppress(OSError):
                os.unlink(path)  # half a key must not look like one
            raise
    except OSError as error:
        raise refusal(f"{Path(path).name}: {type(error).__name__}", "choose a new file in a writable folder") from None


def read(path: str | os.PathLike[str]) -> Secret[str]:
    """The content of a file that nobody but its owner can read. Raises `ConfigurationError`, without the content."""
    name = Path(path).name
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO must not hang the start
        try:
            # The open file is asked, not its name: nobody can swap it in between.
            held = os.fstat(handle)
            if not stat.S_ISREG(held.st_mode) or stat.S_IMODE(held.st_mode) & 0o077:
                raise refusal(f"{name}: not a regular file that only its owner can read", f"chmod 600 {name}")
            octets = os.read(handle, LONGEST + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise refusal(f"{name}: {type(error).__name__}", "generate(path) makes one") from None
    return Secret(octets.decode("utf-8", "replace"))


def refusal(detail: str, hint: str = "generate(path) makes one") -> ConfigurationError:
    """Why a key cannot be had."""
    return ConfigurationError(detail, hint=hint, reason="kek")
