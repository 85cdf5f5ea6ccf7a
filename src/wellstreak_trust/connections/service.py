"""`Connections`: define, test, gate. The rules are in `state`; here is the I/O around them, each step one swap."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

from ..core.clock import Clock, SystemClock
from ..core.errors import Busy, ConnectionNotActive, NotFound, UsageError
from ..core.event import AuditEvent, EventSink
from ..core.redact import redact_text
from ..core.sansio import drive, suspends, synced
from ..core.secret import Secret
from .memory import ConnectionStore
from .probe import CODES, REJECTIONS, Probe, ProbeContext, ProbeResult
from .state import ConnectionRecord, Evidence, Judgement, State, defined, judged, moved, tested

__all__ = ["ActiveConnection", "ConnectionStatus", "Connections", "Failure", "Success"]

_SWAPS: Final = 8
_RUN: Final = timedelta(seconds=15)
_EVERY: Final[Mapping[str, timedelta]] = MappingProxyType(
    {"active": timedelta(minutes=5), "testing": timedelta(seconds=30), "degraded": timedelta(seconds=30)}
)
_HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unknown_connection": "connect the integration first",
        "stale_evidence": "run the connection test",
        "unauthorized": "the provider refused the credential; enter a new one",
        "forbidden": "the credential lacks permission at the provider",
        "invalid_grant": "reconnect the integration; its grant was withdrawn",
        "not_authenticated": "add a probe that makes an authenticated call",
        "secret_changed": "the credential was replaced; run the connection test",
        "timeout": "the provider did not answer in time",
        "disabled": "an operator switched it off; enable it first",
    }
)


class SecretReader(Protocol):
    """What the gate needs of a secret store."""

    async def adescribe(self, tenant_id: str, name: str, /) -> Any:
        """An object with `version`."""
        ...

    async def aget(self, tenant_id: str, name: str, /) -> Any:
        """The secret."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """What a tenant may see; no provider text."""

    provider: str
    state: State
    since: datetime
    reason: str
    hint: str
    generation: int
    last_ok: datetime | None
    last_checked: datetime | None
    next_check: datetime | None
    history: tuple[tuple[datetime, str, str], ...]


@dataclass(frozen=True, slots=True)
class ActiveConnection:
    """The gate's answer: what was proved, and with which credential."""

    generation: int
    secret_version: int | None
    evidence: Evidence
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Success:
    """Live traffic that the provider accepted."""

    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Live traffic that failed, with a probe code."""

    code: str
    retry_after: timedelta | None = None
    generation: int | None = None


Results = list[tuple[Probe, ProbeResult]]
Runner = Callable[[Sequence[Probe], ProbeContext], Awaitable[Results]]


class Connections:
    """The connections of all tenants.

    Args:
        store: `MemoryConnectionStore` or ``storage.sql.SqlConnectionStore``.
        secrets: a `SecretStore`, or anything with `adescribe(...)` and `aget(...)`.
        probes: provider name to its probes.
        audit: takes one event for every change of state.
    """

    def __init__(
        self,
        store: ConnectionStore,
        secrets: SecretReader,
        probes: Mapping[str, Sequence[Probe]],
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store: ConnectionStore = store
        self._secrets: SecretReader = secrets
        self._probes: dict[str, tuple[Probe, ...]] = {name: tuple(found) for name, found in probes.items()}
        self._audit: EventSink | None = audit
        self._clock: Clock = clock or SystemClock()
        self.suspends: bool = suspends(store, secrets, audit)

    # --- set-up -------------------------------------------------------------------------------------------------------

    async def adefine(
        self, tenant_id: str, provider: str, *, config: Mapping[str, Any], secret: str | None = None
    ) -> ConnectionStatus:
        """Creates or changes a connection; a change starts a new generation, which must prove itself again.

        Raises:
            UsageError: no probes are known for the provider. SecretNotFound: no secret of that name.
        """
        if provider not in self._probes:
            raise UsageError(f"no probes for {provider!r}", hint="Connections(probes={provider: [HttpProbe(...)]})")
        version = await self._current_version(tenant_id, secret)
        now = self._clock.now()
        wanted = ConnectionRecord(
            tenant_id, provider, "testing", now, 1, MappingProxyType(dict(config)), secret, version
        )
        return await self._change(tenant_id, provider, lambda held: defined(held, wanted, now), create=True)

    define: Final = synced(adefine)

    async def asuspend(self, tenant_id: str, provider: str, reason: str) -> ConnectionStatus:
        """Closes it; only a test opens it again."""
        return await self._close(tenant_id, provider, "suspended", reason)

    suspend: Final = synced(asuspend)

    async def adisable(self, tenant_id: str, provider: str, reason: str) -> ConnectionStatus:
        """Closes it; only `enable` leads back, to testing."""
        return await self._close(tenant_id, provider, "disabled", reason)

    disable: Final = synced(adisable)

    async def arevoke(self, tenant_id: str, provider: str, reason: str) -> ConnectionStatus:
        """Closes it for good; only a definition with a new credential version leads back."""
        return await self._close(tenant_id, provider, "revoked", reason)

    revoke: Final = synced(arevoke)

    async def aenable(self, tenant_id: str, provider: str, reason: str) -> ConnectionStatus:
        """Takes a disabled connection back to testing; nothing else."""
        now = self._clock.now()
        return await self._change(
            tenant_id, provider, lambda r: moved(r, "testing", reason, now) if r.state == "disabled" else r
        )

    enable: Final = synced(aenable)

    # --- proof --------------------------------------------------------------------------------------------------------

    async def atest(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """Runs all probes at once, each under its own deadline, all under 15 seconds, and judges the run."""
        return await self._test(tenant_id, provider, _together)

    def test(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """Runs the probes one after the other; they must not suspend."""
        if self.suspends:
            synced(type(self).atest)(self, tenant_id, provider)  # refuses with the hint every sync face gives
        return drive(self._test(tenant_id, provider, _in_turn))

    async def _test(self, tenant_id: str, provider: str, run: Runner) -> ConnectionStatus:
        begun = await self._load(tenant_id, provider)
        if begun.state in ("disabled", "revoked"):
            raise ConnectionNotActive(begun.state, begun.reason, hint=_hint(begun))
        secret: Secret[str] | None = None
        if begun.secret is not None:
            secret = await self._secrets.aget(tenant_id, begun.secret)
        version = await self._current_version(tenant_id, begun.secret)
        context = ProbeContext(tenant_id, provider, begun.config, secret, begun.generation, self._clock)
        results = await run(self._probes.get(provider, ()), context)
        now = self._clock.now()
        judgement = judged(results, now)
        after = await self._current_version(tenant_id, begun.secret)

        def rule(held: ConnectionRecord) -> ConnectionRecord:
            unchanged = (held.generation, held.state) == (begun.generation, begun.state) and after == version
            # A secret rotated before the run began is what the run proved; during the run it voids it (rule 6).
            return tested(replace(held, secret_version=version), judgement, now) if unchanged else held

        return await self._change(tenant_id, provider, rule)

    async def areport(self, tenant_id: str, provider: str, report: Success | Failure) -> ConnectionStatus:
        """Live traffic as evidence. A success refreshes what is proved and never opens anything."""
        now = self._clock.now()
        begun = await self._load(tenant_id, provider)
        version = await self._current_version(tenant_id, begun.secret)

        def rule(held: ConnectionRecord) -> ConnectionRecord:
            if report.generation not in (None, held.generation):
                return held
            if isinstance(report, Success):
                # Only what is proved can be refreshed: a success with a rotated credential would open the gate.
                proved = held.evidence is not None and held.evidence.proves(held.generation, version)
                if held.state != "active" or not proved:
                    return held
                return replace(held, evidence=Evidence(held.generation, version, now), last_ok=now, faults=0)
            code = report.code if report.code in CODES else "error"
            return tested(held, Judgement("rejected" if code in REJECTIONS else "fault", code), now)

        return await self._change(tenant_id, provider, rule)

    report: Final = synced(areport)

    # --- the gate -----------------------------------------------------------------------------------------------------

    async def arequire_active(
        self,
        tenant_id: str,
        provider: str,
        max_age: timedelta = timedelta(minutes=15),
        allow: frozenset[str] = frozenset(),
    ) -> ActiveConnection:
        """Opens only on fresh authenticated evidence for this generation and this credential version.

        Raises:
            ConnectionNotActive: everything else, an unknown connection included.
        """
        record = await self._store.load(tenant_id, provider)
        if record is None:
            raise ConnectionNotActive("draft", "unknown_connection", hint=_HINTS["unknown_connection"])
        if record.state != "active" and not (record.state == "degraded" and "degraded" in allow):
            raise ConnectionNotActive(record.state, record.reason, hint=_hint(record))
        evidence = record.evidence
        if evidence is None:
            raise ConnectionNotActive(record.state, "stale_evidence", hint=_HINTS["stale_evidence"])
        if not evidence.proves(record.generation, await self._current_version(tenant_id, record.secret)):
            raise ConnectionNotActive(record.state, "secret_changed", hint=_HINTS["secret_changed"])
        age = self._clock.now() - evidence.observed_at
        if not timedelta() <= age <= max_age:
            raise ConnectionNotActive(record.state, "stale_evidence", hint=_HINTS["stale_evidence"])
        return ActiveConnection(record.generation, evidence.secret_version, evidence, record.config)

    require_active: Final = synced(arequire_active)

    async def astatus(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """What a tenant may see of one connection; raises `NotFound` for an unknown one."""
        return _status(await self._load(tenant_id, provider))

    status: Final = synced(astatus)

    async def alist(self, tenant_id: str) -> list[ConnectionStatus]:
        """The status of every connection of a tenant."""
        return [_status(record) for record in await self._store.list(tenant_id)]

    list: Final = synced(alist)

    # --- around the rules ---------------------------------------------------------------------------------------------

    async def _load(self, tenant_id: str, provider: str) -> ConnectionRecord:
        record = await self._store.load(tenant_id, provider)
        if record is None:
            raise NotFound("unknown connection")
        return record

    async def _close(self, tenant_id: str, provider: str, state: State, reason: str) -> ConnectionStatus:
        now = self._clock.now()
        final = ("revoked",) if state in ("disabled", "revoked") else ("revoked", "disabled")
        return await self._change(
            tenant_id, provider, lambda r: r if r.state in final else moved(r, state, reason[:200], now)
        )

    async def _change(
        self,
        tenant_id: str,
        provider: str,
        rule: Callable[[Any], ConnectionRecord],
        *,
        create: bool = False,
    ) -> ConnectionStatus:
        """Load, apply, swap; again when somebody was faster."""
        for _ in range(_SWAPS):
            held = await self._store.load(tenant_id, provider)
            if held is None and not create:
                raise NotFound("unknown connection")
            wanted = rule(held)
            if wanted is held:
                return _status(wanted)
            if await self._store.swap_if(wanted):
                if held is None or held.state != wanted.state:
                    await self._emit(held, wanted)
                return _status(wanted)
        raise Busy("a connection changed under every attempt", hint="retry")

    async def _emit(self, held: ConnectionRecord | None, wanted: ConnectionRecord) -> None:
        if self._audit is None:
            return
        change = {"field": "state", "from": held.state if held is not None else None, "to": wanted.state}
        await self._audit.aemit(
            AuditEvent(
                "connection.state_changed",
                "success",
                wanted.tenant_id,
                {"kind": "system", "id": "connections"},
                targets=(wanted.provider,),
                changes=(change,),
                reason=wanted.reason,
                data={"generation": wanted.generation},
                occurred_at=self._clock.now(),
            )
        )

    async def _current_version(self, tenant_id: str, secret: str | None) -> int | None:
        if secret is None:
            return None
        version: int = (await self._secrets.adescribe(tenant_id, secret)).version
        return version


async def _in_turn(probes: Sequence[Probe], context: ProbeContext) -> Results:
    found: Results = []
    for probe in probes:
        try:
            found.append((probe, _cleaned(drive(probe.run(context)))))
        except Exception as error:
            found.append((probe, _broken(error)))
    return found


async def _together(probes: Sequence[Probe], context: ProbeContext) -> Results:
    async def one(probe: Probe) -> tuple[Probe, ProbeResult]:
        try:
            async with asyncio.timeout(min(probe.timeout, _RUN).total_seconds()):
                if getattr(probe, "blocking", False):
                    result = await asyncio.to_thread(lambda: drive(probe.run(context)))
                else:
                    result = await probe.run(context)
            return probe, _cleaned(result)
        except TimeoutError:
            return probe, ProbeResult("fail", "timeout")
        except Exception as error:
            return probe, _broken(error)

    return list(await asyncio.gather(*(one(probe) for probe in probes)))


def _broken(error: Exception) -> ProbeResult:
    """An exception is never ok, and its text is never kept: error pages echo tokens."""
    return ProbeResult("fail", "timeout" if isinstance(error, TimeoutError) else "error", type(error).__name__)


def _cleaned(result: ProbeResult) -> ProbeResult:
    code = result.code if result.code in CODES else "error"
    outcome = result.outcome if result.outcome in ("ok", "fail", "skipped", "unknown") else "unknown"
    return replace(result, outcome=outcome, code=code, detail=redact_text(str(result.detail))[:500])


def _hint(record: ConnectionRecord) -> str:
    return _HINTS.get(record.reason) or _HINTS.get(record.state, "run the connection test")


def _status(record: ConnectionRecord) -> ConnectionStatus:
    every = _EVERY.get(record.state)
    return ConnectionStatus(
        record.provider,
        record.state,
        record.since,
        record.reason,
        "" if record.state == "active" else _hint(record),
        record.generation,
        record.last_ok,
        record.last_checked,
        record.last_checked + every if every is not None and record.last_checked is not None else None,
        record.history,
    )
