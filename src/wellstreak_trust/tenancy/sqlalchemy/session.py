"""The session: one tenant from its first statement on, and no instance of another.

A session is a cache of rows, so it belongs to the tenant (and company) of its first use until it is closed. `get_bind`
is what every path to the database passes, whether a query, a refresh, a lazy load or a flush; `_identity_lookup` is
what every path past the database passes, when a row is in the identity map already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from .known import FLUSHING
from .rules import Rules

if TYPE_CHECKING:
    from .engine import Gate
    from .instances import Instances

__all__ = ["GuardedSession", "guarded_session"]


class GuardedSession(Session):
    """Mixed in before a host's session class by `guarded_session`, which sets the class variables."""

    guard_gate: ClassVar[Gate]
    guard_instances: ClassVar[Instances]
    guard_ready: ClassVar[Callable[[], None]]
    _guard_pin: tuple[str, str | None] | None = None
    _guard_untrusted: set[Any] | None = None

    @classmethod
    def guard_rules(cls) -> Rules:
        """The rules of its guard."""
        return cls.guard_gate.rules

    @property
    def guard_untrusted(self) -> set[Any]:
        """Identity keys that came in by `add` of a detached instance: their rows are hearsay until loaded."""
        if self._guard_untrusted is None:
            self._guard_untrusted = set()
        return self._guard_untrusted

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:
        """Every statement of the session begins here."""
        self.guard_pin()
        bind = super().get_bind(*args, **kwargs)
        engine = bind.engine if isinstance(bind, Connection) else bind
        if not self.guard_gate.guards(engine):
            self.guard_gate.attach(engine)
        return bind

    def guard_pin(self) -> None:
        """Ties the session to the current tenant, and refuses another one."""
        scope, pin = self.guard_gate.rules.scope(), self._guard_pin
        if pin is None:
            type(self).guard_ready()
            self._guard_pin = scope
        elif scope is None:
            return
        elif pin != scope:
            hint = "open a session in the scope, or close this one first"
            self.guard_gate.rules.foreign_read("a session that began in another tenant or company", hint)

    def flush(self, objects: Any = None) -> None:
        """Lets the checks of foreign keys ask this session what it holds."""
        token = FLUSHING.set(self)
        try:
            super().flush(objects)
        finally:
            FLUSHING.reset(token)

    def close(self) -> None:
        """Empties the session, which may then serve another tenant."""
        super().close()
        self._guard_pin = self._guard_untrusted = None

    def reset(self) -> None:
        """As `close`."""
        super().reset()
        self._guard_pin = self._guard_untrusted = None

    def _identity_lookup(self, mapper: Any, *args: Any, **kwargs: Any) -> Any:
        # Private, and meant to be overridden: sqlalchemy.ext.horizontal_shard does. There is no event for a hit.
        found = super()._identity_lookup(mapper, *args, **kwargs)
        if isinstance(found, mapper.class_):
            self.guard_instances.hit(self, found)
        return found


def guarded_session(base: type[Session], gate: Gate, instances: Instances, ready: Callable[[], None]) -> type[Session]:
    """The host's session class with the guard mixed in."""
    names = {"guard_gate": gate, "guard_instances": instances, "guard_ready": staticmethod(ready)}
    found = type(base.__name__, (GuardedSession, base), names)
    event.listen(found, "before_flush", instances.before_flush)
    event.listen(found, "before_attach", instances.before_attach)
    event.listen(found, "detached_to_persistent", instances.taken_on_trust)
    return found
