"""What long work and shredding answer with: counts, and the addresses of what was left alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

__all__ = ["Fault", "ImportReport", "ReencryptReport", "RewrapReport", "ShredReceipt", "VerifyReport"]


class Fault(NamedTuple):
    """Something that does not verify.

    Args:
        name: empty where it is a tenant's key. version: of the secret or the key; None for a secret as a whole.
        cause: the name of the error.
    """

    tenant_id: str
    name: str
    version: int | None
    cause: str


@dataclass(frozen=True, slots=True)
class RewrapReport:
    """What a re-wrap did, or would do in a dry run.

    Args:
        rewrapped: tenant keys now under the active KEK.
        failed: (tenant, key version) of rows that do not verify, or whose KEK is not configured; they were left as they
            are.
    """

    rewrapped: int
    failed: tuple[tuple[str, int], ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReencryptReport:
    """What a re-encryption did, or would do in a dry run.

    Args:
        key_version: the tenant key that secrets are under now; 0 for a tenant without keys.
        secrets, versions: how many were moved by this call.
        failed: names of secrets that do not verify; they were left as they are, and the run is not complete.
        retired: older tenant keys destroyed at the end.
    """

    tenant_id: str
    key_version: int
    secrets: int
    versions: int
    failed: tuple[str, ...]
    retired: tuple[int, ...] = ()
    dry_run: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left under older keys."""
        return not self.failed and not self.dry_run


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was opened, and what could not be."""

    tenants: int
    secrets: int
    versions: int
    faults: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        """Whether everything verified."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do in a dry run.

    Args:
        imported: names written. skipped: names that exist already, by an earlier run or otherwise.
        failed: names whose token does not open or whose value cannot be stored.
    """

    imported: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: tuple[str, ...]
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ShredReceipt:
    """That a tenant's keys were destroyed; keep it as evidence.

    Args:
        keys: versions of the tenant key destroyed by this call. secrets: how many secrets became unreadable.
        kek_uris: the key-encryption keys that older copies of those keys are wrapped under.
    """

    store: str
    tenant_id: str
    keys: tuple[int, ...]
    secrets: int
    shredded_at: datetime
    kek_uris: tuple[str, ...] = ()

    @property
    def backups(self) -> str:
        """What this does not reach, in words for the file."""
        if not self.kek_uris:
            return "No key was destroyed by this call, so it says nothing of backups."
        return (
            f"Copies of the database made before {self.shredded_at:%Y-%m-%dT%H:%M:%SZ} still hold the wrapped keys. "
            f"Whoever has such a copy and {' or '.join(self.kek_uris)} can open what it held. "
            "The tenant is forgotten when the last such copy, replicas and logs included, or the KEK is destroyed."
        )
