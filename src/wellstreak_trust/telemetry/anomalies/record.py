"""A record of the trail as detectors read it: parsed once, and only what more than one of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

__all__ = ["Reader", "Record", "moment"]

_NOTHING: Final[Mapping[str, Any]] = {}
_MICRO: Final = 1_000_000


class Record:
    """One leaf. Times in microseconds, as the log recorded them: `occurred_at` is what the host said."""

    __slots__ = ("action", "actor", "at", "leaf", "outcome", "seq", "tenant")

    def __init__(self, leaf: Mapping[str, Any], at: int) -> None:
        self.leaf: Mapping[str, Any] = leaf
        self.at: int = at
        self.seq: int = leaf["seq"]
        self.tenant: str = leaf["tenant_id"]
        self.action: str = leaf["action"]
        self.outcome: str = leaf["outcome"]
        self.actor: str = leaf["actor"]["id"]

    def part(self, name: str) -> Mapping[str, Any]:
        """A member that is a mapping; empty where it is missing or of another kind."""
        found = self.leaf.get(name)
        return found if type(found) is dict or isinstance(found, Mapping) else _NOTHING

    @property
    def credentials(self) -> tuple[str, ...]:
        """Ids of what the actor acted with."""
        actor = self.leaf["actor"]
        return tuple(actor[name] for name in ("credential_id", "session_id") if isinstance(actor.get(name), str))

    @property
    def targets(self) -> tuple[str, ...]:
        """Ids of what was acted upon."""
        found = (target.get("id") if isinstance(target, Mapping) else target for target in self.leaf.get("targets", ()))
        return tuple(target for target in found if isinstance(target, str))

    @property
    def network(self) -> str | None:
        """The /24 or /48 that the event came from."""
        address = self.part("source").get("address")
        return _network(address) if isinstance(address, str) else None

    def changed(self, field: str) -> Any:
        """What a field became, where the event says so."""
        for change in self.leaf.get("changes", ()):
            if isinstance(change, Mapping) and change.get("field") == field:
                return change.get("to")
        return None


class Reader:
    """Makes records of leaves; the events of one second share the parsing of their time."""

    __slots__ = ("_base", "_second")

    def __init__(self) -> None:
        self._second: str = ""
        self._base: int = 0

    def read(self, leaf: Mapping[str, Any]) -> Record:
        """A record; raises `KeyError`, `TypeError` or `ValueError` for what is no leaf."""
        text = leaf["recorded_at"]
        second = text[:19]
        if second != self._second:
            whole = datetime.fromisoformat(second + "+00:00")
            self._base, self._second = int(whole.timestamp()) * _MICRO, second
        return Record(leaf, self._base + int(text[20:26]))


def moment(micros: int) -> datetime:
    """The time of a record."""
    return datetime.fromtimestamp(micros // _MICRO, UTC).replace(microsecond=micros % _MICRO)


@lru_cache(maxsize=4096)
def _network(text: str) -> str | None:
    try:
        address = ip_address(text.partition("/")[0])
    except ValueError:
        return None
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
