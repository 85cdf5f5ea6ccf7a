"""Verification: separate verdicts, each of which says only what was checked.

A log that is verified by its own data alone is consistent, and no more: who can write the table can write all of it
anew. Truncation and rewriting are excluded by what somebody else holds: a signature key and a pinned checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Final, Literal, NoReturn

from ..core.errors import NoteInvalid, UsageError
from ..core.sansio import synced
from .checkpoint import Checkpoint
from .evidence import Evidence, replay_store, replay_tiles
from .note import VerifierKey
from .store import AuditStore
from .tiles import TileStore

__all__ = ["Level", "Verdict", "VerifyReport", "averify", "verify"]

Verdict = Literal["verified", "failed", "not_checked"]
Level = Literal["internal", "signed", "anchored", "witnessed"]
Source = str | PathLike[str] | TileStore | AuditStore


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. There is no single truth value: ask for the verdict you need.

    Args:
        integrity: every entry hashes up to the root that the source claims, and nothing uncovered lies beside.
        signature: the source's checkpoint is signed by one of `keys`; not checked without keys.
        append_only: the pinned checkpoint is a former state of this tree; not checked without a pin.
        completeness: nothing is missing that the source claims or the pin covers; at best not checked without a pin.
        time_order: `recorded_at` never goes back.
        level: how strong this is: internal < signed < anchored < witnessed.
        covers: entries that the signed or pinned checkpoint vouches for; later ones are verified internally only.
        first_bad_seq: the first entry that is wrong or missing, where it can be told.
        size: entries found.
        erased_count: personal values erased on purpose; no alarm.
        reason: the first thing that is wrong, or why a level was not reached.
    """

    integrity: Verdict
    signature: Verdict
    append_only: Verdict
    completeness: Verdict
    time_order: Verdict
    level: Level
    covers: int
    first_bad_seq: int | None
    size: int
    erased_count: int = 0
    reason: str = ""

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the verdicts that failed; empty is no proof of anything that was not checked."""
        names = ("integrity", "signature", "append_only", "completeness", "time_order")
        return tuple(name for name in names if getattr(self, name) == "failed")

    def __bool__(self) -> NoReturn:
        raise UsageError("a report has five verdicts and no truth value", hint="report.integrity == 'verified'")


async def averify(
    source: Source,
    *,
    tenant_id: str | None = None,
    pinned: str | bytes | None = None,
    keys: Iterable[str | VerifierKey] = (),
) -> VerifyReport:
    """Verifies an export directory, a `TileStore`, or one tenant's tree in an audit store.

    Never raises for what the source holds.

    Args:
        tenant_id: whose tree it must be; required for a store.
        pinned: a checkpoint (signed note) kept elsewhere, from the last time.
        keys: verifier keys got over another way than the data (`AuditLog.vkey`).

    Raises:
        UsageError: a source, key or pin that is none.
        StoreUnavailable: the store did not answer.
        ConfigurationError: `verify` over a store that suspends; await `averify`.
    """
    known = tuple(VerifierKey.parse(key) if isinstance(key, str) else key for key in keys)
    pin = _pin(pinned, known)
    marks = [] if pin is None else [pin.tree.size]
    if isinstance(source, str | PathLike):
        source = TileStore(source)
    if isinstance(source, TileStore):
        evidence = replay_tiles(source, tenant_id, known, marks)
    elif hasattr(source, "append_batch"):
        if tenant_id is None:
            raise UsageError("a store holds many trees", hint="verify(store, tenant_id=...)")
        evidence = await replay_store(source, tenant_id, known, marks)
    else:
        raise UsageError("not an export directory, TileStore or audit store")
    return _judged(evidence, pin)


verify: Final = synced(averify)


@dataclass(frozen=True, slots=True)
class _Pin:
    """A checkpoint that the caller kept; `signed` tells whether the given keys signed it (None without keys)."""

    tree: Checkpoint
    signed: bool | None


def _pin(pinned: str | bytes | None, keys: tuple[VerifierKey, ...]) -> _Pin | None:
    if pinned is None:
        return None
    try:
        tree = Checkpoint.unverified(pinned)
    except NoteInvalid:
        raise UsageError("the pinned checkpoint is none", hint="pinned=log.checkpoint(tenant_id), kept since") from None
    if not keys:
        return _Pin(tree, None)
    try:
        return _Pin(Checkpoint.open(pinned, keys), True)
    except NoteInvalid:
        return _Pin(tree, False)


def _judged(evidence: Evidence, pin: _Pin | None) -> VerifyReport:
    replay = evidence.replay
    extends, doubt = _extends(evidence, pin)
    intact: Verdict = "failed" if replay.reason else "verified"
    signature = evidence.signature
    whole = intact == "verified" and "failed" not in (signature, extends)
    anchored = whole and extends == "verified" and pin is not None and pin.signed is True
    signed = whole and signature == "verified"
    covers = max(pin.tree.size if anchored and pin else 0, evidence.signed_size if signed else 0)
    return VerifyReport(
        integrity=intact,
        signature=signature,
        append_only=extends,
        completeness=_complete(evidence, pin, extends),
        time_order=_ordered(evidence),
        level="anchored" if anchored else "signed" if signed else "internal",
        covers=covers,
        first_bad_seq=replay.first_bad_seq,
        size=replay.size,
        reason=replay.reason or doubt or ("no known key signed this state" if signature == "failed" else ""),
    )


def _extends(evidence: Evidence, pin: _Pin | None) -> tuple[Verdict, str]:
    """Whether the pinned state is a former state of this tree. Roots are compared, never sizes alone."""
    if pin is None:
        return "not_checked", ""
    if pin.signed is False:  # whoever rewrote the log may have written this pin too
        return "failed", "the pinned checkpoint is not signed by the given keys"
    if evidence.origin is not None and evidence.origin != pin.tree.origin:
        return "failed", "the pinned checkpoint is of another tree"
    if evidence.replay.size < pin.tree.size:
        return "failed", f"{pin.tree.size} entries were pinned, {evidence.replay.size} are here"
    if evidence.replay.roots.get(pin.tree.size) != pin.tree.root:
        return "failed", "the entries are not those that were pinned"
    return "verified", ""


def _complete(evidence: Evidence, pin: _Pin | None, extends: Verdict) -> Verdict:
    size = evidence.replay.size
    if size < evidence.claimed or (pin is not None and size < pin.tree.size):
        return "failed"
    return "verified" if extends == "verified" else "not_checked"


def _ordered(evidence: Evidence) -> Verdict:
    if not evidence.replay.in_order:
        return "failed"
    return "not_checked" if evidence.replay.reason else "verified"
