"""What is left of a permission once the subject is known: a question about rows alone.

Built from the two functions T and F of every condition (see `compile`), with negation pushed inwards and the values
of the principal and of the context filled in. So a residual holds AND, OR and atoms, and never NOT: in SQL, an atom on
NULL does not hold, and nothing above it can turn that into a row shown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from ..core.errors import NotFilterable
from .logic import (
    All,
    Atom,
    Attribute,
    Constant,
    Either,
    Equal,
    Flag,
    Has,
    Less,
    Lookup,
    Member,
    Node,
    Not,
    Operand,
    Truth,
    evaluate,
    is_of,
)

__all__ = [
    "ALWAYS",
    "NEVER",
    "Among",
    "And",
    "Compared",
    "Or",
    "Present",
    "Residual",
    "Sign",
    "absent",
    "bindable",
    "columns",
    "conjunction",
    "disjunction",
    "holds",
    "leaves",
    "residue",
]

Sign = Literal["==", "!=", "<", "<=", ">", ">="]
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class And:
    """All hold; none of nothing is `ALWAYS`."""

    parts: tuple[Residual, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """One holds; one of nothing is `NEVER`."""

    parts: tuple[Residual, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """The column holds a value of its type, or does not."""

    column: Attribute
    there: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sides are there, and compare so. A boolean column is compared with true or false."""

    column: Attribute
    sign: Sign
    other: Operand


@dataclass(frozen=True, slots=True)
class Among:
    """Both sides are there, and `item` is in `items` (or is not); at least one side is a column."""

    item: Operand
    items: Operand
    inside: bool


Leaf = Present | Compared | Among
Residual = And | Or | Leaf

ALWAYS: Final = And()
NEVER: Final = Or()

