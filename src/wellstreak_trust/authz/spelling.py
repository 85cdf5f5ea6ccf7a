"""Conditions, written out again: a tree as text that parses to the same tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .logic import All, Attribute, Either, Equal, Flag, Has, Less, Member, Node, Not, Operand, Truth

__all__ = ["literal", "spelled"]

_ESCAPES: Final = {ord("\\"): "\\\\", ord("'"): "\\'", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}


def spelled(node: Node) -> str:
    """The condition in the language of policies."""
    match node:
        case Truth(value):
            return "true" if value else "false"
        case Not(inner):
            return _negated(inner)
        case All(nodes):
            return _joined(" && ", nodes)
        case Either(nodes):
            return _joined(" || ", nodes)
        case Flag(attribute):
            return str(attribute)
        case Has(attribute):
            return f"has({attribute})"
        case Equal(left, right):
            return f"{_operand(left)} == {_operand(right)}"
        case Less(left, right):
            return f"{_operand(left)} < {_operand(right)}"
        case Member(left, right):
            return f"{_operand(left)} in {_operand(right)}"


def _negated(node: Node) -> str:
    match node:
        case Equal(left, right):
            return f"{_operand(left)} != {_operand(right)}"
        case Less(left, right):
            return f"{_operand(left)} >= {_operand(right)}"
        case Flag() | Has() | Truth():
            return f"!{spelled(node)}"
        case _:
            return f"!({spelled(node)})"


def _joined(sign: str, nodes: Sequence[Node]) -> str:
    if not nodes:
        return "true" if sign == " && " else "false"
    if len(nodes) == 1:
        return spelled(nodes[0])
    return sign.join(f"({spelled(node)})" if isinstance(node, All | Either) else spelled(node) for node in nodes)


def _operand(operand: Operand) -> str:
    return str(operand) if isinstance(operand, Attribute) else literal(operand.value)


def literal(value: str | int | tuple[str | int, ...]) -> str:
    """A value as the language writes it; nothing that it holds ends the string."""
    if isinstance(value, tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    return f"'{value.translate(_ESCAPES)}'" if isinstance(value, str) else str(value)
