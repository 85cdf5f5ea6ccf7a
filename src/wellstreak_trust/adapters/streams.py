"""Bodies outlive the view that made them: each of their steps runs in the tenant's scope, which is left after it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeVar

from ..core.tenant import TenantContext
from ..tenancy import tenant_scope

__all__ = ["ascoped", "scoped"]

T = TypeVar("T")


def scoped(tenant: TenantContext | None, body: Iterable[T]) -> Iterable[T]:
    """The same body, every step and its closing in the tenant's scope; the body itself where there is no tenant."""
    return body if tenant is None else _Scoped(tenant, body)


def ascoped(tenant: TenantContext | None, body: AsyncIterable[T]) -> AsyncIterable[T]:
    """As `scoped`, for asynchronous bodies."""
    return body if tenant is None else _AsyncScoped(tenant, body)


class _Scoped(Iterator[T]):
    def __init__(self, tenant: TenantContext, body: Iterable[T]) -> None:
        self._tenant: TenantContext = tenant
        self._body: Iterable[T] = body
        self._steps: Iterator[T] | None = None

    def __next__(self) -> T:
        with tenant_scope(self._tenant):
            if self._steps is None:
                self._steps = iter(self._body)
            return next(self._steps)

    def close(self) -> None:
        """Closes the body, as WSGI asks (PEP 3333)."""
        close: Callable[[], object] | None = getattr(self._body, "close", None)
        if close is not None:
            with tenant_scope(self._tenant):
                close()


class _AsyncScoped(AsyncIterator[T]):
    def __init__(self, tenant: TenantContext, body: AsyncIterable[T]) -> None:
        self._tenant: TenantContext = tenant
        self._body: AsyncIterable[T] = body
        self._steps: AsyncIterator[T] | None = None

    async def __anext__(self) -> T:
        with tenant_scope(self._tenant):
            if self._steps is None:
                self._steps = aiter(self._body)
            return await anext(self._steps)

    async def aclose(self) -> None:
        """Closes the body."""
        close: Callable[[], Any] | None = getattr(self._body, "aclose", None)
        if close is not None:
            with tenant_scope(self._tenant):
                await close()
