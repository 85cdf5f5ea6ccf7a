"""The engine: what is about to be executed, with which values, and by whom.

Each execution passes `Gate.before`. A compiled statement brings its verdict; text has none and is refused outside
`unscoped`. Some statements are not the host's: what a dialect asks while it connects (there is no transaction yet),
what it asks for reflection, savepoints and two-phase commits, and what the SQL stores of this package do on an engine
they share with the host. The latter are recognised by the code that asks.

DDL is not data, so `create_all`, Alembic's operations and ``DDL("CREATE ...")`` need no `unscoped`, but it can be made
to carry data. What is judged is the text that goes to the database, whoever wrote it.

* A definition that holds a query (a view, CREATE TABLE ... AS), a second statement, or code that runs later (a trigger,
  a rule, a routine) is refused everywhere. So is text that defines nothing and is only called DDL.
* Inside a tenant scope a definition may only create or comment. ALTER and DROP work on the rows of every tenant, and a
  tenant's table that is renamed to a shared one is read by all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import FrameType
from typing import Any, Final

from sqlalchemy import Connection, Engine, Select, bindparam, event, func, select, tuple_
from sqlalchemy.util import LRUCache

from ...core.errors import ConfigurationError
from ..context import current_tenant
from ..postgres.binding import bind_tenant
from ..unscoped import is_unscoped
from .compiler import GuardedCompiler, guarded_compiler
from .fragments import harmful_definition
from .known import known_parents
from .plan import Occurrence, Plan
from .results import pin
from .rules import Rules, same_id
from .verdict import COMPANY, LIFTED, TENANT, Equal, Points, Verdict

__all__ = ["Gate", "ModalCache"]

_BATCH: Final = 500
_CREATES: Final = ("create", "comment")
_PLUMBING: Final = ("sqlalchemy.engine", "sqlalchemy.sql", "sqlalchemy.event", "sqlalchemy.util", "sqlalchemy.pool")
_INSIDERS: Final = ("sqlalchemy.dialects.", "wellstreak_trust.storage.")
_DEFINE: Final = "run the migration in unscoped(reason), outside tenant scopes"
_RAW: Final = "write it with the ORM or Core, or run it in unscoped(reason)"


class ModalCache:
    """Compiled statements apart by how they were compiled: for a tenant, for a company in it, or lifted.

    Args:
        size: statements kept for each.
    """

    def __init__(self, size: int = 500) -> None:
        self._caches: tuple[LRUCache[Any, Any], ...] = tuple(LRUCache(size) for _ in range(3))

    def get(self, key: Any, default: Any = None) -> Any:
        """As of a dictionary."""
        return self._caches[_bucket()].get(key, default)

    def __getitem__(self, key: Any) -> Any:
        return self._caches[_bucket()][key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._caches[_bucket()][key] = value

    def __contains__(self, key: Any) -> bool:
        return key in self._caches[_bucket()]

    def __len__(self) -> int:
        return sum(map(len, self._caches))

    def clear(self) -> None:
        """Forgets everything."""
        for cache in self._caches:
            cache.clear()


def _bucket() -> int:
    context = current_tenant()
    if context is None:
        return LIFTED if is_unscoped() else TENANT
    return TENANT if context.company_id is None else COMPANY


class Gate:
    """Guards engines for one set of rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules: Rules = rules

    def guards(self, engine: Engine) -> bool:
        """Whether that engine has these rules."""
        return getattr(engine.dialect.statement_compiler, "rules", None) is self.rules

    def attach(self, engine: Engine) -> None:
        """Guards an engine; again is harmless.

        Raises:
            ConfigurationError: another guard has it.
        """
        if self.guards(engine):
            return
        while hasattr(engine, "_proxied"):  # made by execution_options(): same dialect, same pool
            engine = engine._proxied
        dialect = engine.dialect
        if hasattr(dialect.statement_compiler, "rules"):
            raise ConfigurationError(
                "the engine has another TenantGuard", hint="one guard for an engine", reason="tenant_guard_twice"
            )
        dialect.statement_compiler = guarded_compiler(dialect.statement_compiler, self.rules)
        engine.clear_compiled_cache()
        if engine._compiled_cache is not None:
            engine.update_execution_options(compiled_cache=ModalCache())
        # Events of the dialect, not of the engine: these would make every new connection of the engine slower.
        event.listen(engine, "do_execute", self.before, insert=True)
        event.listen(engine, "do_executemany", self.before, insert=True)
        event.listen(engine, "do_execute_no_params", self._before_without, insert=True)
        if dialect.name == "postgresql" and not self.rules.observes:
            bind_tenant(engine)

    # --- each execution ---------------------------------------------------------------------------------------------

    def before(self, cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        """Judges one execution; what it raises is raised before anything reaches the driver."""
        compiled = context.compiled
        if isinstance(compiled, GuardedCompiler) and compiled.rules is self.rules:
            verdict = compiled.verdict
            if verdict.tables or verdict.refusal is not None or verdict.mode == LIFTED:
                self._judge(statement, context, verdict)
        elif compiled is not None and context.isddl:
            self._judge_definition(statement, context.dialect.name)
        elif compiled is not None:
            self.rules.unscoped("a statement compiled elsewhere", "execute the statement itself", statement)
        elif not is_unscoped() and context.root_connection.in_transaction() and not _asked_by_insiders():
            self.rules.unscoped("raw SQL", _RAW, statement)

    def _before_without(self, cursor: Any, statement: str, context: Any) -> None:
        self.before(cursor, statement, (), context)

    def _judge(self, statement: str, context: Any, verdict: Verdict) -> None:
        rules = self.rules
        if verdict.mode != rules.mode():
            rules.unscoped("a statement compiled in another scope", "leave compiled_cache to the engine", statement)
        if verdict.mode == LIFTED:
            return
        if verdict.refusal is not None and not is_unscoped() and not _asked_by_insiders():
            rules.unscoped(verdict.refusal, verdict.hint, statement, write=verdict.write)
        if not verdict.tables:
            return
        current = current_tenant()
        if current is None:
            rules.no_tenant(f"{', '.join(verdict.tables)} used", statement)
            return
        if verdict.unfiltered:
            rules.observations.record("Filtered", statement)
        values = context.__dict__.get("parameters")  # missing while a default is fetched for the statement
        if values is None or context.__dict__.get("_wst_judged"):
            return
        context._wst_judged = True  # an INSERT of many rows comes once a batch, each time with all values
        if not rules.observes:
            pin(context, rules)
        rows = context.compiled_parameters
        for equal in verdict.equal:
            wanted = rules.id(current, equal.company)
            if wanted is not None:
                self._judge_equal(equal, wanted, rows, statement)
        for points in verdict.points:
            self._judge_points(context.root_connection, points, rows, statement)

    def _judge_equal(self, equal: Equal, wanted: str, rows: Sequence[Mapping[str, Any]], statement: str) -> None:
        for row in rows:
            for name in equal.names:
                value = row.get(name, wanted)
                if value == wanted or same_id(value, wanted):
                    continue
                if equal.writes:
                    hint = "leave it out: the guard writes the current tenant"
                    self.rules.foreign_write(f"{equal.column} of another tenant", hint, statement)
                else:
                    self.rules.foreign_read(f"a parameter named {name}", "that name is the guard's")
                return

    def _judge_points(
        self, connection: Connection, points: Points, rows: Sequence[Mapping[str, Any]], statement: str
    ) -> None:
        found = (tuple(row.get(name) for name in names) for row in rows for names in points.rows)
        wanted = {keys for keys in found if None not in keys}
        if points.local:
            wanted -= {tuple(row.get(name) for name in points.local) for row in rows}
        wanted -= known_parents(points.parent, wanted)
        for batch in _batches(sorted(wanted, key=repr)):
            query = self._count(points, batch)
            if (connection.scalar(query) or 0) < len(batch):
                label, table = points.parent.label, points.parent.table.name
                hint = f"use a row of {table} that the current tenant owns"
                self.rules.foreign_write(f"{label} holds no row of this tenant's {table}", hint, statement)
                return

    def _count(self, points: Points, batch: Sequence[tuple[Any, ...]]) -> Select[Any]:
        parent = points.parent
        key: Any = parent.keys[0] if len(parent.keys) == 1 else tuple_(*parent.keys)
        wanted = [keys[0] for keys in batch] if len(parent.keys) == 1 else list(batch)
        query = select(func.count()).select_from(parent.table).where(key.in_(wanted))
        owned = self.rules.tables.owned(parent.table.fullname)
        if self.rules.observes and owned is not None:  # here the compiler adds nothing
            verdict = Verdict(self.rules.mode())
            plan = Plan(self.rules.tables, self._value, verdict)
            query = query.where(*plan.of(Occurrence(parent.table, owned, ())))
        return query

    def _value(self, type_: Any, company: bool) -> Any:
        return bindparam(None, self.rules.late(type_, company)(), type_=type_)

    def _judge_definition(self, definition: str, dialect: str) -> None:
        if is_unscoped():
            return
        word = harmful_definition(definition, dialect)
        if word is not None:
            self.rules.unscoped(f"DDL that holds {word!r}", _DEFINE, definition)
        elif current_tenant() is not None and not definition.lstrip().lower().startswith(_CREATES):
            self.rules.unscoped("DDL that changes what is there, in a tenant scope", _DEFINE, definition)


def _batches(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _BATCH] for start in range(0, len(values), _BATCH))


def _asked_by_insiders() -> bool:
    """Whether a dialect or one of our own stores asks: the innermost code that is not plumbing is theirs."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(_PLUMBING) and frame.f_globals is not globals():
            return module.startswith(_INSIDERS)
        frame = frame.f_back
    return False
