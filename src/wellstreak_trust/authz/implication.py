"""Does one condition imply another? Answered without a solver, by all assignments of the atoms.

Each atom is TRUE, FALSE or UNKNOWN, so n atoms have 3ⁿ assignments. A column of the truth table is one Python integer
with a bit for each assignment, and a connective is one machine operation over whole columns.

Assignments that contradict `has()` are struck out. Beyond that atoms are taken as independent, which is sound but not
complete: ``x == 1`` and ``x == 2`` may both be TRUE in the table, so a true implication may be missed. The answer
"implied" is always right.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

from .logic import All, Atom, Attribute, Either, Has, Node, Not, Truth, atoms, operands

__all__ = ["Table", "implies", "normal"]

MAX_ATOMS: Final = 8  # 6,561 assignments

_Columns = tuple[int, int]  # where it is TRUE, where it is FALSE


def implies(premise: Node, conclusion: Node) -> bool:
    """Whether `conclusion` is TRUE wherever `premise` is; past 8 distinct atoms only equal trees count."""
    if premise == conclusion or (isinstance(conclusion, Either) and premise in conclusion.nodes):
        return True
    table = Table.of(premise, conclusion)
    return table is not None and table.true(premise) & ~table.true(conclusion) == 0


class Table:
    """Every case that can occur, over the atoms of some conditions."""

    __slots__ = ("_columns", "_every", "_possible", "related")

    def __init__(self, seen: tuple[Atom, ...]) -> None:
        self._every: int = (1 << 3 ** len(seen)) - 1
        self._columns: dict[Atom, _Columns] = {
            atom: _columns(atom, index, self._every) for index, atom in enumerate(seen)
        }
        self._possible: int = self._consistent()
        compared = [set(_read(atom)) for atom in seen if not isinstance(atom, Has)]
        self.related: bool = any(one & other for one, other in combinations(compared, 2))
        """Whether two comparisons read the same attribute, so that some cases here may never occur."""

    @classmethod
    def of(cls, *nodes: Node) -> Table | None:
        """The table for these conditions; None past 8 distinct atoms."""
        seen = tuple(dict.fromkeys(atom for node in nodes for atom in atoms(node)))
        return cls(seen) if len(seen) <= MAX_ATOMS else None

    def true(self, node: Node) -> int:
        """The cases in which it is TRUE, one bit each."""
        return self._walk(node)[0] & self._possible

    def unknown(self, node: Node) -> int:
        """The cases in which it is UNKNOWN, one bit each."""
        true, false = self._walk(node)
        return self._possible & ~(true | false)

    def always(self, node: Node) -> bool:
        """Whether it is TRUE in every case."""
        return self.true(node) == self._possible

    def never(self, node: Node) -> bool:
        """Whether it is TRUE in no case."""
        return self.true(node) == 0

    def _consistent(self) -> int:
        """What is absent makes every comparison UNKNOWN, and what is there makes none so."""
        possible = self._every
        asked = {atom.attribute: columns for atom, columns in self._columns.items() if isinstance(atom, Has)}
        for atom, (true, false) in self._columns.items():
            if isinstance(atom, Has):
                continue
            known = [asked[attribute][0] if attribute in asked else None for attribute in _read(atom)]
            together = self._every
            for column in known:
                if column is not None:
                    possible &= column | ~(true | false)
                    together &= column
            if None not in known:
                possible &= ~together | true | false
        return possible & self._every

    def _walk(self, node: Node) -> _Columns:
        match node:
            case Truth(value):
                return (self._every, 0) if value else (0, self._every)
            case Not(inner):
                true, false = self._walk(inner)
                return false, true
            case All(nodes):
                true, false = self._every, 0
                for inner in nodes:
                    columns = self._walk(inner)
                    true, false = true & columns[0], false | columns[1]
                return true, false
            case Either(nodes):
                true, false = 0, self._every
                for inner in nodes:
                    columns = self._walk(inner)
                    true, false = true | columns[0], false & columns[1]
                return true, false
            case _:
                return self._columns[node]


def normal(node: Node, *, negate: bool = False) -> Node:
    """The tree with negation at its atoms, nesting flattened, and parts sorted, each once."""
    match node:
        case Truth(value):
            return Truth(value is not negate)
        case Not(inner):
            return normal(inner, negate=not negate)
        case All(nodes) | Either(nodes):
            both = isinstance(node, All) is not negate
            return _gathered(both, [normal(inner, negate=negate) for inner in nodes])
        case _:
            return Not(node) if negate else node


def _gathered(both: bool, nodes: list[Node]) -> Node:
    kind = All if both else Either
    parts = {part for node in nodes for part in (node.nodes if isinstance(node, kind) else (node,))}
    if Truth(not both) in parts:
        return Truth(not both)
    found = sorted(parts - {Truth(both)}, key=repr)
    if not found:
        return Truth(both)
    return found[0] if len(found) == 1 else kind(tuple(found))


def _read(atom: Atom) -> list[Attribute]:
    return [operand for operand in operands(atom) if isinstance(operand, Attribute)]


def _columns(atom: Atom, index: int, every: int) -> _Columns:
    """In assignment k the atom has the value of digit `index` of k, written in base three."""
    run = 3**index
    block = (1 << run) - 1
    repeated = every // ((1 << 3 * run) - 1)  # a one at the start of each period
    true = block * repeated
    return true, every ^ true if isinstance(atom, Has) else true << run
