"""A value lent for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final

from ..core.errors import UsageError
from ..core.sansio import synced

__all__ = ["Borrowed"]


class Borrowed:
    """``with`` or ``async with``: a read-only view of the value; the buffer behind it is zeroed on the way out.

    The buffer is wiped whatever happens in the block. Copies made inside it are the caller's to keep or avoid. Entered
    again before it was left, it raises `UsageError`.
    """

    __slots__ = ("_buffer", "_lend", "suspends")

    def __init__(self, lend: Callable[[], Coroutine[Any, Any, tuple[bytearray, int]]], *, suspends: bool) -> None:
        self._lend: Callable[[], Coroutine[Any, Any, tuple[bytearray, int]]] = lend
        self._buffer: bytearray | None = None
        self.suspends: bool = suspends

    async def _aborrow(self) -> memoryview:
        if self._buffer is not None:  # one of the two buffers would never be wiped
            raise UsageError("this value is lent already", hint="use(...) anew for each block")
        self._buffer, size = await self._lend()
        return memoryview(self._buffer)[:size].toreadonly()

    _borrow: Final = synced(_aborrow)

    def __enter__(self) -> memoryview:
        return self._borrow()

    async def __aenter__(self) -> memoryview:
        return await self._aborrow()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._buffer is not None:
            self._buffer[:] = bytes(len(self._buffer))
        self._buffer = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
