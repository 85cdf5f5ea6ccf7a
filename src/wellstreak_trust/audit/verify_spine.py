"""A whole store: every tenant's tree against the spine, which names them all.

What one tree cannot show about itself, the spine does: that a tenant is gone, that its newest entries are, and that
entries were slipped in. Every head that the spine noted is a root that the tree must have had. A tree that has grown
since is vouched for up to its last noted head; entries that the spine should have seen and never did are named.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ..core.errors import UsageError
from .checkpoint import is_origin_of, tree_origin
from .evidence import Evidence, Look
from .evidence_store import asked, replay_store
from .frame import parsed
from .judge import Pin, Trusted, judged
from .note import VerifierKey
from .spine import noted_head, tree_id
from .store import SPINE, AuditStore
from .verdict import VERDICTS, Verdict, VerifyReport

__all__ = ["verify_all"]

_PAGE: Final = 200
_LATE: Final = timedelta(minutes=2)  # the spine beats once a minute, and may take some time to write
_GONE: Final = "the spine names a tree that the store does not have"
_NAMELESS: Final = "a tree has a name that is no text"  # SQLite stores any type in any column
_UNSEEN: Final = "the spine was written later than these entries and never saw them"


async def verify_all(source: AuditStore, look: Look, pin: Pin | None, trusted: Trusted) -> VerifyReport:
    """Verifies the spine, then every tree of the store against it.

    Args:
        pin: a checkpoint of the spine.

    Raises:
        UsageError: keys of more than one log, or of one tenant's tree.
        StoreUnavailable: the store does not answer.
    """
    noted = _Noted()
    evidence = await replay_store(source, SPINE, replace(look, tenant_id=SPINE, watch=noted.take))
    if noted.contradiction:
        evidence.replay.fault("the spine contradicts itself about a tree")
    spine = _Spine(_origin(trusted.logs, pin), noted.heads, noted.latest, judged(evidence, pin, trusted))
    tenants: dict[str, VerifyReport] = {}
    unseen = set(noted.heads)
    async for tenant_id in _tenants(source):
        if type(tenant_id) is not str:
            tenants[f"tree {tenant_id!r}"] = replace(_missing(0, spine.report), reason=_NAMELESS)
            continue
        if is_origin_of(spine.origin, tenant_id):
            raise UsageError("a key or pin of one tenant's tree", hint="log.vkey() and log.checkpoint() are of all")
        tree, tenants[tenant_id] = await _tenant(source, tenant_id, spine, look)
        unseen.discard(tree)
    for tree in sorted(unseen):
        tenants[f"tree {tree}"] = _missing(max(noted.heads[tree]), spine.report)
    return _together(spine.report, tenants)


def _origin(logs: Sequence[VerifierKey], pin: Pin | None) -> str:
    """The name of the log, which its trees are named after; empty where neither a key nor a pin tells it."""
    names = {key.name for key in logs}
    if len(names) > 1:
        raise UsageError("keys of more than one log", hint="verify(store, keys=[log.vkey()]) for all its tenants")
    return next(iter(names), pin.tree.origin if pin is not None else "")


async def _tenants(source: AuditStore) -> AsyncIterator[object]:
    after = SPINE
    while page := await asked(source, source.heads(after, _PAGE)):
        for tenant_id, _ in page:
            yield tenant_id
        after = page[-1][0]


# --- what the spine says -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Noted:
    """Gathered while the spine is replayed: of each tree its sizes and roots, and the time of the last leaf."""

    heads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    latest: str = ""
    contradiction: bool = False

    def take(self, start: int, entries: Sequence[bytes]) -> None:
        del start
        for entry in entries:
            fields = dict(parsed(entry))
            self.latest = str(fields.get("recorded_at", ""))
            found = noted_head(fields)
            if found is not None:
                heads = self.heads.setdefault(found.tree, {})
                self.contradiction |= heads.setdefault(found.size, found.root) != found.root


@dataclass(frozen=True, slots=True)
class _Spine:
    """What the trees are judged by. Without a name of the log a tree is found by its last noted root."""

    origin: str
    heads: dict[str, dict[int, bytes]]
    latest: str
    report: VerifyReport

    def tree_of(self, tenant_id: str) -> str:
        return tree_id(self.origin, tenant_id) if self.origin else ""

    def marks(self, tree: str) -> tuple[int, ...]:
        if self.origin:
            return tuple(self.heads.get(tree, ()))
        return tuple({size for heads in self.heads.values() for size in heads})

    def found_by(self, roots: dict[int, bytes | None]) -> str:
        fits = (tree for tree, heads in self.heads.items() if roots.get(max(heads)) == heads[max(heads)])
        return next(fits, "")


@dataclass(slots=True)
class _Stamp:
    """When the entry at one place was recorded."""

    seq: int
    at: str = ""

    def take(self, start: int, entries: Sequence[bytes]) -> None:
        if start <= self.seq < start + len(entries):
            self.at = str(parsed(entries[self.seq - start]).get("recorded_at", ""))


# --- one tree ------------------------------------------------------------------------------------------------------


async def _tenant(source: AuditStore, tenant_id: str, spine: _Spine, look: Look) -> tuple[str, VerifyReport]:
    """One tenant's report, and which tree of the spine it is."""
    tree = spine.tree_of(tenant_id)
    stamp = _Stamp(max(spine.heads.get(tree, ()), default=0))
    keys = tuple(VerifierKey(tree_origin(spine.origin, tenant_id), key.public_key) for key in look.keys)
    here = replace(look, tenant_id=tenant_id, keys=keys, marks=spine.marks(tree), watch=stamp.take)
    evidence = await replay_store(source, tenant_id, here)
    tree = tree or spine.found_by(evidence.replay.tree.roots)
    return tree, _against(evidence, spine.heads.get(tree, {}), stamp.at, spine)


