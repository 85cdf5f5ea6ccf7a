"""Telemetry: counters that cost a dictionary, structlog processors that redact."""

from .counters import Counters
from .logging import bind_trust_context, log_context, redact

__all__ = ["Counters", "bind_trust_context", "log_context", "redact"]
