"""Inline SVG: bars of shares, and uptime day by day. The figures stand beside them as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ..connections import Day
from ..core.markup import Markup, tag
from .widgets import Tone

__all__ = ["shares", "uptime"]

_BAR = 100.0


def shares(parts: Sequence[tuple[str, int, Tone]], about: str) -> Markup:
    """One bar, divided as the counts are."""
    whole = sum(count for _, count, _ in parts) or 1
    drawn, at = [], 0.0
    for word, count, tone in parts:
        width = count / whole * _BAR
        if count:
            drawn.append(
                tag(
                    "rect",
                    tag("title", f"{word}: {count:,}"),
                    x=f"{at:.2f}",
                    y="0",
                    width=f"{max(width - 0.6, 0.6):.2f}",
                    height="6",
                    class_=f"f-{tone}",
                )
            )
        at += width
    empty = () if drawn else (tag("rect", x="0", y="0", width="100", height="6", class_="f-none"),)
    return _svg(*(drawn or empty), about=about, box="0 0 100 6", kind="shares")


def uptime(days: Sequence[Day], today: date, *, span: int = 30) -> Markup:
    """One column a day, the newest at the right: its coloured part is the share of checks that proved the connection.

    A day without checks is a dot at the foot.
    """
    held = {today.toordinal() - day.day.toordinal(): day for day in days}
    drawn = [_column(held.get(age), span - 1 - age) for age in range(span)]
    recent = [day for age, day in held.items() if 0 <= age < span]
    passed, total = sum(day.passed for day in recent), sum(day.total for day in recent)
    told = f"{passed / total:.1%} of {total:,} checks in {span} days" if total else f"No checks in {span} days"
    chart = _svg(*drawn, about=told, box=f"0 0 {span * 4} 20", kind="uptime")
    share = tag("span", f"{passed / total:.1%}" if total else "no checks", class_="share")
    return tag("span", chart, share, class_="trend")


def _column(day: Day | None, place: int) -> Markup:
    x = f"{place * 4 + 0.5:.1f}"
    if day is None or not day.total:
        return tag("rect", x=x, y="18.5", width="3", height="1.5", class_="f-none")
    up = day.passed / day.total * 20
    told = tag("title", f"{day.day}: {day.passed:,} of {day.total:,} checks")
    bad = tag("rect", x=x, y="0", width="3", height=f"{20 - up:.2f}", class_="f-bad") if up < 20 else None
    good = tag("rect", x=x, y=f"{20 - up:.2f}", width="3", height=f"{up:.2f}", class_="f-good")
    return tag("g", told, bad, good)


def _svg(*drawn: Markup, about: str, box: str, kind: str) -> Markup:
    return tag(
        "svg", *drawn, class_=kind, viewBox=box, preserveAspectRatio="none", role="img", aria_label=about,
        focusable="false",
    )  # fmt: skip
