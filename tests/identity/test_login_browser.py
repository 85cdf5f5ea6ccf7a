"""Sign-in in a real browser: what Chromium does with the cookies is what the flow rests on.

The application is at 127.0.0.1 and the provider at localhost, so that for the browser they are two sites.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_http import Quiet, serving
from wellstreak_trust.core.errors import TrustError
from wellstreak_trust.identity import MemoryLoginStore, OidcLogin
from wellstreak_trust.testing.op import OpenIdProvider


def unavailable(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        unavailable("no Chromium: install chromium and chromium-driver")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = binary
    profile: Path = tmp_path_factory.mktemp("profile")
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    running = Chrome(options=options, service=Service(driver))
    running.set_page_load_timeout(30)
    yield running
    running.quit()


class Application(Quiet):
    """The two routes of a host, and the one that a form is posted to."""

    login: OidcLogin
    posted: list[str | None] = []

    def do_GET(self) -> None:
        if self.path == "/login":
            start = self.login.begin("/home")
            self.answer(303, Location=start.url, Set_Cookie=start.cookie.header())
        elif self.path.startswith("/callback"):
            cookies = dict(pair.split("=", 1) for pair in (self.headers["Cookie"] or "").split("; ") if "=" in pair)
            try:
                identity = self.login.complete(self.path, cookies)
            except TrustError as refused:
                self.answer(refused.status, f"refused: {refused.reason}")
                return
            self.answer(303, Location=identity.return_to, Set_Cookie=f"user={identity.subject}; Path=/; HttpOnly")
        else:
            self.answer(200, f"cookies: {self.headers['Cookie']}")

    def do_POST(self) -> None:
        self.posted.append(self.headers["Cookie"])
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(303, Location=self.login.bounce(body))

    def answer(self, status: int, text: str = "", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture(scope="module")
def op() -> Iterator[OpenIdProvider]:
    with OpenIdProvider(alg="ES256") as running:
        elsewhere = running.url.replace("127.0.0.1", "localhost")
        running.metadata["authorization_endpoint"] = f"{elsewhere}/authorize"
        yield running


@pytest.fixture
def url(op: OpenIdProvider, browser: Any) -> Iterator[str]:
    with serving(Application) as port:
        home = f"http://127.0.0.1:{port}"
        Application.login = OidcLogin(op.relying_party(f"{home}/callback"), MemoryLoginStore())
        Application.posted.clear()
        browser.get(home)
        browser.delete_all_cookies()
        yield home


def text_of(browser: Any) -> str:
    from selenium.webdriver.common.by import By

    found: str = browser.find_element(By.TAG_NAME, "body").text
    return found


@pytest.mark.asvs("3.3.2", "3.3.4")
def test_there_and_back(browser: Any, url: str) -> None:
    """The Lax cookie comes back with the provider's redirect, and no script can read it."""
    browser.get(f"{url}/login")
    assert browser.current_url == f"{url}/home"
    assert "user=u-1" in text_of(browser)
    kept = [cookie for cookie in browser.get_cookies() if cookie["name"].startswith("ws_login_")]
    assert [(cookie["httpOnly"], cookie["sameSite"], cookie["path"]) for cookie in kept] == [(True, "Lax", "/")]
    assert browser.execute_script("return document.cookie") == ""


def test_an_answer_as_a_form(browser: Any, url: str, op: OpenIdProvider) -> None:
    """A browser sends no Lax cookie with another site's POST; the bounce brings it back with a GET."""
    op.form_post = True
    try:
        browser.get(f"{url}/login")
        assert browser.current_url == f"{url}/home"
    finally:
        op.form_post = False
    assert Application.posted == [None]
    assert "user=u-1" in text_of(browser)


@pytest.mark.asvs("10.1.2", "10.2.1")
def test_a_callback_in_another_browser(browser: Any, url: str, op: OpenIdProvider) -> None:
    start = Application.login.begin("/home")
    browser.get(op.sign_in(start.url))
    assert text_of(browser) == "refused: browser"
    assert browser.get_cookies() == []
