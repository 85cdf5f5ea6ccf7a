"""Answers that outlive their view: streams, and templates that Django renders later; both in the tenant's scope."""

from __future__ import annotations

from asyncio import Task, get_running_loop
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from asgiref.sync import async_to_sync
from django.http.response import HttpResponseBase, StreamingHttpResponse

from ...core.event import Outcome
from ...core.sansio import drive
from ...core.tenant import TenantContext
from ...guard import Grant
from ..shared import Edge
from ..streams import AsyncScoped, Scoped, scope_of
from ..visit import Visit

__all__ = ["Ending", "settled"]

T = TypeVar("T")

_SOON: Final[set[Task[None]]] = set()


def settled(found: Edge, operation: Coroutine[Any, Any, T], *, suspends: bool = False) -> T:
    """Runs one operation from a sync view, over blocking stores or suspending ones."""
    if not (suspends or found.guard.suspends):
        return drive(operation)

    async def awaited() -> T:
        return await operation

    return async_to_sync(awaited)()


def _ended(found: Edge, operation: Coroutine[Any, Any, None], *, suspends: bool = False) -> None:
    """Runs what has no answer: now, or soon where this thread's own loop is running, as under Django's test client."""
    try:
        loop = get_running_loop() if suspends or found.guard.suspends else None
    except RuntimeError:
        loop = None
    if loop is None:
        settled(found, operation, suspends=suspends)
        return
    task = loop.create_task(operation)
    _SOON.add(task)  # a loop keeps no task alive by itself
    task.add_done_callback(_SOON.discard)


class Ending:
    """Where an operation ends, and how that is recorded.

    Args:
        judge: how an exception of Django's is recorded.
    """

    def __init__(self, visit: Visit, grant: Grant, judge: Callable[[BaseException], Outcome]) -> None:
        self._visit: Visit = visit
        self._grant: Grant = grant
        self._judge: Callable[[BaseException], Outcome] = judge

    def done(self, error: BaseException | None = None) -> None:
        """Ends it, from a plain view."""
        _ended(self._visit.edge, self.adone(error))

    async def adone(self, error: BaseException | None = None) -> None:
        """Ends it, from an ``async def`` view."""
        await self._grant.afinish(self._visit.outcome(error, self._judge))

    def outlives(self, response: HttpResponseBase) -> bool:
        """Whether the answer's making goes on after the view; its end is then the operation's."""
        self._visit.status = response.status_code
        tenant = self._grant.tenant
        if isinstance(response, StreamingHttpResponse):
            # The iterator itself, where Django still holds it: what `streaming_content` gives cannot be closed.
            body: Any = getattr(response, "_iterator", None) or response.streaming_content
            if response.is_async:
                response.streaming_content = steps = AsyncScoped(tenant, body, self.adone)
                _close_inside(response, tenant, lambda: _ended(self._visit.edge, steps.aclose(), suspends=True))
            else:
                response.streaming_content = Scoped(tenant, body, self.done)
                _close_inside(response, tenant)
            return True
        if getattr(response, "is_rendered", True):
            return False
        _render_inside(response, tenant, self)
        return True


def _close_inside(response: Any, tenant: TenantContext | None, first: Callable[[], object] = bool) -> None:
    """All that a stream holds open is closed in its tenant; what came of the view as a generator works until then."""
    close: Callable[[], object] = response.close

    def closed() -> None:
        first()
        with scope_of(tenant):
            close()

    response.close = closed


def _render_inside(response: Any, tenant: TenantContext | None, ending: Ending) -> None:
    """A template's queries run when it is rendered, and a rendered response may be cached: so nothing stays on it."""
    render: Callable[[], Any] = response.render

    def rendered() -> Any:
        del response.render
        try:
            with scope_of(tenant):
                found = render()
        except BaseException as error:
            ending.done(error)
            raise
        ending.done()
        return found

    response.render = rendered