_COMPARE: Final[Mapping[Sign, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGNS: Final[Mapping[tuple[type, bool], Sign]] = {
    (Equal, True): "==",
    (Equal, False): "!=",
    (Less, True): "<",
    (Less, False): ">=",
}
# Where the literal stands first, the two sides change places: this is no negation.
_FLIPPED: Final[Mapping[Sign, Sign]] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def conjunction(parts: Iterable[Residual]) -> Residual:
    """AND, simplified: what always holds is left out, and what never does decides."""
    found: dict[Residual, None] = {}
    for part in parts:
        if part == NEVER:
            return NEVER
        found.update(dict.fromkeys(part.parts if isinstance(part, And) else (part,)))
    return next(iter(found)) if len(found) == 1 else And(tuple(found))


def disjunction(parts: Iterable[Residual]) -> Residual:
    """OR, simplified likewise."""
    found: dict[Residual, None] = {}
    for part in parts:
        if part == ALWAYS:
            return ALWAYS
        found.update(dict.fromkeys(part.parts if isinstance(part, Or) else (part,)))
    return next(iter(found)) if len(found) == 1 else Or(tuple(found))


def residue(node: Node, wanted: bool, lookup: Lookup) -> Residual:
    """T(node) or F(node), as a question about rows.

    Args:
        wanted: True asks where the condition is TRUE, False where it is FALSE.
        lookup: the value of an attribute of the principal or of the context, None where it is absent.
    """
    match node:
        case Truth(value):
            return ALWAYS if value is wanted else NEVER
        case Not(inner):
            return residue(inner, not wanted, lookup)
        case All(nodes) | Either(nodes):
            join = conjunction if isinstance(node, All) is wanted else disjunction
            return join([residue(inner, wanted, lookup) for inner in nodes])
        case _:
            return _atom(node, wanted, lookup)


def _atom(atom: Atom, wanted: bool, lookup: Lookup) -> Residual:
    match atom:
        case Has(attribute) if attribute.root == "resource":
            return Present(attribute, wanted)
        case Flag(attribute) if attribute.root == "resource":
            return Compared(attribute, "==", Constant(wanted))
        case Has() | Flag():
            return ALWAYS if evaluate(atom, lookup) is wanted else NEVER
        case _:
            left, right = _filled(atom.left, lookup), _filled(atom.right, lookup)
            if left is None or right is None:  # UNKNOWN is neither TRUE nor FALSE
                return NEVER
            return _comparison(atom, left, right, wanted)


def _filled(operand: Operand, lookup: Lookup) -> Operand | None:
    """The operand with its value filled in; None where that is UNKNOWN."""
    if isinstance(operand, Constant) or operand.root == "resource":
        return operand
    value = lookup(operand)
    if not is_of(value, operand.type):
        return None
    if operand.type == "strings":
        return Constant(tuple(sorted(cast("Iterable[str]", value))))
    return Constant(cast("str | int", value))


def _comparison(atom: Equal | Less | Member, left: Operand, right: Operand, wanted: bool) -> Residual:
    if isinstance(left, Constant) and isinstance(right, Constant):
        value = evaluate(type(atom)(left, right), lambda _: None)
        return ALWAYS if value is wanted else NEVER
    if isinstance(atom, Member):
        if isinstance(left, Attribute) and isinstance(right, Constant) and not right.value:
            return NEVER if wanted else Present(left, True)  # SQL's own answers to `IN ()` are others
        return Among(left, right, wanted)
    sign = _SIGNS[type(atom), wanted]
    if isinstance(left, Attribute):
        return Compared(left, sign, right)
    assert isinstance(right, Attribute)
    return Compared(right, _FLIPPED[sign], left)


def leaves(residual: Residual) -> Iterator[Leaf]:
    """Every atom."""
    if isinstance(residual, And | Or):
        for part in residual.parts:
            yield from leaves(part)
    else:
        yield residual


def columns(residual: Residual) -> frozenset[Attribute]:
    """Every column that is asked about."""
    found: set[Operand] = set()
    for leaf in leaves(residual):
        match leaf:
            case Present(column):
                found.add(column)
            case Compared(column, _, other):
                found.update((column, other))
            case Among(item, items):
                found.update((item, items))
    return frozenset(each for each in found if isinstance(each, Attribute))


def absent(residual: Residual, gone: AbstractSet[Attribute]) -> Residual:
    """The residual of rows that have none of the columns `gone`."""
    match residual:
        case And(parts):
            return conjunction(absent(part, gone) for part in parts)
        case Or(parts):
            return disjunction(absent(part, gone) for part in parts)
        case Present(column, there) if column in gone:
            return NEVER if there else ALWAYS
        case _:
            return NEVER if columns(residual) & gone else residual


def bindable(value: object) -> object:
    """`value`, if a database can hold it.

    Raises:
        NotFilterable: text with a NUL or half a surrogate pair, or an integer of more than 64 bits.
    """
    if isinstance(value, str):
        stored = "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
    else:
        stored = isinstance(value, int) and -(2**63) <= value < 2**63
    if not stored:
        raise NotFilterable(
            "a value of the subject or of the rule that no database holds", hint="check it on its way in"
        )
    return value


def holds(residual: Residual, row: Row) -> bool:
    """Whether it is so for one row, in which absent is None."""
    match residual:
        case And(parts):
            return all(holds(part, row) for part in parts)
        case Or(parts):
            return any(holds(part, row) for part in parts)
        case Present(column, there):
            return _is_known(column, row) is there
        case Compared(column, sign, other):
            return (
                _is_known(column, row)
                and _is_known(other, row)
                and _COMPARE[sign](_value(column, row), _value(other, row))
            )
        case Among(item, items, inside):
            return (
                _is_known(item, row) and _is_known(items, row) and (_value(item, row) in _value(items, row)) is inside
            )


def _is_known(operand: Operand, row: Row) -> bool:
    return isinstance(operand, Constant) or is_of(row[operand.name], operand.type)


def _value(operand: Operand, row: Row) -> Any:
    return operand.value if isinstance(operand, Constant) else row[operand.name]
