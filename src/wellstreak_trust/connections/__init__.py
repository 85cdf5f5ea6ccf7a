"""Integration connections: active only while there is fresh, authenticated proof."""

from ..core.errors import ConnectionNotActive
from .http_probe import HttpProbe
from .memory import ConnectionStore, MemoryConnectionStore
from .probe import Probe, ProbeContext, ProbeResult
from .service import ActiveConnection, Connections, ConnectionStatus, Failure, Success
from .state import ConnectionRecord, Evidence

__all__ = [
    "ActiveConnection",
    "ConnectionNotActive",
    "ConnectionRecord",
    "ConnectionStatus",
    "ConnectionStore",
    "Connections",
    "Evidence",
    "Failure",
    "HttpProbe",
    "MemoryConnectionStore",
    "Probe",
    "ProbeContext",
    "ProbeResult",
    "Success",
]
