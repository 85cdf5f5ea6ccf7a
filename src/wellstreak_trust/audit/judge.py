"""From evidence to verdicts: each says only what was checked, and a level is reached only by what others hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..core.errors import NoteInvalid, UsageError
from .checkpoint import Checkpoint, tree_origin
from .cosignature import Cosignature, Key, WitnessKey, cosignatures, key_of
from .evidence import Evidence
from .note import VerifierKey
from .verdict import Level, Verdict, VerifyReport

__all__ = ["Pin", "Trusted", "judged", "pin_of"]


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whom the caller trusts: keys of logs, keys of witnesses, and how many witnesses it takes."""

    logs: tuple[VerifierKey, ...]
    witnesses: tuple[WitnessKey, ...]
    quorum: int

    @classmethod
    def of(cls, keys: Iterable[str | Key], quorum: int, tenant_id: str | None) -> Trusted:
        """Sorts keys by their type; raises `UsageError` for what is none, or for witnesses that count for nothing.

        A log signs all its trees with one key, so its own key stands for that of the one tenant that is asked for.
        """
        known = [key_of(key) for key in keys]
        logs = tuple(key for key in known if isinstance(key, VerifierKey))
        if tenant_id is not None:
            logs += tuple(VerifierKey(tree_origin(key.name, tenant_id), key.public_key) for key in logs)
        witnesses = tuple(dict.fromkeys(key for key in known if isinstance(key, WitnessKey)))
        octets = [key.public_key for key in witnesses]
        if len(set(octets)) != len(octets) or {key.public_key for key in logs} & set(octets):
            raise UsageError("each witness needs a key of its own", hint="a log that witnesses itself proves nothing")
        if type(quorum) is not int or not 1 <= quorum <= max(1, len({key.name for key in witnesses})):
            raise UsageError("a quorum is at least 1 and at most the number of witnesses", hint="quorum=1")
        return cls(logs, witnesses, quorum)


@dataclass(frozen=True, slots=True)
class Pin:
    """A checkpoint that the caller kept; `signed` tells whether the given keys signed it (None without keys)."""

    tree: Checkpoint
    signed: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """The cosignatures on one state of the tree; `fault` where a known witness's line does not verify."""

    by: tuple[Cosignature, ...] = ()
    size: int = 0
    fault: bool = False


def pin_of(pinned: str | bytes | None, keys: Sequence[VerifierKey]) -> Pin | None:
    """Reads a pin; raises `UsageError` for what is no checkpoint."""
    if pinned is None:
        return None
    try:
        tree = Checkpoint.unverified(pinned)
    except NoteInvalid:
        raise UsageError("the pinned checkpoint is none", hint="pinned=log.checkpoint(tenant_id), kept since") from None
    note = pinned.decode() if isinstance(pinned, bytes) else pinned
    if not keys:
        return Pin(tree, None, note)
    try:
        return Pin(Checkpoint.open(pinned, keys), True, note)
    except NoteInvalid:
        return Pin(tree, False, note)


def judged(evidence: Evidence, pin: Pin | None, trusted: Trusted) -> VerifyReport:
    """The report on one tree."""
    replay = evidence.replay
    extends, doubt = _extends(evidence, pin)
    seen = _seen(evidence, pin, extends, trusted)
    intact: Verdict = "failed" if replay.reason else "verified"
    signature: Verdict = "failed" if seen.fault else evidence.signature
    whole = intact == "verified" and "failed" not in (signature, extends)
    anchored = whole and extends == "verified" and pin is not None and pin.signed is True
    signed = whole and signature == "verified"
    witnessed = (signed or anchored) and len(seen.by) >= trusted.quorum and bool(trusted.witnesses)
    covers = max(pin.tree.size if anchored and pin else 0, evidence.signed_size if signed else 0)
    return VerifyReport(
        integrity=intact,
        signature=signature,
        append_only=extends,
        completeness=_complete(evidence, pin, extends),
        time_order=_ordered(evidence),
        level=_level(signed, anchored, witnessed),
        covers=covers,
        first_bad_seq=replay.first_bad_seq,
        size=replay.size,
        erased_count=replay.erased,
        reason=replay.reason or doubt or _why_unsigned(signature, seen),
        pruned=evidence.pruned,
        witnesses=seen.by,
        unchecked=_unchecked(evidence, covers, seen, trusted),
    )


