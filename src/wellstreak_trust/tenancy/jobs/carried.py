"""`propagate`: a function that runs in the tenant it was made in, whoever calls it and on whichever thread.

Each call gets a `contextvars.Context` of its own: a copy of the caller's, with the captured tenant as its one open
scope and without elevation. What can be suspended (a coroutine, a generator, an asynchronous generator) takes each of
its steps in that Context, so that between steps the consumer sees its own variables and nothing else, however steps of
several are interleaved. A step is refused once the elevation that the captured context rests on is over.

Nothing that the work sets comes back to the caller, unlike with a plain ``await``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextvars import Context, copy_context
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final, ParamSpec, TypeVar, cast

from ...core.tenant import TenantContext
from ..context import Rooted, require_tenant
from ..elevation import ElevatedContext

__all__ = ["Carried", "propagate"]

P = ParamSpec("P")
T = TypeVar("T")


def propagate(fn: Callable[P, T]) -> Callable[P, T]:
    """`fn`, bound to the tenant of the running code.

    Functions, coroutine functions, generator functions and asynchronous generator functions keep their kind; `send`,
    `throw`, `close` and their ``a``-twins reach the original. What a plain function returns of these kinds is carried
    too.

    Raises:
        NoTenant: outside every scope; so it cannot decorate at import time.
    """
    tenant = require_tenant()
    kind: Callable[..., Any] = next((made for is_kind, made in _KINDS if is_kind(fn)), _function)
    bound = partial(kind, lambda: Carried(tenant, copy_context()), fn)  # inspect sees the kind through a partial
    return cast("Callable[P, T]", wraps(fn)(bound))


class Carried:
    """One tenant, or none, in a Context of its own.

    Args:
        around: a Context nobody else runs in.
    """

    __slots__ = ("_context", "_tenant")

    def __init__(self, tenant: TenantContext | None, around: Context) -> None:
        around.run(Rooted(tenant).enter)
        self._context: Context = around
        self._tenant: TenantContext | None = tenant

    def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """One call, or one step, inside; raises `TenantConflict` once the tenant's elevation is over."""
        if isinstance(self._tenant, ElevatedContext):
            self._tenant.require_live()
        result: T = self._context.run(fn, *args, **kwargs)
        return result

    def steps(self, inner: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """`inner`, each step inside: ``yield from`` (PEP 380) with a Context in between."""
        verb: Callable[[Any], Any] = inner.send
        value: Any = None
        while True:
            try:
                item = self.run(verb, value)
            except StopIteration as done:
                return cast("T", done.value)
            try:
                value = yield item
                verb = inner.send
            except BaseException as thrown:  # GeneratorExit too: close() is a throw that must not yield again
                verb, value = inner.throw, thrown

    async def awaited(self, inner: Awaitable[T]) -> T:
        """The result of `inner`, each step of which ran inside."""
        return cast("T", await _Awaited(self, inner))

    def continued(self, found: T) -> T:
        """What a function returned: itself, or, when it runs on later, carried."""
        going_on: Any = found
        if isinstance(found, GeneratorType):
            going_on = self.steps(found)
        elif isinstance(found, CoroutineType):
            going_on = self.awaited(found)
        elif isinstance(found, AsyncGeneratorType):
            going_on = _async_generator(lambda: self, lambda: found)
        return cast("T", going_on)


_Carry = Callable[[], Carried]


class _Awaited:
    """An awaitable whose steps run inside."""

    __slots__ = ("_carried", "_inner")

    def __init__(self, carried: Carried, inner: Awaitable[Any]) -> None:
        self._carried: Carried = carried
        self._inner: Awaitable[Any] = inner

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._carried.steps(self._inner.__await__())


def _unwatched(inner: AsyncGenerator[T, Any]) -> Awaitable[T]:
    """The first step of an asynchronous generator that no event loop is told of.

    A loop closes the generators it knows, in any order and in a Context of its own; the one that we hand out is known
    to it, and closes this one inside.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return inner.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _function(carry: _Carry, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    carried = carry()
    return carried.continued(carried.run(fn, *args, **kwargs))


async def _coroutine(carry: _Carry, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return await _function(carry, fn, *args, **kwargs)


def _generator(carry: _Carry, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
    return (yield from _function(carry, fn, *args, **kwargs))


async def _async_generator(
    carry: _Carry, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> AsyncGenerator[Any, Any]:
    carried = carry()
    inner: AsyncGenerator[Any, Any] = carried.run(fn, *args, **kwargs)
    step = _unwatched(inner)
    while True:
        try:
            item = await _Awaited(carried, step)
        except StopAsyncIteration:
            return
        try:
            sent = yield item
        except BaseException as thrown:  # as in `Carried.steps`
            step = inner.athrow(thrown)
        else:
            step = inner.asend(sent)


_KINDS: Final = (
    (iscoroutinefunction, _coroutine),
    (isgeneratorfunction, _generator),
    (isasyncgenfunction, _async_generator),
)
