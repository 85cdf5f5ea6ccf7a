"""The tamper-evident trail: one Merkle tree a tenant (RFC 6962), signed checkpoints and proofs (C2SP)."""

from ..core.errors import (
    AuditConflict,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditForkDetected,
    AuditUnavailable,
    CheckpointRegression,
    NoteInvalid,
)
from ..core.event import AuditEvent, EventSink, Outcome
from . import note, tiles, tree
from .action import AuditAction
from .checkpoint import Checkpoint, CheckpointSink, InclusionProof, tree_origin
from .cosignature import Cosignature, WitnessKey, cosignatures
from .directory import DirectoryAuditStore
from .log import AuditLog, Receipt, Tick
from .memory import MemoryAuditStore
from .note import Ed25519Signer, VerifierKey
from .proofs import ProofReport, verify_proof
from .registry import SDK_ACTIONS, ActionRegistry, ActionSpec, Criticality
from .standalone import standalone_verifier, write_verifier
from .store import AuditStore, SubjectStore
from .tiles import TileStore
from .verify import VerifyReport, averify, verify
from .witness import Witness
from .witness_app import WitnessApp
from .witness_store import MemoryWitnessStore, WitnessStore

__all__ = [
    "SDK_ACTIONS",
    "ActionRegistry",
    "ActionSpec",
    "AuditAction",
    "AuditConflict",
    "AuditEvent",
    "AuditEventRejected",
    "AuditEventTooLarge",
    "AuditForkDetected",
    "AuditLog",
    "AuditStore",
    "AuditUnavailable",
    "Checkpoint",
    "CheckpointRegression",
    "CheckpointSink",
    "Cosignature",
    "Criticality",
    "DirectoryAuditStore",
    "Ed25519Signer",
    "EventSink",
    "InclusionProof",
    "MemoryAuditStore",
    "MemoryWitnessStore",
    "NoteInvalid",
    "Outcome",
    "ProofReport",
    "Receipt",
    "SubjectStore",
    "Tick",
    "TileStore",
    "VerifierKey",
    "VerifyReport",
    "Witness",
    "WitnessApp",
    "WitnessKey",
    "WitnessStore",
    "averify",
    "cosignatures",
    "note",
    "standalone_verifier",
    "tiles",
    "tree",
    "tree_origin",
    "verify",
    "verify_proof",
    "write_verifier",
]
