"""The security report: what it counts, and that a real browser shows it, runs nothing and loads nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from wellstreak_trust.audit import AuditLog, Personal, SecurityReport, verify
from wellstreak_trust.audit.report import Summary, findings, summarised
from wellstreak_trust.audit.report.style import POLICY, STYLE
from wellstreak_trust.audit.report.summary import OTHERS
from wellstreak_trust.core import FixedClock
from wellstreak_trust.core.errors import UsageError
from wellstreak_trust.core.markup import tag

OFFICER = {"id": "user_officer"}
HOSTILE = [
    "<script>document.title='owned'</script>",
    "</svg><script>document.title='owned'</script>",
    "</style><script>document.title='owned'</script>",
    "</title><img src=x onerror=\"document.title='owned'\">",
    "javascript:document.title='owned'",
    '" onload="document.title=\'owned\'" x="',
    "' style='background:url(//evil)'",
    "<svg/onload=document.title='owned'>",
    "<!--",
    "]]><script>document.title='owned'</script>",
    "&lt;script&gt;",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "a" * 5_000,
]


def busy(log: AuditLog, make: Callable[..., Any], clock: FixedClock, names: list[str]) -> None:
    """Everything that a report looks for, under names that were chosen to break it."""
    for number in range(120):
        clock.advance(timedelta(minutes=37))
        name = names[number % len(names)][:256]
        facts: dict[str, Any] = {"actor": {"id": name}, "occurred_at": clock.now()}
        log.emit(make("access.denied", outcome="denied", decision={"permission": name, "code": name}, **facts))
        log.emit(make("secret.read", targets=(name,), **facts))
        log.emit(make("webhook.refused", outcome="denied", targets=({"type": name, "id": name},), reason=name, **facts))
        log.emit(make("agents.updated", outcome=["success", "failure", "error"][number % 3], **facts))
    log.emit(make("billing.plan_changed", outcome="attempted", targets=(names[0],)))
    log.emit(make("audit.gap", outcome="error", data={"count": 17, "first": names[0], "last": names[1]}))
    clock.advance(timedelta(hours=-2))
    log.emit(make("member.roles_changed", data={"email": Personal("ada@example.com", subject="ada")}))
    log.hold(tenant_id="t1", reason=names[0], actor=OFFICER)
    log.release(tenant_id="t1", reason=names[0], actor=OFFICER)
    log.erase("ada", tenant_id="t1", reason=names[0], actor=OFFICER)


# --- what is counted -------------------------------------------------------------------------------------------------


def test_figures(log: AuditLog, make: Any, clock: FixedClock) -> None:
    busy(log, make, clock, ["user_ada", "user_bob"])
    found = log.report("t1", actor=OFFICER).summary
    assert found.events == 490
    assert found.outcomes == Counter(denied=240, success=165, failure=40, error=41, attempted=4)
    assert found.denials == Counter(user_ada=60, user_bob=60)  # refused webhooks have a table of their own
    assert found.secrets == Counter({("user_ada", "secret.read"): 60, ("user_bob", "secret.read"): 60})
    assert found.webhooks == Counter({("user_ada", "user_ada"): 60, ("user_bob", "user_bob"): 60})
    assert found.privileged["member.roles_changed"] == 1
    assert found.lost == 17
    assert found.readers == Counter({("user_officer", "audit.read"): 1})
    assert found.totals == Counter(gaps=1, dangling=1, regressions=1, stewardship=3)
    assert [one.what for one in found.dangling] == ["billing.plan_changed"]
    assert sum(bucket.total for bucket in found.buckets()) == found.events


def test_the_banner_says_what_was_verified(log: AuditLog, make: Any) -> None:
    log.emit(make())
    pinned = log.checkpoint("t1")
    report = verify(log.store, tenant_id="t1", pinned=pinned, keys=[log.vkey("t1")])
    assert "Verified: anchored" in log.report("t1", actor=OFFICER, verification=report).html()
    assert "Not verified" in log.report("t1", actor=OFFICER).html()
    bad = replace(report, integrity="failed", first_bad_seq=3, reason="an entry was changed")
    page = log.report("t1", actor=OFFICER, verification=bad).html()
    assert "The trail does not verify" in page
    assert "The first at fault is event 3." in page
    late = replace(report, time_order="failed")
    assert "Verified: anchored, but the clock went back" in log.report("t1", actor=OFFICER, verification=late).html()


def test_a_window_of_time(log: AuditLog, make: Any, clock: FixedClock) -> None:
    start = clock.now()
    for _ in range(10):
        log.emit(make())
        clock.advance(timedelta(hours=1))
    found = log.report("t1", actor=OFFICER, since=start + timedelta(hours=2), until=start + timedelta(hours=5))
    assert found.summary.events == 3
    with pytest.raises(UsageError):
        log.report("t1", actor=OFFICER, since=datetime(2026, 1, 1))


def test_an_empty_trail_is_a_page_too(log: AuditLog, clock: FixedClock) -> None:
    page = SecurityReport("t1", "Nothing", Summary(), None, clock.now()).html()
    assert "No events." in page


def leaf(seq: int, at: str = "2026-11-24T12:00:00.000000Z", **fields: Any) -> dict[str, Any]:
    base = {"seq": seq, "id": f"e{seq}", "recorded_at": at, "action": "a.b", "outcome": "success", "actor": {"id": "u"}}
    return {**base, **fields}


def test_an_outcome_ends_the_attempt_it_names_or_the_oldest_with_its_facts() -> None:
    attempt = {"outcome": "attempted", "action": "x.y", "targets": ["t"], "request": {"id": "r1"}}
    done = {"action": "x.y", "targets": ["t"], "request": {"id": "r1"}}
    assert summarised([leaf(0, **attempt), leaf(1, **done)]).totals["dangling"] == 0
    assert summarised([leaf(0, **attempt), leaf(1, **attempt), leaf(2, **done)]).totals["dangling"] == 1
    assert summarised([leaf(0, **attempt), leaf(1, action="z", data={"attempt": "e0"})]).totals["dangling"] == 0
    assert summarised([leaf(0, **attempt), leaf(1, **{**done, "targets": ["other"]})]).totals["dangling"] == 1
    assert (
        summarised([leaf(0, **attempt), leaf(1, **{**done, "data": {"attempt": "elsewhere"}})]).totals["dangling"] == 1
    )


@pytest.mark.parametrize(
    ("hours", "columns"),
    [(1, 1), (24, 24), (61, 61), (62, 21), (24 * 60, 61), (24 * 365 * 3, 40), (24 * 365 * 300, 31)],
)
def test_columns_are_few_whatever_the_span(hours: int, columns: int) -> None:
    start = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
    ends = (start, min(start + timedelta(hours=hours - 1), datetime(2999, 12, 31, tzinfo=UTC)))
    found = summarised([leaf(n, at=f"{at:%Y-%m-%dT%H:%M:%S}.000000Z") for n, at in enumerate(ends)]).buckets()
    assert abs(len(found) - columns) <= 1
    assert len(found) <= 62
    assert sum(bucket.total for bucket in found) == 2


def test_memory_is_bounded() -> None:
    events = (leaf(n, actor={"id": f"u{n}"}, action="audit.gap", data={"count": 1}) for n in range(10_500))
    found = summarised(events)
    assert len(found.actors) == 10_001
    assert found.actors[OTHERS] == 500
    assert (len(found.gaps), found.totals["gaps"]) == (50, 10_500)


def test_whatever_a_tampered_leaf_holds_is_counted_as_something() -> None:
    odd: list[Any] = [None, 5, "x", [], {}, [[]], {"id": {}}, True]
    events = [
        {name: value for name in ("seq", "recorded_at", "action", "outcome", "actor", "targets", "data", "decision")}
        for value in odd
    ]
    assert summarised([{}, *events]).events == len(odd) + 1


def test_findings_come_worst_first() -> None:
    many = [leaf(n, outcome="denied", actor={"id": "mallory"}) for n in range(25)]
    gap = leaf(30, action="audit.gap", data={"count": 3})
    named = {"rule": "wst.denial_burst", "severity": "medium"}
    rule = leaf(31, action="anomaly.found", data=named, targets=[{"type": "anomaly_subject", "id": "mallory"}])
    found = summarised([*many, gap, rule])
    assert [(one.seq, one.what, one.detail) for one in found.anomalies] == [(31, "wst.denial_burst", "medium: mallory")]
    assert findings(found, None) == [
        "3 events could not be recorded and are lost",
        "Rules over the trail found something once",
        "mallory was denied 25 times",
        "Nobody has verified the trail for this report",
    ]


# --- the page --------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a parser of HTML finds: elements, attributes, and the text of each heading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.feed(text)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements[name] += 1
        self.attributes |= {key for key, _ in attributes}
        found = dict(attributes)
        self.ids += [value for key, value in attributes if key == "id" and value]
        self.labels += (found.get("aria-labelledby") or "").split()


@pytest.fixture
def hostile_page(log: AuditLog, make: Any, clock: FixedClock) -> str:
    busy(log, make, clock, HOSTILE)
    return log.report("t1", actor=OFFICER, title=HOSTILE[3]).html()


@pytest.mark.asvs("1.1.2")
def test_no_value_becomes_markup(hostile_page: str) -> None:
    page = Page(hostile_page)
    known = """html head meta title style body a header h1 p time main section h2 ul li strong b svg rect g desc div
        span details summary table caption thead tbody tr th td footer"""
    assert set(page.elements) <= set(known.split())
    loads = ("src", "style", "srcdoc", "action")
    assert not [name for name in page.attributes if name.startswith("on") or name in loads]
    assert re.findall(r'href="([^"]*)"', hostile_page) == ["#report"]
    assert len(page.ids) == len(set(page.ids))
    assert set(page.labels) <= set(page.ids)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in hostile_page
    assert "a" * 200 not in hostile_page


def test_the_policy_allows_its_one_style_and_nothing_else(hostile_page: str) -> None:
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
    assert hostile_page.count("<style>") == hostile_page.count(STYLE) == 1
    assert hostile_page.index("Content-Security-Policy") < hostile_page.index("<style>")


@pytest.mark.asvs("1.2.3")
def test_a_page_cannot_grow_what_runs_or_loads() -> None:
    for attribute in ("onclick", "style", "src", "href", "action", "srcset", "xlink_href"):
        with pytest.raises(UsageError):
            tag("a", "x", **{attribute: "javascript:alert(1)"})


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(each * 2 for each in colour)
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes() -> Iterator[dict[str, str]]:
    for block in re.findall(r":root\{color-scheme:[^;]*;([^}]*)\}|dark\)\{:root\{([^}]*)\}", STYLE):
        yield dict(re.findall(r"--([a-z-]+):#([0-9a-f]{3,6})", "".join(block)))


def test_colours_can_be_told_apart() -> None:
    """WCAG 2.2: 4.5 to 1 for text (1.4.3), 3 to 1 for what a chart says by colour (1.4.11); light, dark and print."""
    found = list(themes())
    assert len(found) == 3
    for theme in found:
        for ground in (theme["bg"], theme["card"]):
            assert min(contrast(theme[name], ground) for name in ("ink", "dim", "accent")) >= 4.5
            outcomes = ("success", "denied", "failure", "error", "attempted")
            assert min(contrast(theme[name], ground) for name in outcomes) >= 3
        assert min(contrast(theme[name], theme[f"{name}-bg"]) for name in ("good", "bad", "warn")) >= 4.5


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (768, "dark"), (360, "light")])
def test_a_real_browser_shows_it_and_runs_nothing(
    browser: Any, hostile_page: str, tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(hostile_page, encoding="utf-8")
    browser.get_log("browser")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(file.as_uri())
    assert browser.get_log("browser") == []  # no script was refused, because there was none; no style was, either
    assert browser.title.startswith("</title><img src=x")
    assert browser.execute_script("return document.scripts.length + document.images.length") == 0
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0  # nothing sticks out of a phone; wide tables scroll by themselves
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(14, 20, 27)"}[scheme]
    bars = browser.execute_script("return document.querySelectorAll('svg.chart rect[class=denied]').length")
    assert bars > 10
    font = browser.execute_script("return parseFloat(getComputedStyle(document.querySelector('td')).fontSize)")
    assert font >= 14


def test_the_browser_would_have_told(browser: Any, hostile_page: str, tmp_path: Path) -> None:
    """The same page with a script and a style of somebody else: the policy stops both, and the console says so."""
    file = tmp_path / "planted.html"
    planted = "<script>document.title='owned'</script><p style='color:red'>x</p><img src='https://evil.example/x.png'>"
    file.write_text(hostile_page.replace("</main>", f"{planted}</main>"), encoding="utf-8")
    browser.get_log("browser")
    browser.get(file.as_uri())
    told = " ".join(entry["message"] for entry in browser.get_log("browser"))
    assert "script-src" in told or "default-src" in told
    assert "style" in told
    assert browser.title != "owned"
