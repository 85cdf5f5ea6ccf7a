"""Mutants of a module: one small fault each, made in its syntax tree.

Annotations, docstrings, `__all__`, assertions that narrow a type, and prose for people are left alone: no test ought to
notice them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Mutant", "mutants"]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitXor: ast.BitOr, ast.Pow: ast.Mult,
}  # fmt: skip
NAMES = {"any": "all", "all": "any", "min": "max", "max": "min", "sorted": "list"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault.

    Args:
        owner: qualified name of the outermost function that holds it; empty for code that runs on import.
        apply: makes it, in the tree that was searched.
    """

    line: int
    what: str
    owner: str
    apply: Callable[[], None]


def mutants(tree: ast.Module) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    return sorted(_Search().body(tree, "body"), key=lambda mutant: mutant.line)


class _Search:
    """One walk; `_owner` is where it is."""

    def __init__(self) -> None:
        self._owner: str = ""
        self._inside: bool = False

    def body(self, node: ast.AST, name: str) -> Iterator[Mutant]:
        statements = getattr(node, name)
        for index, statement in enumerate(statements):
            if index == 0 and _is_text(statement) and not isinstance(node, ast.If | ast.For | ast.While | ast.Try):
                continue
            yield from self._statement(statements, index)

    def _statement(self, statements: list[ast.stmt], index: int) -> Iterator[Mutant]:
        statement = statements[index]
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.Pass() | ast.Global() | ast.Nonlocal():
                return
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                return
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from self._definition(statement)
                return
            case ast.Return(value=value) if value is not None and not _is_none(value):
                yield self._mutant(statement, "return None", lambda: setattr(statement, "value", ast.Constant(None)))
            case ast.If(test=test):
                yield self._field(statement, "test", ast.UnaryOp(ast.Not(), test), "negate the condition")
            case ast.While():
                yield self._field(statement, "test", ast.Constant(False), "never loop")
            case ast.Continue() | ast.Break():
                other = ast.Break() if isinstance(statement, ast.Continue) else ast.Continue()
                yield self._replaced(statements, index, other, type(other).__name__.lower())
            case ast.Expr() | ast.AugAssign() | ast.Raise():
                yield self._replaced(statements, index, ast.Pass(), "drop the statement")
        yield from self._children(statement)

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[Mutant]:
        if not isinstance(node, ast.ClassDef):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    yield from self._expression(default)
        owner, inside = self._owner, self._inside
        if not inside:
            self._owner = f"{owner}.{node.name}".lstrip(".")
        self._inside = inside or not isinstance(node, ast.ClassDef)
        yield from self.body(node, "body")
        self._owner, self._inside = owner, inside

    def _children(self, node: ast.AST) -> Iterator[Mutant]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "type_params"):
                continue
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from self.body(node, name)
            else:
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.keyword) and child.arg == "strict" and _calls(node, "zip"):
                        continue  # the lengths agree
                    if isinstance(child, ast.Constant) and _calls(node, "cast"):
                        continue  # a type in quotes
                    if isinstance(child, ast.expr):
                        yield from self._expression(child)
                    elif isinstance(child, ast.AST):
                        yield from self._children(child)

    def _expression(self, node: ast.expr) -> Iterator[Mutant]:
        if isinstance(node, ast.Subscript) and _is_type(node):
            return
        yield from self._changed(node)
        if isinstance(node, ast.JoinedStr):
            return
        yield from self._children(node)

    def _changed(self, node: ast.expr) -> Iterator[Mutant]:
        match node:
            case ast.Compare(ops=operators):
                for index, operator in enumerate(operators):
                    other = COMPARISONS[type(operator)]
                    yield self._item(node, operators, index, other(), f"{_word(operator)} -> {other.__name__}")
            case ast.BoolOp(op=operator, values=values):
                other_op = ast.Or if isinstance(operator, ast.And) else ast.And
                yield self._field(node, "op", other_op(), f"{_word(operator)} -> {other_op.__name__}")
                for index in range(len(values)):
                    kept = [value for number, value in enumerate(values) if number != index]
                    yield self._field(node, "values", kept, f"drop operand {index + 1} of {_word(operator)}")
            case ast.BinOp(op=operator) if type(operator) in ARITHMETIC and not _is_type(node):
                swapped = ARITHMETIC[type(operator)]
                yield self._field(node, "op", swapped(), f"{_word(operator)} -> {swapped.__name__}")
            case ast.UnaryOp(op=ast.Not()):
                yield self._not(node)
            case ast.IfExp(test=test):
                yield self._field(node, "test", ast.UnaryOp(ast.Not(), test), "negate the condition")
            case ast.Constant(value=value):
                yield from self._constant(node, value)
            case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
                yield self._field(node, "id", NAMES[name], f"{name} -> {NAMES[name]}")
            case ast.GeneratorExp() | ast.ListComp() | ast.SetComp() | ast.DictComp():
                yield from self._filters(node)

    def _filters(self, node: ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp) -> Iterator[Mutant]:
        for part in node.generators:
            for index in range(len(part.ifs)):
                negated = ast.UnaryOp(ast.Not(), part.ifs[index])
                yield self._item(node, part.ifs, index, negated, "negate the filter")
                yield self._item(node, part.ifs, index, ast.Constant(True), "drop the filter")

    def _constant(self, node: ast.Constant, value: object) -> Iterator[Mutant]:
        changed: Any
        if isinstance(value, bool):
            changed = not value
        elif isinstance(value, int):
            changed = value + 1
        elif isinstance(value, str) and not {" ", "["} & {*value}:  # neither prose nor the type in a cast
            changed = value + "_"
        else:
            return
        yield self._field(node, "value", changed, f"{value!r} -> {changed!r}")

    # --- making one --------------------------------------------------------------------------------------------------

    def _mutant(self, node: ast.AST, what: str, apply: Callable[[], None]) -> Mutant:
        return Mutant(getattr(node, "lineno", 0), what, self._owner if self._inside else "", apply)

    def _field(self, node: ast.AST, name: str, value: Any, what: str) -> Mutant:
        return self._mutant(node, what, lambda: setattr(node, name, value))

    def _item(self, node: ast.AST, items: list[Any], index: int, value: ast.AST, what: str) -> Mutant:
        return self._mutant(node, what, lambda: items.__setitem__(index, value))

    def _replaced(self, statements: list[ast.stmt], index: int, value: ast.stmt, what: str) -> Mutant:
        return self._item(statements[index], statements, index, ast.copy_location(value, statements[index]), what)

    def _not(self, node: ast.UnaryOp) -> Mutant:
        def apply() -> None:  # `not not x` is a boolean too, unlike `x`
            node.operand = ast.UnaryOp(ast.Not(), node.operand)

        return self._mutant(node, "drop not", apply)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_type(node: ast.expr) -> bool:
    """``Mapping[str, Any]``, ``Present | Compared``: names in capitals alone."""
    names = [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
    known = ("str", "int", "bool", "tuple", "dict", "list", "frozenset", "type", "bytes", "object")
    return bool(names) and all(_is_class(name) or name in known for name in names)


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper() and not name.isupper()


def _word(operator: ast.AST) -> str:
    return type(operator).__name__
