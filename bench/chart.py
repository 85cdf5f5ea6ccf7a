"""The chart of bench/results.json: how many times as quick we are as each peer and as the least that could do it.

    python bench/chart.py

One mark a ratio, a line at 1, and the target as a tick. Nothing in the file tells when it was drawn, so that the same
results give the same bytes. Lines and text are of a grey that reads on light and on dark pages.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from report import Row

GREY, FAINT = "#7a8290", "#7a829055"
COLOURS = {"peer": "#2f8f6b", "limit": "#4a78c8"}
LABELS = {"peer": "times as quick as a peer", "limit": "times as quick as the least that could do it, written by hand"}
MISSED = "#c8632f"
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1_000, 10_000, 100_000)


def ratios(path: Path) -> list[Row]:
    """What can be drawn, in the order of the table: by primitive, peers first."""
    rows = [Row(**each) for each in json.loads(path.read_text(encoding="utf-8"))["rows"]]
    return sorted((row for row in rows if row.against), key=lambda row: (row.group, row.kind == "limit", -row.speed))


def goal(row: Row) -> float | None:
    """The target as a speed."""
    if row.target is None:
        return None
    return row.target if row.better == "higher" else 1 / row.target


def draw(results: Path, chart: Path) -> None:
    """Writes the chart as SVG."""
    mpl.use("svg")
    mpl.rcParams.update(
        {"svg.hashsalt": "wellstreak-trust", "svg.fonttype": "none", "font.size": 8.5, "axes.linewidth": 0.6}
    )
    mpl.rcParams.update(
        dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), GREY)
    )
    rows = ratios(results)
    figure, axes = pyplot.subplots(figsize=(10, 0.6 + 0.215 * (len(rows) + 1.2 * len({row.group for row in rows}))))
    reach = [row.speed for row in rows] + [found for row in rows if (found := goal(row)) is not None]
    least, most = max(tick for tick in TICKS if tick <= min(reach)), min(tick for tick in TICKS if tick >= max(reach))
    place, places, names = 0.0, [], []
    for number, row in enumerate(rows):
        if number == 0 or rows[number - 1].group != row.group:
            place += 1.2
            axes.text(least * 1.06, place - 0.95, row.group, fontweight="bold", va="center")
        axes.plot([1, row.speed], [place, place], color=COLOURS[row.kind], linewidth=2.2, solid_capstyle="butt")
        axes.plot(row.speed, place, "o", color=COLOURS[row.kind], markersize=4.5)
        if (wanted := goal(row)) is not None:
            axes.plot(wanted, place, "|", color=GREY if row.met else MISSED, markersize=9, markeredgewidth=1.8)
        places.append(place)
        names.append(f"{row.what} / {row.against}")
        place += 1
    axes.set_yticks(places, names)
    axes.set_ylim(place, -0.6)
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    ticks = [tick for tick in TICKS if least <= tick <= most]
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(length=0)
    axes.xaxis.grid(True, color=FAINT, linewidth=0.5)
    axes.axvline(1, color=GREY, linewidth=0.9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    legend(axes)
    figure.savefig(chart, bbox_inches="tight", transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def legend(axes: pyplot.Axes) -> None:
    """What the colours and the ticks mean."""
    handles = [
        pyplot.Line2D([], [], color=COLOURS[kind], marker="o", markersize=4.5, label=LABELS[kind]) for kind in COLOURS
    ]
    for colour, text in ((GREY, "target"), (MISSED, "target, missed")):
        handles.append(
            pyplot.Line2D([], [], color=colour, marker="|", linestyle="", markersize=9, markeredgewidth=1.8, label=text)
        )
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=2, frameon=False, labelcolor=GREY
    )


if __name__ == "__main__":
    here = Path(__file__).parent
    draw(here / "results.json", here.parent / "docs" / "_static" / "bench.svg")
