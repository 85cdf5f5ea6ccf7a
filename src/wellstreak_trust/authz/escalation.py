"""Can a role make itself, or an accomplice, hold what another role holds?

Every path on which roles change hands asks `Policy.can_assign`: invite, assign, revoke, transfer, role edit, key mint;
what a break-glass operator does inside a tenant asks it too. So the graph is made by asking it, for each role that
somebody may hold, which roles that person can hand to a newcomer, to a key, or to oneself, until nothing new is
reached. The permission that guards the operation itself is taken as held: a path that only that permission closes is
a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..core.errors import PolicyError
from ..core.principal import Principal
from .grants import assign
from .holdings import NEVER, granted
from .implication import implies
from .model import Model
from .schema import resembling

__all__ = ["EscalationGraph", "Step", "Via", "climbs", "escalation"]

Via = Literal["holds", "assign", "mint", "promote"]

_TENANT: Final = "tenant"
_WORDS: Final[dict[Via, str]] = {
    "holds": "already holds all that {} holds",
    "assign": "can make a newcomer {}",
    "mint": "can mint a key that is {}",
    "promote": "can make oneself {}",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One way from a role to another.

    Args:
        via: the role holds as much already, or hands the other one out.
    """

    role: str
    via: Via
    gives: str

    def __str__(self) -> str:
        return f"{self.role} {_WORDS[self.via].format(self.gives)}"


@dataclass(frozen=True, slots=True)
class EscalationGraph:
    """Which role leads to which; a role always leads to itself, and that is not listed."""

    roles: tuple[str, ...]
    steps: tuple[Step, ...]

    def paths(self, to: str, *, trusted: Iterable[str] = ()) -> tuple[tuple[Step, ...], ...]:
        """The shortest path to `to` from each role that has one.

        Args:
            trusted: roles that may reach it; no path begins there or leads through them.

        Raises:
            PolicyError: the policy has no role `to`.
        """
        if not isinstance(to, str) or to not in self.roles:
            raise PolicyError(f"there is no role {str(to)[:128]!r}", hint=resembling(to, self.roles))
        known = _shortest(to, lambda role: (step for step in self.steps if step.gives == role), trusted)
        return tuple(known[role] for role in self.roles if role in known)


def escalation(model: Model) -> EscalationGraph:
    """The graph of a policy."""
    roles = tuple(sorted(model.ranks))
    pairs = ((one, other) for one in roles for other in roles if one != other)
    return EscalationGraph(roles, tuple(step for one, other in pairs for step in _steps(model, one, other)))


def climbs(model: Model, to: str) -> Mapping[str, tuple[Step, ...]]:
    """The shortest path to one role from each that has one; looks at no pair of roles that leads elsewhere."""
    return _shortest(
        to, lambda gives: (each for role in model.ranks if role != gives for each in _steps(model, role, gives))
    )


def _shortest(
    to: str, leading: Callable[[str], Iterable[Step]], trusted: Iterable[str] = ()
) -> dict[str, tuple[Step, ...]]:
    """Breadth first, from the end."""
    known: dict[str, tuple[Step, ...]] = {to: ()}
    passed = {to, *trusted}
    for role in (queue := [to]):
        for step in leading(role):
            if step.role not in passed:
                passed.add(step.role)
                known[step.role] = (step, *known[role])
                queue.append(step.role)
    del known[to]
    return known


def _steps(model: Model, role: str, gives: str) -> Iterator[Step]:
    if _covers(model, role, gives):
        yield Step(role, "holds", gives)
    giver = Principal("giver", tenant_id=_TENANT, roles=frozenset((role,)))
    targets: dict[Via, Principal] = {
        "assign": Principal("newcomer", tenant_id=_TENANT),
        "mint": Principal("key", kind="api_key", tenant_id=_TENANT),
        "promote": giver,
    }
    for via, target in targets.items():
        if assign(model, giver, target, [gives]):
            yield Step(role, via, gives)


def _covers(model: Model, role: str, other: str) -> bool:
    """Whether `role` holds all that `other` holds; who holds nothing is covered by nobody."""
    wanted = {name: node for name in model.table if (node := granted(model, other, name)) != NEVER}
    return bool(wanted) and all(implies(node, granted(model, role, name)) for name, node in wanted.items())
