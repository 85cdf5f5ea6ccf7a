"""Anomalies in the audit trail: pure rules over its records, each with a stable id and the events that made it fire."""

from .detect import Watch, detect
from .finding import RULES, AnomalyConfig, Finding, Severity
from .reporter import FindingReporter, finding_id, finding_json

__all__ = [
    "RULES",
    "AnomalyConfig",
    "Finding",
    "FindingReporter",
    "Severity",
    "Watch",
    "detect",
    "finding_id",
    "finding_json",
]
