"""Places for checkpoints that whoever can write the log's store cannot reach; each is a `CheckpointSink`."""

from ..witness_client import WitnessClient
from .base import Anchor, AnchorHealth, Threaded
from .file import FileAnchor
from .git import GitAnchor
from .object_store import ObjectLockAnchor
from .syslog import SyslogAnchor
from .webhook import WebhookAnchor
from .witness import WitnessAnchor

__all__ = [
    "Anchor",
    "AnchorHealth",
    "FileAnchor",
    "GitAnchor",
    "ObjectLockAnchor",
    "SyslogAnchor",
    "Threaded",
    "WebhookAnchor",
    "WitnessAnchor",
    "WitnessClient",
]
