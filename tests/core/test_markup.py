"""The one way to write HTML: whatever comes in, nothing comes out that runs, loads or steers."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core.errors import UsageError
from wellstreak_trust.core.markup import Markup, address, joined, shown, table, tag


class Seen(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.asvs("1.1.2", "1.2.1")
@given(st.text(max_size=400))
def test_a_child_and_an_attribute_never_become_markup(text: str) -> None:
    seen = Seen(tag("p", text, aria_label=text))
    assert [name for name, _ in seen.elements] == ["p"]
    assert list(seen.elements[0][1]) == ["aria-label"]


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\u202eb", "a\u2066b", "a\u200fb", "a\ud800b", "a\x1bb", "a\ue000b", "a\u200bb"]
)
def test_what_steers_is_replaced(text: str) -> None:
    assert shown(text) == "a\ufffdb"


def test_marks_do_not_pile_up() -> None:
    assert shown("z" + "\u0310" * 40 + "e\u0301") == "z" + "\u0310" * 4 + "e\u0301"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert len(shown("w" * 10_000)) == 161
    assert shown("w" * 10_000).endswith("…")
    assert len(shown("w" * 3_000, 2_000)) == 2_001


@pytest.mark.parametrize("name", ["onclick", "style", "src", "srcset", "formaction", "xlink_href", "is_"])
def test_no_attribute_that_runs_or_loads(name: str) -> None:
    with pytest.raises(UsageError):
        tag("a", "x", **{name: "x"})


@pytest.mark.asvs("1.2.2")
@pytest.mark.parametrize("name", ["href", "action"])
@pytest.mark.parametrize("value", ["javascript:alert(1)", "//evil.example", "https://evil.example", "/admin", "x"])
def test_nothing_leads_elsewhere_but_an_address(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        tag("a", "x", **{name: value})


@pytest.mark.parametrize("path", ["javascript:alert", "//evil", "/x", "../x", "a/b", "a:b", "", "A", "x\n"])
def test_an_address_is_a_name_beside_this_page(path: str) -> None:
    with pytest.raises(UsageError):
        address(path)


@given(st.text(max_size=60))
def test_parameters_come_back_as_they_were(value: str) -> None:
    from urllib.parse import parse_qsl, urlsplit

    seen = Seen(tag("a", "x", href=address("audit", q=value)))
    target = seen.elements[0][1]["href"] or ""
    assert urlsplit(target).path == "audit"
    assert not urlsplit(target).netloc
    found = dict(parse_qsl(urlsplit(target).query))
    assert found == ({"q": value.encode("utf-8", "replace").decode()} if value else {})


def test_a_table_has_a_caption_scopes_and_labels() -> None:
    seen = Seen(table("All", ("name", "count"), [["a", 1]], numbers=frozenset((1,)), labelled=True))
    names = [name for name, _ in seen.elements]
    assert names == ["div", "table", "caption", "thead", "tr", "th", "th", "tbody", "tr", "th", "td", "div"]
    assert [found.get("scope") for name, found in seen.elements if name == "th"] == ["col", "col", "row"]
    assert seen.elements[-2][1] == {"class": "n", "data-label": "count"}


def test_a_table_that_stacks_nothing_has_bare_cells() -> None:
    seen = Seen(table("All", ("name", "count", "note"), [["a", 1, "b"]], numbers=frozenset((1,))))
    assert seen.elements[-3:] == [("th", {"scope": "row"}), ("td", {"class": "n"}), ("td", {})]


def test_elements_without_content_are_written_as_their_language_wants() -> None:
    assert tag("rect", width=3) == '<rect width="3"/>'
    assert tag("input", name_="q", value=None) == '<input name="q">'
    assert tag("p") == "<p></p>"


def test_none_is_nothing_and_markup_is_kept() -> None:
    assert joined((None, "<", Markup("<br>"), 3)) == "&lt;<br>3"
