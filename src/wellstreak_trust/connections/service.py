"""`Connections`: define, test, gate. The rules are in `state`; here is the I/O around them, each step one swap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import SYSTEM_ENTROPY, Entropy
from ..core.errors import UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import drive, suspends, synced
from .gate import Gate, version_in_use
from .ledger import Ledger
from .probe import CODES, REJECTIONS, Probe
from .record import Check, ConnectionRecord, Event, Evidence, Judgement, Verdict
from .runner import in_turn, together
from .state import defined, moved, tested
from .store import ConnectionStore
from .tester import SecretReader, Tester
from .view import ActiveConnection, ConnectionReport, ConnectionStatus, status_of

__all__ = ["Connections", "Failure", "Success"]

_COALESCED: Final = timedelta(seconds=10)


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


class Connections:
    """The connections of all tenants.

    Args:
        store: `MemoryConnectionStore` or ``storage.sql.SqlConnectionStore``.
        secrets: a `SecretStore`, or anything with `adescribe(...)` and `aget(...)`.
        probes: provider name to its probes.
        audit: takes one event for every change of state.
        snapshot: how long this process may answer the gate from what it read last. Nothing by default: what another
            process closes is closed here at once. A second saves two reads a call and delays that by a second.
    """

    def __init__(
        self,
        store: ConnectionStore,
        secrets: SecretReader,
        probes: Mapping[str, Sequence[Probe]],
        audit: EventSink | None = None,
        clock: Clock | None = None,
        *,
        snapshot: timedelta = timedelta(),
        entropy: Entropy = SYSTEM_ENTROPY,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._probes: dict[str, tuple[Probe, ...]] = {name: tuple(found) for name, found in probes.items()}
        self._ledger: Ledger = Ledger(store, self._clock, audit, entropy, self._forget)
        self._tester: Tester = Tester(self._ledger, secrets, self._probes)
        self._gate: Gate = Gate(store, self._tester.version, self._clock, snapshot)
        self.suspends: bool = suspends(store, secrets, audit)

    @property
    def probes(self) -> Mapping[str, tuple[Probe, ...]]:
        """Provider name to its probes."""
        return MappingProxyType(self._probes)

    @property
    def recorded(self) -> bool:
        """Whether changes of state are recorded."""
        return self._ledger.recorded

    # --- set-up -------------------------------------------------------------------------------------------------------

    async def adefine(
        self,
        tenant_id: str,
        provider: str,
        *,
        config: Mapping[str, Any],
        secret: str | None = None,
        keep_previous: bool = False,
        actor: Principal | None = None,
    ) -> ConnectionStatus:
        """Creates or changes a connection; a change starts a new generation, which must prove itself again.

        Args:
            config: plain values that the probes and the host's calls need, kept as JSON keeps them; never a credential.
            secret: the name of the credential in the secret store.
            keep_previous: let a proved generation carry traffic until a test proves the new one. Where the credential
                was rotated, callers read the version that `require_active` names, so it must still be readable.

        Raises:
            UsageError: no probes are known for the provider, or a configuration that is no JSON object.
            SecretNotFound: no secret of that name.
        """
        if provider not in self._probes:
            raise UsageError(f"no probes for {provider!r}", hint="Connections(probes={provider: [HttpProbe(...)]})")
        version = await self._tester.version(tenant_id, secret)
        now = self._clock.now()
        fixed = MappingProxyType(_plain(config))
        wanted = ConnectionRecord(
            tenant_id, provider, "testing", now, 1, fixed, secret, version, generation_since=now, next_check=now
        )

        def rule(held: ConnectionRecord | None) -> ConnectionRecord:
            after = defined(held, wanted, now, keep_previous=keep_previous)
            return after if after is held else self._ledger.planned(after, now)

        return await self._ledger.change(tenant_id, provider, rule, create=True, actor=actor)

    define: Final = synced(adefine)

    async def asuspend(
        self, tenant_id: str, provider: str, reason: str, *, actor: Principal | None = None
    ) -> ConnectionStatus:
        """Closes it; only a test opens it again."""
        return await self._operate(tenant_id, provider, "suspend", reason, actor)

    suspend: Final = synced(asuspend)

    async def adisable(
        self, tenant_id: str, provider: str, reason: str, *, actor: Principal | None = None
    ) -> ConnectionStatus:
        """Closes it; only `enable` leads back, to testing."""
        return await self._operate(tenant_id, provider, "disable", reason, actor)

    disable: Final = synced(adisable)

    async def arevoke(
        self, tenant_id: str, provider: str, reason: str, *, actor: Principal | None = None
    ) -> ConnectionStatus:
        """Closes it for good; only a definition with a new credential version leads back."""
        return await self._operate(tenant_id, provider, "revoke", reason, actor)

    revoke: Final = synced(arevoke)

    async def aenable(
        self, tenant_id: str, provider: str, reason: str, *, actor: Principal | None = None
    ) -> ConnectionStatus:
        """Takes a disabled connection back to testing; nothing else."""
        return await self._operate(tenant_id, provider, "enable", reason, actor)

    enable: Final = synced(aenable)

    # --- proof --------------------------------------------------------------------------------------------------------

    async def atest(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """Runs all probes at once, each under its own deadline, all under 15 seconds, and judges the run.

        A candidate is tested first; where it is not proved, the generation in use is tested as well.

        Raises:
            ConnectionNotActive: it is disabled or revoked. NotFound: unknown.
        """
        return await self._tester.test(tenant_id, provider, together)

    def test(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """Runs the probes one after the other; they must not suspend."""
        if self.suspends:
            synced(type(self).atest)(self, tenant_id, provider)  # refuses with the hint every sync face gives
        return drive(self._tester.test(tenant_id, provider, in_turn))

    async def aprobe_due(self, limit: int = 20) -> list[ConnectionStatus]:
        """Tests what is due and what no other worker has claimed: call it every few seconds, from as many as you like.

        A credential that cannot be read, or whatever else keeps a test from running, counts as a passing fault.
        """
        due = await self._tester.claim(limit)
        return list(await asyncio.gather(*(self._tester.due(record, together) for record in due)))

    def probe_due(self, limit: int = 20) -> list[ConnectionStatus]:
        """As `aprobe_due`, one after the other."""
        if self.suspends:
            synced(type(self).aprobe_due)(self, limit)
        return [drive(self._tester.due(record, in_turn)) for record in drive(self._tester.claim(limit))]

    async def areport(self, tenant_id: str, provider: str, report: Success | Failure) -> ConnectionStatus:
        """Live traffic as evidence. A success refreshes what is proved, at most every 10 seconds, and opens nothing."""
        now = self._clock.now()
        begun = await self._ledger.load(tenant_id, provider)
        version = version_in_use(begun, await self._tester.version(tenant_id, begun.secret))
        code = report.code if isinstance(report, Failure) and report.code in CODES else "error"
        verdict: Verdict = "rejected" if code in REJECTIONS else "fault"

        def rule(held: ConnectionRecord) -> ConnectionRecord:
            if report.generation not in (None, held.generation):
                return held
            if isinstance(report, Success):
                # Only what is proved can be refreshed: a success with a rotated credential would open the gate.
                proved = held.evidence is not None and held.evidence.proves(held.generation, version)
                if held.state != "active" or not proved or now - (held.last_ok or now) < _COALESCED:
                    return held
                fresh = Evidence(held.generation, version, now)
                return self._ledger.planned(replace(held, evidence=fresh, last_ok=now, faults=0, first_fault=None), now)
            if held.state == "suspended":
                return held  # what fails is tested again by itself, and only somebody's test may lead out of there
            after = tested(held, Judgement(verdict, code), now)
            return self._ledger.planned(after, now, report.retry_after) if after is not held else held

        failed = isinstance(report, Failure)
        check = Check(now, "traffic", begun.generation, version, verdict, code) if failed else None
        return await self._ledger.change(tenant_id, provider, rule, check=check)

    report: Final = synced(areport)

    async def asaw_inbound(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """A verified webhook of this connection came in, which `WebhookSeen` waits for; one write in 10 seconds."""
        now = self._clock.now()

        def rule(held: ConnectionRecord) -> ConnectionRecord:
            recent = held.last_inbound is not None and now - held.last_inbound < _COALESCED
            return held if recent else replace(held, last_inbound=now)

        return await self._ledger.change(tenant_id, provider, rule)

    saw_inbound: Final = synced(asaw_inbound)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def arequire_active(
        self,
        tenant_id: str,
        provider: str,
        max_age: timedelta = timedelta(minutes=15),
        allow: frozenset[str] = frozenset(),
    ) -> ActiveConnection:
        """Opens only on fresh authenticated evidence for this generation and this credential version.

        Args:
            max_age: how old the proof may be.
            allow: ``{"degraded"}`` lets work through that a shaky provider may still do.

        Raises:
            ConnectionNotActive: everything else, an unknown connection and an unreadable store included.
        """
        return await self._gate.arequire(tenant_id, provider, max_age, allow)

    require_active: Final = synced(arequire_active)

    async def astatus(self, tenant_id: str, provider: str) -> ConnectionStatus:
        """What a tenant may see of one connection; raises `NotFound` for an unknown one."""
        return status_of(await self._ledger.load(tenant_id, provider))

    status: Final = synced(astatus)

    async def ainspect(self, tenant_id: str, provider: str) -> ConnectionReport:
        """What an operator may see of one connection: redacted details of its checks, and its uptime."""
        record = await self._ledger.load(tenant_id, provider)
        checks = await self._ledger.store.checks(tenant_id, provider)
        return ConnectionReport(
            tenant_id, status_of(record), checks, await self._ledger.store.days(tenant_id, provider)
        )

    inspect: Final = synced(ainspect)

    async def aoverview(self) -> list[tuple[str, ConnectionStatus]]:
        """(tenant, status) of every connection there is: for operators."""
        return [(record.tenant_id, status_of(record)) for record in await self._ledger.store.list(None)]

    overview: Final = synced(aoverview)

    async def _operate(
        self, tenant_id: str, provider: str, event: Event, reason: str, actor: Principal | None
    ) -> ConnectionStatus:
        now = self._clock.now()

        def rule(held: ConnectionRecord) -> ConnectionRecord:
            after = moved(held, event, reason[:200], now)
            return after if after is held else self._ledger.planned(after, now)

        return await self._ledger.change(tenant_id, provider, rule, actor=actor)

    def _forget(self, tenant_id: str, provider: str) -> None:
        self._gate.forget(tenant_id, provider)

    async def alist(self, tenant_id: str) -> list[ConnectionStatus]:
        """The status of every connection of a tenant."""
        return [status_of(record) for record in await self._ledger.store.list(tenant_id)]

    list: Final = synced(alist)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The host's own copy stays its own, and what every store reads back is what is compared with the next one."""
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise UsageError("a configuration is a JSON object", hint="text, numbers, lists and objects of them") from None
    return found
