"""`RateLimiter`: several limits as one decision.

All rules of a check are decided in one atomic step of the store. A denial by one consumes nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, HostError, RateLimited, StoreUnavailable, UsageError
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from .denials import DenyCache
from .lane import Lane
from .memory import MemoryLimitStore
from .outage import Accounts, Circuit, CircuitPolicy, Counting, Fallback
from .plans import PlanSource, overridden
from .rules import LimitRule
from .store import Charge, Level, LimitStore
from .verdict import Usage, Verdict, units_of

__all__ = ["Hold", "RateLimiter"]

Keys = Mapping[str, str]


class RateLimiter:
    """Decides whether a request may pass, and counts it.

    Args:
        rules: with unique names.
        store: where the buckets are; memory of this process unless told.
        clock: drives memory and fallback; stores with a clock of their own ignore it.
        replicas: processes that share these limits; local fallback counters are divided by it.
        circuit: when to stop asking a store that fails.
        metrics: counts verdicts and circuit transitions; labels are rule names, never keys.
        plans: which customers have other numbers than the rules declare.
        deny_cache: names of rules whose denials this process remembers, so that hammering costs the store nothing;
            not for rules whose charges are refunded or settled.
        audit: takes ``limit.degraded`` when the store is lost and when it is back, once each.

    Raises:
        ConfigurationError: two rules of one name, or arguments that do not fit.
    """

    def __init__(
        self,
        rules: Iterable[LimitRule],
        store: LimitStore | None = None,
        clock: Clock | None = None,
        *,
        replicas: int = 1,
        circuit: CircuitPolicy | None = None,
        metrics: Counting | None = None,
        plans: PlanSource | None = None,
        deny_cache: Iterable[str] = (),
        audit: EventSink | None = None,
    ) -> None:
        if type(replicas) is not int or replicas < 1:
            raise ConfigurationError("replicas is not a positive number", hint="count the processes", reason="limits")
        self.rules: tuple[LimitRule, ...] = _admitted(rules)
        self.store: LimitStore = MemoryLimitStore() if store is None else store
        self._memory: MemoryLimitStore | None = self.store if type(self.store) is MemoryLimitStore else None
        self.suspends: bool = suspends(self.store, plans, audit)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._circuit: Circuit = Circuit(circuit or CircuitPolicy(), self._clock, metrics, audit)
        self._plans: PlanSource | None = plans
        self._denials: DenyCache | None = _cached(deny_cache, self.rules, self._clock)
        self.replicas: int = replicas
        self._fallback: Fallback = Fallback(self._clock, replicas)
        self._accounts: Accounts = Accounts(self.store, self._clock, self._circuit)
        self._metrics: Counting | None = metrics
        self._lane: Lane | None = self._straight()

    @property
    def degraded(self) -> bool:
        """Whether the store failed so often that the outage policy of each rule decides, until it answers again."""
        return self._circuit.open

    # --- views -------------------------------------------------------------------------------------------------------

    def select(self, wanted: Callable[[LimitRule], bool] | Iterable[str]) -> RateLimiter:
        """The same limiter, over the same buckets and circuit, with some of its rules.

        Args:
            wanted: a predicate of a rule, or names.

        Raises:
            ConfigurationError: a name that no rule has.
        """
        if callable(wanted):
            return self._view(tuple(rule for rule in self.rules if wanted(rule)))
        names = {wanted} if isinstance(wanted, str) else set(wanted)
        unknown = names - {rule.name for rule in self.rules}
        if unknown:
            raise ConfigurationError(
                f"no rule is named {', '.join(sorted(map(repr, unknown)))}",
                hint=f"known: {', '.join(rule.name for rule in self.rules)}",
                reason="limits",
            )
        return self._view(tuple(rule for rule in self.rules if rule.name in names))

    def with_rules(self, rules: Iterable[LimitRule]) -> RateLimiter:
        """The same limiter with further rules."""
        return self._view(_admitted((*self.rules, *rules)))

    def _view(self, rules: tuple[LimitRule, ...]) -> RateLimiter:
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__, rules=rules)
        view._lane = view._straight()
        return view

    def _straight(self) -> Lane | None:
        if self._metrics is not None or self._plans is not None:
            return None
        return Lane.of(self.rules, self.store, self._clock, self._accounts)

    # --- decisions ---------------------------------------------------------------------------------------------------

    async def acheck(self, keys: Keys, cost: int = 1) -> Verdict:
        """Decides and, if every enforced rule has room, charges all rules.

        Args:
            keys: what the rules count by, such as ``{"tenant": "t1"}``; names no rule uses are ignored.
            cost: units; 0 is always allowed, and what a rule can never admit is denied without a retry time.

        Raises:
            UsageError: a missing or empty key, or a cost that is no whole number of at least 0. Nothing was charged.
        """
        if self._lane is not None:
            straight = self._lane.check(keys, cost)
            if straight is not None:
                return straight
        charges = await self._charges(keys, cost)
        verdict = self._denials.refusal(charges, cost) if self._denials is not None else None
        if verdict is None:
            verdict = await self._decide(charges, cost, commit=True)
        if self._metrics is not None:
            self._count(self._metrics, verdict)
        return verdict

    _check: Final = synced(acheck)

    def check(self, keys: Keys, cost: int = 1) -> Verdict:
        """As `acheck`, over a store that does not suspend."""
        verdict = self._lane.check(keys, cost) if self._lane is not None else None
        return self._check(keys, cost) if verdict is None else verdict

    async def apeek(self, keys: Keys, cost: int = 0) -> Verdict:
        """What `check` would say now; takes nothing."""
        return await self._decide(await self._charges(keys, cost), cost, commit=False)

    peek: Final = synced(apeek)

    async def ausage(self, keys: Keys) -> dict[str, Usage]:
        """How full the buckets of these keys are, by rule name; rules that do not apply are left out."""
        return (await self._decide(await self._charges(keys, 0), 0, commit=False)).usage()

    usage: Final = synced(ausage)

    async def areset(self, keys: Keys) -> None:
        """Fills the buckets of these keys.

        Raises:
            StoreUnavailable: the store did not answer; nothing is certain then.
        """
        charges = await self._charges(keys, 0)
        if self._denials is not None:
            self._denials.forget(charges)
        try:
            await self.store.clear(charges)
        except HostError:
            raise
        except Exception as error:
            self._circuit.failed(error)
            raise StoreUnavailable("the limits could not be reset", hint="try again when the store answers") from None

    reset: Final = synced(areset)

    def hold(self, keys: Keys, cost: int = 1) -> Hold:
        """A context manager that charges on entry and gives back when its body raises.

        Raises (on entry):
            RateLimited: with the verdict, when denied.
        """
        return Hold(self, keys, cost)

    ahold = hold
    """For ``async with``."""

    async def _decide(self, charges: Sequence[Charge], cost: int, *, commit: bool) -> Verdict:
        circuit = self._circuit
        if circuit.blocks():
            return self._fallback.decide(charges, circuit, cost=cost, commit=commit)
        asked_at = self._clock.monotonic_ns() if self._denials is not None else 0
        try:
            if self._memory is not None:
                allowed, levels = self._memory.decide(charges, self._clock, commit)
            else:
                allowed, levels = await self.store.take_if(charges, self._clock, commit=commit)
                _check_shape(allowed, levels, charges)
        except HostError:
            raise  # a bug of the host, such as a sync call over an async client, is no outage
        except Exception as error:
            circuit.failed(error)
            if circuit.turns:
                await circuit.announce()
            return self._fallback.decide(charges, circuit, cost=cost, commit=commit)
        circuit.worked()
        if circuit.turns:
            await circuit.announce()
        if self._denials is not None and commit and not allowed:
            self._denials.remember(charges, levels, asked_at)
        return Verdict(allowed, charges, levels, cost, self._accounts if allowed and commit else None)

    async def _charges(self, keys: Keys, cost: int) -> list[Charge]:
        units = units_of(cost)
        if not isinstance(keys, Mapping):
            raise UsageError("keys is not a mapping", hint='check({"tenant": tenant_id})')
        plan = {} if self._plans is None else await self._plans.alimits_for(keys)
        found = []
        for rule in self.rules:
            key = rule.key(keys)
            if key is not None:
                override = plan.get(rule.name) if plan else None
                bought = rule if override is None else overridden(rule, override)
                found.append(Charge(bought, key, units * rule.cost))
        return found

    def _count(self, metrics: Counting, verdict: Verdict) -> None:
        degraded = "true" if verdict.degraded else "false"
        for name in verdict.violated or ("all",):
            outcome = "allowed" if verdict.allowed else "denied"
            metrics.add("wst.ratelimit.verdicts", rule=name, outcome=outcome, degraded=degraded)
        for name in verdict.shadow_denied:
            metrics.add("wst.ratelimit.verdicts", rule=name, outcome="shadow_denied", degraded=degraded)


class Hold:
    """A charge for the length of a block; see `RateLimiter.hold`."""

    __slots__ = ("_cost", "_keys", "_limiter", "_verdict")

    def __init__(self, limiter: RateLimiter, keys: Keys, cost: int) -> None:
        self._limiter: RateLimiter = limiter
        self._keys: Keys = keys
        self._cost: int = cost
        self._verdict: Verdict | None = None

    def __enter__(self) -> Verdict:
        return self._admit(self._limiter.check(self._keys, self._cost))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None and self._verdict is not None:
            self._verdict.refund()

    async def __aenter__(self) -> Verdict:
        return self._admit(await self._limiter.acheck(self._keys, self._cost))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is not None and self._verdict is not None:
            await self._verdict.arefund()

    def _admit(self, verdict: Verdict) -> Verdict:
        if not verdict.allowed:
            raise RateLimited(verdict)
        self._verdict = verdict
        return verdict


def _admitted(rules: Iterable[LimitRule]) -> tuple[LimitRule, ...]:
    found = tuple(rules)
    if not all(isinstance(rule, LimitRule) for rule in found):
        raise ConfigurationError("rules are LimitRule objects", hint="LimitRule.parse(name, text)", reason="limits")
    names = [rule.name for rule in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(
            f"two rules are named {twice[0]!r}", hint="a name is the policy's identity in headers", reason="limits"
        )
    return found


def _cached(names: Iterable[str], rules: Iterable[LimitRule], clock: Clock) -> DenyCache | None:
    wanted = frozenset((names,) if isinstance(names, str) else names)
    unknown = sorted(wanted - {rule.name for rule in rules})
    if unknown:
        raise ConfigurationError(f"no rule is named {unknown[0]!r}", hint="deny_cache names rules", reason="limits")
    return DenyCache(wanted, clock) if wanted else None


def _check_shape(allowed: Any, levels: Any, charges: Sequence[Charge]) -> None:
    """An answer of another shape counts as no answer: it must not admit by accident."""
    if type(allowed) is not bool or len(levels) != len(charges) or not all(type(level) is Level for level in levels):
        raise StoreUnavailable("the limit store gave an answer of another shape")
