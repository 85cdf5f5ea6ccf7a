"""The outbox: a change and its audit event stand or fall together.

The trail is another store, so no transaction spans both. A change therefore writes its event into an outbox table of
its own database, in its own transaction; a relay forwards from there to the trail:

    change + event, one commit  ─►  outbox  ─relay─►  EventSink

* **At least once.** A row is settled after the sink has taken it. A crash between the two repeats the event with the
  same id and content, which `audit.AuditLog` records once.
* **In order.** A relay starts at the oldest row and stops where the sink is down. Writers that hold their tenant's
  lock while they append have their events forwarded in the order of their commits.
* **Nothing blocks for ever.** An event that the sink can never take (malformed, too large, its id taken) is parked
  with the code of the refusal, for an operator, and the next one goes on.

What is written is canonical JSON, so an event that could not be recorded is refused before its change is committed.
Nothing is masked here; the trail does that. Append what you would put on the trail.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from threading import Lock
from typing import Any, Final, Protocol, runtime_checkable

from .canonical import canonical_json
from .clock import aware, rfc3339
from .errors import AuditConflict, AuditEventRejected, AuditEventTooLarge, ConfigurationError, Unavailable
from .event import AuditEvent, EventSink
from .principal import Principal
from .sansio import suspends, synced

__all__ = ["MemoryOutbox", "Outbox", "OutboxRelay", "Relayed", "event_from", "event_text", "relay_to"]

_FORMAT: Final = 1
_HOPELESS: Final = (AuditEventRejected, AuditEventTooLarge, AuditConflict)
_SPOKEN: Final = ("targets", "source", "changes", "reason", "request", "decision", "data")


@runtime_checkable
class Outbox(Protocol):
    """Events that wait for the trail; as an `EventSink` it takes further ones, each in a transaction of its own."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def aemit(self, event: AuditEvent, /) -> object:
        """Appends an event; an id that waits already is kept as it is."""
        ...

    async def waiting(self, limit: int, /) -> list[AuditEvent]:
        """The oldest events that are neither settled nor parked, oldest first."""
        ...

    async def settle(self, ids: Iterable[str], /) -> None:
        """Forgets events that the sink has taken; by id, because places may be used again."""
        ...

    async def park(self, id: str, code: str, /) -> None:
        """Sets an event aside that can never be forwarded."""
        ...


@dataclass(frozen=True, slots=True)
class Relayed:
    """What one run of the relay did.

    Args:
        sent, parked: how many events.
        stopped: the sink could not take one that it may take later, or the outbox was out of reach: the rest waits.
    """

    sent: int = 0
    parked: int = 0
    stopped: bool = False


class OutboxRelay:
    """Forwards an outbox to the trail.

    Several may run at once, in threads and processes; those of one object take turns. A sink that fails is never the
    caller's error: what waits is safe.

    Args:
        outbox: of the store whose changes are told.
        sink: `audit.AuditLog`, or whatever records an event of the same id once.
    """

    def __init__(self, outbox: Outbox, sink: EventSink) -> None:
        self.suspends: bool = suspends(outbox, sink)
        self._outbox: Outbox = outbox
        self._sink: EventSink = sink
        self._turn: Lock = Lock()
        self._tickets: count[int] = count(1)
        self._asked: int = 0

    async def aforward(self, limit: int = 100) -> Relayed:
        """Forwards up to `limit` events, oldest first; more while others ask meanwhile.

        An empty answer may also mean that another thread is forwarding them right now. Never raises for an outage, of
        the outbox neither: the change that the caller made stands.
        """
        self._asked = next(self._tickets)
        done = Relayed()
        # Whoever finds the turn taken leaves, and whoever has it looks again: no event waits for the next change.
        while self._turn.acquire(blocking=False):
            try:
                seen, step = self._asked, await self._batch(limit)
            except Unavailable:
                return Relayed(done.sent, done.parked, stopped=True)
            finally:
                self._turn.release()
            done = Relayed(done.sent + step.sent, done.parked + step.parked, step.stopped)
            if seen == self._asked:
                break
        return done

    forward: Final = synced(aforward)

    async def _batch(self, limit: int) -> Relayed:
        sent, parked, stopped = list[str](), 0, False
        for event in await self._outbox.waiting(limit):
            try:
                await self._sink.aemit(event)
            except _HOPELESS as refusal:
                await self._outbox.park(event.id, refusal.code)
                parked += 1
            except Exception:  # down, forked, or a host's own sink with a driver's error: all wait, in order
                stopped = True
                break
            else:
                sent.append(event.id)
        if sent:
            await self._outbox.settle(sent)
        return Relayed(len(sent), parked, stopped)


