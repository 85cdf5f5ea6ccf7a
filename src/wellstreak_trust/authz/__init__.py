"""Who may do what: a typed policy document, decided per tenant, fail-closed, always with a reason."""

from ..core.errors import AccessDenied, NotFilterable, PolicyError, UsageError
from .decision import Code, Decision
from .diff import Change, PolicyDiff
from .engine import Policy
from .escalation import EscalationGraph, Step
from .filter import Filter
from .grants import Assignment, AssignmentCode
from .holder import PolicyHolder
from .lint import Finding
from .matrix import Matrix
from .trace import Traced

__all__ = [
    "AccessDenied",
    "Assignment",
    "AssignmentCode",
    "Change",
    "Code",
    "Decision",
    "EscalationGraph",
    "Filter",
    "Finding",
    "Matrix",
    "NotFilterable",
    "Policy",
    "PolicyDiff",
    "PolicyError",
    "PolicyHolder",
    "Step",
    "Traced",
    "UsageError",
]
