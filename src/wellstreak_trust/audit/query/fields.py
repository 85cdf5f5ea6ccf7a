"""The qualifiers: what each reads from an event, and which column of a store holds the same.

This table is the manual's too. A reader gives every value of its field as text or number; a field that is missing
gives none, so that it matches no test and every negated one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from ...core.clock import to_micros
from ...core.event import Outcome

__all__ = ["QUALIFIERS", "Kind", "Qualifier", "Scalar", "scalars"]

Kind = Literal["text", "choice", "time", "number", "value", "presence"]
Scalar = str | int
Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Qualifier:
    """One key of the language.

    Args:
        kind: how its values are read: ``text`` (with ``*``), ``choice``, ``time``, ``number``, ``value`` (text, or a
            number where it looks like one) or ``presence``.
        about: one line for the manual.
        example: a term that uses it.
        read: the values of an event, given the path behind the name.
        column: the column of `store.Leaf` that says the same.
        choices: all values there are.
        has_path: whether a path follows the name, as in ``data.plan``.
    """

    kind: Kind
    about: str
    example: str
    read: Callable[[Event, tuple[str, ...]], Iterator[Scalar]]
    column: str | None = None
    choices: tuple[str, ...] = ()
    has_path: bool = False


def scalars(value: object) -> Iterator[Scalar]:
    """A value as the language compares it: text and whole numbers as they are, true, false and null spelled out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is None:
        yield "null"
    elif isinstance(value, int):
        yield value
    elif isinstance(value, list):
        for item in value:
            if not isinstance(item, list):  # one level: a list of lists has no values of its own
                yield from scalars(item)


def _reach(value: object, path: tuple[str, ...]) -> Iterator[object]:
    """What stands at a path; of a list, what stands there in any of its items."""
    if not path:
        yield value
    elif isinstance(value, Mapping):
        if path[0] in value:
            yield from _reach(value[path[0]], path[1:])
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                yield from _reach(item, path)


def _at(*places: str) -> Callable[[Event, tuple[str, ...]], Iterator[Scalar]]:
    """Reads fixed places, each a dotted path."""
    paths = tuple(tuple(place.split(".")) for place in places)

    def read(event: Event, _: tuple[str, ...]) -> Iterator[Scalar]:
        for path in paths:
            for found in _reach(event, path):
                if found is not None:
                    yield from scalars(found)

    return read


def _below(root: str) -> Callable[[Event, tuple[str, ...]], Iterator[Scalar]]:
    """Reads the path that the term itself names."""

    def read(event: Event, path: tuple[str, ...]) -> Iterator[Scalar]:
        for found in _reach(event, (root, *path)):
            yield from scalars(found)

    return read


def _time(name: str) -> Callable[[Event, tuple[str, ...]], Iterator[Scalar]]:
    def read(event: Event, _: tuple[str, ...]) -> Iterator[Scalar]:
        try:
            yield to_micros(datetime.fromisoformat(event[name]))
        except (KeyError, TypeError, ValueError):
            return

    return read


def _listed(found: object) -> list[Any]:
    """Whatever a host put there: one event of an odd shape must not end every search."""
    return found if isinstance(found, list) else [] if found is None else [found]


def _targets(event: Event, _: tuple[str, ...]) -> Iterator[Scalar]:
    for target in _listed(event.get("targets")):
        yield from scalars(target.get("id", ()) if isinstance(target, Mapping) else target)


def _changed(event: Event, _: tuple[str, ...]) -> Iterator[Scalar]:
    for change in _listed(event.get("changes")):
        if isinstance(change, Mapping):
            yield from scalars(change.get("field", change.get("name", ())))


def _present(event: Event, _: tuple[str, ...]) -> Iterator[Scalar]:
    yield from (name for name in _PARTS if event.get(name))


_PARTS: Final = ("targets", "source", "changes", "reason", "request", "decision", "data")

QUALIFIERS: Final[Mapping[str, Qualifier]] = {
    "actor": Qualifier("text", "who acted", "actor:user_ada", _at("actor.id"), column="actor"),
    "on-behalf-of": Qualifier(
        "text", "who stood behind the actor: the impersonator", "on-behalf-of:support_1", _at("actor.actor.id")
    ),
    "kind": Qualifier("text", "the actor's kind", "kind:api_key", _at("actor.kind")),
    "credential": Qualifier("text", "the credential that was used", "credential:key_7", _at("actor.credential_id")),
    "action": Qualifier("text", "what was done", "action:member.*", _at("action"), column="action"),
    "outcome": Qualifier(
        "choice", "how it ended", "outcome:denied", _at("outcome"), column="outcome", choices=get_args(Outcome)
    ),
    "target": Qualifier("text", "the id of something that was acted upon", "target:int_3", _targets),
    "type": Qualifier("text", "the type of a target", "type:subscription", _at("targets.type")),
    "changed": Qualifier("text", "a field that was changed", "changed:plan", _changed),
    "created": Qualifier(
        "time", "when it happened", "created:>=2026-11-01", _time("occurred_at"), column="occurred_at"
    ),
    "recorded": Qualifier("time", "when the trail took it", "recorded:2026-11-24", _time("recorded_at")),
    "seq": Qualifier("number", "its place in the tree", "seq:100..199", _at("seq"), column="seq"),
    "id": Qualifier("text", "the event's id", "id:0199-*", _at("id"), column="id"),
    "reason": Qualifier("text", "the reason that was given", 'reason:"ticket 42"', _at("reason")),
    "address": Qualifier("text", "the client's address", "address:203.0.113.*", _at("source.address", "source.ip")),
    "agent": Qualifier("text", "the client's program", "agent:curl*", _at("source.user_agent", "source.agent")),
    "request": Qualifier("text", "the request or trace id", "request:req_9", _at("request.id", "request.trace")),
    "permission": Qualifier(
        "text", "what the policy was asked for", "permission:billing:*", _at("decision.permission")
    ),
    "code": Qualifier("text", "what the policy answered", "code:tenant_mismatch", _at("decision.code")),
    "data": Qualifier("value", "a field of the event's own data", "data.seats:>=25", _below("data"), has_path=True),
    "has": Qualifier("presence", "which parts are there", "has:reason", _present, choices=_PARTS),
}