def relay_to(outbox: Outbox, trail: EventSink | None) -> OutboxRelay | None:
    """The relay that whoever changes something runs after its commit; None where that is for others to do.

    A trail that is an outbox itself has a relay of its own. An outbox that lives in the host's transaction is
    forwarded by the host, after its commit: nothing is told of what may yet be undone.
    """
    if trail is None or isinstance(trail, Outbox) or getattr(outbox, "joined", False):
        return None
    return OutboxRelay(outbox, trail)


class MemoryOutbox:
    """An outbox that is lost with the process, for stores that are lost with it."""

    suspends: bool = False

    def __init__(self) -> None:
        self._lock: Lock = Lock()
        self._texts: dict[str, bytes] = {}
        self._parked: dict[str, str] = {}

    def append(self, events: Iterable[AuditEvent]) -> None:
        """Appends all or none; raises `UsageError` for one that cannot be written."""
        texts = {event.id: event_text(event) for event in events}
        with self._lock:
            for id, text in texts.items():
                self._texts.setdefault(id, text)

    async def aemit(self, event: AuditEvent, /) -> None:
        """See `Outbox`."""
        self.append((event,))

    async def waiting(self, limit: int, /) -> list[AuditEvent]:
        """See `Outbox`."""
        with self._lock:
            texts = [text for id, text in self._texts.items() if id not in self._parked][:limit]
        return [event_from(text) for text in texts]

    async def settle(self, ids: Iterable[str], /) -> None:
        """See `Outbox`."""
        with self._lock:
            for id in ids:
                self._texts.pop(id, None)

    async def park(self, id: str, code: str, /) -> None:
        """See `Outbox`."""
        with self._lock:
            self._parked[id] = code


# --- the row ---------------------------------------------------------------------------------------------------------


def event_text(event: AuditEvent) -> bytes:
    """The event as canonical JSON.

    Of a `Principal` it holds what a trail records: id, kind, credential, reason and the actor behind it.

    Raises:
        UsageError: outside canonical JSON, or a naive time.
    """
    spoken = {name: _plain(getattr(event, name)) for name in _SPOKEN}
    return canonical_json(
        {
            "v": _FORMAT,
            "id": event.id,
            "action": event.action,
            "outcome": event.outcome,
            "tenant_id": event.tenant_id,
            "occurred_at": rfc3339(aware(event.occurred_at, "occurred_at")),
            "actor": _actor(event.actor),
            **{name: value for name, value in spoken.items() if value not in (None, [], {})},
        }
    )


def event_from(text: bytes) -> AuditEvent:
    """The inverse of `event_text`.

    Raises:
        ConfigurationError: a row of a newer release.
    """
    row = json.loads(text)
    if row.pop("v") != _FORMAT:
        raise ConfigurationError(
            "the outbox holds an event of a newer release", hint="upgrade the relay first", reason="outbox_newer"
        )
    for name in ("targets", "changes"):
        row[name] = tuple(row.get(name, ()))
    actor = row.pop("actor")
    who = _principal(actor["principal"]) if "principal" in actor else actor["facts"]
    return AuditEvent(actor=who, occurred_at=datetime.fromisoformat(row.pop("occurred_at")), **row)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple | list):
        return [dict(item) if isinstance(item, Mapping) else item for item in value]
    return value


def _actor(actor: Principal | Mapping[str, Any]) -> dict[str, Any]:
    return {"principal": _facts(actor)} if isinstance(actor, Principal) else {"facts": dict(actor)}


def _facts(principal: Principal) -> dict[str, Any]:
    behind = principal.actor
    return {
        "id": principal.id,
        "kind": principal.kind,
        "credential_id": principal.credential_id,
        "reason": principal.reason,
        "actor": _facts(behind) if behind is not None else None,
    }


def _principal(facts: dict[str, Any]) -> Principal:
    behind = facts.pop("actor")
    return Principal(**facts, actor=_principal(behind) if behind is not None else None)
