"""Integration connections: active only while there is fresh, authenticated proof."""

from ..core.errors import ConnectionNotActive
from .http_probe import HttpProbe
from .memory import MemoryConnectionStore
from .probe import Probe, ProbeContext, ProbeResult, WebhookSeen
from .record import Candidate, Check, Condition, ConnectionRecord, Evidence
from .service import Connections, Failure, Success
from .state import EDGES
from .store import ConnectionStore
from .view import ActiveConnection, ConnectionReport, ConnectionStatus, Day

__all__ = [
    "EDGES",
    "ActiveConnection",
    "Candidate",
    "Check",
    "Condition",
    "ConnectionNotActive",
    "ConnectionRecord",
    "ConnectionReport",
    "ConnectionStatus",
    "ConnectionStore",
    "Connections",
    "Day",
    "Evidence",
    "Failure",
    "HttpProbe",
    "MemoryConnectionStore",
    "Probe",
    "ProbeContext",
    "ProbeResult",
    "Success",
    "WebhookSeen",
]
