"""A `Filter` as Django's Q; the bridge is loaded by `Filter.to_django_q` alone.

Comparisons are expressions of their own and not lookups, because ``~Q(a=x)`` shows rows in which `a` is NULL, and
because a lookup on a relation, or on a field of another type, would convert in silence what the check calls UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from django.core.exceptions import FieldError
from django.db.models import BigIntegerField, BooleanField, CharField, F, Field, Func, IntegerField, Q, TextField, Value
from django.db.models.constants import LOOKUP_SEP

from ...core.errors import NotFilterable
from ..logic import Attribute, Constant, Type
from ..residual import ALWAYS, NEVER, Among, And, Compared, Or, Present, Residual, bindable, columns

if TYPE_CHECKING:
    from . import Filter

__all__ = ["translated"]

_TYPES: Final[Mapping[Type, tuple[type[Field[Any, Any]], ...]]] = {
    "string": (CharField, TextField),
    "int": (IntegerField,),
    "bool": (BooleanField,),
}
_FIELDS: Final[Mapping[type, Field[Any, Any]]] = {
    str: TextField(),
    int: BigIntegerField(),
    bool: BooleanField(),
}
_COLLATIONS: Final = {"sqlite": "BINARY", "postgresql": '"C"'}


def translated(question: Filter) -> Q:
    """The condition on the fields of the model it is given to."""
    for column in columns(question.residual):
        if column.name in question.undeclared:
            _refuse(f"{question.resource_type!r} declares no attribute {column.name!r}", "declare it in the policy")
        if column.type == "strings":
            _refuse(f"{column}: a list in a row has no one form in SQL", "make it a relation and rewrite the rule")
        if LOOKUP_SEP in column.name:
            _refuse(f"{column}: Django reads the name as a path", "rename the attribute")
    return _condition(question.residual)


def _refuse(detail: str, hint: str) -> NoReturn:
    raise NotFilterable(detail, hint=hint)


class _Column(F):
    """A field, proved to be of the declared type when the query is built."""

    def __init__(self, attribute: Attribute) -> None:
        super().__init__(attribute.name)
        self.attribute: Attribute = attribute

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
        try:
            found = super().resolve_expression(*args, **kwargs)
        except FieldError:
            _refuse(f"the model has no field {self.attribute.name!r}", "add it, or rewrite the rule")
        field = getattr(found, "target", None)
        if (
            field is not None and field.is_relation and field.attname == self.attribute.name
        ):  # ``owner_id``, never ``owner``
            field = field.target_field
        if not isinstance(field, _TYPES[self.attribute.type]):
            wanted = self.attribute.type
            _refuse(
                f"the field {self.attribute.name!r} is {type(field).__name__}, the policy says {wanted}",
                "align the two",
            )
        return found


class _Atom(Func):
    """An atom of a residual, written as SQL.

    Args:
        sign: what stands between the operands, or behind the one.
    """

    output_field = BooleanField()

    def __init__(self, *operands: Any, sign: str, ordered: bool = False) -> None:
        super().__init__(*operands)
        self.sign: str = sign
        self.ordered: bool = ordered

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> tuple[str, tuple[Any, ...]]:
        texts: list[str] = []
        values: list[Any] = []
        for operand in self.get_source_expressions():
            text, bound = compiler.compile(operand)
            texts.append(text)
            values.extend(bound)
        texts[0] = self._by_code_point(texts[0], connection.vendor)
        if self.sign == "IN":
            return f"({texts[0]} IN ({', '.join(texts[1:])}))", tuple(values)
        return f"({f' {self.sign} '.join(texts)})" if len(texts) > 1 else f"({texts[0]} {self.sign})", tuple(values)

    def _by_code_point(self, text: str, vendor: str) -> str:
        """The field under no collation of its own, where that could change the answer."""
        field = self.get_source_expressions()[0].target
        if not isinstance(field, _TYPES["string"]) or not (self.ordered or getattr(field, "db_collation", None)):
            return text
        if vendor not in _COLLATIONS:
            _refuse(f"no order by code point is known for {vendor}", "use SQLite or PostgreSQL")
        return f"{text} COLLATE {_COLLATIONS[vendor]}"


def _condition(residual: Residual) -> Q:
    if residual == ALWAYS:
        return ~Q(pk__in=[])  # an empty Q would vanish from an OR
    if residual == NEVER:
        return Q(pk__in=[])
    match residual:
        case And(parts):
            return Q(*map(_condition, parts))
        case Or(parts):
            return Q(*map(_condition, parts), _connector=Q.OR)
        case Present(column, there):
            return Q(_Atom(_Column(column), sign="IS NOT NULL" if there else "IS NULL"))
        case Compared(column, sign, other):
            operand = _Column(other) if isinstance(other, Attribute) else _bound(other.value)
            written = {"==": "=", "!=": "<>"}.get(sign, sign)
            return Q(_Atom(_Column(column), operand, sign=written, ordered=sign not in ("==", "!=")))
        case Among(item, items, inside):
            column = cast("Attribute", item)  # lists in rows were refused above
            values = [_bound(value) for value in cast("tuple[str | int, ...]", cast("Constant", items).value)]
            if inside:
                return Q(_Atom(_Column(column), *values, sign="IN"))
            return Q(*(Q(_Atom(_Column(column), value, sign="<>")) for value in values))


def _bound(value: object) -> Value:
    return Value(bindable(value), output_field=_FIELDS[type(value)])
