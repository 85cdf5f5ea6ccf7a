"""One refresh of a rotating token, however many processes want it.

A refresh token that rotates may be spent once: two callers who spend it at the same time lose the grant. So one caller
holds a lease while it talks to the other side; everybody else waits for what comes of it.

::

    fresh ──► the current value                         rotate_after and not_after both lie ahead, or are not set
    due ──claim──► mine                                 the lease was free or had run out, and the secret is still due
        └─ held by another ──► wait ──► look again      with jitter, for one lease at most, then `LeaseHeld`
    mine ──fn gave a value──► write                     only over the version that fn saw, only while the lease is mine
         │                     ├─ done ──► fresh        the write gives the lease back
         │                     ├─ down ──► write        again for a while: the token that brought this value is spent
         │                     └─ lost ──► look again   the lease ran out and another wrote: theirs counts
         └─fn raised──► give the lease back, keep the value, let the error through

Nothing is ever deleted: ``invalid_grant`` is what the loser of a race sees, too. A holder that dies costs the others
one lease. `fn` runs outside every transaction and must give up before its lease does: its own timeout must be shorter.
A caller that is cancelled takes `fn` along, but neither the write nor the giving back: those run to their end.

What no lease can close: a holder that dies between the other side's answer and the write takes the new token with it,
and the next holder spends the old one again. Providers with a grace period for refresh tokens forgive that. And leases
are told by the clocks of the processes: one that is ahead by more than what is left of a lease takes it too early.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, Final, NamedTuple, TypeVar

from ..core.entropy import SYSTEM_ENTROPY, random_hex
from ..core.errors import (
    KeyUnavailable,
    LeaseHeld,
    SecretConflict,
    SecretDisabled,
    SecretShredded,
    StoreUnavailable,
    TrustError,
    UsageError,
)
from ..core.sansio import is_awaited
from ..core.secret import Secret
from . import envelope
from .model import Taken, Value, labels_text, micros_of
from .rows import Change, Head, Locked, SecretRow
from .rules import Address, Keys, Written, context_of, not_found, standing, text_of, written
from .vault import Authentic, Vault

__all__ = ["LEASE", "Fetch", "Lost", "Refreshed", "Refresher", "due"]

T = TypeVar("T")

LEASE: Final = timedelta(seconds=30)
_LONGEST_LEASE: Final = timedelta(hours=1)
_PATIENCE: Final = timedelta(seconds=10)  # with a store that takes no write
_MICROSECOND: Final = timedelta(microseconds=1)
_SHORTEST_WAIT: Final = 0.01
_LONGEST_WAIT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh brought.

    Args:
        value: the new value. not_after, rotate_after, labels: as for `SecretStore.put`; no labels keeps the old ones.
    """

    value: Value = field(repr=False)
    not_after: datetime | None = None
    rotate_after: datetime | None = None
    labels: Mapping[str, str] | None = None

    def secret(self) -> Secret[str] | Secret[bytes]:
        """The value as readers get it."""
        return Taken(self.value).secret()


Answer = Value | Refreshed
Fetch = Callable[[Secret[str] | Secret[bytes]], Answer | Awaitable[Answer]]


class Lost(Exception):
    """The lease ran out while `fn` was at work, and somebody else has it or has written."""


class _Turn(NamedTuple):
    """What is current, with its key; `mine` where the lease was claimed for it."""

    found: Authentic
    mine: bool

    def value(self) -> Secret[str] | Secret[bytes]:
        """Opened even where it has expired: what is due is what a refresh starts from."""
        address, _, row, key = self.found
        octets = envelope.open(key, row.envelope or b"", context_of(address, row))
        return Secret(octets) if row.kind == "bytes" else Secret(text_of(octets))


