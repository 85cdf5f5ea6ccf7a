"""Whether the stored secrets are at least as new as the audit trail says: rollback between processes.

Within a process a mark tells when an older state comes back. A process that starts anew has no marks, and an older row
is as authentic as it was when it was current. But every change left an event with the secret's revision and the digest
of its ciphertext, so a trail that is kept elsewhere is what the rows are compared with:

``rolled_back``   the stored revision is below the recorded one
``missing``       a secret that was recorded is not there at all
``altered``       the revision is as recorded, and the ciphertext of a version is another
``revived``       the tenant was shredded, and has a key that is not destroyed
``unrecorded``    the stored revision is above the recorded one, or nothing was recorded

Read the trail before the rows, never after: a change in between is then ``unrecorded``, which is also what a crash
between a change and its event leaves behind, and no alarm. No key is needed; what does not verify is `verify`'s matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, get_args

from .rows import SecretBackend, TenantKeyRow, Whole

__all__ = ["DoctorReport", "Finding", "FindingKind", "Recorded", "examine"]

FindingKind = Literal["rolled_back", "missing", "altered", "revived", "unrecorded"]
KINDS: Final[tuple[FindingKind, ...]] = get_args(FindingKind)
_PAGE: Final = 500
_CHANGES: Final = frozenset(
    f"secret.{verb}" for verb in ("written", "rotated", "refreshed", "reverted", "disabled", "enabled", "destroyed")
)


class Finding(NamedTuple):
    """One disagreement; revisions are 0 where there is none."""

    kind: FindingKind
    tenant_id: str
    name: str
    stored: int = 0
    recorded: int = 0


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was compared, and where rows and trail disagree."""

    events: int
    secrets: int
    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing went back; changes that were not recorded are told, and are no rollback."""
        return all(found.kind == "unrecorded" for found in self.findings)


@dataclass(slots=True)
class _Known:
    revision: int = 0
    digests: dict[int, str | None] = field(default_factory=dict)


class Recorded:
    """What a trail says of secrets. Feed it events in the order in which they were recorded."""

    def __init__(self) -> None:
        self.events: int = 0
        self.secrets: dict[tuple[str, str], _Known] = {}
        self.shredded: set[str] = set()

    def add(self, event: Mapping[str, Any]) -> None:
        """Takes one leaf of the trail, parsed; others than those of secrets are passed over."""
        if event.get("outcome") != "success":
            return
        self.events += 1
        action, tenant_id, data = event.get("action"), str(event.get("tenant_id")), event.get("data") or {}
        if action in _CHANGES and "revision" in data:
            name = str(next(iter(event.get("targets") or ("",))))
            self._change(tenant_id, name, data)
        elif action == "secrets.reencrypted":
            for name, version, revision, digest in data.get("moved") or ():
                known = self._at(tenant_id, str(name))
                if revision > known.revision:  # every version was sealed anew; the digest is the current one's
                    known.revision, known.digests = revision, {version: digest}
        elif action == "secret.shredded":
            self.shredded.add(tenant_id)

    def _change(self, tenant_id: str, name: str, data: Mapping[str, Any]) -> None:
        known, revision = self._at(tenant_id, name), data["revision"]
        if revision >= known.revision:
            known.revision = revision
            known.digests[data["version"]] = data.get("digest")

    def _at(self, tenant_id: str, name: str) -> _Known:
        return self.secrets.setdefault((tenant_id, name), _Known())


async def examine(backend: SecretBackend, events: Iterable[Mapping[str, Any]]) -> DoctorReport:
    """Compares a whole store with a whole trail."""
    recorded = Recorded()
    for event in events:
        recorded.add(event)
    findings, seen, after = list[Finding](), set[tuple[str, str]](), ""
    while page := await backend.tenants(after, _PAGE):
        for tenant_id in page:
            findings += await _tenant(backend, tenant_id, recorded, seen)
        after = page[-1]
    gone = [place for place in recorded.secrets if place not in seen]
    findings += [Finding("missing", *place, 0, recorded.secrets[place].revision) for place in gone]
    return DoctorReport(recorded.events, len(seen), tuple(sorted(findings, key=_place)))


async def _tenant(
    backend: SecretBackend, tenant_id: str, recorded: Recorded, seen: set[tuple[str, str]]
) -> list[Finding]:
    findings, after = [], ""
    if tenant_id in recorded.shredded and any(_lives(row) for row in await backend.keys_of(tenant_id)):
        findings.append(Finding("revived", tenant_id, ""))
    while names := await backend.names(tenant_id, after, _PAGE):
        for name in names:
            seen.add((tenant_id, name))
            whole = await backend.whole(tenant_id, name)
            findings += _compared(tenant_id, whole, recorded.secrets.get((tenant_id, name), _Known()))
        after = names[-1]
    return findings


def _compared(tenant_id: str, whole: Whole, known: _Known) -> list[Finding]:
    stored = whole.head.revision if whole.head is not None else 0
    if type(stored) is not int:  # edited into another type: as good as not there
        stored = 0
    numbers = stored, known.revision
    if stored < known.revision:
        kind: FindingKind = "rolled_back" if whole.head is not None else "missing"
        return [Finding(kind, tenant_id, whole.name, *numbers)]
    if stored > known.revision or not known.revision:
        return [Finding("unrecorded", tenant_id, whole.name, *numbers)]
    digests = {row.version: _digest(row.envelope) for row in whole.rows}
    altered = any(digests.get(version, "") != digest for version, digest in known.digests.items())
    return [Finding("altered", tenant_id, whole.name, *numbers)] if altered else []


def _place(found: Finding) -> tuple[str, str, str]:
    return found.kind, str(found.tenant_id), str(found.name)  # what was edited into bytes has no order among texts


def _digest(envelope: object) -> str | None:
    return sha256(envelope).hexdigest() if isinstance(envelope, bytes) else None


def _lives(row: TenantKeyRow) -> bool:
    return row.state != "destroyed" or row.wrapped is not None
