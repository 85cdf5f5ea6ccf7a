"""`Decision`: the answer to one question, with its reasons.

Clients may see `public()`; the audit trail gets `audit()`. Decisions are made when the policy loads and handed out
again and again, so nothing in one may depend on the request, except `missing`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, final

from ..core.principal import StepUp

__all__ = ["Code", "Decision"]

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
    "evaluation_error",
]

_CONCEALED: Final = "not_found"


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
    """

    allowed: bool
    code: Code
    permission: str
    rule_ids: tuple[str, ...] = ()
    obligations: tuple[StepUp, ...] = ()
    policy_version: str = ""
    conceal: bool = False
    missing: tuple[str, ...] = ()

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
            "obligations": [
                {"type": "step_up", "aal": wanted.aal, "max_age": wanted.max_age} for wanted in self.obligations
            ],
            "policy_version": self.policy_version,
            "conceal": self.conceal,
            "missing": list(self.missing),
        }