def _level(signed: bool, anchored: bool, witnessed: bool) -> Level:
    if witnessed:
        return "witnessed"
    if anchored:
        return "anchored"
    return "signed" if signed else "internal"


def _why_unsigned(signature: Verdict, seen: _Seen) -> str:
    if seen.fault:
        return "a signature line of a known witness does not verify"
    return "no known key signed this state" if signature == "failed" else ""


def _extends(evidence: Evidence, pin: Pin | None) -> tuple[Verdict, str]:
    """Whether the pinned state is a former state of this tree. Roots are compared, never sizes alone."""
    if pin is None:
        return "not_checked", ""
    if pin.signed is False:  # whoever rewrote the log may have written this pin too
        return "failed", "the pinned checkpoint is not signed by the given keys"
    if not evidence.may_be(pin.tree.origin):
        return "failed", "the pinned checkpoint is of another tree"
    if evidence.replay.size < pin.tree.size:
        return "failed", f"{pin.tree.size} entries were pinned, {evidence.replay.size} are here"
    if 0 < pin.tree.size < evidence.pruned:
        return "not_checked", "the pinned state lies below the minimum index; pin a newer one"
    if evidence.replay.tree.roots.get(pin.tree.size) != pin.tree.root:
        return "failed", "the entries are not those that were pinned"
    return "verified", ""


def _seen(evidence: Evidence, pin: Pin | None, extends: Verdict, trusted: Trusted) -> _Seen:
    """The state that most witnesses cosigned, among those this tree has."""
    notes = [*evidence.notes, *([pin.note] if pin is not None and extends == "verified" else [])]
    best = _Seen()
    for note in notes if trusted.witnesses else ():
        try:
            by = cosignatures(note, trusted.witnesses)
        except NoteInvalid:
            return _Seen(fault=True)
        if len(by) > len(best.by):
            best = _Seen(by, Checkpoint.unverified(note).size)
    return best


def _complete(evidence: Evidence, pin: Pin | None, extends: Verdict) -> Verdict:
    size = evidence.replay.size
    if size < evidence.claimed or (pin is not None and size < pin.tree.size):
        return "failed"
    return "verified" if extends == "verified" else "not_checked"


def _ordered(evidence: Evidence) -> Verdict:
    if not evidence.replay.in_order:
        return "failed"
    return "not_checked" if evidence.replay.reason else "verified"


def _unchecked(evidence: Evidence, covers: int, seen: _Seen, trusted: Trusted) -> tuple[str, ...]:
    """What a reader could take for checked and is not."""
    told = []
    size = evidence.replay.size
    if evidence.signature == "not_checked":
        told.append("the given keys signed nothing of this tree" if trusted.logs else "no key of the log was given")
    if not trusted.witnesses:
        told.append("no key of a witness was given: the log may show others another history")
    elif len(seen.by) < trusted.quorum:
        told.append(f"{len(seen.by)} of the {trusted.quorum} witnesses asked for have cosigned this state")
    elif seen.size < size:
        told.append(f"the witnesses saw the first {seen.size} entries, not the later ones")
    if 0 < covers < size:
        told.append(f"entries from {covers} on are newer than what is signed: they agree with themselves, and no more")
    if not evidence.replay.thorough:
        told.append("not every entry was parsed: that each is one JSON text, read alike by all, was not looked at")
    if evidence.pruned:
        told.append(f"what the {evidence.pruned} pruned entries said")
    return tuple(told)
