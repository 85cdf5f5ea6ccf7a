"""Who may do what: a typed policy document, decided per tenant, fail-closed, always with a reason."""

from ..core.errors import AccessDenied, ApprovalInvalid, AuditUnavailable, NotFilterable, PolicyError, UsageError
from .approval_store import ApprovalRow, ApprovalStore, MemoryApprovalStore
from .approvals import Approvals
from .authzen import AuthZen, AuthZenAnswer
from .breakglass import BREAK_GLASS, BreakGlass, BreakGlassDesk
from .builder import Expression, all_of, any_of, context, has, principal, resource
from .decision import Approval, Code, Decision, Delegation
from .diff import Change, PolicyDiff
from .engine import Policy
from .escalation import EscalationGraph, Step
from .explain import Explained, Explanation, Fact
from .filter import Filter
from .grants import Assignment, AssignmentCode
from .holder import PolicyHolder
from .lint import Finding
from .matrix import Matrix
from .shadow import Difference, Shadow, ShadowReport
from .trace import RuleFacts, Traced

__all__ = [
    "BREAK_GLASS",
    "AccessDenied",
    "Approval",
    "ApprovalInvalid",
    "ApprovalRow",
    "ApprovalStore",
    "Approvals",
    "Assignment",
    "AssignmentCode",
    "AuditUnavailable",
    "AuthZen",
    "AuthZenAnswer",
    "BreakGlass",
    "BreakGlassDesk",
    "Change",
    "Code",
    "Decision",
    "Delegation",
    "Difference",
    "EscalationGraph",
    "Explained",
    "Explanation",
    "Expression",
    "Fact",
    "Filter",
    "Finding",
    "Matrix",
    "MemoryApprovalStore",
    "NotFilterable",
    "Policy",
    "PolicyDiff",
    "PolicyError",
    "PolicyHolder",
    "RuleFacts",
    "Shadow",
    "ShadowReport",
    "Step",
    "Traced",
    "UsageError",
    "all_of",
    "any_of",
    "context",
    "has",
    "principal",
    "resource",
]
