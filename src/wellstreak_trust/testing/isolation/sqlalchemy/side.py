"""One side of an oracle: a database, and the host's sessions on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session, sessionmaker

from ....core.errors import TrustError
from ....tenancy import tenant_scope, testing_context
from ..dice import Dice
from ..report import Outcome
from . import loads, selects, writes
from .conditions import Conditions
from .loads import Loads
from .selects import Selects
from .world import World
from .writes import Writes

__all__ = ["DatabaseSide"]

_WRITE: Final = 2


class DatabaseSide:
    """One database, the sessions of the host on it, and its owner's engine below the guard.

    Args:
        world: what statements are grown from; the same on both sides.
        rows: what the database holds.
    """

    def __init__(
        self, world: World, maker: sessionmaker[Session], owner: Engine, *, alone: bool, rows: World | None = None
    ) -> None:
        self.maker: sessionmaker[Session] = maker
        self.owner: Engine = owner
        self._alone: bool = alone
        self._world: World = rows or world
        self._sent: list[str] = []
        conditions = Conditions(world)
        self._ways: tuple[Any, ...] = (
            Selects(conditions, lateral=owner.dialect.name == "postgresql"), Loads(conditions), Writes(conditions),
        )  # fmt: skip
        event.listen(maker.kw["bind"], "before_cursor_execute", self._note)
        with owner.begin() as connection:
            self._world.create(connection)
            self._world.restore(connection, alone=alone)
            self._before: Any = self._world.dump(connection)

    def play(self, dice: Dice) -> Outcome:
        """See `Side.play`."""
        self._sent.clear()
        kind, name, found = self._step(dice)
        own, others = self._after() if kind == _WRITE else (None, None)
        return Outcome(**found, own=own, others=others, form=name, sql=tuple(self._sent))

    def script(self, dice: Dice, length: int) -> Outcome:
        """See `Side.script`."""
        self._sent.clear()
        steps = [part for _ in range(length) if (part := dice.part("step"))]
        answers = [sorted(self._step(step)[2].items()) for step in steps]
        own, others = self._after()
        return Outcome(answers, own=own, others=others, form="script", sql=tuple(self._sent))

    def _step(self, dice: Dice) -> tuple[int, str, dict[str, Any]]:
        """Which kind of statement it was, its name, and what it gave."""
        kind = dice.choice((0,) * 12 + (1,) * 5 + (_WRITE,) * 4)
        form = dice.choice((selects, loads, writes)[kind].FORMS)
        found = self._ran(lambda session: self._ways[kind].run(form, dice.always(form), session))
        return kind, f"{('select', 'load', 'write')[kind]}.{form}", found

    def _ran(self, run: Callable[[Session], Any]) -> dict[str, Any]:
        with warnings.catch_warnings(), tenant_scope(testing_context(self._world.tenants[0])):
            # Cartesian products and coerced subqueries are asked for.
            warnings.simplefilter("ignore", SAWarning)
            with self.maker() as session:
                session.info["stamped"] = not self._alone
                try:
                    return {"value": run(session)}
                except TrustError as refused:
                    return {"error": "refused", "refused": type(refused).__name__}
                except Exception as error:
                    return {"error": type(error).__name__}
                finally:
                    session.rollback()

    def _after(self) -> tuple[Any, Any]:
        """The first tenant's rows, and what changed among the others'; then all rows are put back."""
        with self.owner.begin() as connection:
            own, others = self._world.dump(connection)
            changed = {
                table: (sorted(set(before) - set(others[table])), sorted(set(others[table]) - set(before)))
                for table, before in self._before[1].items()
                if sorted(before) != sorted(others[table])
            }
            if changed or own != self._before[0]:
                self._world.restore(connection, alone=self._alone)
        return {table: sorted(rows) for table, rows in own.items()}, changed

    def _note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self._sent.append(f"{' '.join(statement.split())} {parameters!r}")
