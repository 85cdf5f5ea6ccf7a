"""The rows of all benches as one table: for the terminal, and as Markdown for the manual.

python bench/table.py        bench/table.md of bench/results.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from report import Row, figure

HERE = Path(__file__).parent
KINDS = {"peer": "peer", "limit": "by hand", "figure": ""}


def groups(rows: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each primitive, peers first, otherwise in the order in which they were told."""
    order = list(KINDS)
    for group in sorted({row.group for row in rows}):
        yield group, sorted((row for row in rows if row.group == group), key=lambda row: order.index(row.kind))


def verdicts(rows: list[Row]) -> str:
    """How many targets were reached."""
    targets = [row.met for row in rows if row.met is not None]
    return f"{len(rows)} figures; {sum(targets)} of {len(targets)} targets met"


def text(rows: list[Row]) -> str:
    """For the terminal."""
    lines: list[str] = []
    for group, held in groups(rows):
        lines += ["", group, *(f"  {row.line()}" for row in held)]
    return "\n".join([*lines, "", verdicts(rows)])


def markdown(results: dict[str, object]) -> str:
    """For the manual: the machine, the releases, and a table for each primitive."""
    machine, rows = results["machine"], [Row(**each) for each in results["rows"]]
    releases = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    lines = [
        f"Measured on {results['measured']}: {machine['cores']} cores ({machine['processor']}), {machine['system']}, "
        f"{machine['python']}, load {machine['load']} before the start. {verdicts(rows)}.",
        "",
        f"Releases: {releases}.",
    ]
    for group, held in groups(rows):
        lines += ["", f"### {group}", "", "| what | against | | measured | target |", "|---|---|---|---|---|"]
        lines += map(cells, held)
    return "\n".join(lines) + "\n"


def cells(row: Row) -> str:
    """One line of a Markdown table."""
    value = f"{figure(row.value)} {row.unit}".strip()
    if row.against:
        value = f"{figure(row.value)} times {'our cost' if row.better == 'higher' else 'its cost'}"
    wanted = "" if row.target is None else f"at {'most' if row.better == 'lower' else 'least'} {row.target:,g}"
    missed = ", missed" if row.met is False else ""
    return f"| {row.what} | {row.against} | {KINDS[row.kind]} | {value} | {wanted}{missed} |"


def write(results: Path = HERE / "results.json", path: Path = HERE / "table.md") -> None:
    """The Markdown beside the results."""
    path.write_text(markdown(json.loads(results.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    write()
