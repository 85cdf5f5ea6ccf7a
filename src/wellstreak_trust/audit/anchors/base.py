"""What all anchors share: one rule of what may follow what, and a count of what failed.

::

    note ─► older than what is kept? ─► nothing to do
            same size, other root?   ─► CheckpointRegression
            else                     ─► keep it ─► published + 1
                                            └─ any failure ─► failures + 1, AuditUnavailable

A failure delays nobody: the log signs and records on, and because each checkpoint covers all before it, the next one
that arrives makes up for those that did not. What an anchor missed is visible in its `health`.
"""

from __future__ import annotations

from asyncio import to_thread
from dataclasses import dataclass
from threading import Lock
from typing import Final

from ...core.errors import AuditUnavailable, CheckpointRegression, NoteInvalid, TrustError
from ...core.sansio import drive
from ..checkpoint import Checkpoint, CheckpointSink

__all__ = ["Anchor", "AnchorHealth", "Threaded"]

_RETRIED: Final = "the next checkpoint is tried anew, and covers this one"


@dataclass(frozen=True, slots=True)
class AnchorHealth:
    """How an anchor is doing since the process started.

    Args:
        published: notes kept.
        failures: notes that were not kept.
        in_a_row: failures since the last one that was.
        last_failure: why the last failure was; empty if there was none.
    """

    published: int = 0
    failures: int = 0
    in_a_row: int = 0
    last_failure: str = ""


class Anchor:
    """A `CheckpointSink` with a count; subclasses say how a note is kept and which was kept last."""

    suspends: bool = False

    def __init__(self) -> None:
        self._guard: Lock = Lock()
        self._health: AnchorHealth = AnchorHealth()

    @property
    def health(self) -> AnchorHealth:
        """What was kept and what was not."""
        return self._health

    async def apublish(self, origin: str, note: str, /) -> None:
        """As `CheckpointSink.apublish`.

        Raises:
            CheckpointRegression: the anchor holds another root of this size.
            AuditUnavailable: the note is not kept.
        """
        try:
            found = Checkpoint.unverified(note)
            if found.origin != origin:
                raise NoteInvalid("a note of another origin")
            await self._publish(found, note)
        except CheckpointRegression as refusal:
            self._count(type(refusal).__name__)
            raise
        except Exception as error:  # whatever a file system, client or socket throws: the log goes on
            why = error.detail if isinstance(error, TrustError) else type(error).__name__
            self._count(why)
            raise AuditUnavailable(f"{type(self).__name__}: not kept ({why})", hint=_RETRIED) from None
        self._count("")

    async def alatest(self, origin: str, /) -> str | None:
        """As `CheckpointSink.alatest`; by default the anchor cannot tell."""
        del origin
        return None

    async def _publish(self, found: Checkpoint, note: str) -> None:
        kept = await self.alatest(found.origin)
        if follows(kept, found, note):
            await self._keep(found, note)

    async def _keep(self, found: Checkpoint, note: str) -> None:
        """Keeps a note; raises whatever goes wrong."""
        raise AuditUnavailable("this anchor keeps nothing")

    def _count(self, why: str) -> None:
        with self._guard:
            had = self._health
            if why:
                self._health = AnchorHealth(had.published, had.failures + 1, had.in_a_row + 1, why)
            else:
                self._health = AnchorHealth(had.published + 1, had.failures, 0, had.last_failure)


def follows(kept: str | None, found: Checkpoint, note: str) -> bool:
    """Whether a note is news to who keeps another; raises `CheckpointRegression` where they contradict each other."""
    if kept is None:
        return True
    before = Checkpoint.unverified(kept)
    if before.size == found.size and before.root != found.root:
        raise CheckpointRegression(
            f"the anchor holds another root of {found.size} entries", hint="two histories: keep both and investigate"
        )
    return before.size < found.size or (before.size == found.size and kept != note)


class Threaded:
    """A blocking sink for a log over an asynchronous store: it is asked in a worker thread."""

    suspends: bool = True

    def __init__(self, sink: CheckpointSink) -> None:
        self.sink: CheckpointSink = sink

    async def apublish(self, origin: str, note: str, /) -> None:
        """As `CheckpointSink.apublish`."""
        await to_thread(lambda: drive(_publish(self.sink, origin, note)))

    async def alatest(self, origin: str, /) -> str | None:
        """As `CheckpointSink.alatest`."""
        return await to_thread(lambda: drive(_latest(self.sink, origin)))


async def _publish(sink: CheckpointSink, origin: str, note: str) -> None:
    await sink.apublish(origin, note)


async def _latest(sink: CheckpointSink, origin: str) -> str | None:
    return await sink.alatest(origin)
