"""Conditions, made fast: each becomes two Python functions, built as syntax trees and never from text.

A three-valued condition is two two-valued questions: is it TRUE, and is it FALSE? Pushing negation inwards answers
both without a third value at run time::

    T(a && b) = T(a) and T(b)        T(!a) = F(a)        T(x == y) = known(x) and known(y) and x == y
    F(a && b) = F(a) or  F(b)        F(!a) = T(a)        F(x == y) = known(x) and known(y) and x != y

A grant asks T, a forbid asks F, a code asks the other one. The functions take ``(s, r, c)``: the principal (or a
snapshot with its names), and exact dictionaries of the resource and of the context. A key that is absent raises, and
the caller then asks again over complete snapshots, in which absent is None.

`decide` writes the same trees into the function of a whole permission.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any, Final

from .logic import (
    All,
    Attribute,
    Constant,
    Either,
    Equal,
    Flag,
    Has,
    Less,
    Member,
    Node,
    Not,
    Operand,
    Truth,
    Type,
    atoms,
    is_strings,
)
from .schema import PRINCIPAL

__all__ = ["GLOBALS", "Emitter", "Test", "conjunction", "falsity", "truth"]

Test = Callable[[Any, Any, Any], bool]

GLOBALS: Final[dict[str, Any]] = {
    "__builtins__": {},  # nothing that a tree does not name below is in reach
    "type": type,
    "str": str,
    "int": int,
    "bool": bool,
    "dict": dict,
    "is_strings": is_strings,
}
_CLASSES: Final[dict[Type, str]] = {"string": "str", "int": "int", "bool": "bool"}
_ROOTS: Final = {"resource": "r", "context": "c"}
_TRUSTED: Final = frozenset(("id", "kind"))  # `Principal` itself proves that these are str
_LOAD: Final = ast.Load()


def truth(node: Node) -> Test:
    """The function that tells whether the condition is TRUE."""
    return _function(Emitter(node).true(node))


def falsity(node: Node) -> Test:
    """The function that tells whether the condition is FALSE."""
    return _function(Emitter(node).false(node))


def conjunction(parts: list[ast.expr]) -> ast.expr:
    """All of `parts`; true for none."""
    return _and(*parts) if parts else ast.Constant(True)


def _function(body: ast.expr) -> Test:
    """``lambda s, r, c: body`` without running anything: its code object lies among the compiled constants."""
    arguments = ast.arguments(
        posonlyargs=[ast.arg("s"), ast.arg("r"), ast.arg("c")], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    outer = compile(tree, "<condition>", "eval")
    code = next(constant for constant in outer.co_consts if isinstance(constant, CodeType))
    return FunctionType(code, GLOBALS, "condition")


class Emitter:
    """Writes one condition as an expression over `r`, `c` and the principal's name.

    The attributes that it asks `has()` about are read so that absence does not raise.
    """

    __slots__ = ("_guarded", "_names", "_principal")

    def __init__(self, node: Node, principal: str = "s") -> None:
        self._principal: ast.expr = _name(principal)
        asked = (atom.attribute for atom in atoms(node) if isinstance(atom, Has))
        self._guarded: frozenset[Attribute] = frozenset(asked)
        self._names: int = 0

    def true(self, node: Node) -> ast.expr:
        """T(node)."""
        match node:
            case Truth(value):
                return ast.Constant(value)
            case Not(inner):
                return self.false(inner)
            case All(nodes):
                return _and(*map(self.true, nodes))
            case Either(nodes):
                return _or(*map(self.true, nodes))
            case Flag(attribute):
                return _compare(self._read(attribute), ast.Is(), ast.Constant(True))
            case Has(attribute):
                return self._known(self._read(attribute), attribute.type)
            case Equal(left, right):
                return self._compared(left, ast.Eq(), right)
            case Less(left, right):
                return self._compared(left, ast.Lt(), right)
            case Member(left, right):
                return self._compared(left, ast.In(), right)

    def false(self, node: Node) -> ast.expr:
        """F(node)."""
        match node:
            case Truth(value):
                return ast.Constant(not value)
            case Not(inner):
                return self.true(inner)
            case All(nodes):
                return _or(*map(self.false, nodes))
            case Either(nodes):
                return _and(*map(self.false, nodes))
            case Flag(attribute):
                return _compare(self._read(attribute), ast.Is(), ast.Constant(False))
            case Has():
                return ast.UnaryOp(ast.Not(), self.true(node))
            case Equal(left, right):
                return self._compared(left, ast.NotEq(), right)
            case Less(left, right):
                return self._compared(left, ast.GtE(), right)
            case Member(left, right):
                return self._compared(left, ast.NotIn(), right)

    def _compared(self, left: Operand, operator: ast.cmpop, right: Operand) -> ast.expr:
        """Each operand is read once, proved to be of its type, and only then compared."""
        tests: list[ast.expr] = []
        values = [self._operand(operand, tests) for operand in (left, right)]
        return _and(*tests, _compare(values[0], operator, values[1]))

    def _operand(self, operand: Operand, tests: list[ast.expr]) -> ast.expr:
        if isinstance(operand, Constant):
            return ast.Constant(operand.value)  # type: ignore[arg-type]  # typeshed forgets tuples
        read = self._read(operand)
        if operand.root == "principal" and operand.name in _TRUSTED:
            return read
        self._names += 1
        name = f"v{self._names}"
        tests.append(self._known(ast.NamedExpr(ast.Name(name, ast.Store()), read), operand.type))
        return _name(name)

    def _known(self, value: ast.expr, wanted: Type) -> ast.expr:
        return _call(_name("is_strings"), value) if wanted == "strings" else _is_exactly(value, _CLASSES[wanted])

    def _read(self, attribute: Attribute) -> ast.expr:
        if attribute.root == "principal" and attribute.name in PRINCIPAL:
            return _member(self._principal, attribute.name)
        source = _name(_ROOTS[attribute.root]) if attribute.root in _ROOTS else _member(self._principal, "attributes")
        key = ast.Constant(attribute.name)
        if attribute in self._guarded:
            return _call(_member(source, "get"), key)
        return ast.Subscript(source, key, _LOAD)


# --- syntax trees ----------------------------------------------------------------------------------------------------


def _name(name: str) -> ast.expr:
    return ast.Name(name, _LOAD)


def _member(value: ast.expr, name: str) -> ast.expr:
    return ast.Attribute(value, name, _LOAD)


def _call(function: ast.expr, argument: ast.expr) -> ast.expr:
    return ast.Call(function, [argument], [])


def _compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [operator], [right])


def _is_exactly(value: ast.expr, class_name: str) -> ast.expr:
    # `type()`, not isinstance nor __class__: both can be made to lie.
    return _compare(_call(_name("type"), value), ast.Is(), _name(class_name))


def _and(*parts: ast.expr) -> ast.expr:
    return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), list(parts))


def _or(*parts: ast.expr) -> ast.expr:
    return parts[0] if len(parts) == 1 else ast.BoolOp(ast.Or(), list(parts))
