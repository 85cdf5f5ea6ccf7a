"""What each section shows, what it refuses, and what stays harmless."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from furnished import HOSTILE, ROOT, Furnished

from wellstreak_trust.connections import ProbeResult
from wellstreak_trust.console import VIEW_OPERATIONS, Console, ConsolePage
from wellstreak_trust.console.style import POLICY, STYLE
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable
from wellstreak_trust.core.http import RequestFacts
from wellstreak_trust.guard import Grant, Operation
from wellstreak_trust.tenancy import TenantContext

SECTIONS = ("", "connections", "runs", "anomalies", "audit", "limits", "secrets", "reports")
EVERY = (*SECTIONS, "connection?tenant=acme&provider=hubspot", "event?tenant=acme&seq=3", "audit?tenant=acme",
         "runs?state=failed", "secrets?within=90", "nowhere", "audit?q=nonsense", "runs?before=x")  # fmt: skip

FIELDS = (
    "connections?tenant", "connections?after", "connections?state", "audit?tenant", "audit?q", "runs?tenant",
    "runs?before", "secrets?tenant", "reports?state",
)  # fmt: skip


class Outline(HTMLParser):
    """What of a page matters to those who do not see it, and what could do harm."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, {key: value or "" for key, value in attributes}))
        self._stack.append(name)

    def handle_endtag(self, name: str) -> None:
        while self._stack and self._stack.pop() != name:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._stack:
            self.text.append(data)

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.elements if found == name]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def grant_of(held: Furnished, operation: Operation = VIEW_OPERATIONS) -> Grant:
    lines = [("Host", "ops.example"), ("Cookie", held.cookie("u_root", "super_admin"))]
    return held.guard.enter(RequestFacts("GET", "https://ops.example/operators/", lines, peer="203.0.113.9"), operation)


def opened(held: Furnished, target: str) -> ConsolePage:
    path, _, query = target.partition("?")
    with grant_of(held) as grant:
        return held.console.page(path, query, grant)


def outline(held: Furnished, target: str) -> Outline:
    page = opened(held, target)
    assert page.status == 200, page.html[-800:]
    return Outline(page.html)


def turned(held: Furnished, target: str, pattern: str) -> list[str]:
    """What a pattern finds on a page and on those behind it, as somebody finds who follows the links."""
    found = list[str]()
    for _ in range(9):
        html = opened(held, target).html
        found += re.findall(pattern, html)
        later = re.search(r'<a href="([^"]*)" class="next"', html)
        if later is None:
            break
        target = later[1].replace("&amp;", "&")
    return found


# --- the frame -------------------------------------------------------------------------------------------------------


@pytest.mark.asvs("1.2.1", "3.6.1")
@pytest.mark.parametrize("target", EVERY)
def test_nothing_on_a_page_runs_loads_or_leads_away(held: Furnished, target: str) -> None:
    page = Outline(opened(held, target).html)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "base", "foreignobject", "use", "image"}
    for _, attributes in page.elements:
        assert not any(key.startswith("on") or key in ("style", "src", "srcset") for key in attributes)
        for key in ("href", "action"):
            if key in attributes:
                parts = urlsplit(attributes[key])
                assert (parts.scheme, parts.netloc) == ("", "")
                assert parts.path in ("", "./", *SECTIONS, "connection", "event")
    assert len(page.all("form")) <= 1
    assert all(form["method"] == "get" for form in page.all("form"))


@pytest.mark.parametrize("target", EVERY)
def test_a_page_can_be_used_without_seeing_it(held: Furnished, target: str) -> None:
    page = Outline(opened(held, target).html)
    assert page.all("html") == [{"lang": "en"}]
    assert [len(page.all(name)) for name in ("main", "header", "footer", "h1")] == [1, 1, 1, 1]
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {found["for"] for found in page.all("label")}
    controls = [*page.all("input"), *page.all("select")]
    assert labels == {found["id"] for found in controls}
    assert {found["aria-describedby"] for found in controls if "aria-describedby" in found} <= set(ids)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in found for found in page.all("th"))
    assert all(found.get("aria-label") for found in page.all("svg"))
    assert next(attributes for name, attributes in page.elements if name == "a")["href"] == "#content"


@pytest.mark.parametrize("target", SECTIONS)
def test_the_navigation_says_where_one_is(held: Furnished, target: str) -> None:
    current = [found["href"] for found in outline(held, target).all("a") if "aria-current" in found]
    assert current == [target or "./"]


@pytest.mark.asvs("14.3.2")
def test_the_headers_allow_the_one_sheet_and_nothing_else(held: Furnished) -> None:
    headers = dict(opened(held, "").headers)
    assert headers["Content-Security-Policy"] == POLICY
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_grant_inside_a_tenant_is_refused(held: Furnished) -> None:
    grant = grant_of(held)
    grant.tenant = TenantContext("acme", ROOT, None)
    with pytest.raises(ConfigurationError) as refused:
        held.console.page("", "", grant)
    assert refused.value.reason == "console_scope"


