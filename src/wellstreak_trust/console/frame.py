"""The frame of every page: head, skip link, navigation, main, foot."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.markup import Markup, address, joined, shown, tag
from .parts import View
from .style import STYLE
from .widgets import link

__all__ = ["document"]


def document(heading: str, body: Markup, places: Iterable[tuple[str, str]], here: str, view: View) -> str:
    """The whole document; `here` is the entry of the navigation it stands below."""
    entries = (
        tag("li", link(name, address(path or "./"), aria_current="page" if path == here else None))
        for path, name in places
    )
    page = joined(
        (
            tag("a", "Skip to content", href="#content", class_="skip"),
            tag(
                "header",
                tag("p", view.title, class_="brand"),
                tag("nav", tag("ul", *entries), aria_label="Sections"),
                class_="top",
            ),
            tag("main", tag("h1", heading), body, id="content", tabindex="-1"),
            tag(
                "footer",
                tag(
                    "p",
                    f"Read by {view.principal.id} at {view.now:%Y-%m-%d %H:%M:%S} UTC. "
                    "This page changes nothing, and that it was read is on record.",
                ),
            ),
        )
    )
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f"<title>{shown(heading)} · {shown(view.title)}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{page}</body></html>\n'
