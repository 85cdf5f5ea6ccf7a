"""argon2id in memory that belongs to the thread (RFC 9106).

The reference library allocates 19 MiB for each hash and frees them. The C allocator keeps what was freed for the thread
that freed it, cuts small pieces off it, and then takes the next 19 MiB from fresh memory: a worker ends up with twice
its block. So each thread brings one block, which the library is told to use by its allocation callbacks, and a worker
takes what its hash takes and nothing more. The library wipes the block after each hash.

`argon2.low_level.core` is the one entry that takes callbacks. Its structure may change with a release of argon2-cffi;
a test compares it with the ordinary entry over many parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import local
from typing import Any, Final

from argon2.low_level import ARGON2_VERSION, Type, core, error_to_str, ffi

from ..core.errors import Busy

__all__ = ["Parameters", "argon2id"]

_KIB: Final = 1_024
_KEPT: Final = 65_536  # KiB; a block above it was asked for by a stored hash, and is given back
_OK: Final = 0
_REFUSED: Final = -22  # ARGON2_MEMORY_ALLOCATION_ERROR
_THREAD: Final = local()


@dataclass(frozen=True, slots=True)
class Parameters:
    """Cost of one hash.

    Args:
        memory: KiB. passes: over it. lanes: worked on in parallel.
    """

    memory: int
    passes: int
    lanes: int

    def __str__(self) -> str:
        return f"m={self.memory},t={self.passes},p={self.lanes}"


def argon2id(secret: bytes, salt: bytes, parameters: Parameters, length: int) -> bytes:
    """The raw hash.

    Raises:
        ValueError: parameters, salt or length out of the algorithm's bounds.
        Busy: the process has no memory for it.
    """
    try:
        block = _block(parameters.memory)
    except MemoryError:
        raise Busy("no memory for a password hash", hint="fewer permits, or more memory") from None
    out, held, salted = (ffi.new("uint8_t[]", initial) for initial in (length, secret, salt))
    context = ffi.new(
        "argon2_context *",
        {
            **{"out": out, "outlen": length, "pwd": held, "pwdlen": len(secret), "salt": salted, "saltlen": len(salt)},
            **{"secret": ffi.NULL, "secretlen": 0, "ad": ffi.NULL, "adlen": 0, "flags": 0},
            **{"t_cost": parameters.passes, "m_cost": parameters.memory},
            **{"lanes": parameters.lanes, "threads": parameters.lanes, "version": ARGON2_VERSION},
            **{"allocate_cbk": block.allocate, "free_cbk": block.free},
        },
    )
    status = core(context, Type.ID.value)
    ffi.memmove(held, bytes(len(secret)), len(secret))
    if status != _OK:
        raise ValueError(error_to_str(status))
    return bytes(ffi.buffer(out, length))


class _Block:
    """Memory of one thread, lent to one hash at a time."""

    def __init__(self, kib: int) -> None:
        self.kib: int = kib
        self._octets: Any = ffi.from_buffer("uint8_t[]", bytearray(kib * _KIB))
        self.allocate: Any = ffi.callback("int(uint8_t **, size_t)", self._lend)
        self.free: Any = ffi.callback("void(uint8_t *, size_t)", lambda block, size: None)

    def _lend(self, where: Any, size: int) -> int:
        if size > self.kib * _KIB:
            return _REFUSED
        where[0] = ffi.cast("uint8_t *", self._octets)
        return _OK


def _block(kib: int) -> _Block:
    held: _Block | None = getattr(_THREAD, "block", None)
    if held is not None and kib <= held.kib:
        return held
    made = _Block(kib)
    if kib <= _KEPT:
        _THREAD.block = made
    return made