def test_a_console_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Console()


def test_only_parts_that_are_given_have_a_section(held: Furnished) -> None:
    console = Console(limiter=held.limiter)
    with grant_of(held) as grant:
        page = Outline(console.page("", "", grant).html)
        assert [found["href"] for found in page.all("a")][1:3] == ["./", "limits"]
        assert console.page("connections", "", grant).status == 404


def test_a_read_of_a_trail_is_recorded_on_it(calm: Furnished) -> None:
    opened(calm, "audit?tenant=acme&q=action%3Ax.y")
    event = calm.audit.events("acme", limit=1)[0]
    assert (event["action"], event["actor"]["id"]) == ("audit.read", "u_root")
    seen = [(each["action"], each["outcome"]) for each in calm.audit.events("system", limit=2)]
    assert seen == [("operations.viewed", "success"), ("operations.viewed", "attempted")]


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_the_overview_counts_and_says_what_needs_somebody(held: Furnished) -> None:
    words = outline(held, "").words
    assert "14 of 19 active" in words
    for said in ("unauthorized: the provider refused the credential", "provider timeout", "not heard of in time",
                 "webhook/old", "denials, usually"):  # fmt: skip
        assert said in words


def test_on_a_calm_day_it_says_so(calm: Furnished) -> None:
    assert "Nothing needs you." in outline(calm, "").words
    for section in SECTIONS:
        assert opened(calm, section).status == 200


@pytest.mark.parametrize(
    ("query", "wanted"),
    [("state=failing", {"hubspot", "slack"}), ("tenant=tailspin", {"calendar", "hubspot", "slack", "mailer", "stripe"}),
     ("provider=mailer", {"mailer"}), ("tenant=nobody", set()), ("state=", None)],
)  # fmt: skip
def test_connections_are_filtered(held: Furnished, query: str, wanted: set[str] | None) -> None:
    found = re.findall(r'href="connection\?tenant=[^"]*provider=(\w+)"', opened(held, f"connections?{query}").html)
    assert wanted is None or set(found) == wanted


def test_one_connection_shows_redacted_details(held: Furnished) -> None:
    page = outline(held, "connection?tenant=acme&provider=hubspot")
    assert "*** was refused" in page.words
    assert "xoxb-secret" not in page.words
    assert "84.0 ms" in page.words
    assert any("90 days" in found["aria-label"] for found in page.all("svg"))


def test_a_late_worker_shows(calm: Furnished) -> None:
    calm.connections.define("acme", "mailer", config={})
    calm.clock.advance(timedelta(minutes=5))
    assert "late" in outline(calm, "connections").words


def test_connections_are_paged_by_key(calm: Furnished) -> None:
    for number in range(60):
        calm.connections.define(f"t{number:02}", "mailer", config={})
    seen = turned(calm, "connections?state=testing", r'href="connection\?tenant=(t\d\d)')
    assert seen == [f"t{number:02}" for number in range(60)]


def test_runs_are_paged_and_none_is_lost_in_one_microsecond(calm: Furnished) -> None:
    for number in range(120):
        calm.runs.start("acme", "sync", actor=ROOT, run_id=f"r{number}")
        if number % 7 == 0:
            calm.clock.advance(timedelta(microseconds=1))
    assert len(turned(calm, "runs", '<tr><th scope="row">')) == 120


def test_a_run_nobody_has_marked_yet_is_stalled(calm: Furnished) -> None:
    calm.runs.start("acme", "sync", actor=ROOT, every=timedelta(minutes=1))
    calm.clock.advance(timedelta(minutes=2))
    assert "stalled" in outline(calm, "runs?state=stalled").words


def test_findings_lead_to_their_events(held: Furnished) -> None:
    page = outline(held, "anomalies?tenant=acme")
    assert "wst.use_after_revoke" in page.words
    places = [found["href"] for found in page.all("a") if found.get("class") == "seq"]
    assert places
    for place in places[:3]:
        assert opened(held, place).status == 200


def test_the_platforms_own_roles_are_no_anomaly(held: Furnished) -> None:
    assert "wst.role_before_grant" not in outline(held, "anomalies").words


def test_the_trail_is_searched_in_its_language_and_paged(held: Furnished) -> None:
    seen = turned(held, "audit?tenant=borealis&q=action%3Ademo.step", r">(t_\d+)<")
    assert seen == [f"t_{number}" for number in range(119, -1, -1)]


