"""What a document means: names resolved, wildcards expanded, inheritance closed, conditions compiled.

All the work that does not depend on a request happens here, once. What comes out is a table from permission to
`Rules`, in which answering takes a number of steps that does not grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..core.principal import StepUp
from .ceilings import Mask
from .compile import Test, falsity, truth
from .decision import Approval, Code, Decision
from .logic import Attribute, Node, Truth, attributes, unknowns

if TYPE_CHECKING:
    from .document import PolicyDocument

__all__ = ["ALWAYS", "Condition", "Decide", "Held", "Model", "Rule", "Rules", "Wanted"]


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A compiled `when`."""

    text: str
    node: Node
    is_true: Test
    is_false: Test

    @classmethod
    def of(cls, text: str, node: Node) -> Condition:
        """Compiles a parsed condition."""
        return cls(text, node, truth(node), falsity(node))

    @property
    def always(self) -> bool:
        """Whether it is no condition at all."""
        return self.node == Truth(True)

    def value(self, principal: Any, resource: Any, context: Any) -> bool | None:
        """TRUE, FALSE or UNKNOWN (None) over complete snapshots."""
        if self.is_true(principal, resource, context):
            return True
        return False if self.is_false(principal, resource, context) else None

    def missing(self, principal: Any, resource: Mapping[str, Any], context: Mapping[str, Any]) -> set[str]:
        """The attributes that make it UNKNOWN, such as ``resource.owner_id``."""

        def lookup(attribute: Attribute) -> object:
            if attribute.root == "principal":
                return principal.named(attribute.name)
            return (resource if attribute.root == "resource" else context)[attribute.name]

        return {str(attribute) for attribute in unknowns(self.node, lookup)}


ALWAYS: Final = Condition.of("", Truth(True))
"""Stands where a rule has no `when`."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A grant or forbid of one permission, with the decision it leads to."""

    id: str
    condition: Condition
    decision: Decision


Held = Decision | tuple[Rule, ...]
"""What a role holds of a permission: the ready decision where no condition stands, else the conditional grants."""

Decide = Callable[[Any, Any, Any], Decision | None]
"""Of subject, resource and context: the decision, or None for a question that must be looked at closely."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The attribute names that the conditions of a permission read, by root."""

    principal: frozenset[str]
    resource: frozenset[str]
    context: frozenset[str]

    @classmethod
    def by(cls, nodes: list[Node]) -> Wanted:
        """What these conditions read."""
        found = {attribute for node in nodes for attribute in attributes(node)}
        return cls(*(frozenset(each.name for each in found if each.root == root) for root in _ROOTS))


_ROOTS: Final = ("principal", "resource", "context")


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Everything about one permission.

    Args:
        quick: answers the common questions (see `decide`).
        denials: the ready decisions of this permission that name no rule.
        masks: the ceilings on borrowed authority that admit it.
        approval: who must confirm each use, or None.
    """

    name: str
    scope: str
    step_up: StepUp | None
    forbids: tuple[Rule, ...]
    grants: Mapping[str, Held]
    wanted: Wanted
    quick: Decide
    denials: Mapping[Code, Decision]
    masks: frozenset[Mask] = frozenset()
    approval: Approval | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A policy without its verbs.

    Args:
        document: what it was made of, for those who analyse it.
        written: the grants as each role itself writes them, by role and permission; `Rules.grants` has them inherited
            and reduced to what decides.
    """

    name: str
    version: str
    table: Mapping[str, Rules]
    ranks: Mapping[str, int]
    document: PolicyDocument
    written: Mapping[str, Mapping[str, tuple[Rule, ...]]]
