"""`Shadow`: a candidate policy, tried out on real questions while the active one answers them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Final, Literal, Protocol

from ..core.clock import Clock, SystemClock
from ..core.errors import AccessDenied, UsageError
from .decision import Code, Decision

__all__ = ["Difference", "Shadow", "ShadowReport"]

PATIENCE: Final = 50_000_000  # nanoseconds for one answer of a candidate, a thousand times what it should take
REST: Final = 100  # times as long as it took, a candidate is then left alone: it costs one question in a hundred

_CLOCK: Final = SystemClock()

MOST_KINDS: Final = 1_000  # differences name permissions and rules of two documents, and never grow with traffic


class _Checks(Protocol):
    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision: ...


Kind = Literal["gained", "lost", "reason", "raised"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the candidate answered otherwise. It names rules and codes, and nobody.

    Args:
        kind: the candidate allows what was denied (``gained``), denies what was allowed (``lost``), gives another
            reason (``reason``), or raised (``raised``).
        before, after: the codes; `after` is None where the candidate raised.
        rules_before, rules_after: the rules that decided.
    """

    kind: Kind
    permission: str
    before: Code
    after: Code | None
    rules_before: tuple[str, ...]
    rules_after: tuple[str, ...]

    def __str__(self) -> str:
        before = " ".join((self.before, *self.rules_before))
        return f"{self.permission}: {self.kind}, {before} -> {' '.join((self.after or 'raised', *self.rules_after))}"


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What was found so far.

    Args:
        asked: all questions.
        compared: those that the candidate was asked too.
        skipped: those that it would have been asked, had it not been too slow shortly before.
        counts: by difference, the most frequent first; kinds beyond the bound are in `uncounted`.
        recent: the last differences, the newest last.
    """

    asked: int
    compared: int
    counts: tuple[tuple[Difference, int], ...]
    recent: tuple[Difference, ...]
    uncounted: int = 0
    skipped: int = 0

    @property
    def differing(self) -> int:
        """How many answers differ."""
        return sum(count for _, count in self.counts) + self.uncounted

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        skipped = f", {self.skipped} skipped for slowness" if self.skipped else ""
        yield f"{self.differing} of {self.compared} answers differ ({self.asked} asked{skipped})"
        for difference, count in self.counts:
            yield f"{count:>8}  {difference}"


class Shadow:
    """Answers by the active policy, whatever the candidate does, and keeps count of where the two differ.

    A candidate that raises is counted; one that takes more than 50 ms is left alone for a hundred times as long, so
    that it costs a process one part in a hundred at most.

    Args:
        active, candidate: a `Policy` or `PolicyHolder` each.
        every: ask the candidate about one question in so many; 1 asks it about all.
        clock: measures how long the candidate takes.
        keep: how many of the last differences `report` shows.

    Raises:
        UsageError: something that cannot be asked, or a number below 1 (below 0 for `keep`).
    """

    def __init__(
        self, active: _Checks, candidate: _Checks, *, every: int = 1, keep: int = 100, clock: Clock = _CLOCK
    ) -> None:
        if not all(callable(getattr(policy, "check", None)) for policy in (active, candidate)):
            raise UsageError("a Shadow compares two policies", hint="Shadow(active, candidate)")
        if type(every) is not int or every < 1 or type(keep) is not int or keep < 0:
            raise UsageError("every is an int from 1, keep an int from 0")
        self.active: Final[_Checks] = active
        self.candidate: Final[_Checks] = candidate
        self._every: int = every
        self._clock: Clock = clock
        self._rests_until: int = 0
        self._skipped: int = 0
        self._lock: Lock = Lock()
        self._asked: int = 0
        self._compared: int = 0
        self._uncounted: int = 0
        self._counts: Counter[Difference] = Counter()
        self._recent: deque[Difference] = deque(maxlen=keep)

    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision:
        """The active policy's decision; the candidate is asked after it, and its answer is only recorded."""
        decision = self.active.check(subject, permission, resource, context)
        if self._sampled():
            begun = self._clock.monotonic_ns()
            try:
                other = self.candidate.check(subject, permission, resource, context)
                found = _compared(decision, other)
            except Exception:  # whatever a candidate does, it decides nothing
                found = Difference("raised", decision.permission, decision.code, None, decision.rule_ids, ())
            self._record(found, begun)
        return decision

    def require(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision:
        """As `check`, but a denial is raised.

        Raises:
            AccessDenied: the active policy says no.
        """
        decision = self.check(subject, permission, resource, context)
        if not decision.allowed:
            raise AccessDenied(decision)
        return decision

    def scope_of(self, permission: str) -> str | None:
        """As `Policy.scope_of`, of the active policy: a guard asks it whether an operation has a tenant.

        Raises:
            UsageError: the active policy cannot tell.
        """
        asked = getattr(self.active, "scope_of", None)
        if asked is None:
            raise UsageError("the active policy knows no scopes", hint="Shadow(Policy.load(...), candidate)")
        found: str | None = asked(permission)
        return found

    def report(self) -> ShadowReport:
        """What was found so far."""
        with self._lock:
            counts = tuple(self._counts.most_common())
            recent = tuple(self._recent)
            return ShadowReport(self._asked, self._compared, counts, recent, self._uncounted, self._skipped)

    def _sampled(self) -> bool:
        with self._lock:
            self._asked += 1
            if (self._asked - 1) % self._every:
                return False
            if self._rests_until and self._clock.monotonic_ns() < self._rests_until:
                self._skipped += 1
                return False
            return True

    def _record(self, found: Difference | None, begun: int) -> None:
        now = self._clock.monotonic_ns()
        with self._lock:
            self._compared += 1
            if now - begun > PATIENCE:
                self._rests_until = now + REST * (now - begun)
            if found is None:
                return
            self._recent.append(found)
            if found in self._counts or len(self._counts) < MOST_KINDS:
                self._counts[found] += 1
            else:
                self._uncounted += 1


def _compared(before: Decision, after: Decision) -> Difference | None:
    """The difference for whoever asks; two policies may name the rules that agree in two ways."""
    kind: Kind
    if before.allowed is not after.allowed:
        kind = "gained" if after.allowed else "lost"
    elif before.code != after.code:
        kind = "reason"
    else:
        return None
    return Difference(kind, before.permission, before.code, after.code, before.rule_ids, after.rule_ids)
