"""`Observations`: what a guard in observe mode would have refused or filtered, and where the host did it.

An existing service adopts a guard in two steps: observe until the report is empty, then enforce. So the report must be
short and lead to the line to fix. One entry stands for one (code, statement shape, call site), whatever the number of
requests. The *shape* of a statement is its text without comments, literals and parameters, and with repeated values
folded, so that no value of a row or a request is ever kept and an ``IN`` of any length is one entry. The call site is
the innermost frame of the host: neither ours, nor the standard library's, nor the database toolkit's.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from threading import Lock
from types import FrameType
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError

__all__ = ["Observation", "Observations", "statement_shape"]

_DEPTH: Final = 8
_LONGEST: Final = 2_000
_TOOLKITS: Final = frozenset(
    ("wellstreak_trust", "sqlalchemy", "django", "asgiref", "greenlet", "psycopg", "psycopg2", "asyncpg", "aiosqlite")
)

_QUIET: Final = re.compile(
    r"""--[^\n]* | /\*.*?(?:\*/|\Z)                              # comments
      | (?P<value>
          \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z)         # dollar quotes
        | (?:\b[EeNnXxBb])?'(?:[^']|'')*(?:'|\Z)                # texts
        | %\(\w+\)s | %s | (?<![:\w]):[A-Za-z_]\w* | \$\d+ | \?\d*   # parameters
        | (?<![\w$.])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b          # numbers
        )
      | (?P<name>"(?:[^"]|"")*"|`[^`]*`|\[[A-Za-z_ ]+\])        # names stay""",
    re.VERBOSE | re.DOTALL,
)
_CAST: Final = re.compile(r"\?::\w+(?: \w+)*?(?=[\s,)]|\Z)")
_LIST: Final = re.compile(r"\?(?:\s*,\s*\?)+")
_ROWS: Final = re.compile(r"(\((?:[^()]*)\))(?:\s*,\s*\1)+")
_SPACE: Final = re.compile(r"\s+")


def statement_shape(statement: str) -> str:
    """The text of a statement without any value, at most 2,000 characters; what cannot be told from a value goes."""
    plain = _QUIET.sub(lambda found: found["name"] or ("?" if found["value"] else " "), statement)
    plain = _SPACE.sub(" ", _CAST.sub("?", plain)).strip()
    folded = _ROWS.sub(r"\1", _LIST.sub("?, ...", plain))
    return folded if len(folded) <= _LONGEST else folded[: _LONGEST - 3] + "..."


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that enforcing would have changed.

    Args:
        code: what a guard would have done: the name of the error, or ``Filtered`` for rows it would have hidden.
        statement: the shape of the statement, or the write in words.
        where: the host's line, ``path:line in function``; empty when no frame is the host's.
        stack: the host's frames, innermost first.
        count: how often.
    """

    code: str
    statement: str
    where: str
    stack: tuple[str, ...]
    count: int
    first_seen: datetime
    last_seen: datetime


class Observations:
    """A bounded report that threads share.

    Args:
        limit: entries kept; what comes later is only counted, in `dropped`.

    Raises:
        ConfigurationError: a limit below 1.
    """

    def __init__(self, limit: int = 1_000, *, clock: Clock | None = None) -> None:
        if limit < 1:
            raise ConfigurationError("a report has room for at least one entry", reason="observations")
        self.dropped: int = 0
        self._limit: int = limit
        self._clock: Clock = clock or SystemClock()
        self._lock: Lock = Lock()
        self._seen: dict[tuple[str, str, str], Observation] = {}

    def record(self, code: str, statement: str, frame: FrameType | None = None) -> None:
        """Counts one observation.

        Args:
            code: see `Observation`.
            statement: SQL as it would run, or words; values in it are dropped.
            frame: where to look for the host; None for the caller's frame.
        """
        shape = statement_shape(statement)
        stack = tuple(_host_frames(frame if frame is not None else sys._getframe()))
        where = stack[0] if stack else ""
        now = self._clock.now()
        with self._lock:
            key = (code, shape, where)
            known = self._seen.get(key)
            if known is not None:
                self._seen[key] = replace(known, count=known.count + 1, last_seen=now)
            elif len(self._seen) < self._limit:
                self._seen[key] = Observation(code, shape, where, stack, 1, now, now)
            else:
                self.dropped += 1

    def report(self) -> list[Observation]:
        """What was seen, the most frequent first."""
        with self._lock:
            return sorted(self._seen.values(), key=lambda seen: -seen.count)

    @property
    def empty(self) -> bool:
        """Whether enforcing would have changed nothing so far."""
        return not self._seen

    def __bool__(self) -> bool:
        return not self.empty

    def __len__(self) -> int:
        return len(self._seen)

    def clear(self) -> None:
        """Starts anew."""
        with self._lock:
            self._seen.clear()
            self.dropped = 0

    def as_json(self) -> str:
        """The report as a JSON document: ``observations`` and ``dropped``."""
        entries = [
            {**asdict(seen), "first_seen": seen.first_seen.isoformat(), "last_seen": seen.last_seen.isoformat()}
            for seen in self.report()
        ]
        return json.dumps({"observations": entries, "dropped": self.dropped}, indent=2)

    def text(self) -> str:
        """The report for people: one paragraph an entry."""
        lines = [
            f"{seen.count}x {seen.code} at {seen.where or 'unknown'}\n    {seen.statement}" for seen in self.report()
        ]
        if self.dropped:
            lines.append(f"and {self.dropped} more beyond the limit")
        return "\n".join(lines) or "nothing observed"


def _host_frames(frame: FrameType | None) -> Iterator[str]:
    found = 0
    for each in _frames(frame):
        package = str(each.f_globals.get("__name__", "")).partition(".")[0]
        if package in _TOOLKITS or package in sys.stdlib_module_names:
            continue
        yield f"{each.f_code.co_filename}:{each.f_lineno} in {each.f_code.co_name}"
        found += 1
        if found == _DEPTH:
            return


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Outwards; where SQLAlchemy runs blocking code for an awaiting caller, on into the greenlet that waits."""
    greenlet: Any = sys.modules.get("greenlet")
    waiting = greenlet.getcurrent().parent if greenlet is not None else None
    while True:
        while frame is not None:
            yield frame
            frame = frame.f_back
        if waiting is None:
            return
        frame, waiting = waiting.gr_frame, waiting.parent
