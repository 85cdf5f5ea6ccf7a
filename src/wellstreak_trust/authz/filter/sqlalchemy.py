"""A `Filter` as a condition of SQLAlchemy; the bridge is loaded by `Filter.to_sqlalchemy` alone.

Three-valued SQL agrees with the check because the residual has no NOT. Two more things must agree: strings compare by
code point, whatever collation a column has, and a value the driver cannot carry is refused rather than changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    ColumnElement,
    Enum,
    Integer,
    String,
    and_,
    false,
    inspect,
    literal,
    or_,
    true,
)
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.sql.selectable import FromClause
from sqlalchemy.types import TypeEngine

from ...core.errors import NotFilterable
from ..logic import Attribute, Constant, Type
from ..residual import ALWAYS, NEVER, Among, And, Compared, Or, Present, Residual, absent, bindable, columns

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

    from . import Filter

__all__ = ["translated"]

Column = ColumnElement[Any]

_TYPES: Final[Mapping[Type, type[TypeEngine[Any]]]] = {"string": String, "int": Integer, "bool": Boolean}
_BOUND: Final[Mapping[type, TypeEngine[Any]]] = {str: String(), int: BigInteger(), bool: Boolean()}
_COLLATIONS: Final[Mapping[str, str]] = {"sqlite": "BINARY", "postgresql": '"C"'}


class _ByCodePoint(FunctionElement[str]):
    """A text column whose comparison must not depend on its collation."""

    inherit_cache = True
    type = String()


@compiles(_ByCodePoint)
def _collated(element: _ByCodePoint, compiler: SQLCompiler, **options: Any) -> str:
    dialect = compiler.dialect.name
    text = compiler.process(element.clauses, **options)
    if dialect == "default":  # only printed, never run
        return text
    if dialect not in _COLLATIONS:
        raise NotFilterable(f"no order by code point is known for {dialect}", hint="use SQLite or PostgreSQL")
    return f"({text} COLLATE {_COLLATIONS[dialect]})"


def translated(question: Filter, model: Any) -> Column:
    """The condition on the columns of `model`."""
    found = _columns(model)
    wanted = columns(question.residual)
    lacking = {column for column in wanted if column.name not in found}
    for column in lacking:
        if column.name not in question.undeclared:
            raise NotFilterable(f"{_name(model)} has no column {column.name!r}", hint="map it, or rewrite the rule")
    return _Translation(found, model).condition(absent(question.residual, lacking))


def _columns(model: Any) -> Mapping[str, Column]:
    """What stands for the attributes of a row: the names of the mapped class, or of the table."""
    try:
        inspected: Any = inspect(model)
    except NoInspectionAvailable:
        raise NotFilterable("neither a mapped class nor a table", hint="to_sqlalchemy(Document)") from None
    if isinstance(inspected, FromClause):
        return dict(inspected.c)
    return {attribute.key: getattr(model, attribute.key) for attribute in inspected.mapper.column_attrs}


def _name(model: Any) -> str:
    return str(getattr(model, "__name__", getattr(model, "name", "the model")))


class _Translation:
    """One condition on its way to SQL."""

    def __init__(self, found: Mapping[str, Column], model: Any) -> None:
        self._found: Mapping[str, Column] = found
        self._model: str = _name(model)

    def condition(self, residual: Residual) -> Column:
        if residual == ALWAYS:
            return true()
        if residual == NEVER:
            return false()
        match residual:
            case And(parts):
                return and_(*map(self.condition, parts))
            case Or(parts):
                return or_(*map(self.condition, parts))
            case Present(column, there):
                plain = self._plain(column)
                return plain.is_not(None) if there else plain.is_(None)
            case Compared(column, sign, other):
                return self._compared(column, sign, other)
            case Among(item, items, inside):
                return self._among(item, items, inside)

    def _compared(self, column: Attribute, sign: str, other: Attribute | Constant) -> Column:
        ordered = sign not in ("==", "!=")
        left = self._text(column, ordered=ordered)
        right = self._text(other, ordered=ordered) if isinstance(other, Attribute) else _bound(other.value)
        match sign:
            case "==":
                return left == right
            case "!=":
                there = [self._plain(each).is_not(None) for each in (column, other) if isinstance(each, Attribute)]
                return and_(*there, left != right)
            case "<":
                return left < right
            case "<=":
                return left <= right
            case ">":
                return left > right
            case _:
                return left >= right

    def _among(self, item: Attribute | Constant, items: Attribute | Constant, inside: bool) -> Column:
        if isinstance(items, Attribute) or isinstance(item, Constant):
            raise NotFilterable(f"{items}: a list in a row has no one form in SQL", hint="join a table of its own")
        values = [_bound(value) for value in cast("tuple[str | int, ...]", items.value)]
        column = self._text(item, ordered=False)
        if inside:
            return column.in_(values)
        return and_(self._plain(item).is_not(None), *(column != value for value in values))

    def _plain(self, attribute: Attribute) -> Column:
        column = self._found[attribute.name]
        wanted = _TYPES.get(attribute.type)
        if wanted is None or not isinstance(column.type, wanted) or isinstance(column.type, Enum | CHAR):
            raise NotFilterable(
                f"{self._model}.{attribute.name} is {type(column.type).__name__}, the policy says {attribute.type}",
                hint="a column of type String, Integer or Boolean",
            )
        return column

    def _text(self, attribute: Attribute, *, ordered: bool) -> Column:
        """The column, compared by code point; equality needs that only where a column declares a collation."""
        column = self._plain(attribute)
        if isinstance(column.type, String) and (ordered or column.type.collation is not None):
            return _ByCodePoint(column)
        return column


def _bound(value: object) -> Column:
    # BigInteger, because a smaller type would make PostgreSQL refuse a large number instead of comparing it.
    return literal(bindable(value), _BOUND[type(value)])
