"""Does one condition imply another? Answered without a solver, by all assignments of the atoms.

Each atom is TRUE, FALSE or UNKNOWN, so n atoms have 3ⁿ assignments. A column of the truth table is one Python integer
with a bit for each assignment, and a connective is one machine operation over whole columns.

Sound, not complete: atoms are taken as independent, so ``x == 1`` and ``x == 2`` may both be TRUE in the table and a
true implication may be missed. The answer "implied" is always right.
"""

from __future__ import annotations

from typing import Final

from .logic import All, Atom, Either, Has, Node, Not, Truth, atoms

__all__ = ["implies"]

MAX_ATOMS: Final = 8  # 6,561 assignments

_Columns = tuple[int, int]  # where it is TRUE, where it is FALSE


def implies(premise: Node, conclusion: Node) -> bool:
    """Whether `conclusion` is TRUE wherever `premise` is; past 8 distinct atoms only equal trees count."""
    seen = tuple(dict.fromkeys((*atoms(premise), *atoms(conclusion))))
    if len(seen) > MAX_ATOMS:
        return premise == conclusion or (isinstance(conclusion, Either) and premise in conclusion.nodes)
    every = (1 << 3 ** len(seen)) - 1
    table = {atom: _columns(atom, index, every) for index, atom in enumerate(seen)}
    return _walk(premise, table, every)[0] & ~_walk(conclusion, table, every)[0] == 0


def _columns(atom: Atom, index: int, every: int) -> _Columns:
    """In assignment k the atom has the value of digit `index` of k, written in base three."""
    run = 3**index
    block = (1 << run) - 1
    repeated = every // ((1 << 3 * run) - 1)  # a one at the start of each period
    true = block * repeated
    return true, every ^ true if isinstance(atom, Has) else true << run


def _walk(node: Node, table: dict[Atom, _Columns], every: int) -> _Columns:
    match node:
        case Truth(value):
            return (every, 0) if value else (0, every)
        case Not(inner):
            true, false = _walk(inner, table, every)
            return false, true
        case All(nodes):
            true, false = every, 0
            for inner in nodes:
                columns = _walk(inner, table, every)
                true, false = true & columns[0], false | columns[1]
            return true, false
        case Either(nodes):
            true, false = 0, every
            for inner in nodes:
                columns = _walk(inner, table, every)
                true, false = true | columns[0], false & columns[1]
            return true, false
        case _:
            return table[node]
