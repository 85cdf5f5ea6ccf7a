"""Attempts at a secret: the rule of progressive delay, what a store must do atomically, and the store in memory.

Four tallies are kept of one attempt.

own
    The account together with where the attempt comes from: a trusted device, else the client's address group. The only
    tally that delays by itself from the first failures on. After `free` attempts the next waits ``base``, then
    ``2 * base``, ``4 * base`` and so on up to `cap`, counted from the attempt before.
account
    The account from everywhere but trusted devices. Many failures ask for a second factor; from `account_limit` on
    they delay everybody without a trusted device (NIST SP 800-63B-4, 3.2.2, allows 100). One place adds at most
    `share`, so that a stranger at one address cannot bring the owner there.
address
    The place over all accounts: somebody who tries one password on many accounts. It asks for a second factor.
site
    Attempts of the current and the last minute anywhere that did not succeed: stuffing from many addresses. Likewise.

An attempt is *reserved* before the secret is looked at and counts as a failure from then on, so that concurrent
attempts cannot all pass a check before the first of them is counted. `clear` after success takes it back; `record`
after failure has nothing to do unless another attempt cleared the own tally meanwhile (its epoch tells). An attempt
during the wait is denied, is not counted and lengthens nothing: else a penalty would feed itself for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ..core.clock import Clock
from ..core.errors import ConfigurationError

if TYPE_CHECKING:
    from .memory import MemoryLimitStore

__all__ = ["AttemptKeys", "AttemptPolicy", "AttemptStore", "MemoryAttempts", "Reservation"]

_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = 60_000_000_000
_MOST_DOUBLINGS: Final = 40
_NEVER: Final = 2**53
_EPOCHS: Final = count(1)  # one for all tables, so that a tally made anew is never taken for its former self


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """The numbers of `AttemptGuard`; see there.

    Raises:
        ConfigurationError: a number that is not positive, or a `cap` below `base`.
    """

    free: int = 5
    base: timedelta = timedelta(seconds=1)
    cap: timedelta = timedelta(minutes=15)
    forget_after: timedelta = timedelta(hours=24)
    account_step_up: int = 10
    account_limit: int = 100
    share: int = 20
    address_step_up: int = 50
    site_step_up: int = 1_000

    def __post_init__(self) -> None:
        counts = (self.free, self.account_step_up, self.account_limit, self.share, self.address_step_up)
        if not all(type(count) is int and 0 < count < 1_000_000_000 for count in (*counts, self.site_step_up)):
            raise _refuse("a count of the attempt policy is no positive number", "free=5 is a good start")
        if not all(isinstance(span, timedelta) for span in (self.base, self.cap, self.forget_after)):
            raise _refuse("base, cap and forget_after are timedelta", "base=timedelta(seconds=1)")
        if not timedelta() < self.base <= self.cap <= self.forget_after <= timedelta(days=366):
            raise _refuse("not base <= cap <= forget_after", "base=timedelta(seconds=1), cap=timedelta(minutes=15)")

    def delay(self, beyond: int) -> int:
        """Nanoseconds to wait after the attempt that is `beyond` the last free one."""
        return min(_nanos(self.base) << min(beyond, _MOST_DOUBLINGS), _nanos(self.cap))


class AttemptKeys(NamedTuple):
    """The buckets of one attempt; `account` is None for a trusted device, which is judged by its own tally alone."""

    own: str
    account: str | None
    address: str
    site: str


class Reservation(NamedTuple):
    """What `reserve` found. `wait` in nanoseconds, 0 where the attempt was reserved; `epoch` of the own tally."""

    wait: int
    failures: int
    step_up: bool
    epoch: int


class AttemptStore(Protocol):
    """Keeps tallies; every verb is one atomic step over all tallies of an attempt.

    A store that cannot answer raises; the guard's declared policy decides then. Stores with a clock of their own
    ignore `clock`.
    """

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def reserve(self, keys: AttemptKeys, policy: AttemptPolicy, clock: Clock) -> Reservation:
        """Counts an attempt as failed unless it must wait."""
        ...

    async def clear(self, keys: AttemptKeys, policy: AttemptPolicy, clock: Clock) -> None:
        """After success: forgets the own tally and its share of the account's, and one of address and site."""
        ...

    async def record(self, keys: AttemptKeys, policy: AttemptPolicy, epoch: int, clock: Clock) -> None:
        """After failure: counts again if the own tally is no longer that of `epoch`."""
        ...


class _Tally(NamedTuple):
    """Failures, when the next attempt may come, when the last one came, and since when this is counted."""

    failures: int = 0
    until: int = 0
    last: int = 0
    epoch: int = 0

    def ends(self, kept: int) -> int:
        """When it says nothing any more."""
        return max(self.last + kept, self.until)


class _Rate(NamedTuple):
    """Attempts of one minute and of the minute before."""

    minute: int = 0
    failures: int = 0
    before: int = 0

    def ends(self, kept: int) -> int:
        """When neither minute counts any more."""
        return (self.minute + 2) * _MINUTE


