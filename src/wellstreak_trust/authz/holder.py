"""`PolicyHolder`: the policy of a running process, replaced at once and whole."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..core.errors import UsageError
from .decision import Decision
from .engine import Policy
from .explain import Explanation
from .filter import Filter
from .grants import Assignment

__all__ = ["PolicyHolder"]

S = TypeVar("S")


class PolicyHolder:
    """Stands where a `Policy` stands and can be given a new one while requests run.

    Each verb takes the policy once, so that no answer mixes two of them.

    Raises:
        UsageError: not a `Policy`.
    """

    __slots__ = ("_policy",)

    def __init__(self, policy: Policy) -> None:
        self._policy: Policy = _checked(policy)

    @property
    def policy(self) -> Policy:
        """The policy that answers now."""
        return self._policy

    @property
    def version(self) -> str:
        """Its digest."""
        return self._policy.version

    def swap(self, policy: Policy) -> Policy:
        """Puts `policy` in place and returns the one before.

        Load it first: a document that does not load then leaves the old policy in force.
        """
        before, self._policy = self._policy, _checked(policy)
        return before

    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision:
        """As `Policy.check`."""
        return self._policy.check(subject, permission, resource, context)

    def require(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision:
        """As `Policy.require`."""
        return self._policy.require(subject, permission, resource, context)

    def check_many(
        self, subject: object, questions: Iterable[tuple[str, object]], context: object = None
    ) -> list[Decision]:
        """As `Policy.check_many`."""
        return self._policy.check_many(subject, questions, context)

    def permissions_for(self, subject: object, resource: object = None, context: object = None) -> frozenset[str]:
        """As `Policy.permissions_for`."""
        return self._policy.permissions_for(subject, resource, context)

    def who_can(
        self, permission: str, subjects: Iterable[S], resource: object = None, context: object = None
    ) -> list[S]:
        """As `Policy.who_can`."""
        return self._policy.who_can(permission, subjects, resource, context)

    def can_assign(self, subject: object, target: object, roles: Iterable[str]) -> Assignment:
        """As `Policy.can_assign`."""
        return self._policy.can_assign(subject, target, roles)

    def filter(self, subject: object, permission: str, resource_type: str, context: object = None) -> Filter:
        """As `Policy.filter`."""
        return self._policy.filter(subject, permission, resource_type, context)

    def explain(
        self,
        subject: object,
        permission: str,
        resource: object = None,
        context: object = None,
        *,
        values: bool = False,
    ) -> Explanation:
        """As `Policy.explain`."""
        return self._policy.explain(subject, permission, resource, context, values=values)

    def scope_of(self, permission: str) -> str | None:
        """As `Policy.scope_of`."""
        return self._policy.scope_of(permission)


def _checked(policy: object) -> Policy:
    if not isinstance(policy, Policy):
        raise UsageError("a PolicyHolder holds a Policy", hint="PolicyHolder(Policy.load(path))")
    return policy
