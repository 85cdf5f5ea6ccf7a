"""`AttemptGuard`: bounded guesses at a password, a code or a reset, without a lockout that strangers can pull.

::

    attempt = guard.begin(account, address, device)     # counts as a failure from here on
    if not attempt: raise RateLimited(attempt)
    if hasher.verify(password, stored).ok: attempt.succeed()
    else: attempt.fail()

`attempt_store` says what is counted. Unknown accounts are counted and answered like known ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from datetime import timedelta
from hashlib import blake2b
from threading import Lock
from typing import Any, Final, Literal, get_args

from ..core.address import address_group
from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, RateLimited, UsageError
from ..core.event import EventSink
from ..core.sansio import suspends, synced
from .attempt_store import AttemptKeys, AttemptPolicy, AttemptStore, Reservation
from .headers import seconds
from .memory import MemoryLimitStore
from .outage import Circuit, CircuitPolicy, Counting

__all__ = ["Attempt", "AttemptGuard"]

_FREE: Final = 5
_BASE: Final = timedelta(seconds=1)
_CAP: Final = timedelta(minutes=15)
_FORGET: Final = timedelta(hours=24)
_LONG: Final = 256  # longer than any digest, so that none is taken for a text
_OnOutage = Literal["local", "closed"]
_ONCE: Final = Lock()


class Attempt:
    """One reserved attempt, or its refusal; the truth value is `allowed`. `RateLimited(attempt)` is the answer.

    Attributes:
        allowed: whether the secret may be looked at.
        retry_after: how long to wait, where not.
        failures: attempts from here that did not succeed, this one included.
        step_up: ask for a second factor or a puzzle, whatever the secret says.
        outage: refused because the counters cannot be asked and the guard is declared closed.
        degraded: counted in this process alone.
    """

    __slots__ = ("_epoch", "_guard", "_keys", "_store", "allowed", "degraded", "failures", "outage", "retry_after",
                 "step_up")  # fmt: skip

    violated: Final = ("attempts",)
    """As `Verdict.violated`."""

    def __init__(
        self,
        guard: AttemptGuard,
        found: Reservation,
        keys: AttemptKeys,
        store: AttemptStore | None,
        *,
        degraded: bool = False,
        outage: bool = False,
    ) -> None:
        self.allowed: bool = found.wait == 0
        self.retry_after: timedelta | None = None if self.allowed else timedelta(seconds=seconds(found.wait))
        self.failures: int = found.failures
        self.step_up: bool = found.step_up
        self.degraded: bool = degraded
        self.outage: bool = outage
        self._guard: AttemptGuard = guard
        self._keys: AttemptKeys = keys
        self._epoch: int = found.epoch
        self._store: AttemptStore | None = store if self.allowed else None

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"Attempt(allowed={self.allowed}, failures={self.failures}, step_up={self.step_up})"

    @property
    def suspends(self) -> bool:
        """Whether `succeed` and `fail` suspend."""
        return suspends(self._store)

    def headers(self) -> Mapping[str, str]:
        """``Retry-After`` alone: how many attempts are left is nobody's business."""
        wait = self.retry_after
        return {} if wait is None else {"Retry-After": str(max(1, -(-wait // _SECOND)))}

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document of the refusal."""
        return RateLimited(self).problem(instance)

    async def asucceed(self) -> None:
        """The secret was right: takes the failure back, with those before it from here. Once; best effort on outage.

        Raises:
            UsageError: the attempt was refused, so its secret must not have been looked at.
        """
        store = self._spend("succeed")
        if store is not None:
            await self._guard._settled(store, store.clear(self._keys, self._guard.policy, self._guard.clock))

    succeed: Final = synced(asucceed)

    async def afail(self) -> None:
        """The secret was wrong. It is counted already; an attempt that is neither succeeded nor failed counts too.

        Raises:
            UsageError: as `succeed`.
        """
        store = self._spend("fail")
        if store is not None:
            guard = self._guard
            await guard._settled(store, store.record(self._keys, guard.policy, self._epoch, guard.clock))

    fail: Final = synced(afail)

    def _spend(self, verb: str) -> AttemptStore | None:
        if not self.allowed:
            raise UsageError(f"{verb}() on a refused attempt", hint="look at no secret unless the attempt is allowed")
        with _ONCE:
            store, self._store = self._store, None
        return store


_SECOND: Final = timedelta(seconds=1)


class AttemptGuard:
    """Progressive delay for guesses, by account and place.

    Args:
        store: `MemoryLimitStore`, `RedisLimitStore`, or an `AttemptStore`.
        free: attempts before the first wait.
        base: the first wait; each further attempt doubles it.
        cap: the longest wait.
        forget_after: without attempts, after which all is forgotten.
        on_outage: ``local`` counts in this process while the store is down, ``closed`` refuses. Never open.
        name: what is guarded, such as ``login`` or ``reset``: each has counters of its own.
        account_step_up: failures of an account from all places beyond which a second factor is asked for.
        account_limit: failures of an account from all places from which on they delay all but trusted devices.
        share: what one place can add to the account's failures at most.
        address_step_up: failures of one place over all accounts beyond which a second factor is asked for.
        site_step_up: attempts in two minutes anywhere beyond which everybody without a trusted device is asked.
        circuit, metrics, audit: as for `RateLimiter`.

    Raises:
        ConfigurationError: a number that is not positive, or a policy that does not exist.
    """

    def __init__(
        self,
        store: MemoryLimitStore | AttemptStore | Any,
        *,
        free: int = _FREE,
        base: timedelta = _BASE,
        cap: timedelta = _CAP,
        forget_after: timedelta = _FORGET,
        clock: Clock | None = None,
        on_outage: _OnOutage = "local",
        name: str = "login",
        account_step_up: int = 10,
        account_limit: int = 100,
        share: int = 20,
        address_step_up: int = 50,
        site_step_up: int = 1_000,
        circuit: CircuitPolicy | None = None,
        metrics: Counting | None = None,
        audit: EventSink | None = None,
    ) -> None:
        if on_outage not in get_args(_OnOutage):
            raise ConfigurationError(
                f"an attempt guard cannot be {on_outage!r}: a stopped store would let everybody guess",
                hint='on_outage="local" or "closed"',
                reason="attempts",
            )
        if not isinstance(name, str) or not name:
            raise ConfigurationError("name is empty or no text", hint='name="login"', reason="attempts")
        self.policy: AttemptPolicy = AttemptPolicy(
            free, base, cap, forget_after, account_step_up, account_limit, share, address_step_up, site_step_up
        )
        self.store: AttemptStore = store.attempts() if hasattr(store, "attempts") else store
        if not hasattr(self.store, "reserve"):
            raise ConfigurationError(
                "the store keeps no attempts", hint="MemoryLimitStore() or RedisLimitStore(...)", reason="attempts"
            )
        self.clock: Clock = SystemClock() if clock is None else clock
        self.suspends: bool = suspends(self.store, audit)
        self._closed: bool = on_outage == "closed"
        self._local: AttemptStore = MemoryLimitStore(allow_memory=True, max_keys=100_000).attempts()
        self._circuit: Circuit = Circuit(circuit or CircuitPolicy(), self.clock, metrics, audit)
        self._name: str = name
        self._metrics: Counting | None = metrics

    async def abegin(self, account: str, address: str, device: str | None = None) -> Attempt:
        """Reserves an attempt before the secret is looked at.

        Args:
            account: whose secret, in the one spelling in which it is looked up; it need not exist.
            address: the client's address, or `ClientAddress.key`; IPv6 counts by /64.
            device: the id of a device that signed in to this account before, proved by a cookie; it has counters of
                its own, so that strangers cannot delay it.

        Raises:
            UsageError: an account or address that is empty or no text; it never falls into a shared bucket.
        """
        keys = self._keys(account, address, device)
        attempt = await self._reserved(keys)
        if self._metrics is not None:
            outcome = "denied" if not attempt.allowed else "step_up" if attempt.step_up else "allowed"
            self._metrics.add("wst.ratelimit.attempts", guard=self._name, outcome=outcome)
        return attempt

    begin: Final = synced(abegin)

    async def _reserved(self, keys: AttemptKeys) -> Attempt:
        if not self._circuit.blocks():
            found = await self._circuit.ask(self.store.reserve(keys, self.policy, self.clock))
            if found is not None:
                return Attempt(self, found, keys, self.store)
        if self._closed:
            refused = Reservation(self._circuit.probe_in(), 0, step_up=False, epoch=0)
            return Attempt(self, refused, keys, None, degraded=True, outage=True)
        found = await self._local.reserve(keys, self.policy, self.clock)
        return Attempt(self, found, keys, self._local, degraded=True)

    async def _settled(self, store: AttemptStore, verb: Awaitable[None]) -> None:
        """Best effort: without the store a success stays counted as a failure, which errs on the safe side."""
        if store is self._local:
            await verb
        else:
            await self._circuit.ask(verb)

    def _keys(self, account: object, address: object, device: object) -> AttemptKeys:
        who, where = _text(account, "account"), address_group(_text(address, "address"))
        own = self._key("device", who, _text(device, "device")) if device is not None else self._key("own", who, where)
        of_account = None if device is not None else self._key("account", who)
        return AttemptKeys(own, of_account, self._key("address", where), self._key("site"))

    def _key(self, kind: str, *values: str) -> str:
        return "".join(f"{len(part)}:{_short(part)}" for part in ("attempts", self._name, kind, *values))


def _short(part: str) -> str:
    """Of a long text a digest: what anybody may send as an account must not fill the memory of the table."""
    return part if len(part) <= _LONG else blake2b(part.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{what} is empty or no text", hint="pass what the attempt is counted by")
    return value
