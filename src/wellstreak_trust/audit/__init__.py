"""The tamper-evident trail: one Merkle tree a tenant (RFC 6962), signed checkpoints and proofs (C2SP)."""

from ..core.errors import (
    AuditConflict,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditForkDetected,
    AuditQueryInvalid,
    AuditUnavailable,
    CheckpointRegression,
    LegalHold,
    NoteInvalid,
)
from ..core.event import AuditEvent, EventSink, Outcome
from . import note, tiles, tree
from .action import AuditAction
from .bundle import Bundle
from .checkpoint import Checkpoint, CheckpointSink, InclusionProof, tree_origin
from .cosignature import Cosignature, WitnessKey, cosignatures
from .directory import DirectoryAuditStore
from .exporting import PruneReceipt
from .formats import FORMATS, Format, Record
from .log import AuditLog, Tick
from .memory import MemoryAuditStore
from .note import Ed25519Signer, VerifierKey
from .personal import Personal
from .privacy import ErasureReceipt
from .proofs import ProofReport, verify_proof
from .query import Page, Query
from .recorder import Receipt
from .registry import SDK_ACTIONS, ActionRegistry, ActionSpec, Criticality
from .report import SecurityReport
from .shipping import AuditSink, CallableSink, FileSink, Shipped, Shipper, SyslogSink
from .standalone import standalone_verifier, write_verifier
from .store import AuditStore, SubjectStore
from .tiles import TileStore
from .verify import VerifyReport, averify, verify
from .witness import Witness
from .witness_app import WitnessApp
from .witness_store import MemoryWitnessStore, WitnessStore

__all__ = [
    "FORMATS",
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
    "AuditQueryInvalid",
    "AuditSink",
    "AuditStore",
    "AuditUnavailable",
    "Bundle",
    "CallableSink",
    "Checkpoint",
    "CheckpointRegression",
    "CheckpointSink",
    "Cosignature",
    "Criticality",
    "DirectoryAuditStore",
    "Ed25519Signer",
    "ErasureReceipt",
    "EventSink",
    "FileSink",
    "Format",
    "InclusionProof",
    "LegalHold",
    "MemoryAuditStore",
    "MemoryWitnessStore",
    "NoteInvalid",
    "Outcome",
    "Page",
    "Personal",
    "ProofReport",
    "PruneReceipt",
    "Query",
    "Receipt",
    "Record",
    "SecurityReport",
    "Shipped",
    "Shipper",
    "SubjectStore",
    "SyslogSink",
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
