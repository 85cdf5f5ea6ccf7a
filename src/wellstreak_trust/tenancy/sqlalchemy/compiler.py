"""The compiler of a guarded engine: the one place where every statement becomes SQL, and where it gets its conditions.

Conditions are added here, below the ORM, and not as loader criteria of the ORM. Loader criteria are skipped without a
word when a select list holds only window functions, filtered aggregates, top-level ``and_()`` or ``exists()`` around
such; they are not adapted to aliases in explicit joins when given as expressions; captured values go stale in lazy
loads and statement caches; and they never see Core statements. The compiler meets each FROM element of each SELECT at
each depth, whoever wrote it, after the ORM is done; what it did not cover it can tell (`visit_table`). And a compiled
statement is cached, so the guard costs next to nothing per execution.

What ends up in the SQL as it is, is text, and text is judged (`fragments`): literal columns, names that are to stay
unquoted, types, operators, prefixes, hints. Out of reach is what ``@compiles`` elements of the host write: they are
called by their own class, and what they return is theirs. All that is done for them are brackets in conditions.

The class is mixed into the compiler of the engine's own dialect. `Dialect.statement_compiler`, ``visit_*``,
``update_tables_clause`` and ``delete_table_clause`` are what dialects of third parties override;
``_compose_select_body`` and ``_where_criteria`` are private and watched by ``tests/tenancy/sqlalchemy/test_compiler``.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import BindParameter, Select, Table, and_
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import CTE

from .fragments import PLAIN, RUNS_SQL, harmful
from .plan import Occurrence, Plan, base_table, held, sealed
from .tables import Owned
from .values import copied_pointers, given, inspect_select, inspect_upserts, inspect_values
from .verdict import COMPANY, LIFTED, Verdict

if TYPE_CHECKING:
    from .rules import Rules

__all__ = ["GuardedCompiler", "guarded_compiler"]

_RAW = "write it with the ORM or Core, or run it in unscoped(reason)"
_FRAGMENT = "write it as an expression, or run it in unscoped(reason)"


def guarded_compiler(dialects: type[SQLCompiler], rules: Rules) -> type[SQLCompiler]:
    """The compiler class of a dialect, with the guard mixed in."""
    return type(f"Guarded{dialects.__name__}", (GuardedCompiler, dialects), {"rules": rules})


class GuardedCompiler:
    """Mixed in before a dialect's compiler; `rules` is set by `guarded_compiler`."""

    rules: ClassVar[Rules]
    verdict: Verdict
    # What the dialect's compiler brings and this one uses.
    stack: Any
    binds: dict[str, BindParameter[Any]]
    bind_names: dict[BindParameter[Any], str]
    column_keys: Any
    dialect: Any
    process: Any

    def __init__(self, dialect: Any, statement: Any, *args: Any, **kwargs: Any) -> None:
        self.verdict = Verdict(self.rules.mode())
        # Definitions (views, defaults, checks) are compiled without a statement; they hold for every tenant.
        self._guards: bool = self.verdict.mode != LIFTED and statement is not None
        self._on: dict[int, Any] = {}
        self._full: dict[int, Any] = {}
        self._covered: set[int] = set()
        self._upserts: list[tuple[Any, Any]] = []
        self._binds: dict[tuple[Any, bool], BindParameter[Any]] = {}
        self.seen_ctes: list[CTE] = []
        self._inspections: list[Callable[[], None]] = []
        self._dialects.__init__(dialect, statement, *args, **kwargs)
        for inspect in self._inspections:
            inspect()

    @property
    def preparer(self) -> Any:
        """The dialect's, whose names are looked at."""
        return self._preparer

    @preparer.setter
    def preparer(self, preparer: Any) -> None:
        self._preparer: Any = copy(preparer)
        self._preparer.quote = partial(self._quoted, partial(type(preparer).quote, self._preparer))

    def _quoted(self, quote: Callable[[str], str], name: str) -> str:
        """A name that its owner wants unquoted is text, unless it is a plain name."""
        if self._guards and getattr(name, "quote", None) is False and not PLAIN.fullmatch(name):
            self.verdict.refuse("a name that is SQL text, unquoted", "leave quote=False out")
        return quote(name)

    @property
    def _dialects(self) -> Any:
        """The dialect's own compiler, whose methods are not typed."""
        return super()

    # --- reads ------------------------------------------------------------------------------------------------------

    def _compose_select_body(
        self, text: Any, select: Any, state: Any, columns: Any, froms: Any, *rest: Any, **kw: Any
    ) -> Any:
        return self._dialects._compose_select_body(
            text, self._scoped(select, froms), state, columns, froms, *rest, **kw
        )

    def _scoped(self, statement: Any, froms: Any) -> Any:
        """A copy of a statement with the conditions of its tables."""
        if not self._guards:
            return statement
        plan = Plan(self.rules.tables, self._bind, self.verdict).read(froms, statement._where_criteria)
        self._covered |= plan.covered
        if self.rules.observes:
            self.verdict.unfiltered.update(dict.fromkeys(plan.bare))
            return statement
        self._on.update(plan.on)
        self._full.update(plan.full)
        if not plan.where:
            return statement
        scoped = statement._generate()
        scoped._where_criteria = (*plan.where, *map(sealed, statement._where_criteria))
        return scoped

    def _bind(self, type_: Any, company: bool) -> BindParameter[Any]:
        key = (type_, company)
        if key not in self._binds:
            name = self.rules.bind_name(company, sum(other[1] == company for other in self._binds))
            self._binds[key] = BindParameter(name, callable_=self.rules.late(type_, company), type_=type_)
            self.verdict.equal.append(self.rules.bound(name, company))
        return self._binds[key]

    def marks_owner(self, company: bool) -> Callable[[Any], bool]:
        """Whether a column is the tenant (or company) column of an owned table."""

        def marks(column: Any) -> bool:
            table = getattr(column, "table", None)
            owned = self.rules.tables.owned(table.fullname) if isinstance(table, Table) else None
            if owned is None:
                return False
            mark = owned.company if company else owned.tenant
            return mark is not None and column.name == mark.name

        return marks

    def visit_join(self, join: Any, asfrom: bool = False, from_linter: Any = None, **kw: Any) -> Any:
        """Adds the conditions of the right side to ON; below a FULL JOIN all tables are derived ones."""
        if id(join) in self._full:
            join = self._full[id(join)][1]
        elif id(join) in self._on:
            conditions = self._on[id(join)][1]
            join = copy(join)
            join.onclause = and_(sealed(join.onclause), *conditions)
        return self._dialects.visit_join(join, asfrom=asfrom, from_linter=from_linter, **kw)

    def derived_table(self, element: Any, condition: Any, kw: dict[str, Any]) -> str:
        """A table below a FULL JOIN."""
        text, name = element._compiler_dispatch(self, **kw), element.name
        if hasattr(name, "apply_map"):  # made up, and numbered while compiling
            name = self._dialects._truncated_identifier("alias", name)
        return f"(SELECT * FROM {text} WHERE {self.process(condition)}) AS {self.preparer.quote(name)}"  # noqa: S608 - compiled

    def visit_table(self, table: Any, asfrom: bool = False, enclosing_alias: Any = None, **kw: Any) -> Any:
        """The net below the plan: an owned table that is read without having been planned for is refused."""
        if self._guards and (asfrom or kw.get("within_tstring")):
            owned = self.rules.tables.owned(table.fullname)
            place = enclosing_alias if getattr(enclosing_alias, "element", None) is table else table
            if owned is not None and hash(place) not in self._covered:
                self.verdict.refuse(f"the table {table.fullname} where no condition covers it", _RAW)
        return self._dialects.visit_table(table, asfrom=asfrom, enclosing_alias=enclosing_alias, **kw)

    # --- writes -----------------------------------------------------------------------------------------------------

    def visit_update(self, update_stmt: Any, visiting_cte: Any = None, **kw: Any) -> Any:
        """Conditions on target and extra tables, checks on what is set."""
        statement = update_stmt._generate()  # ours to change in `update_tables_clause`
        text = self._dialects.visit_update(statement, visiting_cte=visiting_cte, **kw)
        owned = self._target(statement.table)
        if owned is not None:
            state = statement._compile_state_factory(statement, self, **kw)
            self._inspections.append(partial(inspect_values, self, owned, state, insert=False))
            self._refuse_replace(statement, owned)
        return text

    def _refuse_replace(self, statement: Any, owned: Owned) -> None:
        """SQLite's OR REPLACE, of INSERT and of UPDATE."""
        words = " ".join(str(getattr(prefix, "text", prefix)) for prefix, _ in statement._prefixes)
        if "replace" in words.lower():
            what = f"REPLACE on {owned.table.name} deletes whatever row is in the way"
            self.verdict.refuse(what, "ON CONFLICT", write=True)

    def update_tables_clause(self, update_stmt: Any, from_table: Any, extra_froms: Any, **kw: Any) -> Any:
        """Called before WHERE is written, with all tables known."""
        update_stmt._where_criteria = self._scoped(update_stmt, [from_table, *extra_froms])._where_criteria
        return self._dialects.update_tables_clause(update_stmt, from_table, extra_froms, **kw)

    def visit_delete(self, delete_stmt: Any, visiting_cte: Any = None, **kw: Any) -> Any:
        """Conditions on target and extra tables."""
        return self._dialects.visit_delete(delete_stmt._generate(), visiting_cte=visiting_cte, **kw)

    def delete_table_clause(self, delete_stmt: Any, from_table: Any, extra_froms: Any, **kw: Any) -> Any:
        """Called before WHERE is written, with all tables known."""
        delete_stmt._where_criteria = self._scoped(delete_stmt, [from_table, *extra_froms])._where_criteria
        return self._dialects.delete_table_clause(delete_stmt, from_table, extra_froms, **kw)

    def visit_insert(self, insert_stmt: Any, visited_bindparam: Any = None, visiting_cte: Any = None, **kw: Any) -> Any:
        """Stamps rows that name no tenant, checks those that do."""
        owned = self._target(insert_stmt.table)
        if owned is None:
            return self._dialects.visit_insert(
                insert_stmt, visited_bindparam=visited_bindparam, visiting_cte=visiting_cte, **kw
            )
        self._refuse_replace(insert_stmt, owned)
        if not self.rules.observes:
            insert_stmt = self._stamped(insert_stmt, owned, kw)
        contained = []
        if not self.rules.observes:
            for parent, value in copied_pointers(owned, insert_stmt._select_names or (), insert_stmt.select):
                insert_stmt = insert_stmt._generate()
                insert_stmt.select = insert_stmt.select.where(held([value], parent, value.table))
                contained.append(parent)
        before, self._upserts = self._upserts, []
        text = self._dialects.visit_insert(
            insert_stmt, visited_bindparam=visited_bindparam, visiting_cte=visiting_cte, **kw
        )
        if insert_stmt.select is not None:
            names, query = insert_stmt._select_names, insert_stmt.select
            self._inspections.append(partial(inspect_select, self, owned, names, query, contained))
        else:
            state = insert_stmt._compile_state_factory(insert_stmt, self, **kw)
            self._inspections.append(partial(inspect_values, self, owned, state, insert=True))
        if self._upserts:
            self._inspections.append(partial(inspect_upserts, self, owned, self._upserts))
        self._upserts = before
        return text

    def _stamped(self, statement: Any, owned: Owned, kw: dict[str, Any]) -> Any:
        state = statement._compile_state_factory(statement, self, **kw)
        for column in owned.columns:
            if column is owned.company and self.verdict.mode != COMPANY:
                continue
            bind = self._bind(column.type, column is owned.company)
            if statement.select is not None:
                if column.key not in statement._select_names and isinstance(statement.select, Select):
                    query = statement.select.add_columns(bind.label(None))
                    statement = statement._generate()
                    statement.select, statement._select_names = query, [*statement._select_names, column.key]
            elif given(self, state, column):
                continue
            elif statement._multi_values:
                rows = statement._multi_values
                statement = statement._generate()
                statement._multi_values = tuple([_with(row, column, bind, owned) for row in group] for group in rows)
            else:
                statement = statement.values({column: bind})
        return statement

    def visit_on_conflict_do_update(self, on_conflict: Any, **kw: Any) -> Any:
        """A row in the way is changed only when it is the tenant's own."""
        table = self.stack[-1]["selectable"].table
        owned = self._target(table)
        if owned is not None:
            self._upserts = list(dict(on_conflict.update_values_to_set).items())
            keys = [getattr(key, "key", key) for key, _ in self._upserts]
            if len({*keys}) < len(keys) or not all(key in table.c for key in keys):
                hint = "name each column once, as the table spells it"
                self.verdict.refuse(f"a column of {table.name} nobody can tell", hint, write=True)
            if not self.rules.observes:
                plan = Plan(self.rules.tables, self._bind, self.verdict)
                conditions = list(plan.of(Occurrence(table, owned, ())))
                on_conflict = copy(on_conflict)
                theirs = on_conflict.update_whereclause
                on_conflict.update_whereclause = and_(*conditions, *([] if theirs is None else [sealed(theirs)]))
        return self._dialects.visit_on_conflict_do_update(on_conflict, **kw)

    def visit_on_duplicate_key_update(self, on_duplicate: Any, **kw: Any) -> Any:
        """MySQL's upsert takes no condition."""
        if self._target(self.stack[-1]["selectable"].table) is not None:
            self.verdict.refuse("ON DUPLICATE KEY UPDATE changes whatever row is in the way", "UPDATE", write=True)
        return self._dialects.visit_on_duplicate_key_update(on_duplicate, **kw)

    def _target(self, table: Any) -> Owned | None:
        """The owned table that is written, and a refusal for one of no class."""
        name = getattr(base_table(table), "fullname", None)
        if not self._guards or name is None:
            return None
        owned = self.rules.tables.owned(name)
        if owned is not None:
            self.verdict.tables[name] = None
            self.verdict.misdescribed(owned, base_table(table), written=True)
        elif not self.rules.tables.shared(name):
            self.verdict.refuse(f"the table {name} is of no known class", "declare it in TenantGuard(shared=[...])")
        return owned

    # --- text -------------------------------------------------------------------------------------------------------

    def visit_textclause(self, textclause: Any, add_to_result_map: Any = None, **kw: Any) -> Any:
        """A whole statement of text is refused; a fragment is looked at."""
        if not self.stack:
            self.verdict.refuse("a statement of SQL text", _RAW)
        else:
            self._judge(textclause.text)
        return self._dialects.visit_textclause(textclause, add_to_result_map=add_to_result_map, **kw)

    def visit_textual_select(self, taf: Any, compound_index: Any = None, asfrom: bool = False, **kw: Any) -> Any:
        """Text with columns is a statement of text wherever it stands."""
        self.verdict.refuse("a statement of SQL text", _RAW)
        return self._dialects.visit_textual_select(taf, compound_index=compound_index, asfrom=asfrom, **kw)

    def visit_tstring(self, tstring: Any, add_to_result_map: Any = None, **kw: Any) -> Any:
        """As `visit_textclause`."""
        if not self.stack:
            self.verdict.refuse("a statement of SQL text", _RAW)
        return self._dialects.visit_tstring(tstring, add_to_result_map=add_to_result_map, **kw)

    def visit_tstring_text(self, element: Any, **kw: Any) -> Any:
        """Brackets may open in one part and close in another, so only words are looked at."""
        self._judge(element.text.replace("(", " ").replace(")", " "))
        return self._dialects.visit_tstring_text(element, **kw)

    def visit_column(self, column: Any, *args: Any, **kw: Any) -> Any:
        """``literal_column`` is text."""
        if column.is_literal:
            self._judge(column.name)
        return self._dialects.visit_column(column, *args, **kw)

    def visit_function(self, func: Any, add_to_result_map: Any = None, **kw: Any) -> Any:
        """Functions that run SQL given as text are refused."""
        if RUNS_SQL.fullmatch(func.name.lower().rpartition(".")[2]):
            self.verdict.refuse(f"the function {func.name}", "run it in unscoped(reason)")
        return self._dialects.visit_function(func, add_to_result_map=add_to_result_map, **kw)

    def visit_custom_op_binary(self, element: Any, operator: Any, **kw: Any) -> Any:
        """The text of a host's own operator must not widen a condition."""
        self._judge(operator.opstring)
        return self._dialects.visit_custom_op_binary(element, operator, **kw)

    def visit_custom_op_unary_operator(self, element: Any, operator: Any, **kw: Any) -> Any:
        """As `visit_custom_op_binary`."""
        self._judge(operator.opstring)
        return self._dialects.visit_custom_op_unary_operator(element, operator, **kw)

    def visit_custom_op_unary_modifier(self, element: Any, operator: Any, **kw: Any) -> Any:
        """As `visit_custom_op_binary`; it may stand behind a condition."""
        self._judge(operator.opstring)
        return self._dialects.visit_custom_op_unary_modifier(element, operator, **kw)

    def visit_extract(self, extract: Any, **kw: Any) -> Any:
        """The field is written as it is."""
        if self._guards and not PLAIN.fullmatch(extract.field):
            self.verdict.refuse("a field of EXTRACT that is SQL text", _FRAGMENT)
        return self._dialects.visit_extract(extract, **kw)

    def visit_typeclause(self, typeclause: Any, **kw: Any) -> Any:
        """Types of a host, and arguments of types, are text."""
        text = self._dialects.visit_typeclause(typeclause, **kw)
        self._judge(text)
        return text

    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> Any:
        """As `visit_typeclause`."""
        text = self._dialects.render_bind_cast(type_, dbapi_type, sqltext)
        self._judge(text.replace(sqltext, " ", 1))
        return text

    def visit_cte(self, cte: Any, *args: Any, **kw: Any) -> Any:
        """Remembers what stands under which name, for `sources`."""
        self.seen_ctes.append(cte)
        return self._dialects.visit_cte(cte, *args, **kw)

    def _generate_prefixes(self, stmt: Any, prefixes: Any, **kw: Any) -> Any:
        if prefixes is getattr(stmt, "_suffixes", None):
            for suffix, _ in prefixes or ():
                self._judge(str(getattr(suffix, "text", "")), ends_statement=True)
        return self._dialects._generate_prefixes(stmt, prefixes, **kw)

    def get_statement_hint_text(self, hint_texts: Any) -> Any:
        """Hints stand behind the conditions."""
        for hint in hint_texts:
            self._judge(hint, ends_statement=True)
        return self._dialects.get_statement_hint_text(hint_texts)

    def _judge(self, fragment: str, *, ends_statement: bool = False) -> None:
        if self._guards:
            word = harmful(fragment, self.dialect.name, ends_statement=ends_statement)
            if word is not None:
                self.verdict.refuse(f"SQL text that holds {word!r}", _FRAGMENT)


def _with(row: Any, column: Any, bind: Any, owned: Owned) -> Any:
    pairs = row if isinstance(row, dict) else dict(zip(owned.table.c, row, strict=False))
    return {**pairs, column: bind}
