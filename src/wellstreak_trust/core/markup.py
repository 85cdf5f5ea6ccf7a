"""HTML and SVG as text, in which every value is escaped because there is no other way in.

`Markup` is what is already safe; `tag` escapes every child and attribute that is not. There is no attribute for
scripts or styles: a name outside the list below is refused, so that no page can grow one by accident. What leads
somewhere is a place on the page or an `Address`, which `address` makes of a relative path and parameters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final
from urllib.parse import urlencode

from .errors import UsageError

__all__ = ["Address", "Child", "Markup", "address", "joined", "shown", "table", "tag"]

_ATTRIBUTES: Final = frozenset(
    """class id role scope href tabindex datetime viewBox width height x y rx preserveAspectRatio focusable
    aria-labelledby aria-hidden aria-label aria-current aria-describedby aria-invalid data-label lang for name value
    type method action list selected maxlength autocomplete spellcheck""".split()
)
_LEADS: Final = frozenset(("href", "action"))
_RELATIVE: Final = re.compile(r"\./|[a-z]+")
_BARE: Final = frozenset(("input",))  # no end tag in HTML
_VOID: Final = frozenset(("rect",))
_LONGEST: Final = 160
_MARKS: Final = 4
_VALUE: Final = 2_000  # of an attribute: what a form held must come back whole


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = Markup | str | int | None


class Address(str):
    """A relative address, ready for an attribute once it is escaped."""

    __slots__ = ()


def address(path: str, **parameters: str | int) -> Address:
    """The address of a page beside this one; empty parameters are left out.

    Raises:
        UsageError: a path with a scheme, a host or a folder.
    """
    if not _RELATIVE.fullmatch(path):
        raise UsageError("not the name of a page beside this one")
    asked = {name: str(value).encode("utf-8", "replace") for name, value in parameters.items() if value != ""}
    return Address(f"{path}?{urlencode(asked)}" if asked else path)


def shown(value: object, longest: int = _LONGEST) -> Markup:
    """A value as text on the page: escaped, short, and without characters that steer how the rest is displayed."""
    text = str(value)
    if len(text) > longest:
        text = text[:longest] + "\N{HORIZONTAL ELLIPSIS}"
    return Markup(escape("".join(_plain(text))))


def _plain(text: str) -> Iterator[str]:
    marks = 0
    for each in text:
        marks = marks + 1 if unicodedata.combining(each) else 0
        if marks <= _MARKS:  # more of them on one letter grow over the lines around it
            yield "\N{REPLACEMENT CHARACTER}" if _steers(each) else each


def _steers(character: str) -> bool:
    """Control, format (bidirectional overrides among them), surrogate and private characters."""
    return unicodedata.category(character)[0] == "C"


def joined(children: Iterable[Child]) -> Markup:
    """Children one after the other, each escaped unless it is markup."""
    return Markup(
        "".join(child if isinstance(child, Markup) else shown(child) for child in children if child is not None)
    )


def tag(name: str, *children: Child, **attributes: object) -> Markup:
    """An element. Attributes are named as in HTML, with ``_`` for ``-`` and a trailing ``_`` for Python's keywords.

    Raises:
        UsageError: an attribute that could carry code, style or a request to somewhere else.
    """
    written = []
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        leads = attribute not in _LEADS or isinstance(value, Address) or str(value).startswith("#")
        if attribute not in _ATTRIBUTES or not leads:
            raise UsageError(f"{attribute} is no attribute of a page of ours")
        if value is not None:
            written.append(f' {attribute}="{escape(value) if isinstance(value, Address) else shown(value, _VALUE)}"')
    start = f"<{name}{''.join(written)}>"
    if name in _VOID and not children:
        return Markup(f"{start[:-1]}/>")
    if name in _BARE and not children:
        return Markup(start)
    return Markup(f"{start}{joined(children)}</{name}>")


def table(
    caption: str,
    header: Iterable[str],
    rows: Iterable[Iterable[Child]],
    *,
    numbers: frozenset[int] = frozenset(),
    kind: str | None = None,
    labelled: bool = False,
) -> Markup:
    """A table with a caption, whose first cell of each row is its heading.

    Args:
        numbers: columns that hold numbers, set to the right.
        kind: a class of the style.
        labelled: let each cell hold its column's name, for a style that stacks cells where there is little room.
    """
    names = list(header)
    head = joined(
        tag("th", name, scope="col", class_="n" if place in numbers else None) for place, name in enumerate(names)
    )

    def cell(place: int, held: Child) -> Markup:
        if place == 0:
            return tag("th", held, scope="row")
        kind = "n" if place in numbers else None
        if not labelled:
            return tag("td", held, class_=kind)
        return tag("td", tag("div", held), class_=kind, data_label=names[place])  # one box beside the label

    lines = joined(tag("tr", *(cell(place, held) for place, held in enumerate(row))) for row in rows)
    parts = (tag("caption", caption), tag("thead", tag("tr", head)), tag("tbody", lines))
    return tag(
        "div", tag("table", *parts, class_=kind), class_="scroll", tabindex="0", role="region", aria_label=caption
    )
