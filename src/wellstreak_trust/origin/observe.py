"""`ObservedOrigin`: an `OriginPolicy` that is asked and not obeyed, until a date.

A running service learns here which of its own callers a policy would refuse: a sibling domain, an old mobile page, a
partner's form. It refuses nobody, so it protects nobody, and it cannot be forgotten: it obeys from its date on, that
date is at most 92 days away, ``Trust.observing()`` names it, and its answers say ``observed:`` and not what a policy
says that admitted somebody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from ..core.clock import Clock, SystemClock, aware
from ..core.errors import ConfigurationError
from .csrf import OriginPolicy, OriginVerdict

if TYPE_CHECKING:
    from ..core.http import RequestFacts

__all__ = ["ObservedOrigin", "ObservedVerdict"]

_LONGEST: Final = timedelta(days=92)
_MOST_KINDS: Final = 1_000  # routes are few; a host that names them by path must not fill the memory


class _Counting(Protocol):
    def add(self, name: str, amount: int = 1, /, **labels: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ObservedVerdict(OriginVerdict):
    """A pass that is no approval: the policy would have refused, and was not obeyed.

    Args:
        would_refuse: the reason it would have given; `reason` is the same behind ``observed:``.
    """

    would_refuse: str = ""


class ObservedOrigin:
    """Stands where the policy stands: ``Trust(origin=ObservedOrigin(OriginPolicy(...), until=...))``.

    Args:
        policy: the policy to come.
        until: from then on the policy is obeyed; aware, at most 92 days ahead.
        metrics: counts ``wst.origin.observed`` by reason.

    Raises:
        ConfigurationError: a date without zone, or too far ahead; `reason` is ``observe_until``.
    """

    def __init__(
        self,
        policy: OriginPolicy,
        *,
        until: datetime,
        metrics: _Counting | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self.until: datetime = aware(until)
        if self.until - self._clock.now() > _LONGEST:
            raise ConfigurationError(
                f"observing until {self.until:%Y-%m-%d} is no observation but an exemption",
                hint="until= at most 92 days ahead; set it anew when somebody has looked",
                reason="observe_until",
            )
        self.policy: OriginPolicy = policy
        self._metrics: _Counting | None = metrics
        self._lock: Lock = Lock()
        self._found: Counter[tuple[str, str]] = Counter()

    @property
    def observes(self) -> bool:
        """Whether it still lets pass what the policy would refuse."""
        return self._clock.now() < self.until

    def check(self, facts: RequestFacts) -> OriginVerdict:
        """The policy's verdict where that is a pass, or from `until` on; before, an `ObservedVerdict`."""
        verdict = self.policy.check(facts)
        if verdict.allowed or not self.observes:
            return verdict
        self._record(verdict.reason, facts.route or "")
        return ObservedVerdict(True, f"observed:{verdict.reason}", verdict.reason)

    def report(self) -> Mapping[tuple[str, str], int]:
        """How often each (reason, route name) would have been refused in this process; an unrouted one is empty."""
        with self._lock:
            return MappingProxyType(dict(self._found.most_common()))

    def _record(self, reason: str, route: str) -> None:
        if self._metrics is not None:
            self._metrics.add("wst.origin.observed", reason=reason)
        with self._lock:
            full = len(self._found) >= _MOST_KINDS and (reason, route) not in self._found
            self._found[("other", "other") if full else (reason, route)] += 1
