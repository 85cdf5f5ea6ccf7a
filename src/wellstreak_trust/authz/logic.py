"""The three-valued logic under every condition (Kleene's strong connectives, as in CEL's `&&` and `||`).

A condition is a tree of connectives over atoms. Comparisons are normalised when the tree is built (``a >= b`` is
``!(a < b)``, ``a != b`` is ``!(a == b)``, equality of booleans is spelt out in connectives), so that two spellings of
one meaning are one tree, and everything that walks a tree has few cases to know.

TRUE, FALSE and UNKNOWN are Python's True, False and None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, cast

__all__ = [
    "TYPES",
    "All",
    "Atom",
    "Attribute",
    "Constant",
    "Either",
    "Equal",
    "Flag",
    "Has",
    "Less",
    "Lookup",
    "Member",
    "Node",
    "Not",
    "Operand",
    "Root",
    "Truth",
    "Type",
    "atoms",
    "attributes",
    "evaluate",
    "is_of",
    "is_strings",
    "negated",
    "operands",
    "unknowns",
]

Root = Literal["principal", "resource", "context"]
Type = Literal["string", "int", "bool", "strings"]

TYPES: Final[dict[Type, type]] = {"string": str, "int": int, "bool": bool}
_COLLECTIONS: Final = frozenset((list, tuple, set, frozenset))


@dataclass(frozen=True, slots=True)
class Attribute:
    """A declared attribute, such as ``resource.owner_id``."""

    root: Root
    name: str
    type: Type

    def __str__(self) -> str:
        return f"{self.root}.{self.name}"


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, or the sorted literals of a list."""

    value: str | int | tuple[str | int, ...]


Operand = Attribute | Constant


@dataclass(frozen=True, slots=True)
class Truth:
    """``true`` or ``false``."""

    value: bool


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean attribute as a condition."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Has:
    """Whether the attribute is there and of its type; never UNKNOWN."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Equal:
    """Two strings or two integers are the same."""

    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Less:
    """Strings by code point, integers by value."""

    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Member:
    """A string or integer is in a list."""

    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """Negation; UNKNOWN stays UNKNOWN."""

    node: Node


@dataclass(frozen=True, slots=True)
class All:
    """``&&``: FALSE absorbs UNKNOWN."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """``||``: TRUE absorbs UNKNOWN."""

    nodes: tuple[Node, ...]


def negated(node: Node) -> Node:
    """The negation; two of them are none."""
    return node.node if isinstance(node, Not) else Not(node)


Comparison = Equal | Less | Member
Atom = Flag | Has | Comparison
Node = Truth | Atom | Not | All | Either

Lookup = Callable[[Attribute], object]


def is_strings(value: object) -> bool:
    """Whether `value` is a plain collection of plain strings."""
    if type(value) not in _COLLECTIONS:
        return False
    return all(type(item) is str for item in cast("Iterable[object]", value))


def is_of(value: object, wanted: Type) -> bool:
    """Whether `value` has exactly the declared type: no subclass, so that no foreign ``__eq__`` ever runs."""
    return is_strings(value) if wanted == "strings" else type(value) is TYPES[wanted]


def atoms(node: Node) -> Iterator[Atom]:
    """Every atom, in the order written, with repetitions."""
    match node:
        case Truth():
            return
        case Not(inner):
            yield from atoms(inner)
        case All(nodes) | Either(nodes):
            for inner in nodes:
                yield from atoms(inner)
        case _:
            yield node


def operands(atom: Atom) -> tuple[Operand, ...]:
    """What an atom speaks about."""
    return (atom.attribute,) if isinstance(atom, Flag | Has) else (atom.left, atom.right)


def attributes(node: Node) -> Iterator[Attribute]:
    """Every attribute that the condition reads."""
    for atom in atoms(node):
        yield from (operand for operand in operands(atom) if isinstance(operand, Attribute))


def evaluate(node: Node, lookup: Lookup) -> bool | None:
    """The value of a condition, by walking it: the plain form of what `compile` makes fast.

    Args:
        lookup: the raw value of an attribute, None where it is absent.
    """
    match node:
        case Truth(value):
            return value
        case Not(inner):
            found = evaluate(inner, lookup)
            return None if found is None else not found
        case All(nodes):
            return _absorb((evaluate(inner, lookup) for inner in nodes), absorbing=False)
        case Either(nodes):
            return _absorb((evaluate(inner, lookup) for inner in nodes), absorbing=True)
        case _:
            return _atom(node, lookup)


def _absorb(values: Iterator[bool | None], *, absorbing: bool) -> bool | None:
    result: bool | None = not absorbing
    for value in values:
        if value is absorbing:
            return absorbing
        if value is None:
            result = None
    return result


def _atom(atom: Atom, lookup: Lookup) -> bool | None:
    if isinstance(atom, Has):
        return is_of(lookup(atom.attribute), atom.attribute.type)
    values = [operand.value if isinstance(operand, Constant) else lookup(operand) for operand in operands(atom)]
    known = (
        isinstance(operand, Constant) or is_of(value, operand.type)
        for operand, value in zip(operands(atom), values, strict=True)
    )
    return _compare(atom, values) if all(known) else None


def _compare(atom: Flag | Comparison, values: list[object]) -> bool:
    """On values whose types are proved."""
    match atom:
        case Flag():
            return values[0] is True
        case Equal():
            return values[0] == values[1]
        case Less():
            return bool(values[0] < values[1])  # type: ignore[operator]  # both int or both str
        case Member():
            return values[0] in values[1]  # type: ignore[operator]  # a list by its type


def unknowns(node: Node, lookup: Lookup) -> Iterator[Attribute]:
    """The attributes that make `node` UNKNOWN; nothing where it is TRUE or FALSE."""
    if evaluate(node, lookup) is not None:
        return
    match node:
        case Not(inner):
            yield from unknowns(inner, lookup)
        case All(nodes) | Either(nodes):
            for inner in nodes:
                yield from unknowns(inner, lookup)
        case _:
            for attribute in attributes(node):
                if not is_of(lookup(attribute), attribute.type):
                    yield attribute