class Refresher:
    """The refresh of one secret by one caller.

    Raises:
        UsageError: a lease that is not between a moment and an hour.
    """

    def __init__(self, vault: Vault, place: tuple[str, str], lease: timedelta) -> None:
        if not isinstance(lease, timedelta) or not timedelta() < lease <= _LONGEST_LEASE:
            raise UsageError("a lease is longer than nothing and at most an hour")
        self._vault: Vault = vault
        self._place: tuple[str, str] = place
        self._lease: timedelta = lease
        self._owner: str = random_hex()

    async def turn(self) -> _Turn:
        """The current value if it is fresh, else the lease on it.

        Raises:
            LeaseHeld: another caller held the lease for the whole of the wait.
            SecretNotFound, SecretDisabled, SecretShredded: nothing to refresh.
        """
        waited, longest = 0.0, self._lease.total_seconds()
        while True:
            found = await self._vault.read(*self._place, None)
            now = self._vault.now()
            if not due(found.row, now):
                return _Turn(found, mine=False)
            if not self._held(found.head, now) and await self._claim():
                # Read again, now that nobody else writes: the value from before the claim may be spent.
                found = await self._vault.read(*self._place, None)
                if not due(found.row, now):
                    await self.release()
                    return _Turn(found, mine=False)
                if self._vault.now() - now < self._lease // _MICROSECOND // 2:
                    return _Turn(found, mine=True)
                # A machine this slow would outlive its lease inside `fn`: take it anew first.
            if waited >= longest:
                await self.release()
                raise LeaseHeld("another process is refreshing this secret", hint="retry shortly")
            waited += await self._wait(waited, longest)

    async def fetch(self, fn: Fetch, turn: _Turn) -> Refreshed:
        """What `fn` makes of the current value."""
        answer = fn(turn.value())
        found = await answer if isawaitable(answer) else answer
        return found if isinstance(found, Refreshed) else Refreshed(found)

    async def write(self, new: Refreshed, turn: _Turn) -> Change:
        """Stores what `fn` gave and gives the lease back. Raises `Lost`."""
        held = Taken(new.value)
        times = micros_of(new.not_after, "not_after"), micros_of(new.rotate_after, "rotate_after")
        labels = None if new.labels is None else labels_text(new.labels)
        stated = Written(
            *(held.octets(), held.kind, self._vault.now(), *times, labels),
            expected=turn.found.row.version,
            must_exist=True,
            owner=self._owner,
        )
        return await self._whole(self._written(stated))

    async def release(self) -> None:
        """Gives the lease back if it is still ours; where that fails it runs out by itself."""
        with suppress(TrustError):  # nothing must stand in front of what `fn` raised
            await self._whole(self._vault.change(*self._place, None, self._released))

    async def _written(self, stated: Written) -> Change:
        waited, longest = 0.0, min(self._lease, _PATIENCE).total_seconds()
        while True:
            try:
                return await self._vault.change(
                    *self._place, None, lambda address, locked, keys: written(address, locked, keys, stated)
                )
            except SecretConflict:
                raise Lost from None
            except (StoreUnavailable, KeyUnavailable) as error:
                if waited >= longest or not getattr(error, "retryable", True):
                    raise
            waited += await self._wait(waited, longest)

    @staticmethod
    async def _whole(work: Coroutine[Any, Any, T]) -> T:
        """Lets `work` end, even where the caller is cancelled meanwhile."""
        if not is_awaited():
            return await work
        task, cancelled = asyncio.ensure_future(work), None
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is None:
            return task.result()
        if not task.cancelled():
            task.exception()  # or it is reported as never seen
        raise cancelled

    async def _claim(self) -> bool:
        change = await self._vault.change(*self._place, None, self._claimed)
        return change.head.lease_owner == self._owner

    def _claimed(self, address: Address, locked: Locked, keys: Keys) -> Change:
        head, row = _standing(address, locked, keys)
        now = self._vault.now()
        if self._held(head, now) or not due(row, now):
            return Change(head, row, "nothing")
        until = now + self._lease // _MICROSECOND
        return Change(head._replace(lease_owner=self._owner, lease_until=until), row, "head")

    def _released(self, address: Address, locked: Locked, keys: Keys) -> Change:
        head, row = _standing(address, locked, keys)
        if head.lease_owner != self._owner:
            return Change(head, row, "nothing")
        return Change(head._replace(lease_owner=None, lease_until=None), row, "head")

    def _held(self, head: Head, now: int) -> bool:
        """Whether another has it. One that ends later than any lease can is of a wrong clock, and counts for none."""
        by_another = head.lease_owner is not None and head.lease_owner != self._owner
        latest = now + 2 * _LONGEST_LEASE // _MICROSECOND
        return by_another and head.lease_until is not None and now <= head.lease_until <= latest

    async def _wait(self, waited: float, longest: float) -> float:
        """Sleeps for a while of random length that grows with the wait; seconds slept."""
        jitter = 0.5 + int.from_bytes(SYSTEM_ENTROPY.octets(2), "big") / 2**17
        pause = max(_SHORTEST_WAIT, min(_LONGEST_WAIT, waited / 2, longest / 20)) * jitter
        if is_awaited():
            await asyncio.sleep(pause)  # the holder may be a task of the same thread
        else:
            time.sleep(pause)  # noqa: ASYNC251  nobody but the caller of a sync face is kept waiting
        return pause


def due(row: SecretRow, now: int) -> bool:
    """Whether a version wants a new value. Raises `SecretDisabled`, `SecretShredded` for one that has none to give."""
    if row.state == "disabled":
        raise SecretDisabled("this version is disabled", hint="enable() it, or put() a new one")
    if row.envelope is None:
        raise SecretShredded("this version was destroyed", hint="put() a new one")
    return any(moment is not None and moment <= now for moment in (row.rotate_after, row.not_after))


def _standing(address: Address, locked: Locked, keys: Keys) -> tuple[Head, SecretRow]:
    row = standing(address, locked, keys)
    if locked.head is None or row is None:
        raise not_found()
    return locked.head, row
