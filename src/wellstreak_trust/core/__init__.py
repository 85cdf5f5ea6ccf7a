"""Vocabulary and seams of the package; standard library only."""

from .clock import Clock, FixedClock, SystemClock
from .entropy import Entropy, SystemEntropy
from .errors import ConfigurationError, TrustError, UsageError
from .event import AuditEvent, EventSink
from .http import ClientAddress, Headers, RequestFacts
from .principal import Principal
from .sansio import drive
from .secret import Secret
from .tenant import Membership, TenantContext

__all__ = [
    "AuditEvent",
    "ClientAddress",
    "Clock",
    "ConfigurationError",
    "Entropy",
    "EventSink",
    "FixedClock",
    "Headers",
    "Membership",
    "Principal",
    "RequestFacts",
    "Secret",
    "SystemClock",
    "SystemEntropy",
    "TenantContext",
    "TrustError",
    "UsageError",
    "drive",
]
