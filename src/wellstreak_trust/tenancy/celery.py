"""Celery: ``TenantTasks(app, envelopes).install()``, and every task runs as the member who published it.

::

    publisher, inside a scope          broker                    worker
    before_task_publish: sign ──► header "wst_tenant" ──► task_prerun: open, enter
                                                           before_start: refuse what did not open
                                                           the task; its callbacks, chain and chord: signed anew
                                                           task_postrun: exactly what was there before

* The envelope covers the task's name, its arguments, and what runs after it (callbacks, chain, chord): who can write to
  the broker can neither change a job nor hang another one onto it.
* A task without the header has no tenant, whatever ran before it in this worker: `require_tenant` raises.
* A header that does not open refuses the task: it fails with the error (`EnvelopeInvalid`, `TenantNotFound`, ...) and
  its code never runs. While a store is down the task is retried.
* A job that was published inside a scope but could not be signed is refused by the worker, too: it must not run as one
  without tenant. The reason is in the publisher's log.
* A retry is published, and signed, by the worker that ran it.
* Eager tasks run in the caller's scope, where no message is.

Only tasks whose class is `TenantTask` can be refused before they start; `install` makes it the app's base class, and
`assert_all_tasks_guarded` names the tasks that are built on another one. Those run without tenant instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import ConfigurationError, EnvelopeInvalid, MissingExtra, Unavailable, UsageError
from ..core.sansio import require_blocking
from ..core.tenant import TenantContext
from .context import Rooted, current_tenant
from .jobs import JobEnvelopes, argument_bytes

try:
    from celery import current_task
    from celery.signals import before_task_publish, task_postrun, task_prerun
    from celery.utils.imports import symbol_by_name
except ImportError:
    raise MissingExtra(
        "Celery is not installed", hint="pip install 'wellstreak-trust[celery]'", reason="extra"
    ) from None

if TYPE_CHECKING:  # Celery comes without types

    class Task:
        """As far as it is used here."""

        request: Any
        retry: Callable[..., BaseException]
        before_start: Callable[..., None]

else:
    from celery import Task

__all__ = ["HEADER", "TenantTask", "TenantTasks", "assert_all_tasks_guarded"]

HEADER: Final = "wst_tenant"
_UNSIGNED: Final = "unsigned"  # no envelope: refused where it arrives
_VISIT: Final = "_wst_visit"
_AFTER: Final = ("callbacks", "errbacks", "chain", "chord")


class TenantTask(Task):
    """The base class of tasks that are refused when their envelope does not open.

    A task with a `before_start` of its own calls ``super().before_start(task_id, args, kwargs)`` first.
    """

    abstract: bool = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Raises what `task_prerun` found; while a store is down the task is retried with the envelope it came with.

        Signal handlers cannot refuse: Celery logs what they raise and goes on.
        """
        visit = _visit(self.request)
        if visit is not None and isinstance(visit.refused, Unavailable):
            raise self.retry(exc=visit.refused)
        if visit is not None and visit.refused is not None:
            raise visit.refused
        super().before_start(task_id, args, kwargs)


