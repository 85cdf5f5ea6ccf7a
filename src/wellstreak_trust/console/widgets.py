"""What sections are made of: chips, times, forms, pagers. A word always goes with a colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from ..core.markup import Address, Child, Markup, address, joined, table, tag

__all__ = [
    "Field",
    "Tone",
    "ago",
    "card",
    "chip",
    "empty",
    "facts",
    "filters",
    "link",
    "listing",
    "moment",
    "notice",
    "pager",
    "span_of",
    "tone_of",
]

Tone = Literal["good", "busy", "warn", "bad", "quiet"]

_MARKS: Final[Mapping[Tone, str]] = {"good": "●", "busy": "◐", "warn": "▲", "bad": "■", "quiet": "○"}
_TONES: Final[Mapping[str, Tone]] = {
    **dict.fromkeys(("active", "done", "ok", "true", "proved", "success", "ready", "fixed", "published"), "good"),
    **dict.fromkeys(("testing", "running", "waiting", "attempted", "triaged", "accepted", "received"), "busy"),
    **dict.fromkeys(("degraded", "unverified", "unproved", "stalled", "medium", "late", "denied", "fault"), "warn"),
    **dict.fromkeys(("failing", "suspended", "failed", "high", "critical", "false", "rejected", "failure", "error",
                     "unavailable", "overdue", "expired", "fail"), "bad"),
}  # fmt: skip
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def tone_of(word: str) -> Tone:
    """The colour that goes with a word of ours; quiet for any other."""
    return _TONES.get(word, "quiet")


def chip(word: str, tone: Tone | None = None) -> Markup:
    """A state: a mark whose form differs by tone, and the word."""
    chosen = tone or tone_of(word)
    return tag("span", tag("span", _MARKS[chosen], aria_hidden="true"), word, class_=f"chip {chosen}")


def link(words: Child, to: Address, **attributes: object) -> Markup:
    """A link to a page beside this one."""
    return tag("a", words, href=to, **attributes)


def span_of(length: timedelta) -> str:
    """A length of time in the one unit that fits."""
    seconds = int(abs(length.total_seconds()))
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < 2 * _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < 2 * _DAY else f"{seconds // _DAY} days"


def ago(at: datetime, now: datetime) -> str:
    """How far a moment is away, in words."""
    if abs(now - at) < timedelta(seconds=1):
        return "now"
    return f"{span_of(now - at)} ago" if at <= now else f"in {span_of(at - now)}"


def moment(at: datetime | None, now: datetime, none: str = "never") -> Markup:
    """A time, as how far away it is and as what the clock says there."""
    if at is None:
        return tag("span", none, class_="dim")
    utc = at.astimezone(UTC)
    told = tag("span", f"{utc:%Y-%m-%d %H:%M:%S}", class_="at")
    return tag("time", tag("span", ago(utc, now)), " ", told, datetime=utc.isoformat())


def card(heading: str, *children: Child, id: str | None = None) -> Markup:
    """A section of a page."""
    return tag("section", tag("h2", heading), *children, class_="card", id=id)


def empty(words: str) -> Markup:
    """What stands where there is nothing."""
    return tag("p", words, class_="empty")


def listing(
    caption: str, header: Iterable[str], rows: Iterable[Iterable[Child]], numbers: frozenset[int] = frozenset()
) -> Markup:
    """A table that becomes a stack of labelled values where there is little room."""
    return table(caption, map(str.capitalize, header), rows, numbers=numbers, kind="stack", labelled=True)


def notice(heading: str, words: Child, tone: Tone = "warn") -> Markup:
    """Something to be read before anything else on the page."""
    return tag("div", tag("p", tag("strong", heading), " ", words), class_=f"notice {tone}", role="alert")


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names and values, side by side."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Args:
        choices: value to words; a text field without them.
        known: values that a text field suggests.
        wide: for what is long, such as a query.
    """

    name: str
    label: str
    value: str
    choices: Mapping[str, str] | None = None
    known: tuple[str, ...] = ()
    hint: str = ""
    wide: bool = False
    most: int = 255


def filters(path: str, fields: Iterable[Field], wrong: str = "", button: str = "Show") -> Markup:
    """A GET form; the field that was wrong says so to those who listen."""
    rows = (_row(field, wrong) for field in fields)
    return tag(
        "form", *rows, tag("button", button, type_="submit"),
        action=address(path), method="get", class_="filters", role="search",
    )  # fmt: skip


def _row(field: Field, wrong: str) -> Markup:
    about = f"{field.name}-hint" if field.hint else None
    given = {
        "id": f"f-{field.name}", "name_": field.name, "aria_describedby": about,
        "aria_invalid": "true" if field.name == wrong else None,
    }  # fmt: skip
    if field.choices is not None:
        options = (
            tag("option", words, value=value, selected="selected" if value == field.value else None)
            for value, words in field.choices.items()
        )
        control = tag("select", *options, **given)
    else:
        names = f"k-{field.name}" if field.known else None
        control = joined(
            (
                tag(
                    "input",
                    type_="text",
                    value=field.value,
                    list_=names,
                    maxlength=field.most,
                    autocomplete="off",
                    spellcheck="false",
                    **given,
                ),
                tag("datalist", *(tag("option", value=name) for name in field.known), id=names) if names else None,
            )
        )
    hint = tag("p", field.hint, class_="hint", id=about) if field.hint else None
    return tag("div", tag("label", field.label, for_=f"f-{field.name}"), control, hint,
               class_="field wide" if field.wide else "field")  # fmt: skip


def pager(first: Address | None, later: Address | None, words: str = "Older") -> Markup | None:
    """Ways to the first page and to the next one."""
    ways = [
        link("First page", first) if first is not None else None,
        link(f"{words} →", later, class_="next") if later is not None else None,
    ]
    return tag("nav", *ways, class_="pager", aria_label="Pages") if any(ways) else None
