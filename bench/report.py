"""How a bench says what it found: a line for whoever watches, and a record for the table and the chart.

`python bench/all.py` runs every bench and hands each a file for its records (WT_BENCH_ROWS); alone, a bench prints.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

QUICK = os.environ.get("WT_BENCH_QUICK") == "1"
"""Whether only to see that everything runs: few rounds, small sizes, figures that mean little."""

Better = Literal["lower", "higher"]
Kind = Literal["peer", "limit", "figure"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Args:
        group: the primitive it is about.
        against: whom or what a ratio compares with; empty for a plain figure.
        kind: ``peer`` does what we do; ``limit`` is the least that could do it, written by hand; ``figure`` has a unit.
        better: which way is good; a target is the worst value that is good enough.
    """

    group: str
    what: str
    value: float
    unit: str
    against: str
    kind: Kind
    better: Better
    target: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target

    @property
    def speed(self) -> float:
        """Of a ratio: how many times as quick as the other side we are."""
        return self.value if self.better == "higher" else 1 / self.value

    def line(self) -> str:
        """For the terminal."""
        name = f"{self.what} / {self.against}" if self.against else self.what
        wanted = "" if self.target is None else f"at {'most' if self.better == 'lower' else 'least'} {self.target:,g}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return f"{name:<74} {figure(self.value):>10} {self.unit:<9} {wanted:<16} {verdict}".rstrip()


def figure(value: float) -> str:
    """Three digits that say something."""
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - int(abs(value) >= 10) - int(abs(value) >= 100))}f}"


def rounds(full: int) -> int:
    """How many rounds to take: a few in quick mode."""
    return min(full, 3) if QUICK else full


def size(full: int, quick: int) -> int:
    """How much of something to make."""
    return quick if QUICK else full


def against(
    group: str,
    what: str,
    value: float,
    other: str,
    *,
    peer: bool = False,
    better: Better = "lower",
    target: float | None = None,
) -> None:
    """A ratio of costs: ours over the other side's where ``lower`` is better, the other side's over ours else."""
    kind: Kind = "peer" if peer else "limit"
    record(Row(group, what, value, "x", other, kind, better, target))


def measured(
    group: str, what: str, value: float, unit: str, *, better: Better = "lower", target: float | None = None
) -> None:
    """A plain figure: microseconds, octets, a count."""
    record(Row(group, what, value, unit, "", "figure", better, target))


def record(row: Row) -> None:
    """Prints the row, and keeps it where `bench/all.py` collects."""
    if not isfinite(row.value):
        raise ValueError(f"{row.what} is {row.value}")
    print(row.line(), flush=True)
    if path := os.environ.get("WT_BENCH_ROWS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
