"""`Rehearsal`: what the guard would say, asked beside a route that is not guarded yet.

It asks origin, credential, tenant, subscription, policy, step-up and connection, each of which a request may pass
without a trace. What a rehearsal must not touch is left out: limits are not charged (a rule in shadow mode rehearses
those), approvals are not spent, nothing is recorded as denied that was in fact served. The parts keep their own habits:
a session that is read is seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from ..core.errors import HostError, TrustError, UsageError
from ..core.sansio import synced
from .grant import Grant, Operation
from .guard import Guard
from .vetting import refuse, unregistered

if TYPE_CHECKING:
    from ..core.http import RequestFacts
    from ..trust import Counting, Trust
    from .registry import Operations

__all__ = ["Rehearsal", "Rehearsed"]

_MOST_KINDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What the guard would have said about one request.

    Args:
        outcome: ``would_admit``; ``would_refuse``; or ``failed`` where the set-up is wrong or the host's own resource
            callable raised.
        code: the code of the refusal, as clients would have seen it; the name of the error where it failed.
        reason: what the trail would have said beside it.
    """

    outcome: Literal["would_admit", "would_refuse", "failed"]
    code: str = ""
    reason: str = ""

    def __bool__(self) -> NoReturn:
        raise UsageError("a rehearsal admits and refuses nobody", hint="rehearsed.outcome == 'would_admit'")


class Rehearsal:
    """Asks the guard's questions and obeys none of the answers.

    Args:
        trust: the composition to come; its counters count ``wst.guard.rehearsed`` by operation, outcome and code.
    """

    def __init__(self, trust: Trust) -> None:
        # Without the registry: what is asked is the operation without its effects, which nobody has registered.
        self._guard: Guard = Guard(replace(trust, limiter=None, approvals=None, counters=None, operations=None))
        self._operations: Operations | None = trust.operations
        self._counters: Counting | None = trust.counters
        self.suspends: bool = self._guard.suspends
        self._lock: Lock = Lock()
        self._found: Counter[tuple[str, str, str]] = Counter()

    async def arehearse(self, facts: RequestFacts, operation: Operation, resource: Any = None) -> Rehearsed:
        """Takes a request through the stages; never raises for what it or a part of the host does.

        Args:
            resource: as for `Guard.enter`.
        """
        quiet = replace(operation, limits=(), audit=None)  # what has effects
        try:
            refuse(unregistered(operation, self._operations))
            await self._guard.apass(Grant(facts, quiet, self._guard.trail, suspends=self.suspends), resource)
            seen = Rehearsed("would_admit")
        except HostError as error:
            seen = Rehearsed("failed", error.code, getattr(error, "reason", ""))
        except TrustError as refusal:
            seen = Rehearsed("would_refuse", refusal.code, _reason(refusal))
        except Exception as error:  # of a resource callable: the route that has always run goes on
            seen = Rehearsed("failed", type(error).__name__)
        self._record(operation.name, seen)
        return seen

    rehearse: Final = synced(arehearse)

    def report(self) -> Mapping[tuple[str, str, str], int]:
        """How often each (operation, outcome, code) was seen in this process; kinds past 1,000 are ``other``."""
        with self._lock:
            return MappingProxyType(dict(self._found.most_common()))

    def _record(self, name: str, seen: Rehearsed) -> None:
        if self._counters is not None:
            self._counters.add("wst.guard.rehearsed", operation=name, outcome=seen.outcome, code=seen.code)
        key = (name, seen.outcome, seen.code)
        with self._lock:
            full = len(self._found) >= _MOST_KINDS and key not in self._found
            self._found[("other", seen.outcome, "other") if full else key] += 1


def _reason(refusal: TrustError) -> str:
    said: str = getattr(refusal, "reason", "") or getattr(getattr(refusal, "decision", None), "code", "")
    return said
