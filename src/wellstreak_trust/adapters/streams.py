"""Work that outlives the call that began it: each of its steps runs in the tenant's scope, which is left after it, and
the operation ends, on the record, when the last one is taken or the client has left.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from ..core.tenant import TenantContext
from ..guard import Grant
from ..tenancy import tenant_scope

__all__ = ["AsyncScoped", "Scoped", "inside", "scope_of"]

T = TypeVar("T")


def scope_of(tenant: TenantContext | None) -> AbstractContextManager[object]:
    """The tenant's scope; none for an operation of the platform."""
    return nullcontext() if tenant is None else tenant_scope(tenant)


def inside(grant: Grant, work: Callable[[], T], failed: Callable[[BaseException], object]) -> T:
    """Runs `work` in the grant's scope; what it raises is told to `failed` once the scope is left."""
    try:
        grant.enter_scope()
        return work()
    except BaseException as error:
        grant.leave_scope()
        failed(error)
        raise
    finally:
        grant.leave_scope()


class Scoped(Iterator[T]):
    """A body, in its tenant's scope.

    Args:
        done: told how the body ended: by an error, or by None, at its end or because the client left. May be called
            again when it is closed.
    """

    def __init__(
        self, tenant: TenantContext | None, body: Iterable[T], done: Callable[[BaseException | None], object]
    ) -> None:
        self._tenant: TenantContext | None = tenant
        self._body: Iterable[T] = body
        self._done: Callable[[BaseException | None], object] = done
        self._steps: Iterator[T] | None = None

    def __next__(self) -> T:
        try:
            with scope_of(self._tenant):
                if self._steps is None:
                    self._steps = iter(self._body)
                return next(self._steps)
        except BaseException as error:
            self._done(None if isinstance(error, StopIteration) else error)
            raise

    def close(self) -> None:
        """Closes the body, as WSGI asks (PEP 3333)."""
        close: Callable[[], object] | None = getattr(self._body, "close", None)
        try:
            if close is not None:
                with scope_of(self._tenant):
                    close()
        except BaseException as error:
            self._done(error)
            raise
        self._done(None)


class AsyncScoped(AsyncIterator[T]):
    """As `Scoped`, for asynchronous bodies."""

    def __init__(
        self,
        tenant: TenantContext | None,
        body: AsyncIterable[T],
        done: Callable[[BaseException | None], Awaitable[object]],
    ) -> None:
        self._tenant: TenantContext | None = tenant
        self._body: AsyncIterable[T] = body
        self._done: Callable[[BaseException | None], Awaitable[object]] = done
        self._steps: AsyncIterator[T] | None = None

    async def __anext__(self) -> T:
        try:
            with scope_of(self._tenant):
                if self._steps is None:
                    self._steps = aiter(self._body)
                return await anext(self._steps)
        except BaseException as error:
            await self._done(None if isinstance(error, StopAsyncIteration) else error)
            raise

    async def aclose(self) -> None:
        """Closes the body."""
        close: Callable[[], Any] | None = getattr(self._body, "aclose", None)
        try:
            if close is not None:
                with scope_of(self._tenant):
                    await close()
        except BaseException as error:
            await self._done(error)
            raise
        await self._done(None)
