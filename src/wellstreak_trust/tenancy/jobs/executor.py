"""`TenantExecutor`: a thread pool whose jobs run in the tenant of whoever submitted them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from typing import Any, ParamSpec, TypeVar

from ..context import require_tenant
from .carried import Carried, propagate

__all__ = ["TenantExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class TenantExecutor(ThreadPoolExecutor):
    """Each job runs in a clean `contextvars.Context` that holds the submitter's tenant and nothing else.

    A job that forgets to leave a scope, or sets any other variable, taints neither its thread nor the next job. Also
    for ``loop.run_in_executor(executor, fn)``; not as a loop's default executor, which must serve code without tenant.

    Args:
        max_workers, thread_name_prefix: as `ThreadPoolExecutor` takes them.
    """

    def __init__(self, max_workers: int | None = None, thread_name_prefix: str = "tenant") -> None:
        super().__init__(max_workers, thread_name_prefix)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Raises `NoTenant` outside every scope, before anything is queued."""
        return super().submit(Carried(require_tenant(), Context()).run, fn, *args, **kwargs)

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], **options: Any) -> Iterator[T]:
        """As `Executor.map`; the tenant is that of this call, also for jobs that are submitted while results are read.

        Raises:
            NoTenant: outside every scope.
        """
        return propagate(super().map)(fn, *iterables, **options)
