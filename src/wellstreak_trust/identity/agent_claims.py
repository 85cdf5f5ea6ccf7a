"""The claims of an agent's credential (RFC 8693, section 4), and the part of a principal that comes from them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ..core.errors import Denied
from ..core.principal import Principal
from .profiles import TokenProfile

__all__ = ["MAX_DEPTH", "PROFILE", "TYP", "Lent", "act_of", "agents_of", "is_name"]

TYP: Final = "agent+jwt"
MAX_DEPTH: Final = 8
_NAME: Final = re.compile(r"[!-~]{1,255}")  # a space separates scopes (RFC 6749, 3.3)
_REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "jti", "act", "scope", "tenant_id", "run_id", "parent")


def is_name(text: object) -> bool:
    """Printable ASCII without a space, 1 to 255 characters."""
    return type(text) is str and _NAME.fullmatch(text) is not None


def act_of(agents: Sequence[str]) -> dict[str, Any]:
    """`act` for agents, the one who acts now first (RFC 8693, 4.1)."""
    first, *rest = agents
    return {"sub": first, "act": act_of(rest)} if rest else {"sub": first}


def agents_of(act: object) -> tuple[str, ...]:
    """The inverse of `act_of`; empty for what is none."""
    found: list[str] = []
    while type(act) is dict and act.keys() <= {"sub", "act"} and is_name(act.get("sub")) and len(found) < MAX_DEPTH:
        found.append(act["sub"])
        if "act" not in act:
            return tuple(found)
        act = act["act"]
    return ()


def _malformed(claims: Mapping[str, Any]) -> str:
    parent, things, scope = claims["parent"], claims.get("resources", []), claims["scope"]
    right = (
        agents_of(claims["act"])
        and type(parent) is dict
        and parent.keys() == {"kind", "id"}
        and all(map(is_name, (*parent.values(), claims["tenant_id"], claims["run_id"])))
        and type(scope) is str
        and all(map(is_name, scope.split(" ")))
        and type(things) is list
        and all(map(is_name, things))
    )
    return "" if right else "claims"


PROFILE: Final = TokenProfile(frozenset((TYP,)), _REQUIRED, proves_requests=True, refuses=_malformed)


@dataclass(frozen=True, slots=True)
class Lent:
    """What an agent holds, to hand a part of it on.

    Args:
        root: the person or service behind it.
        delegated_by: the agents between the two, the nearest first.
        resources: None is anything.
    """

    root: Principal
    run_id: str
    ends_at: datetime
    delegated_by: tuple[str, ...]
    resources: frozenset[str] | None

    @classmethod
    def of(cls, agent: Principal) -> Lent:
        """Reads a principal as `AgentVerifier` made it.

        Raises:
            Denied: an agent that came from somewhere else.
        """
        held, root = agent.attributes, agent.actor
        if root is None or not {"run_id", "expires_at", "delegated_by"} <= held.keys():
            raise Denied("not an agent with a credential of ours")
        things = held.get("resources")
        return cls(
            root,
            held["run_id"],
            datetime.fromtimestamp(held["expires_at"], UTC),
            tuple(held["delegated_by"]),
            None if things is None else frozenset(things),
        )

    @staticmethod
    def attributes(claims: Mapping[str, Any], delegated_by: Sequence[str]) -> dict[str, Any]:
        """The attributes of an agent's principal, which `of` reads."""
        things = {"resources": tuple(claims["resources"])} if "resources" in claims else {}
        return {
            "run_id": claims["run_id"],
            "expires_at": claims["exp"],
            "delegated_by": tuple(delegated_by),
            **things,
        }

    def narrowed(self, run_id: str, ends_at: datetime, resources: frozenset[str] | None) -> frozenset[str] | None:
        """The resources of an agent's agent.

        Raises:
            Denied: another run, a later end, or more resources.
        """
        if run_id != self.run_id:
            raise Denied("an agent hands on its own run and no other")
        if ends_at > self.ends_at:
            raise Denied("an agent's agent ends no later than itself", hint="lifetime=")
        if resources is None or self.resources is None:
            return self.resources if resources is None else resources
        if not resources <= self.resources:
            raise Denied("an agent cannot hand on what it may not touch")
        return resources
