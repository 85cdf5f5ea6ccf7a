"""What happens while the store is down: a circuit that spares callers the time-out, and the rules' declared policies.

After five consecutive failures one caller a second pays the time-out as a probe; all others are decided at once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock
from typing import Final, Protocol, TypeVar

from ..core.clock import Clock
from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import ConfigurationError, HostError, StoreMisconfigured
from ..core.event import AuditEvent, EventSink, Outcome
from .memory import MemoryLimitStore
from .rules import LimitRule
from .store import Charge, Level, LimitStore, Settlement
from .verdict import Verdict

__all__ = ["Accounts", "Circuit", "CircuitPolicy", "Counting", "Fallback"]

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
_MICROSECOND: Final = timedelta(microseconds=1)


class Counting(Protocol):
    """Counts; labels come from closed sets."""

    def add(self, name: str, amount: int = 1, **labels: str) -> None:
        """Adds to one counter."""
        ...


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """When to stop asking a store, and how often to try again.

    Args:
        failures: consecutive failures that open the circuit.
        probe_every: between two attempts while it is open; up to a tenth more, so that replicas do not probe together.

    Raises:
        ConfigurationError: not positive.
    """

    failures: int = 5
    probe_every: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        every = isinstance(self.probe_every, timedelta) and self.probe_every > timedelta()
        if type(self.failures) is not int or self.failures < 1 or not every:
            raise ConfigurationError("a circuit needs positive numbers", hint="leave CircuitPolicy() as it is")


class Circuit:
    """The state of one store as its callers see it; thread-safe, and free while all is well."""

    __slots__ = ("_audit", "_clock", "_failures", "_lock", "_metrics", "_next_probe", "_policy", "_told", "turns")

    def __init__(
        self, policy: CircuitPolicy, clock: Clock, metrics: Counting | None, audit: EventSink | None = None
    ) -> None:
        self._policy: CircuitPolicy = policy
        self._clock: Clock = clock
        self._metrics: Counting | None = metrics
        self._lock: Lock = Lock()
        self._failures: int = 0
        self._next_probe: int = 0
        self._told: bool = False
        self._audit: EventSink | None = audit
        self.turns: deque[AuditEvent] = deque(maxlen=16)

    @property
    def open(self) -> bool:
        """Whether the store is given up for the moment."""
        return self._failures >= self._policy.failures

    def blocks(self) -> bool:
        """Whether this caller must do without the store; the one that may probe is told no."""
        if self._failures < self._policy.failures:
            return False
        with self._lock:
            if self._clock.monotonic_ns() < self._next_probe:
                return True
            self._set_probe()
            return False

    def failed(self, error: Exception) -> None:
        """Counts a failure."""
        with self._lock:
            self._failures += 1
            opened = self._failures == self._policy.failures
            if self._failures >= self._policy.failures:
                self._set_probe()
            told = self._told
            self._told = told or isinstance(error, StoreMisconfigured)
        if isinstance(error, StoreMisconfigured) and not told:
            # Waiting heals no misconfiguration. Our own detail holds no keys.
            _LOG.error("the limit store is misconfigured (%s); outage policies decide", error.detail)
        if opened:
            self._turned("open", type(error).__name__)

    def worked(self) -> None:
        """Closes the circuit."""
        if self._failures == 0:
            return
        with self._lock:
            was_open = self._failures >= self._policy.failures
            self._failures = 0
        if was_open:
            self._turned("closed", "")

    def probe_in(self) -> int:
        """Nanoseconds until the next attempt."""
        left = self._next_probe - self._clock.monotonic_ns() if self._failures >= self._policy.failures else 0
        return left if left > 0 else self._policy.probe_every // _MICROSECOND * 1_000

    def _set_probe(self) -> None:
        period = self._policy.probe_every // _MICROSECOND * 1_000
        jitter = period * SYSTEM_ENTROPY.octets(1)[0] // 2_560
        self._next_probe = self._clock.monotonic_ns() + period + jitter

    def _turned(self, state: str, cause: str) -> None:
        """Once per transition: an outage must not become a flood of its own."""
        _LOG.warning("limit store circuit is %s %s", state, cause)
        if self._metrics is not None:
            self._metrics.add("wst.ratelimit.circuit", state=state)
        if self._audit is not None:
            outcome: Outcome = "error" if state == "open" else "success"
            actor = {"id": "ratelimit", "kind": "system"}
            event = AuditEvent("limit.degraded", outcome, "system", actor, data={"circuit": state, "cause": cause})
            self.turns.append(event)

    async def ask(self, verb: Awaitable[T]) -> T | None:
        """What the store answers; None where it fails, which is counted.

        Raises:
            HostError: a bug of the host, such as a sync call over an async client, is no outage.
        """
        try:
            found = await verb
        except HostError:
            raise
        except Exception as error:
            self.failed(error)
            found = None
        else:
            self.worked()
        if self.turns:
            await self.announce()
        return found

    async def announce(self) -> None:
        """Writes the transitions since the last call to the trail; a trail that is down as well stops no request."""
        while self.turns and self._audit is not None:
            event = self.turns.popleft()
            try:
                await self._audit.aemit(event)
            except HostError:
                raise
            except Exception as error:
                _LOG.warning("the trail did not take limit.degraded (%s)", type(error).__name__)


class Accounts:
    """A store as verdicts settle on it: best effort, since the request is over."""

    __slots__ = ("_circuit", "_clock", "_store", "suspends")

    def __init__(self, store: LimitStore, clock: Clock, circuit: Circuit) -> None:
        self._store: LimitStore = store
        self._clock: Clock = clock
        self._circuit: Circuit = circuit
        self.suspends: bool = bool(getattr(store, "suspends", False))

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """Settles, or counts the failure."""
        if not settlements or self._circuit.blocks():
            return
        await self._circuit.ask(self._store.settle(settlements, self._clock))


class Fallback:
    """Decides by the rules' outage policies, with counters of this process divided by the number of replicas."""

    __slots__ = ("_accounts", "_clock", "_replicas", "_shares", "_store")

    def __init__(self, clock: Clock, replicas: int) -> None:
        self._clock: Clock = clock
        self._replicas: int = replicas
        self._store: MemoryLimitStore = MemoryLimitStore(allow_memory=True, max_keys=100_000)
        self._accounts: Accounts = Accounts(self._store, clock, Circuit(CircuitPolicy(), clock, None))
        self._shares: dict[LimitRule, LimitRule] = {}

    def decide(self, charges: Sequence[Charge], circuit: Circuit, *, cost: int, commit: bool) -> Verdict:
        """A degraded verdict. One closed rule is enough to deny; open rules are not counted."""
        if cost and any(charge.rule.on_outage == "closed" and charge.rule.enforced for charge in charges):
            wait = circuit.probe_in()
            levels = [_unknown(charge, wait) for charge in charges]
            return Verdict(False, charges, levels, degraded=True, outage=True)
        local = [charge for charge in charges if charge.rule.on_outage == "local"]
        shares = [charge._replace(rule=self._share(charge.rule)) for charge in local]
        allowed, known = self._store.decide(shares, self._clock, commit)
        found = dict(zip(local, known, strict=True))
        accounts = self._accounts if allowed and commit else None
        return Verdict(
            allowed,
            [*shares, *(charge for charge in charges if charge not in found)],
            [*known, *(_unknown(charge, 0) for charge in charges if charge not in found)],
            cost=cost,
            accounts=accounts,
            degraded=True,
        )

    def _share(self, rule: LimitRule) -> LimitRule:
        """This replica's part of a limit; at least 1."""
        share = self._shares.get(rule)
        if share is None:
            limit = max(1, rule.limit // self._replicas)
            burst = None if rule.burst is None else min(limit, max(1, rule.burst // self._replicas))
            share = self._shares[rule] = replace(rule, limit=limit, burst=burst)
        return share


def _unknown(charge: Charge, wait: int) -> Level:
    """What is said of a bucket that nobody can read: closed rules have nothing to give, open rules everything."""
    if charge.rule.on_outage == "closed" and charge.rule.enforced:
        return Level(wait, 0, wait, None)
    return Level(0, charge.rule.capacity, 0, None)
