"""Tests of connections: reads the credential, runs the probes, judges, and lets the rules decide about the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from ..core.errors import ConnectionNotActive, HostError
from ..core.secret import Secret
from .gate import version_in_use
from .ledger import Ledger
from .probe import Probe, ProbeContext
from .record import Check, ConnectionRecord, Judgement, conditions_after, judged
from .runner import Results, Runner
from .schedule import LEASE
from .state import promoted, tested
from .view import ConnectionStatus, hint_of, status_of

__all__ = ["SecretReader", "Tester"]


class SecretReader(Protocol):
    """What this room needs of a secret store."""

    async def adescribe(self, tenant_id: str, name: str, /) -> Any:
        """An object with `version`."""
        ...

    async def aget(self, tenant_id: str, name: str, /) -> Any:
        """The secret; with ``version=`` an older one, which is asked for only while a candidate waits."""
        ...


class Tester:
    """Proves connections, or finds out why not."""

    __slots__ = ("_ledger", "_probes", "_secrets")

    def __init__(self, ledger: Ledger, secrets: SecretReader, probes: Mapping[str, Sequence[Probe]]) -> None:
        self._ledger: Ledger = ledger
        self._secrets: SecretReader = secrets
        self._probes: Mapping[str, Sequence[Probe]] = probes

    async def test(self, tenant_id: str, provider: str, run: Runner) -> ConnectionStatus:
        """A candidate first; where it is not proved, the generation in use as well."""
        begun = await self._ledger.load(tenant_id, provider)
        if begun.state in ("disabled", "revoked"):
            raise ConnectionNotActive(begun.state, begun.reason, hint=hint_of(begun.state, begun.reason))
        if begun.candidate is not None:
            status = await self._candidate(begun, run)
            if status.generation != begun.generation:
                return status
        return await self._in_use(begun, run)

    async def claim(self, limit: int) -> Sequence[ConnectionRecord]:
        """Leases what is due."""
        now = self._ledger.clock.now()
        return await self._ledger.store.claim_due(now, now + LEASE, limit)

    async def due(self, record: ConnectionRecord, run: Runner) -> ConnectionStatus:
        """A test that nobody waits for: what keeps it from running is a passing fault."""
        try:
            return await self.test(record.tenant_id, record.provider, run)
        except ConnectionNotActive:
            return status_of(await self._ledger.load(record.tenant_id, record.provider))
        except HostError:
            raise
        except Exception as error:
            now = self._ledger.clock.now()
            seen = (("credential", "fail", "error", 0, getattr(error, "code", type(error).__name__)),)
            check = Check(now, "test", record.generation, record.secret_version, "fault", "error", seen)

            def rule(held: ConnectionRecord) -> ConnectionRecord:
                return self._ledger.planned(tested(held, Judgement("fault", "error"), now), now)

            return await self._ledger.change(record.tenant_id, record.provider, rule, check=check)

    async def version(self, tenant_id: str, secret: str | None) -> int | None:
        """The credential's current version."""
        if secret is None:
            return None
        version: int = (await self._secrets.adescribe(tenant_id, secret)).version
        return version

    async def _in_use(self, begun: ConnectionRecord, run: Runner) -> ConnectionStatus:
        current = await self.version(begun.tenant_id, begun.secret)
        # A secret rotated before the run began is what the run proves; during the run it voids it (rule 6).
        begun = replace(begun, secret_version=version_in_use(begun, current))
        results, check, judgement = await self._asked(begun, run, current)
        unrotated = await self.version(begun.tenant_id, begun.secret) == current

        def rule(held: ConnectionRecord) -> ConnectionRecord:
            # By its edges a state that was left and entered again is another one.
            stands = (held.generation, held.state, held.edges) == (begun.generation, begun.state, begun.edges)
            if not unrotated or not stands:
                return held
            seen = conditions_after(held.conditions, results, held.generation, check.at)
            proved = replace(held, secret_version=begun.secret_version, conditions=seen)
            return self._ledger.planned(tested(proved, judgement, check.at), check.at, judgement.retry_after)

        return await self._ledger.change(begun.tenant_id, begun.provider, rule, check=check)

    async def _candidate(self, held: ConnectionRecord, run: Runner) -> ConnectionStatus:
        candidate = held.candidate
        assert candidate is not None
        # As with the generation in use: what a run proves is the credential that it began with.
        current = await self.version(held.tenant_id, candidate.secret)
        begun = replace(
            held,
            generation=candidate.generation,
            config=candidate.config,
            secret=candidate.secret,
            secret_version=current,
            generation_since=candidate.since,
        )
        results, check, judgement = await self._asked(begun, run, current)
        unrotated = await self.version(held.tenant_id, candidate.secret) == current

        def rule(now_held: ConnectionRecord) -> ConnectionRecord:
            # Its number alone does not tell: that of a dropped candidate is given to the next one.
            waiting = now_held.candidate
            if waiting is None or replace(waiting, reason=candidate.reason) != candidate or not unrotated:
                return now_held
            after = promoted(now_held, judgement, check.at, current)
            if after.generation == candidate.generation:
                after = replace(after, conditions=conditions_after((), results, after.generation, check.at))
            return self._ledger.planned(after, check.at, judgement.retry_after)

        return await self._ledger.change(
            begun.tenant_id, begun.provider, rule, check=replace(check, source="candidate")
        )

    async def _asked(
        self, begun: ConnectionRecord, run: Runner, current: int | None
    ) -> tuple[Results, Check, Judgement]:
        clock = self._ledger.clock
        secret = await self._read(begun, current)
        since = begun.generation_since or begun.since
        context = ProbeContext(
            begun.tenant_id, begun.provider, begun.config, secret, begun.generation, clock, since, begun.last_inbound
        )
        results = await run(self._probes.get(begun.provider, ()), context)
        now = clock.now()
        judgement = judged(results, now)
        return results, _check(begun, judgement, results, now), judgement

    async def _read(self, begun: ConnectionRecord, current: int | None) -> Secret[str] | Secret[bytes] | None:
        if begun.secret is None:
            return None
        reader: Any = self._secrets
        older = {} if begun.secret_version == current else {"version": begun.secret_version}
        found: Secret[str] | Secret[bytes] = await reader.aget(begun.tenant_id, begun.secret, **older)
        return found


def _check(begun: ConnectionRecord, judgement: Judgement, results: Results, now: datetime) -> Check:
    probes = tuple(
        (probe.name, result.outcome, result.code, result.latency // timedelta(microseconds=1), result.detail)
        for probe, result in results
    )
    return Check(now, "test", begun.generation, begun.secret_version, judgement.verdict, judgement.code, probes)
