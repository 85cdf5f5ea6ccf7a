"""Telemetry: counters that cost a dictionary, structlog processors that redact, workflow runs, anomalies of the trail.

The bridges ``telemetry.otel`` and ``telemetry.prometheus`` are imported where they are used.
"""

from . import anomalies
from .counters import Counters
from .families import FAMILIES
from .logging import bind_trust_context, capture, log_context, redact, restore, security_event
from .sink import CountedSink
from .workflow import MemoryRunStore, Run, WorkflowRun, WorkflowRuns, WorkflowRunStore

__all__ = [
    "FAMILIES",
    "CountedSink",
    "Counters",
    "MemoryRunStore",
    "Run",
    "WorkflowRun",
    "WorkflowRunStore",
    "WorkflowRuns",
    "anomalies",
    "bind_trust_context",
    "capture",
    "log_context",
    "redact",
    "restore",
    "security_event",
]
