"""One pass over a tenant's events, and what a person responsible for security wants to know of them.

Memory is bounded whatever the events hold: names beyond a cap are counted together, lists keep their newest entries.
Time on the axis is `recorded_at`, which the sequencer stamps; `occurred_at` is whatever the host said.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

__all__ = ["OTHERS", "OUTCOMES", "Bucket", "Incident", "Summary", "Tally", "summarised"]

OUTCOMES: Final = ("success", "denied", "failure", "error", "attempted")
OTHERS: Final = "(others)"
_NAMES: Final = 10_000  # different names a count tells apart
_LISTED: Final = 50  # incidents of one kind that are listed
_OPEN: Final = 10_000  # attempts that may wait for their outcome
_COLUMNS: Final = 62
_UNITS: Final = tuple(timedelta(hours=hours) for hours in (1, 3, 6, 12, 24, 7 * 24, 28 * 24, 365 * 24, 3_650 * 24))


@dataclass(frozen=True, slots=True)
class Incident:
    """One event worth a line.

    Args:
        seq: its place in the tree.
        at: `recorded_at`, RFC 3339.
        what: what happened, in the words of the event.
        actor: who.
        detail: further facts, plain text.
    """

    seq: int
    at: str
    what: str
    actor: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was recorded from `start` on, for the length of one unit, by outcome."""

    start: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(slots=True)
