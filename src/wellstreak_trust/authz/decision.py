"""`Decision`: the answer to one question, with its reasons.

Clients may see `public()`; the audit trail gets `audit()`. Decisions are made when the policy loads and handed out
again and again, so nothing in one may depend on the request, except `missing`, `delegation` and `approval`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, final

from ..core.principal import StepUp

__all__ = ["Approval", "Code", "Decision", "Delegation"]

Code = Literal[
    "allowed",
    "unauthenticated",
    "tenant_mismatch",
    "unknown_permission",
    "forbidden_by_rule",
    "forbid_unknown",
    "no_grant",
    "condition_failed",
    "condition_unknown",
    "ceiling",
    "step_up_required",
    "approval_required",
    "evaluation_error",
]

_CONCEALED: Final = "not_found"


@final
@dataclass(frozen=True, slots=True)
class Approval:
    """The obligation that a human who holds `by` confirms this very operation first (see `Approvals`)."""

    permission: str
    by: str


@final
@dataclass(frozen=True, slots=True)
class Delegation:
    """Borrowed authority, for the record.

    Args:
        principal_id: whose name the action carries: the impersonated user, the agent, the operator.
        actor_id: who stands behind it: the impersonator, the person an agent acts for, the operator again.
        record: id of the audit event that opened a break-glass; else empty.
    """

    kind: Literal["impersonation", "agent", "break_glass"]
    principal_id: str
    actor_id: str
    record: str = ""


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says, immutable; its truth value is `allowed`.

    Args:
        allowed: the answer.
        code: why, from a closed set.
        permission: the name in the catalogue, or empty where the question held none.
        rule_ids: the rules that decided, and only those; empty where default deny did.
        obligations: what would turn this denial into an allow; who does not know one must deny.
        policy_version: digest of the policy that answered.
        conceal: answer as if the resource did not exist, because it is another tenant's.
        missing: attributes that were absent or of the wrong type (``resource.owner_id``), where that decided.
        delegation: on whose authority, where the subject did not act as itself alone.
        approval: id of the approval that was used up for this allow.
    """

    allowed: bool
    code: Code
    permission: str
    rule_ids: tuple[str, ...] = ()
    obligations: tuple[StepUp | Approval, ...] = ()
    policy_version: str = ""
    conceal: bool = False
    missing: tuple[str, ...] = ()
    delegation: Delegation | None = None
    approval: str = ""

    def __bool__(self) -> bool:
        return self.allowed

    def public(self) -> dict[str, Any]:
        """What a client may learn: the answer and its code, and of a concealed resource not even that."""
        return {"allowed": self.allowed, "code": _CONCEALED if self.conceal else self.code}

    def audit(self) -> dict[str, Any]:
        """Everything, in plain values for the audit trail."""
        return {
            "allowed": self.allowed,
            "code": self.code,
            "permission": self.permission,
            "rule_ids": list(self.rule_ids),
            "obligations": [_plain(wanted) for wanted in self.obligations],
            "policy_version": self.policy_version,
            "conceal": self.conceal,
            "missing": list(self.missing),
            "delegation": asdict(self.delegation) if self.delegation is not None else None,
            "approval": self.approval,
        }


def _plain(wanted: StepUp | Approval) -> dict[str, Any]:
    if isinstance(wanted, Approval):
        return {"type": "approval", "permission": wanted.permission, "by": wanted.by}
    return {"type": "step_up", "aal": wanted.aal, "max_age": wanted.max_age}
