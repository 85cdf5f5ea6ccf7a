"""One side of an oracle: a set of models, on a connection that stands in for the default one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections, transaction

from ....core.errors import TrustError
from ....tenancy import tenant_scope, testing_context
from ..dice import Dice
from ..report import Outcome
from . import reads, writes
from .queries import Queries
from .reads import Reads
from .schema import Models
from .world import World
from .writes import Writes

__all__ = ["ModelSide", "as_default"]

_WRITE: Final = 1


class ModelSide:
    """One set of models, and the connection that stands in for the default one.

    Args:
        world: what statements are grown from; the same on both sides.
        owner: sees all rows; the same connection where no policies hide them.
        rows: what the tables hold.
    """

    def __init__(
        self, models: Models, world: World, connection: Any, owner: Any, *, alone: bool, rows: World | None = None
    ) -> None:
        self.connection: Any = connection
        self._owner: Any = owner
        self._alone: bool = alone
        self._world: World = rows or world
        self._sent: list[str] = []
        queries = Queries(models, world)
        self._ways: tuple[Any, ...] = (Reads(queries), Writes(queries, explicit=alone))
        self._world.insert(owner, alone=alone)
        self._before: Any = self._world.dump(owner, alone=alone)

    def play(self, dice: Dice) -> Outcome:
        """See `Side.play`."""
        self._sent.clear()
        kind, form, run = self._grown(dice)
        found = self._undone(lambda: _answer(run), look=kind == _WRITE)
        answer = found.pop("value")
        return Outcome(**found, **answer, form=form, sql=tuple(self._sent))

    def script(self, dice: Dice, length: int) -> Outcome:
        """See `Side.script`."""
        self._sent.clear()
        steps = [part for _ in range(length) if (part := dice.part("step"))]
        found = self._undone(lambda: [sorted(_answer(self._grown(step)[2]).items()) for step in steps], look=True)
        return Outcome(**found, form="script", sql=tuple(self._sent))

    def _grown(self, dice: Dice) -> tuple[int, str, Callable[[], Any]]:
        """Which kind of statement it is, its name, and what runs it."""
        kind = dice.choice((0, 0, 0, _WRITE))
        form = dice.choice((reads, writes)[kind].FORMS)
        return kind, f"{('read', 'write')[kind]}.{form}", lambda: self._ways[kind].run(form, dice.always(form))

    def _undone(self, run: Callable[[], Any], *, look: bool) -> dict[str, Any]:
        """Runs it in the tenant's scope, looks at the rows afterwards, and puts them back."""
        apart = self._owner is not self.connection
        found: dict[str, Any] = {}
        with as_default(self.connection), self.connection.execute_wrapper(self._note), transaction.atomic():
            with tenant_scope(testing_context(self._world.tenants[0])):
                found["value"] = run()
            if look and not apart:
                found["own"], found["others"] = self._after()
            transaction.set_rollback(not apart)
        if look and apart:
            found["own"], found["others"] = self._after()
            self._world.empty(self._owner, alone=self._alone)
            self._world.insert(self._owner, alone=self._alone)
        return found

    def _after(self) -> tuple[Any, Any]:
        """The first tenant's rows, and what changed among the others'."""
        own, others = self._world.dump(self._owner, alone=self._alone)
        changed = {
            table: (sorted(set(before) - set(others[table])), sorted(set(others[table]) - set(before)))
            for table, before in self._before[1].items()
            if sorted(before) != sorted(others[table])
        }
        return {table: sorted(rows) for table, rows in own.items()}, changed

    def _note(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        self._sent.append(f"{sql} {params!r}")
        return execute(sql, params, many, context)


def _answer(run: Callable[[], Any]) -> dict[str, Any]:
    """What it gave or raised; a savepoint keeps the transaction usable."""
    try:
        with transaction.atomic():
            return {"value": run()}
    except TrustError as refused:
        return {"error": "refused", "refused": type(refused).__name__}
    except Exception as error:
        return {"error": type(error).__name__}


@contextmanager
def as_default(connection: Any) -> Iterator[None]:
    """For the block, `connection` is what ``connections["default"]`` gives to this thread."""
    before = connections["default"]
    connections["default"] = connection
    try:
        yield
    finally:
        connections["default"] = before
