"""Charts as inline SVG. Labels stand beside them as text of the page, so that they stay readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...core.markup import Markup, joined, tag
from .summary import OUTCOMES, Bucket

__all__ = ["columns", "legend", "meter"]

_HEIGHT, _WIDTH, _GAP = 100.0, 1_000.0, 0.18


def columns(buckets: Sequence[Bucket], name: str, about: str) -> Markup:
    """Stacked columns, one a bucket; each tells its numbers when pointed at."""
    most = max((bucket.total for bucket in buckets), default=0) or 1
    step = _WIDTH / max(len(buckets), 1)
    drawn = joined(_column(bucket, place * step, step * (1 - _GAP), most) for place, bucket in enumerate(buckets))
    lines = joined(
        tag("rect", x="0", y=f"{_HEIGHT * part:.2f}", width=f"{_WIDTH:.0f}", height="0.4", class_="grid-line")
        for part in (0.0, 0.5, 0.996)
    )
    return tag(
        "svg",
        tag("title", name, id="activity-title"),
        tag("desc", about, id="activity-desc"),
        lines,
        drawn,
        class_="chart",
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        preserveAspectRatio="none",
        role="img",
        focusable="false",
        aria_labelledby="activity-title activity-desc",
    )


def _column(bucket: Bucket, x: float, width: float, most: int) -> Markup:
    parts, top = [], _HEIGHT
    for outcome in OUTCOMES:
        height = bucket.counts.get(outcome, 0) / most * _HEIGHT
        if height:
            top -= height
            place = {"x": f"{x:.2f}", "y": f"{top:.2f}", "width": f"{width:.2f}", "height": f"{height:.2f}"}
            parts.append(tag("rect", class_=outcome, **place))
    told = ", ".join(f"{bucket.counts[outcome]} {outcome}" for outcome in OUTCOMES if bucket.counts.get(outcome))
    return tag("g", tag("title", f"{bucket.start:%Y-%m-%d %H:%M} UTC: {told or 'nothing'}"), *parts)


def legend(outcomes: Iterable[tuple[str, int]]) -> Markup:
    """What the colours mean, and how many of each there are."""

    def swatch(name: str) -> Markup:
        square = tag("rect", width="10", height="10", rx="2", class_=name)
        return tag("svg", square, viewBox="0 0 10 10", aria_hidden="true", focusable="false")

    return tag("ul", *(tag("li", swatch(name), f"{name} {count:,}") for name, count in outcomes), class_="legend")


def meter(part: int, whole: int, colour: str = "bar") -> Markup:
    """A bar in a cell; the number stands in the next one, so it is hidden from those who listen."""
    width = 100 * part / max(whole, 1)
    return tag(
        "svg",
        tag("rect", width="100", height="10", rx="2", class_="track"),
        tag("rect", width=f"{width:.2f}", height="10", rx="2", class_=colour),
        class_="meter",
        viewBox="0 0 100 10",
        preserveAspectRatio="none",
        aria_hidden="true",
        focusable="false",
    )