def test_a_wrong_query_points_at_its_field(held: Furnished) -> None:
    answer = opened(held, "audit?q=nonsense")
    page = Outline(answer.html)
    assert answer.status == 400
    assert page.all("input")[0]["value"] == "nonsense"
    assert [found["name"] for found in page.all("input") if found.get("aria-invalid")] == ["q"]
    assert any(found.get("role") == "alert" for found in page.all("div"))
    assert "without a key" in page.words


@pytest.mark.parametrize("target", ["event", "event?tenant=acme&seq=99999", "connection?tenant=acme&provider=no", "x"])
def test_what_does_not_exist_is_not_found(held: Furnished, target: str) -> None:
    assert opened(held, target).status == 404


def test_limits_show_rules_and_an_outage(held: Furnished) -> None:
    words = outline(held, "limits").words
    assert "refuses everybody" in words
    assert "ready" in words
    try:
        for _ in range(9):
            held.limiter._circuit.failed(StoreUnavailable("down"))
        assert "unavailable" in outline(held, "limits").words
        assert "rules decide by their outage policies" in outline(held, "").words
    finally:
        held.limiter._circuit.worked()


def test_secrets_are_shown_by_date_and_without_values(held: Furnished) -> None:
    page = outline(held, "secrets")
    names = re.findall(r"(?:webhook|hubspot|legacy|calendar)/(?:old|signing|refresh|ftp|client)", page.words)
    assert names == ["webhook/old", "webhook/signing", "hubspot/refresh", "legacy/ftp", "calendar/client"]
    assert "not shown" not in page.words
    assert "local:k_" in page.words
    assert "webhook/signing" not in outline(held, "secrets?within=0").words
    assert "hubspot/refresh" not in outline(held, "secrets?tenant=borealis").words


def test_one_tenants_damaged_secrets_do_not_hide_the_others(calm: Furnished, monkeypatch: pytest.MonkeyPatch) -> None:
    soon = calm.clock.now() + timedelta(days=1)
    for tenant in ("acme", "borealis"):
        calm.secrets.put(tenant, "a/b", "x", rotate_after=soon)
    listed = type(calm.secrets).alist

    async def broken(self: Any, tenant: str, **given: Any) -> Any:
        if tenant == "acme":
            raise StoreUnavailable("private text")
        return await listed(self, tenant, **given)

    monkeypatch.setattr(type(calm.secrets), "alist", broken)
    words = outline(calm, "secrets").words
    assert "cannot be listed: " + StoreUnavailable("x").code in words
    assert "a/b" in words
    assert "private text" not in words


def test_reports_show_deadlines_and_not_what_they_say(held: Furnished) -> None:
    words = outline(held, "reports").words
    assert "CWE-330" in words
    assert "guessed" not in words
    before = held.clock.now()
    held.clock.advance(timedelta(days=30))
    try:
        assert "overdue" in outline(held, "reports?state=received").words
    finally:
        held.clock.advance(before - held.clock.now())


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", list(HOSTILE.values()), ids=list(HOSTILE))
@pytest.mark.parametrize("field", FIELDS)
def test_a_hostile_parameter_is_refused_or_harmless(held: Furnished, field: str, value: str) -> None:
    page = opened(held, f"{field}={quote(value.encode('utf-8', 'surrogatepass'))}")
    assert page.status in (200, 400, 503)
    names = {name for name, _ in Outline(page.html).elements}
    assert not names & {"script", "img"}
    assert "\x00" not in page.html
    assert "\u202e" not in page.html
    page.html.encode()


@pytest.mark.parametrize(
    "query", ["a=1&a=2", "&".join(f"p{n}=1" for n in range(40)), "tenant=" + "w" * 9_000, "tenant=a%00b"]
)
def test_an_impossible_address_is_refused(held: Furnished, query: str) -> None:
    assert opened(held, f"connections?{query}").status == 400


def test_hostile_names_are_readable(held: Furnished) -> None:
    words = outline(held, "connections").words
    assert HOSTILE["script"] in words
    assert "user\ufffdgnp.exe" in words


def test_a_part_that_is_down_takes_its_own_panel_only(held: Furnished, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*args: Any) -> Any:
        raise OSError("password=hunter2 at db.internal")

    monkeypatch.setattr(held.store, "list", down)
    page = outline(held, "")
    assert "unavailable" in page.words
    assert "under way" in page.words
    one = opened(held, "connections")
    assert one.status == 503
    assert "hunter2" not in one.html + opened(held, "").html


def test_a_probe_cannot_speak_to_the_operators_browser(calm: Furnished) -> None:
    calm.whoami.says["acme", "mailer"] = ProbeResult("fail", "error", HOSTILE["handler"] + HOSTILE["long"])
    calm.connections.define("acme", "mailer", config={})
    calm.connections.test("acme", "mailer")
    page = outline(calm, "connection?tenant=acme&provider=mailer")
    assert not page.all("img")
    assert "onerror" in page.words
    assert "w" * 200 not in page.words
