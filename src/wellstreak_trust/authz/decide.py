"""The quick path of a decision: one function for each permission, with its conditions written into it.

It answers the common questions, over exact types and subjects that act for themselves, and says None to every other
one, an absent key included: `judge` then finds the answer and its reason. Two paths, one answer.

The frame around the conditions is a constant of this module. The conditions are grafted into it as syntax trees, so
that nothing of a document is ever text to compile. Permissions of one shape share their code, and what sets them
apart (`name` to `stranger`, and the rules) is bound as default arguments, which are quicker to read than globals.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, Final

from ..core.principal import Standing
from .compile import GLOBALS, Emitter, conjunction
from .decision import Code, Decision
from .logic import Node, attributes
from .model import Decide, Held, Rule

__all__ = ["deciding", "look_closely"]

_FRAME: Final = """
def decide(s, r, c, name, held, no_grant, stranger, BOUND):
    standing = s.standing
    if standing is DIRECT and s.scopes is None:
        who = s
        roles = s.roles
    elif standing is LIMITED and type(s.scopes) is frozenset and name in s.scopes:
        who = s
        roles = s.roles
    elif MEMBERS and standing is MEMBER:
        who = s.principal
        if who.scopes is not None and (type(who.scopes) is not frozenset or name not in who.scopes):
            return None
        roles = s.membership.roles
    else:
        return None
    if type(r) is dict:
        if IN_TENANT:
            theirs = r["tenant_id"]
            if type(theirs) is not str:
                return None
            if theirs != s.tenant_id:
                return stranger
    elif r is not None or (IN_TENANT and s.tenant_id is None):
        return None
    else:
        r = NOTHING
    if READS_CONTEXT:
        if c is None:
            c = NOTHING
        elif type(c) is not dict:
            return None
    if CLEAR:
        GRANTS
    return None
"""
_PLAIN: Final = """
for role in roles:
    found = held(role)
    if found is not None:
        return found
return no_grant
"""
_MIXED: Final = """
unmet = False
for role in roles:
    found = held(role)
    if found is not None:
        if type(found) is Decision:
            return found
        TRIED
        unmet = True
if not unmet:
    return no_grant
"""
_EACH: Final = """
for rule in found:
    if rule.condition.is_true(who, r, c):
        return rule.decision
"""
_INLINE: Final = 4  # conditional rules of a permission that are written out; more are called one by one
_MEMBERSHIP: Final = frozenset(("tenant_id", "roles"))
_GLOBALS: Final[dict[str, Any]] = {
    **GLOBALS,
    "Decision": Decision,
    "frozenset": frozenset,
    "NOTHING": {},  # a resource or context that is absent as a whole; nobody writes to it
    **{standing.name: standing for standing in Standing},
}


def look_closely(subject: object, resource: object, context: object) -> Decision | None:
    """Stands where the answer depends on more than the question: sign-ins that age, approvals."""
    return None


def deciding(
    name: str,
    forbids: Sequence[Rule],
    held: Mapping[str, Held],
    denials: Mapping[Code, Decision],
    *,
    in_tenant: bool,
) -> Decide:
    """The quick path of the permission `name`.

    Args:
        held: what each role holds of it.
        denials: of this permission, by code.
    """
    rules = list(dict.fromkeys(rule for found in held.values() if isinstance(found, tuple) for rule in found))
    nodes = [rule.condition.node for rule in (*forbids, *rules)]
    read = {attribute for node in dict.fromkeys(nodes) for attribute in attributes(node)}
    of_member = any(each.root == "principal" and each.name in _MEMBERSHIP for each in read)
    inline = rules if len(rules) <= _INLINE else None
    code = _code(
        _Shape(
            in_tenant,
            # What a membership gives never reaches the platform, and conditions on it ask the context itself.
            members=in_tenant and not of_member,
            reads_context=any(each.root == "context" for each in read),
            forbids=tuple(dict.fromkeys(rule.condition.node for rule in forbids)),
            grants=tuple(rule.condition.node for rule in inline) if inline is not None else None,
        )
    )
    bound = (name, held.get, denials["no_grant"], denials["tenant_mismatch"])
    written = [part for rule in inline or () for part in (rule, rule.decision)]
    return FunctionType(code, _GLOBALS, "decide", (*bound, *written))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the code of a permission depends on; `grants` is None where they are called and not written out."""

    in_tenant: bool
    members: bool
    reads_context: bool
    forbids: tuple[Node, ...]
    grants: tuple[Node, ...] | None


@lru_cache(maxsize=256)
def _code(shape: _Shape) -> CodeType:
    """The code of ``decide``. Nothing runs: it lies among the constants of the compiled frame."""
    grants = ast.parse(_PLAIN if shape.grants == () else _MIXED)
    tree = ast.parse(_FRAME)
    _Graft(
        {
            "IN_TENANT": ast.Constant(shape.in_tenant),
            "MEMBERS": ast.Constant(shape.members),
            "READS_CONTEXT": ast.Constant(shape.reads_context),
            "CLEAR": conjunction([Emitter(node, "who").false(node) for node in shape.forbids]),
            "GRANTS": _Graft({"TRIED": _tried(shape.grants)}).visit(grants).body,
            "BOUND": [ast.arg(f"{part}{n}") for n in range(len(shape.grants or ())) for part in ("rule", "decision")],
        }
    ).visit(tree)
    module = compile(ast.fix_missing_locations(tree), "<policy>", "exec")
    return next(constant for constant in module.co_consts if isinstance(constant, CodeType))


def _tried(grants: tuple[Node, ...] | None) -> list[ast.stmt]:
    """The conditional grants that a role holds (`found`), each tried."""
    if grants is None:
        return ast.parse(_EACH).body
    tried: list[ast.stmt] = []
    for number, node in enumerate(grants):
        holds = ast.Compare(_name(f"rule{number}"), [ast.In()], [_name("found")])
        only = len(grants) == 1  # then whoever holds a conditional grant holds this one
        test = conjunction([*([] if only else [holds]), Emitter(node, "who").true(node)])
        tried.append(ast.If(test, [ast.Return(_name(f"decision{number}"))], []))
    return tried


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


class _Graft(ast.NodeTransformer):
    """Puts parts in the place of names: an expression, statements for a name that stands alone, arguments."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts: Mapping[str, Any] = parts

    def visit_Name(self, node: ast.Name) -> Any:
        return self._parts.get(node.id, node)

    def visit_Expr(self, node: ast.Expr) -> Any:
        return self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> Any:
        return self._parts.get(node.arg, node)