class _Fading:
    """How long a tally is kept, and its credit: the fewer failures, the sooner a full table gives it up."""

    __slots__ = ("_kept",)

    def __init__(self, kept: int) -> None:
        self._kept: int = kept

    def now(self, clock: Clock) -> int:
        return clock.monotonic_ns()

    def level(self, state: _Tally | _Rate | None, now: int) -> tuple[int, int]:
        return (0 if state is None else -state.failures), self.expires(state, now)

    def expires(self, state: _Tally | _Rate | None, now: int) -> int:
        return 0 if state is None or state is _NONE else state.ends(self._kept) - now


_NONE: Final = _Tally()
_QUIET: Final = _Rate()


class MemoryAttempts:
    """Tallies of this process, in the table of a `MemoryLimitStore`: bounded, swept, never evicting who must wait."""

    suspends: bool = False

    def __init__(self, table: MemoryLimitStore) -> None:
        self._table: MemoryLimitStore = table
        self._fading: dict[timedelta, _Fading] = {}

    async def reserve(self, keys: AttemptKeys, policy: AttemptPolicy, clock: Clock) -> Reservation:
        """See `AttemptStore`."""
        now = clock.monotonic_ns()
        with self._table.lock:
            own, account, address = (self._live(key, policy, now) for key in keys[:3])
            rate = self._rate(keys.site, now)
            wait = max(own.until, account.until) - now
            if wait <= 0:
                own = self._charge(keys.own, own, policy.free, policy, clock)
                if keys.account is not None and own.failures <= policy.share:
                    account = self._charge(keys.account, account, policy.account_limit, policy, clock)
                address = self._charge(keys.address, address, _NEVER, policy, clock)
                rate = rate._replace(failures=rate.failures + 1)
                self._put(keys.site, rate, policy, clock)
        step_up = keys.account is not None and (
            account.failures > policy.account_step_up
            or address.failures > policy.address_step_up
            or rate.failures + rate.before > policy.site_step_up
        )
        return Reservation(max(wait, 0), own.failures, step_up, own.epoch)

    async def clear(self, keys: AttemptKeys, policy: AttemptPolicy, clock: Clock) -> None:
        """See `AttemptStore`."""
        now = clock.monotonic_ns()
        with self._table.lock:
            own, account, address = (self._live(key, policy, now) for key in keys[:3])
            self._put(keys.own, _NONE, policy, clock)
            if keys.account is not None:
                left = account.failures - min(own.failures, policy.share)
                until = account.until if left >= policy.account_limit else 0
                self._put(keys.account, account._replace(failures=left, until=until), policy, clock)
            self._put(keys.address, address._replace(failures=address.failures - 1), policy, clock)
            rate = self._rate(keys.site, now)
            self._put(keys.site, rate._replace(failures=max(rate.failures - 1, 0)), policy, clock)

    async def record(self, keys: AttemptKeys, policy: AttemptPolicy, epoch: int, clock: Clock) -> None:
        """See `AttemptStore`."""
        now = clock.monotonic_ns()
        with self._table.lock:
            own = self._live(keys.own, policy, now)
            if own.epoch == epoch:
                return
            own = self._charge(keys.own, own, policy.free, policy, clock)
            if keys.account is not None and own.failures <= policy.share:
                account = self._live(keys.account, policy, now)
                self._charge(keys.account, account, policy.account_limit, policy, clock)

    def _live(self, key: str | None, policy: AttemptPolicy, now: int) -> _Tally:
        found: _Tally | None = None if key is None else self._table.states.get(key)
        return _NONE if found is None or self._ageing(policy).expires(found, now) <= 0 else found

    def _rate(self, key: str, now: int) -> _Rate:
        minute = now // _MINUTE
        found: _Rate = self._table.states.get(key, _QUIET)
        if found.minute == minute:
            return found
        return _Rate(minute, 0, found.failures if found.minute == minute - 1 else 0)

    def _charge(self, key: str, tally: _Tally, limit: int, policy: AttemptPolicy, clock: Clock) -> _Tally:
        now, failures, epoch = clock.monotonic_ns(), tally.failures + 1, tally.epoch or next(_EPOCHS)
        until = now + policy.delay(failures - limit) if failures >= limit else tally.until
        charged = _Tally(failures, until, now, epoch)
        self._put(key, charged, policy, clock)
        return charged

    def _put(self, key: str, state: _Tally | _Rate, policy: AttemptPolicy, clock: Clock) -> None:
        if state.failures <= 0 and isinstance(state, _Tally):
            self._table.blank(key, _NONE)
        else:
            self._table.put(key, state, self._ageing(policy), clock)

    def _ageing(self, policy: AttemptPolicy) -> _Fading:
        kept = policy.forget_after
        return self._fading.get(kept) or self._fading.setdefault(kept, _Fading(_nanos(kept)))


def _nanos(duration: timedelta) -> int:
    return duration // _MICROSECOND * 1_000


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="attempts")