class TenantTasks:
    """The hooks of one process.

    Args:
        app: whose tasks are opened.
        envelopes: over blocking stores, because workers block.

    Raises:
        ConfigurationError: the envelopes' stores are asynchronous.
    """

    def __init__(self, app: Any, envelopes: JobEnvelopes) -> None:
        require_blocking(envelopes, "Celery", "these stores")
        self._app: Any = app
        self._envelopes: JobEnvelopes = envelopes

    def install(self) -> None:
        """Connects the signals and makes `TenantTask` the base of the app's tasks.

        Call it where the app is made, before the first ``@app.task``; in publishers, workers and beat alike.

        Raises:
            ConfigurationError: another one is installed. Celery does not tell which app publishes, so a process signs
                with one key.
        """
        if _INSTALLED:
            raise ConfigurationError("this process signs tasks already", reason="two_tenant_tasks")
        _INSTALLED.append(self)
        base = symbol_by_name(self._app.task_cls)
        if not issubclass(base, TenantTask):
            self._app.task_cls = type("TenantTask", (TenantTask, base), {"abstract": True})
            self._app.Task = self._app.create_task_cls()
        for signal, receiver in self._receivers():
            signal.connect(receiver, weak=False)

    def uninstall(self) -> None:
        """Disconnects the signals; tasks then run without tenant, whatever they carry."""
        for signal, receiver in self._receivers():
            signal.disconnect(receiver)
        _INSTALLED.clear()

    def _receivers(self) -> tuple[tuple[Any, Any], ...]:
        return (before_task_publish, self._sign), (task_prerun, self._enter), (task_postrun, self._leave)

    def _sign(self, sender: str, body: Any, headers: dict[str, Any], **_: Any) -> None:
        visit = _visit(current_task.request) if current_task else None
        if visit is not None and isinstance(visit.refused, Unavailable):
            return  # the retry of a task that could not be judged: its envelope covers the same job
        headers.pop(HEADER, None)
        tenant = current_tenant()
        if tenant is None:
            return
        headers[HEADER] = _UNSIGNED
        if not isinstance(body, tuple):
            raise ConfigurationError("tasks travel by message protocol 2", hint="task_protocol = 2", reason="celery")
        args, kwargs, after = body
        headers[HEADER] = self._envelopes.sign(tenant, sender, _job(args, kwargs, after))

    def _enter(self, task: Any, args: Any, kwargs: Any, **_: Any) -> None:
        request = task.request
        if task.app is not self._app or request.is_eager:
            return
        visit = _Visit()
        setattr(request, _VISIT, visit)
        try:
            visit.enter(self._open(task.name, request, args, kwargs))
        except Exception as error:
            visit.refused = error
            visit.enter(None)

    def _open(self, name: str, request: Any, args: Any, kwargs: Any) -> TenantContext | None:
        envelope = getattr(request, HEADER, None)
        if envelope is None:
            return None
        try:
            job = _job(args, kwargs, vars(request))
        except UsageError:
            raise EnvelopeInvalid("the arguments are not what was signed") from None
        return self._envelopes.open(envelope, name, job)

    def _leave(self, task: Any, **_: Any) -> None:
        visit = _visit(task.request)
        if visit is not None:
            visit.leave()


class _Visit:
    """One run of a task."""

    __slots__ = ("_rooted", "refused")

    def __init__(self) -> None:
        self.refused: Exception | None = None
        self._rooted: Rooted | None = None

    def enter(self, tenant: TenantContext | None) -> None:
        self._rooted = Rooted(tenant)
        self._rooted.enter()

    def leave(self) -> None:
        if self._rooted is not None:
            self._rooted.leave()


_INSTALLED: Final[list[TenantTasks]] = []


def _visit(request: Any) -> _Visit | None:
    found = getattr(request, _VISIT, None)
    return found if isinstance(found, _Visit) else None


def _job(args: Any, kwargs: Any, after: Mapping[str, Any]) -> bytes:
    """What an envelope covers: the arguments, and all that Celery runs when the task ends."""
    return argument_bytes([args, kwargs, {name: after.get(name) or None for name in _AFTER}])


def assert_all_tasks_guarded(app: Any) -> None:
    """Refuses an app with tasks whose class is not `TenantTask`: where they should fail they would run without tenant.

    Raises:
        ConfigurationError: names them.
    """
    app.finalize(auto=True)
    found = sorted(name for name, task in app.tasks.items() if not isinstance(task, TenantTask))
    if found:
        raise ConfigurationError(
            f"tasks that cannot be refused: {', '.join(found)}",
            hint="install() before the tasks are defined, and base their classes on TenantTask",
            reason="unguarded_task",
        )
