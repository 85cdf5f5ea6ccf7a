"""arq: functions that run as the member who enqueued them.

::

    jobs = ArqJobs(envelopes)

    async def build(ctx, report): ...

    await jobs.enqueue(pool, "build", 7)                              # inside a scope: signed
    class WorkerSettings:
        functions = [jobs.function(build)]

arq has no room beside a job's arguments, so the envelope travels as one more keyword, which the function never sees. It
covers the job's id, the function's name and its arguments. A job without envelope, such as a cron job, has no tenant;
one whose envelope does not open fails with the error and its function never runs. arq's own retries deliver the same
envelope again, so `max_age` counts from when the job was enqueued.

The stores are asked on the worker's event loop: build them over `AsyncDatabase`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import copy_context
from functools import wraps
from typing import Any, Final

from ..core.entropy import random_hex
from ..core.errors import EnvelopeInvalid, MissingExtra, UsageError
from .context import current_tenant
from .jobs import JobEnvelopes, argument_bytes
from .jobs.carried import Carried

try:
    from arq import func
except ImportError:
    raise MissingExtra("arq is not installed", hint="pip install 'wellstreak-trust[arq]'", reason="extra") from None

__all__ = ["KEYWORD", "ArqJobs"]

KEYWORD: Final = "wst_tenant"


class ArqJobs:
    """Signs jobs and opens them."""

    __slots__ = ("_envelopes",)

    def __init__(self, envelopes: JobEnvelopes) -> None:
        self._envelopes: JobEnvelopes = envelopes

    async def enqueue(self, pool: Any, function: str, *args: Any, _job_id: str | None = None, **kwargs: Any) -> Any:
        """As ``pool.enqueue_job``; inside a scope the job is signed. In a job, the pool is ``ctx["redis"]``.

        Raises:
            UsageError: arguments that do not survive the queue, or a context that does not travel.
        """
        if KEYWORD in kwargs:
            raise UsageError(f"the keyword {KEYWORD} is taken by the envelope")
        job_id = random_hex() if _job_id is None else _job_id
        tenant = current_tenant()
        if tenant is not None:
            own = {name: value for name, value in kwargs.items() if not name.startswith("_")}  # the others are arq's
            kwargs[KEYWORD] = self._envelopes.sign(tenant, function, _covered(job_id, args, own))
        return await pool.enqueue_job(function, *args, _job_id=job_id, **kwargs)

    def function(
        self, coroutine: Callable[..., Coroutine[Any, Any, Any]], *, name: str | None = None, **options: Any
    ) -> Any:
        """The `arq.worker.Function` that opens the envelope first.

        Args:
            name: under which it is enqueued; its qualified name by default.
            options: those of `arq.func`.
        """
        called = name or coroutine.__qualname__

        @wraps(coroutine)
        async def opened(ctx: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
            envelope = kwargs.pop(KEYWORD, None)
            tenant = None
            if envelope is not None:
                try:
                    job = _covered(ctx["job_id"], args, kwargs)
                except UsageError:
                    raise EnvelopeInvalid("the arguments are not what was signed") from None
                tenant = await self._envelopes.aopen(envelope, called, job)
            carried = Carried(tenant, copy_context())
            return await carried.awaited(carried.run(coroutine, ctx, *args, **kwargs))

        return func(opened, name=called, **options)


def _covered(job_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    return argument_bytes([job_id, args, kwargs])
