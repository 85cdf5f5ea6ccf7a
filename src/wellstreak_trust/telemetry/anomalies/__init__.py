"""Anomalies in the audit trail: pure rules over its records, each with a stable id and the events that made it fire."""

from .detect import Watch, detect
from .finding import RULES, AnomalyConfig, Finding, Severity

__all__ = ["RULES", "AnomalyConfig", "Finding", "Severity", "Watch", "detect"]
