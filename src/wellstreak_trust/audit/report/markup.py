"""HTML and SVG as text, in which every value is escaped because there is no other way in.

`Markup` is what is already safe; `tag` escapes every child and attribute that is not. There is no attribute for
scripts, styles or addresses: a name outside the list below is refused, so that no page can grow one by accident.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape
from typing import Final

from ...core.errors import UsageError

__all__ = ["Child", "Markup", "joined", "shown", "table", "tag"]

_ATTRIBUTES: Final = frozenset(
    """class id role scope href tabindex datetime viewBox width height x y rx preserveAspectRatio focusable
    aria-labelledby aria-hidden aria-label""".split()
)
_VOID: Final = frozenset(("rect",))
_LONGEST: Final = 160


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = Markup | str | int | None


def shown(value: object) -> Markup:
    """A value as text on the page: escaped, short, and without characters that steer how the rest is displayed."""
    text = str(value)
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"
    plain = "".join("\N{REPLACEMENT CHARACTER}" if _steers(each) else each for each in text)
    return Markup(escape(plain))


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
        UsageError: an attribute that could carry code, style or a request.
    """
    written = []
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if attribute not in _ATTRIBUTES or (attribute == "href" and not str(value).startswith("#")):
            raise UsageError(f"{attribute} is no attribute of a report")
        if value is not None:
            written.append(f' {attribute}="{shown(value)}"')
    start = f"<{name}{''.join(written)}>"
    if name in _VOID and not children:
        return Markup(f"{start[:-1]}/>")
    return Markup(f"{start}{joined(children)}</{name}>")


def table(
    caption: str,
    header: Iterable[str],
    rows: Iterable[Iterable[Child]],
    *,
    numbers: frozenset[int] = frozenset(),
    kind: str | None = None,
) -> Markup:
    """A table with a caption, whose first cell of each row is its heading.

    Args:
        numbers: columns that hold numbers, set to the right.
        kind: a class of the style.
    """
    head = joined(
        tag("th", name, scope="col", class_="n" if place in numbers else None) for place, name in enumerate(header)
    )
    lines = joined(
        tag(
            "tr",
            *(
                tag("th", cell, scope="row")
                if place == 0
                else tag("td", cell, class_="n" if place in numbers else None)
                for place, cell in enumerate(row)
            ),
        )
        for row in rows
    )
    parts = (tag("caption", caption), tag("thead", tag("tr", head)), tag("tbody", lines))
    return tag(
        "div", tag("table", *parts, class_=kind), class_="scroll", tabindex="0", role="region", aria_label=caption
    )