def _against(evidence: Evidence, heads: dict[int, bytes], stamp: str, spine: _Spine) -> VerifyReport:
    """The report on a tree that the spine has noted with these heads."""
    alone = judged(evidence, None, Trusted((), (), 1))
    size, last = evidence.replay.size, max(heads, default=0)
    roots = evidence.replay.tree.roots
    strange = any(roots.get(one) != root for one, root in heads.items() if evidence.pruned <= one <= size)
    late = spine.origin != "" and size > last and _is_late(stamp, spine.latest)
    reason = alone.reason
    if size < last:
        reason = reason or f"the spine noted {last} entries, {size} are here"
    elif strange:
        reason = reason or "the entries are not those that the spine noted"
    elif late:
        reason = reason or _UNSEEN
    continues: Verdict = "failed" if strange or late else "verified" if heads else "not_checked"
    complete: Verdict = "failed" if size < last or alone.completeness == "failed" else continues
    good = not reason and alone.signature != "failed" and bool(heads)
    return replace(
        alone,
        append_only=continues,
        completeness=complete if complete == "failed" or not late else "not_checked",
        signature=alone.signature if alone.signature == "failed" or not heads else spine.report.signature,
        level=spine.report.level if good else "internal",
        covers=last if good and spine.report.level != "internal" else 0,
        first_bad_seq=size if size < last else last if late and alone.first_bad_seq is None else alone.first_bad_seq,
        reason=reason,
        unchecked=() if heads else ("the spine has not noted this tree yet",),
    )


def _is_late(stamp: str, latest: str) -> bool:
    try:
        return datetime.fromisoformat(latest) - datetime.fromisoformat(stamp) > _LATE
    except (ValueError, TypeError):
        return False


def _missing(size: int, spine: VerifyReport) -> VerifyReport:
    return VerifyReport(
        integrity="failed",
        signature=spine.signature,
        append_only="failed",
        completeness="failed",
        time_order="not_checked",
        level="internal",
        covers=0,
        first_bad_seq=0,
        size=0,
        reason=f"{_GONE}: {size} entries",
    )


# --- all of them ---------------------------------------------------------------------------------------------------


def _together(spine: VerifyReport, tenants: dict[str, VerifyReport]) -> VerifyReport:
    """The spine's own verdicts, failed where those of a tree failed."""
    integrity, signature, append_only, completeness, time_order = (_worst(name, spine, tenants) for name in VERDICTS)
    bad = next(((name, report) for name, report in tenants.items() if report.failed), None)
    reports = tenants.values()
    failed = bool(spine.failed) or bad is not None
    return replace(
        spine,
        integrity=integrity,
        signature=signature,
        append_only=append_only,
        completeness=completeness,
        time_order=time_order,
        level="internal" if failed else spine.level,
        covers=sum(report.covers for report in reports),
        first_bad_seq=spine.first_bad_seq if spine.failed or bad is None else bad[1].first_bad_seq,
        size=sum(report.size for report in reports),
        erased_count=sum(report.erased_count for report in reports),
        pruned=sum(report.pruned for report in reports),
        reason=spine.reason or (f"{bad[0]}: {bad[1].reason}" if bad else ""),
        unchecked=(*spine.unchecked, *_unnoted(tenants)),
        tenants=dict(tenants),
    )


def _worst(name: str, spine: VerifyReport, tenants: dict[str, VerifyReport]) -> Verdict:
    said = {getattr(report, name) for report in tenants.values()}
    own: Verdict = getattr(spine, name)
    return "failed" if "failed" in said else own


def _unnoted(tenants: dict[str, VerifyReport]) -> tuple[str, ...]:
    new = sum(1 for report in tenants.values() if report.unchecked and not report.failed)
    later = sum(report.size - report.covers for report in tenants.values() if not report.failed and report.covers)
    told = []
    if new:
        told.append(f"{new} trees that the spine has not noted yet")
    if later:
        told.append(f"{later} entries newer than what the spine noted of their trees")
    return tuple(told)