class Summary:
    """What `summarised` counts; times are RFC 3339.

    Args:
        events: how many; `lost` more were counted in gaps and will never be read.
        first_at, last_at: when the first and the last was recorded.
        denials: by permission, or by action where no policy was asked.
        actors, denied_actors: events, and denials among them, by actor.
        secrets: uses by secret and action.
        webhooks: refusals by target and reason.
        privileged: successful critical actions.
        readers: who read, exported or disclosed the trail.
        gaps, anomalies, dangling, regressions, stewardship: the newest incidents of each kind; `totals`: how many.
    """

    events: int = 0
    lost: int = 0
    first_at: str = ""
    last_at: str = ""
    outcomes: Counter[str] = field(default_factory=Counter)
    hours: dict[str, Counter[str]] = field(default_factory=dict)
    denials: Counter[str] = field(default_factory=Counter)
    actors: Counter[str] = field(default_factory=Counter)
    denied_actors: Counter[str] = field(default_factory=Counter)
    secrets: Counter[tuple[str, str]] = field(default_factory=Counter)
    webhooks: Counter[tuple[str, str]] = field(default_factory=Counter)
    privileged: Counter[str] = field(default_factory=Counter)
    readers: Counter[tuple[str, str]] = field(default_factory=Counter)
    gaps: deque[Incident] = field(default_factory=lambda: deque(maxlen=_LISTED))
    anomalies: deque[Incident] = field(default_factory=lambda: deque(maxlen=_LISTED))
    dangling: deque[Incident] = field(default_factory=lambda: deque(maxlen=_LISTED))
    regressions: deque[Incident] = field(default_factory=lambda: deque(maxlen=_LISTED))
    stewardship: deque[Incident] = field(default_factory=lambda: deque(maxlen=_LISTED))
    totals: Counter[str] = field(default_factory=Counter)

    def buckets(self) -> list[Bucket]:
        """Activity in at most 62 columns of one length, without holes."""
        if not self.hours:
            return []
        first, last = (datetime.fromisoformat(f"{hour}:00:00+00:00") for hour in (min(self.hours), max(self.hours)))
        unit = next((unit for unit in _UNITS if (last - first) // unit < _COLUMNS - 1), _UNITS[-1])
        origin = datetime(1970, 1, 5, tzinfo=UTC)  # a Monday
        start = origin + (first - origin) // unit * unit
        columns: list[Counter[str]] = [Counter() for _ in range((last - start) // unit + 1)]
        for hour, counts in self.hours.items():
            columns[(datetime.fromisoformat(f"{hour}:00:00+00:00") - start) // unit].update(counts)
        return [Bucket(start + place * unit, counts) for place, counts in enumerate(columns)]


def summarised(events: Iterable[Mapping[str, Any]], critical: frozenset[str] = frozenset()) -> Summary:
    """The summary of parsed leaves in the order of the tree.

    Args:
        critical: names of the actions that the registry calls critical.
    """
    tally = Tally(critical)
    for event in events:
        tally.add(event)
    return tally.closed()


class Tally:
    """The state of one pass; `summarised` for those who read event by event."""

    __slots__ = ("_attempts", "_before", "_by_facts", "_critical", "found")

    def __init__(self, critical: frozenset[str]) -> None:
        self.found: Summary = Summary()
        self._critical: frozenset[str] = critical
        self._before: str = ""
        self._attempts: dict[str, tuple[Hashable, Incident]] = {}
        self._by_facts: dict[Hashable, list[str]] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """Counts one event."""
        found, at, action, outcome = self.found, _text(event, "recorded_at"), _text(event, "action"), _outcome(event)
        actor = _id(event.get("actor"))
        found.events += 1
        found.outcomes[outcome] += 1
        found.first_at, found.last_at = found.first_at or at, at
        if at[:13] in found.hours or _is_hour(at[:13]):
            found.hours.setdefault(at[:13], Counter())[outcome] += 1
        _count(found.actors, actor)
        if outcome == "denied" and action != "webhook.refused":  # whoever posts there has no name to count
            _count(found.denials, _text(_part(event, "decision"), "permission") or action)
            _count(found.denied_actors, actor)
        if outcome == "success" and action in self._critical:
            _count(found.privileged, action)
        self._order(event, at)
        self._intent(event, actor, outcome)
        self._room(event, action, outcome, actor)

    def closed(self) -> Summary:
        """The summary, with the attempts that nobody ended."""
        for _, incident in self._attempts.values():
            self._list("dangling", incident)
        return self.found

    def _order(self, event: Mapping[str, Any], at: str) -> None:
        if at < self._before:
            self._list("regressions", _incident(event, "the clock went back", f"from {self._before} to {at}"))
        self._before = at

    def _intent(self, event: Mapping[str, Any], actor: str, outcome: str) -> None:
        """An outcome ends the attempt that it names, or else the oldest open one with the same facts."""
        id, action, targets = _text(event, "id"), _text(event, "action"), _targets(event)
        facts = (action, actor, _text(_part(event, "request"), "id"), targets)
        if outcome == "attempted":
            if len(self._attempts) < _OPEN and id not in self._attempts:
                self._attempts[id] = facts, _incident(event, action, targets)
                self._by_facts.setdefault(facts, []).append(id)
            return
        named = _text(_part(event, "data"), "attempt")
        waiting = self._by_facts.get(facts, [])
        ended = named if named in self._attempts else waiting[0] if waiting and not named else None
        if ended is not None:
            of = self._attempts.pop(ended)[0]
            self._by_facts[of].remove(ended)
            if not self._by_facts[of]:
                del self._by_facts[of]

    def _room(self, event: Mapping[str, Any], action: str, outcome: str, actor: str) -> None:
        """What particular rooms tell."""
        found, data = self.found, _part(event, "data")
        if action.startswith(("secret.", "secrets.")) and outcome != "attempted":
            _count(found.secrets, (_targets(event) or OTHERS, action))
        elif action == "webhook.refused":
            _count(
                found.webhooks, (_targets(event) or OTHERS, _text(event, "reason") or _text(data, "code") or "refused")
            )
        elif action == "audit.gap":
            lost = data.get("count")
            found.lost += lost if type(lost) is int and lost > 0 else 0
            span = f"{lost} events between {_text(data, 'first')} and {_text(data, 'last')}"
            self._list("gaps", _incident(event, "events were lost", span))
        elif action == "anomaly.found":
            told = f"{_text(data, 'severity')}: {_targets(event)}"
            self._list("anomalies", _incident(event, _text(data, "rule") or OTHERS, told))
        elif action in ("audit.read", "audit.exported", "audit.disclosed") and outcome == "success":
            _count(found.readers, (actor, action))
        elif action.startswith(("audit.hold", "audit.subject", "audit.pruned")) and outcome != "attempted":
            told = ", ".join(f"{name} {data[name]}" for name in ("scope", "count", "first") if name in data)
            self._list("stewardship", _incident(event, f"{action} ({outcome})", told))

    def _list(self, kind: str, incident: Incident) -> None:
        getattr(self.found, kind).append(incident)
        self.found.totals[kind] += 1


# --- reading what may be anything ------------------------------------------------------------------------------------


def _is_hour(text: str) -> bool:
    """Of this millennium, for a single event of the year 1 would squeeze all others into one column."""
    try:
        return datetime.fromisoformat(f"{text}:00:00+00:00").year // 1_000 == 2
    except ValueError:
        return False


def _count(counter: Counter[Any], name: Any) -> None:
    if name not in counter and len(counter) >= _NAMES:
        name = (OTHERS, OTHERS) if isinstance(name, tuple) else OTHERS
    counter[name] += 1


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    return part if isinstance(part, Mapping) else {}


def _text(part: Mapping[str, Any], name: str) -> str:
    value = part.get(name)
    return value if isinstance(value, str) else ""


def _outcome(event: Mapping[str, Any]) -> str:
    outcome = event.get("outcome")
    return outcome if outcome in OUTCOMES else "error"


def _id(value: object) -> str:
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) and found else "(unknown)"


def _targets(event: Mapping[str, Any]) -> str:
    targets = event.get("targets")
    return ", ".join(_id(target) for target in targets[:5]) if isinstance(targets, list) else ""


def _incident(event: Mapping[str, Any], what: str, detail: str) -> Incident:
    seq = event.get("seq")
    return Incident(seq if type(seq) is int else -1, _text(event, "recorded_at"), what, _id(event.get("actor")), detail)
