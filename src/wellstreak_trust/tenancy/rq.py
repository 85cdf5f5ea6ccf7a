"""RQ: a job class whose jobs run as the member who enqueued them.

::

    class AppJob(TenantJob):
        envelopes = JobEnvelopes(key, memberships)

    Queue("default", connection=redis, job_class=AppJob)         # and in the worker:
    Worker(["default"], connection=redis, job_class=AppJob)      # or: rq worker --job-class app.jobs.AppJob

A job that is made inside a scope is signed; the envelope, in the job's `meta`, covers its id, its data (function and
arguments, as they are serialised) and the names of its callbacks. Performing it opens the envelope first; what does
not open fails with the error, and neither its function nor its callbacks run. A job without envelope has no tenant,
whatever ran before it in this worker, and nothing that a job sets is left for the next one.

A retry or repetition of RQ's own is the same job with the same envelope, so `max_age` counts from when it was made. RQ
deserialises a job's data before anybody can check it: with its default, pickle, who can write to Redis runs code in the
worker. Use `rq.serializers.JSONSerializer`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ClassVar, Final

from ..core.errors import MissingExtra, TrustError
from ..core.sansio import require_blocking
from .context import current_tenant
from .jobs import JobEnvelopes, argument_bytes
from .jobs.carried import Carried

try:
    from rq.job import Job
except ImportError:
    raise MissingExtra("RQ is not installed", hint="pip install 'wellstreak-trust[rq]'", reason="extra") from None

__all__ = ["META", "TenantJob"]

META: Final = "wst_tenant"
_TASK: Final = "rq"  # the function is part of the data
_CALLBACKS: Final = ("success_callback_name", "failure_callback_name", "stopped_callback_name")


class TenantJob(Job):
    """Base of a host's job class, which says which `envelopes` it uses.

    Raises:
        ConfigurationError: when the subclass is made over asynchronous stores, which RQ cannot await.
    """

    envelopes: ClassVar[JobEnvelopes]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        require_blocking(cls.envelopes, "RQ", "these stores")

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> Job:
        """As `Job.create`; inside a scope the job is signed.

        Raises:
            UsageError: a context that does not travel, such as an elevated one.
        """
        job = super().create(*args, **kwargs)
        job.meta = {name: value for name, value in job.meta.items() if name != META}
        tenant = current_tenant()
        if tenant is not None:
            job.meta[META] = cls.envelopes.sign(tenant, _TASK, _covered(job))
        return job

    def perform(self) -> Any:
        """As `Job.perform`, in the tenant of the envelope; raises as `JobEnvelopes.open`."""
        return self._opened().run(super().perform)

    @property
    def success_callback(self) -> Any:
        """The callback, run in the job's tenant; None for a job that was refused."""
        return self._inside(super().success_callback)

    @property
    def failure_callback(self) -> Any:
        """As `success_callback`."""
        return self._inside(super().failure_callback)

    @property
    def stopped_callback(self) -> Any:
        """As `success_callback`."""
        return self._inside(super().stopped_callback)

    def _opened(self) -> Carried:
        envelope = self.meta.get(META)
        tenant = None if envelope is None else self.envelopes.open(envelope, _TASK, _covered(self))
        return Carried(tenant, copy_context())

    def _inside(self, callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
        if callback is None:
            return None
        try:
            carried = self._opened()
        except TrustError:
            return None  # a refused job runs nothing of its own; the refusal is its recorded failure

        def inside(*args: Any) -> Any:
            return carried.run(callback, *args)

        return inside


def _covered(job: Job) -> bytes:
    stored = job.to_dict(include_meta=False, include_result=False)
    return argument_bytes([job.id, job.data, *(stored[name] for name in _CALLBACKS)])
