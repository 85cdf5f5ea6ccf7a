"""The page in a real browser: nothing runs, nothing is refused by its policy, and people can read and reach it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from furnished import Furnished
from serving import serving, sign_in, sized

PAGES = (
    "", "connections", "connection?tenant=acme&provider=hubspot", "runs", "anomalies?tenant=acme", "audit?tenant=acme",
    "event?tenant=acme&seq=3", "limits", "secrets", "reports", "audit?q=nonsense",
)  # fmt: skip

OVERFLOWING = """
const width = document.documentElement.clientWidth, found = [];
for (const e of document.querySelectorAll('body *')) {
  const box = e.getBoundingClientRect();
  if (box.width && (box.right > width + 1 || box.left < -1) && !e.closest('.skip, .scroll, svg, thead'))
    found.push(e.tagName + '.' + e.className + ' ' + Math.round(box.right));
}
return [document.documentElement.scrollWidth, width, found];
"""
# Contrast by WCAG 2.2, 1.4.3, of every element that has text of its own, against the nearest painted background.
FAINT = r"""
const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const lum = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const under = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] === 1) return c; if (c[3] !== 0) throw Error('translucent'); } return [255, 255, 255]; };
const found = []; let looked = 0;
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  const value = e.matches('input, select') && e.value;
  if (!(own || value) || !e.getClientRects().length || e.closest('svg, datalist, select option')) continue;
  const style = getComputedStyle(e), a = lum(parse(style.color)), b = lum(under(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05), size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  looked++;
  if (ratio < (large ? 3 : 4.5))
    found.push([e.tagName + '.' + e.className, ratio.toFixed(2), e.textContent.slice(0, 30)]);
}
return [looked, found];
"""
FOCUSED = """
const e = document.activeElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
return [e.tagName, e.getAttribute('href') || e.id || e.className, s.outlineStyle, parseFloat(s.outlineWidth),
  box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight];
"""


@pytest.fixture(scope="module")
def site(held: Furnished) -> Iterator[str]:
    with serving(held) as url:
        yield url


@pytest.fixture
def signed(browser: Any, site: str, held: Furnished) -> Iterator[Any]:
    """The browser of a super admin, whose console holds nothing yet."""
    sign_in(browser, site, held.cookie("u_root", "super_admin"))
    browser.get_log("browser")
    yield browser
    browser.delete_all_cookies()
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.asvs("3.6.1")
def test_no_policy_is_violated_and_nothing_runs(signed: Any, site: str) -> None:
    for target in PAGES:
        signed.get(site + target)
        assert signed.title.endswith("WellStreak operations"), target
        assert signed.execute_script("return document.scripts.length + document.images.length") == 0
        style = signed.execute_script("return getComputedStyle(document.querySelector('main')).maxWidth")
        assert style == "1248px", "the sheet was refused"
        said = [entry["message"] for entry in signed.get_log("browser") if "favicon.ico" not in entry["message"]]
        assert not [entry for entry in said if "400" not in entry], (target, said)
        loaded = signed.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert [name for name in loaded if "favicon" not in name] == []


def test_a_script_that_got_in_would_not_run(signed: Any, site: str) -> None:
    """The policy itself, seen at work: the page refuses what is put into it."""
    signed.get(site)
    signed.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title = \"taken\"';"
        "document.body.append(s);"
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=1\">')"
    )
    assert signed.title.endswith("WellStreak operations")
    assert any("Content Security Policy" in entry["message"] for entry in signed.get_log("browser"))


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_page_is_wider_than_its_window(signed: Any, site: str, width: int) -> None:
    sized(signed, width)
    for target in PAGES:
        signed.get(site + target)
        scrolls, sees, found = signed.execute_script(OVERFLOWING)
        assert width - 20 < sees <= width  # a scroll bar may stand beside it
        assert scrolls <= sees, (target, found)
        assert not found, target


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read(signed: Any, site: str, dark: bool) -> None:
    sized(signed, 1280, dark=dark)
    for target in PAGES:
        signed.get(site + target)
        looked, faint = signed.execute_script(FAINT)
        assert looked > 15
        assert faint == [], target


def test_the_keyboard_reaches_everything_and_shows_where_it_is(signed: Any, site: str) -> None:
    from selenium.webdriver.common.keys import Keys

    sized(signed, 1280)
    signed.get(f"{site}connections")
    wanted = signed.execute_script(
        "return document.querySelectorAll('a[href], input, select, button, [tabindex=\"0\"]').length"
    )
    seen = []
    for _ in range(wanted):
        signed.switch_to.active_element.send_keys(Keys.TAB)
        tag, name, outline, width, visible = signed.execute_script(FOCUSED)
        assert (outline, width >= 2, visible) == ("solid", True, True), (tag, name)
        seen.append((tag, name))
    assert seen[0] == ("A", "#content")
    assert {"INPUT", "SELECT", "BUTTON"} <= {tag for tag, _ in seen}
    assert len(seen) == wanted
    assert ("BODY", "") not in seen


def test_the_skip_link_leads_into_the_page(signed: Any, site: str) -> None:
    from selenium.webdriver.common.keys import Keys

    signed.get(site)
    signed.switch_to.active_element.send_keys(Keys.TAB)
    signed.switch_to.active_element.send_keys(Keys.ENTER)
    assert signed.execute_script("return document.activeElement.id") == "content"


def test_a_form_keeps_what_was_asked(signed: Any, site: str) -> None:
    from selenium.webdriver.common.by import By

    signed.get(f"{site}audit")
    field = signed.find_element(By.ID, "f-q")
    field.send_keys('action:"member.removed" actor:u_ada')
    tenant = signed.find_element(By.ID, "f-tenant")
    tenant.clear()
    tenant.send_keys("acme")
    field.submit()
    assert signed.find_element(By.ID, "f-q").get_attribute("value") == 'action:"member.removed" actor:u_ada'
    rows = signed.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(rows) == 7
    assert all("member.removed" in row.text for row in rows)


def test_stacked_cells_say_what_they_are(signed: Any, site: str) -> None:
    sized(signed, 360)
    signed.get(f"{site}connections")
    label = "return getComputedStyle(document.querySelectorAll('.stack td')[1], '::before').content"
    assert signed.execute_script(label) == '"State"'
