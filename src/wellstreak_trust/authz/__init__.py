"""Who may do what: a typed policy document, decided per tenant, fail-closed, always with a reason."""

from ..core.errors import AccessDenied, PolicyError, UsageError
from .decision import Code, Decision
from .engine import Policy
from .grants import Assignment, AssignmentCode
from .holder import PolicyHolder

__all__ = [
    "AccessDenied",
    "Assignment",
    "AssignmentCode",
    "Code",
    "Decision",
    "Policy",
    "PolicyError",
    "PolicyHolder",
    "UsageError",
]
