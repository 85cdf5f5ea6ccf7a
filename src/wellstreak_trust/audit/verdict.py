"""What a verification found: five verdicts, a level, and in plain words what was not checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NoReturn

from ..core.clock import rfc3339
from ..core.errors import UsageError
from .cosignature import Cosignature

__all__ = ["LEVELS", "VERDICTS", "Level", "Verdict", "VerifyReport"]

Verdict = Literal["verified", "failed", "not_checked"]
Level = Literal["internal", "signed", "anchored", "witnessed"]
LEVELS: Final[tuple[Level, ...]] = ("internal", "signed", "anchored", "witnessed")
"""From the weakest to the strongest."""

VERDICTS: Final = ("integrity", "signature", "append_only", "completeness", "time_order")
_NONE: Final[Mapping[str, VerifyReport]] = MappingProxyType({})
_SAYS: Final[Mapping[tuple[str, str], str]] = {
    ("integrity", "verified"): "Every entry is what was hashed, and the entries give the stated root.",
    ("integrity", "failed"): "Something was changed, removed or added.",
    ("signature", "verified"): "The state is signed by a key that you gave.",
    ("signature", "failed"): "The state is not signed by the keys that you gave.",
    ("signature", "not_checked"): "No signature was looked at: whoever holds the data may have written it all anew.",
    ("append_only", "verified"): "What you kept from before is the beginning of this trail, unchanged.",
    ("append_only", "failed"): "This trail does not continue what you kept from before.",
    ("append_only", "not_checked"): "No checkpoint from before was given: history may have been rewritten since.",
    ("completeness", "verified"): "Nothing is missing up to what you kept from before.",
    ("completeness", "failed"): "Entries are missing.",
    ("completeness", "not_checked"): "No checkpoint from before was given: the newest entries may have been cut off.",
    ("time_order", "verified"): "The recorded times never go back.",
    ("time_order", "failed"): "A recorded time is earlier than the one before it: the clock was set back, or worse.",
    ("time_order", "not_checked"): "The order of times was not judged, because entries are damaged.",
}
_LEVEL_SAYS: Final[Mapping[Level, str]] = {
    "internal": "it agrees with itself, and no more",
    "signed": "the holder of the log's key vouches for it",
    "anchored": "it continues what you kept from before",
    "witnessed": "independent witnesses saw it grow",
}


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was found. There is no single truth value: ask for the verdict you need; `str()` tells it in plain words.

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
        pruned: entries below the minimum index, whose hashes are verified and whose text is gone on purpose.
        witnesses: who of the known witnesses cosigned the state, and when.
        unchecked: what else was not looked at, in plain words.
        tenants: the report of each tenant's tree, where a whole store was verified.
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
    pruned: int = 0
    witnesses: tuple[Cosignature, ...] = ()
    unchecked: tuple[str, ...] = ()
    tenants: Mapping[str, VerifyReport] = field(default_factory=lambda: _NONE)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the verdicts that failed; empty is no proof of anything that was not checked."""
        return tuple(name for name in VERDICTS if getattr(self, name) == "failed")

    def reaches(self, level: Level) -> bool:
        """Whether nothing failed and the level is at least this one."""
        return not self.failed and LEVELS.index(self.level) >= LEVELS.index(level)

    def __bool__(self) -> NoReturn:
        raise UsageError("a report has five verdicts and no truth value", hint="report.integrity == 'verified'")

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = ["TAMPERED OR DAMAGED." if self.failed else "Nothing wrong was found."]
        if self.reason:
            # A reason of several trees begins with the tenant's id, which is spelt as it is.
            first = self.reason[0] if self.tenants else self.reason[0].upper()
            lines.append(f"  {first}{self.reason[1:]}.")
        if self.first_bad_seq is not None:
            lines.append(f"{'first bad':13} entry {self.first_bad_seq}")
        for name in VERDICTS:
            said = getattr(self, name)
            lines.append(
                f"{name.replace('_', ' '):13} {said.replace('_', ' '):12} {_SAYS.get((name, said), '')}".rstrip()
            )
        lines.append(f"{'level':13} {self.level:12} That means: {_LEVEL_SAYS[self.level]}.")
        lines.append(f"{'entries':13} {self._count()}")
        lines += [f"{'witness':13} {one.witness} at {rfc3339(one.at)}" for one in self.witnesses]
        lines += [f"{'not checked':13} {what}" for what in self.unchecked]
        lines += [f"{'tenant':13} {name}: {one.brief()}" for name, one in self.tenants.items()]
        return lines

    def _count(self) -> str:
        more = [f"{self.covers} vouched for by the checkpoint"]
        if self.pruned:
            more.append(f"{self.pruned} pruned, known by their hashes")
        if self.erased_count:
            more.append(f"{self.erased_count} personal values erased on purpose")
        return f"{self.size} ({', '.join(more)})"

    def brief(self) -> str:
        """One line: what failed, or the level."""
        if not self.failed:
            return f"{self.size} entries, {self.level}"
        place = "" if self.first_bad_seq is None else f" at entry {self.first_bad_seq}"
        return f"{' and '.join(self.failed).replace('_', ' ')} failed{place}: {self.reason}"
