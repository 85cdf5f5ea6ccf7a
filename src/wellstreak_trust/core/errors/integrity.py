"""Stored bytes that are not what was written."""

from __future__ import annotations

from .base import IntegrityError

__all__ = [
    "AuditForkDetected",
    "CheckpointRegression",
    "EnvelopeUnsupported",
    "NoteInvalid",
    "SecretRollbackDetected",
    "SecretTampered",
]


class SecretTampered(IntegrityError):
    """A code, tag, padding or row does not verify."""


class SecretRollbackDetected(IntegrityError):
    """An older state of a secret came back."""


class EnvelopeUnsupported(IntegrityError):
    """Not an envelope of a known format and suite."""


class AuditForkDetected(IntegrityError):
    """Two histories of one log."""


class CheckpointRegression(IntegrityError):
    """Signing would contradict a checkpoint signed before."""


class NoteInvalid(IntegrityError):
    """A signed note or checkpoint that is malformed or not signed by a known key; `reason` tells which."""

    reason: str

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "malformed") -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason
