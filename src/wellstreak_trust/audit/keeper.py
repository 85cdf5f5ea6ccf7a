"""What a log does beside recording: notes heads in the spine, signs it, publishes what was signed.

When:

* an `emit` that finds a second gone since the last look, or 1,000 events recorded, notes up to 100 trees that grew and
  signs; it does not wait for a lock that somebody else holds;
* a `tick` does so whenever anything grew, writes a heartbeat after a minute of silence, and publishes;
* `checkpoint()` does all of it at once, for who wants to hold the present state.

No thread runs in between, because a fork would lose it. So in a process that has fallen silent the last second of
events is noted by whichever process ticks next: let a scheduler call `tick` once a second.

Processes share this work through the store: it knows which trees grew, and when the spine last did.

A tree that contradicts what was noted of it stops nobody else's: the others are noted, the spine is signed, and then
the fault is raised. An `emit` never pays for it; it remembers the fault for the next tick.
"""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import Final

from ..core.clock import Clock, from_micros
from ..core.errors import AuditConflict, AuditForkDetected, AuditUnavailable, IntegrityError, TrustError
from ..core.processes import PerProcess
from .event import Draft
from .signing import Notary
from .spine import head_draft, heartbeat_draft, tree_id
from .store import SPINE, AuditStore, Head

__all__ = ["Keeper"]

_PAUSE_NS: Final = 1_000_000_000
_MANY: Final = 1_000
_PAGE: Final = 1_000
_FEW: Final = 100  # trees that one emit looks after
_QUICK: Final = timedelta(milliseconds=100)
_SILENCE: Final = timedelta(seconds=60)


class Keeper:
    """The spine of one log.

    Attributes:
        fault: what the last look found wrong, None where nothing was.
    """

    def __init__(self, store: AuditStore, notary: Notary, origin: str, clock: Clock, deadline: timedelta) -> None:
        self.fault: TrustError | None = None
        self._store: AuditStore = store
        self._notary: Notary = notary
        self._origin: str = origin
        self._clock: Clock = clock
        self._deadline: timedelta = deadline
        self._turns: PerProcess[Lock] = PerProcess(Lock)
        self._recorded: int = 0
        self._looked: int = clock.monotonic_ns()

    async def recorded(self, count: int) -> None:
        """Tells of events that now stand; looks after the spine if it is time. Never raises."""
        self._recorded += count
        if self._recorded < _MANY and self._clock.monotonic_ns() - self._looked < _PAUSE_NS:
            return
        turn = self._turns.here
        if not turn.acquire(blocking=False):
            return  # somebody is at it
        try:
            _, fault = await self._note(_FEW, _QUICK)
            if self._notary.may_sign_quietly():
                await self._notary.checkpoint(SPINE)
            self.fault = fault
        except Exception as error:  # the event stands; whoever ticks or signs is told
            self.fault = error if isinstance(error, TrustError) else AuditUnavailable(type(error).__name__)
        finally:
            turn.release()

    async def advance(self, *, heartbeat: bool) -> tuple[int, str, TrustError | None]:
        """Notes all trees that grew, or a heartbeat after a minute of silence, and signs.

        Returns:
            How many leaves the spine has more, its note, and what was wrong with trees that were not noted.

        Raises:
            CheckpointRegression, AuditForkDetected: the spine itself contradicts what was signed.
            AuditUnavailable: the store or a sink does not answer.
        """
        self._notary.require_signer()
        try:
            count, fault = await self._note(None, self._deadline)
            if heartbeat and not count:
                count = await self._beat()
            text = await self._notary.checkpoint(SPINE)
        except TrustError as error:
            self.fault = error
            raise
        self.fault = fault
        return count, text, fault

    async def _note(self, most: int | None, patience: timedelta) -> tuple[int, IntegrityError | None]:
        """Notes trees that grew, in pages; no more than `most` of them where somebody waits for it."""
        self._looked, self._recorded = self._clock.monotonic_ns(), 0
        count, after, fault = 0, "", None
        while heads := await self._store.heads(after, most or _PAGE, unnoted=True):
            sound, wrong = await self._checked(heads)
            fault = fault or wrong
            count += await self._append(sound, patience)
            after = heads[-1][0]
            if most is not None:
                self._recorded = _MANY if len(heads) == most else 0  # the rest is for the next who comes
                break
        return count, fault

    async def _checked(self, heads: list[tuple[str, Head]]) -> tuple[list[tuple[str, Head]], IntegrityError | None]:
        sound, fault = [], None
        for tenant_id, head in heads:
            try:
                if await self._notary.is_news(tenant_id, head):
                    sound.append((tenant_id, head))
            except IntegrityError as error:
                fault = fault or error
        return sound, fault

    async def _append(self, heads: list[tuple[str, Head]], patience: timedelta) -> int:
        if heads:
            await self._stand([head_draft(tree_id(self._origin, name), head) for name, head in heads], patience)
            await self._store.noted({name: head.size for name, head in heads})
        return len(heads)

    async def _beat(self) -> int:
        now = self._clock.now()
        last = (await self._store.head(SPINE)).recorded_at
        if timedelta() <= now - from_micros(last) < _SILENCE:
            return 0
        await self._stand([heartbeat_draft(now)], self._deadline)
        return 1

    async def _stand(self, drafts: list[Draft], patience: timedelta) -> None:
        try:
            await self._store.append_batch(drafts, now=self._clock.now, deadline=patience)
        except AuditConflict:
            raise AuditForkDetected(
                "a tree shows another root than the spine noted at this size", hint="run verify on this log"
            ) from None
