"""The whole flow against providers that others wrote: panva's certified oidc-provider on Node, and oidc-provider-mock.

The Node provider is installed by ``npm ci`` into pytest's cache from the shrinkwrap beside its server.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import threading
import warnings
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from queue import Queue
from tempfile import mkdtemp
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest

import servers
from local_http import Quiet, serving
from wellstreak_trust.identity import ClientKey, Identity, InvalidCredential, MemoryLoginStore, OidcLogin, OidcProvider
from wellstreak_trust.testing.op.signing import fresh_key

HERE = Path(__file__).parent / "live_op"
CALLBACK, BYE = "http://127.0.0.1:1/callback", "http://127.0.0.1:1/bye"
PATIENCE = 120
BUTTONS = {"logout"}  # a form sends the button that was pressed


# --- a browser ------------------------------------------------------------------------------------------------------


class Form(HTMLParser):
    """The first form of a page, with its hidden fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = found.get("action") or ""
        if tag == "input" and found.get("name"):
            self.fields[found["name"] or ""] = found.get("value") or ""


class Browser:
    """Follows redirects and fills in forms, until it is sent to an address of the relying party."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.cookies: dict[str, str] = {}

    def go(self, url: str) -> str:
        method, body = "GET", None
        for _ in range(20):
            if url.startswith((CALLBACK, BYE)):
                return url
            status, headers, page = self.ask(method, url, body)
            method, body = "GET", None
            if status in (301, 302, 303):
                url = urljoin(url, headers["Location"])
                continue
            form = Form(page)
            assert status == 200, f"{status} {page[:300]}"
            assert form.action is not None, page[:300]
            url, method = urljoin(url, form.action), "POST"
            body = urlencode(
                {**form.fields, **{n: v for n, v in self.answers.items() if n in form.fields or n == "logout"}}
            )
        raise AssertionError("it never comes back")

    def ask(self, method: str, url: str, body: str | None) -> tuple[int, Any, str]:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        headers = {"Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        response = connection.getresponse()
        page = response.read().decode()
        for line in response.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        connection.close()
        return response.status, response.headers, page


# --- the certified provider -----------------------------------------------------------------------------------------


def unavailable(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def installed(cache: Path) -> Path:
    """A folder with the provider's modules; made once for each shrinkwrap, whole or not at all."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        unavailable("no Node.js: install node and npm")
    wanted = b"".join((HERE / name).read_bytes() for name in ("package.json", "npm-shrinkwrap.json"))
    folder = cache / sha256(wanted).hexdigest()[:16]
    if not folder.exists():
        made = Path(mkdtemp(dir=cache))
        for name in ("package.json", "npm-shrinkwrap.json"):
            shutil.copy(HERE / name, made)
        command = [npm or "", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            unavailable("npm ci takes too long")
        if done.returncode != 0:
            unavailable(f"npm ci failed: {done.stderr[-300:]}")
        try:
            made.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(made)
    shutil.copy(HERE / "server.mjs", folder)
    return folder


class Logout(Quiet):
    """The relying party's back-channel endpoint."""

    tokens: Queue[str] = Queue()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.tokens.put(form["logout_token"][0])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


KEY = fresh_key("ES256", "client-key")


@pytest.fixture(scope="module")
def live(request: pytest.FixtureRequest) -> Iterator[str]:
    cache = request.config.cache
    folder = installed(Path(cache.mkdir("live-op") if cache is not None else mkdtemp()))
    with serving(Logout) as logout_port:
        common = {"redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"]}
        clients = [
            {
                **common, "client_id": "basic", "client_secret": "a secret: & more", "post_logout_redirect_uris": [BYE],
                "backchannel_logout_uri": f"http://127.0.0.1:{logout_port}/",
                "backchannel_logout_session_required": True,
            },
            {
                **common, "client_id": "strict", "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [KEY.jwk]}, "require_pushed_authorization_requests": True,
                "userinfo_signed_response_alg": "RS256",
            },
        ]  # fmt: skip
        port = servers._free_port()
        command = [shutil.which("node") or "node", "server.mjs", str(port), json.dumps(clients)]
        running = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert running.stdout is not None
        assert running.stderr is not None
        noise = threading.Thread(target=running.stderr.read, daemon=True)
        noise.start()
        try:
            assert any("ready" in line for line in iter(running.stdout.readline, "")), "the provider does not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait(10)
            noise.join()
            running.stdout.close()
            running.stderr.close()


def login_of(provider: OidcProvider) -> OidcLogin:
    return OidcLogin(provider, MemoryLoginStore())


def signed_in(login: OidcLogin, browser: Browser, **options: Any) -> Identity:
    start = login.begin("/home", **options)
    return login.complete(browser.go(start.url), {start.cookie.name: start.cookie.value})


@pytest.mark.asvs("7.6.1", "10.2.1", "10.2.2", "10.5.5")
def test_the_certified_provider(live: str) -> None:
    """Code and PKCE, at_hash, RFC 9207, userinfo, refresh with rotation, sign-out at both ends."""
    login = login_of(
        OidcProvider(
            live, "basic", "a secret: & more", CALLBACK, scopes=("openid", "email", "offline_access"), userinfo=True,
            max_age=3_600, post_logout_redirect_uri=BYE, allow_insecure_loopback=True,
        )
    )  # fmt: skip
    browser = Browser(login="ada", password="x")
    identity = signed_in(login, browser, prompt="consent")
    assert (identity.issuer, identity.subject, identity.return_to) == (live, "ada", "/home")
    assert (identity.email, identity.email_proved) == ("ada@example.com", True)
    assert identity.auth_time is not None
    assert identity.refresh_token is not None

    fresh = login.refresh(identity.refresh_token, subject="ada", auth_time=identity.auth_time)
    assert fresh.claims is not None
    assert fresh.refresh_token != identity.refresh_token
    assert login.userinfo(fresh.access_token, subject="ada")["email"] == "ada@example.com"
    with pytest.raises(InvalidCredential):
        login.refresh(identity.refresh_token, subject="ada")

    away = login.end_session(identity.id_token)
    browser.answers["logout"] = "yes"
    back = browser.go(away.url)
    assert login.ended(back, {away.cookie.name: away.cookie.value}).value == ""
    token = Logout.tokens.get(timeout=10)
    notice = login.backchannel_logout(token)
    assert (notice.issuer, notice.subject) == (live, "ada")
    assert notice.sid
    assert notice.sid == identity.sid
    with pytest.raises(InvalidCredential):
        login.backchannel_logout(token)


def test_the_certified_provider_with_pushed_requests_and_a_key(live: str) -> None:
    """PAR and private_key_jwt, and userinfo that is signed."""
    login = login_of(
        OidcProvider(
            live, "strict", ClientKey(KEY.private, "ES256", "client-key"), CALLBACK, scopes=("openid", "email"),
            auth_method="private_key_jwt", par=True, userinfo=True, allow_insecure_loopback=True,
        )
    )  # fmt: skip
    start = login.begin()
    assert set(parse_qs(urlsplit(start.url).query)) == {"client_id", "request_uri"}
    callback = Browser(login="bo", password="x").go(start.url)
    identity = login.complete(callback, {start.cookie.name: start.cookie.value})
    assert (identity.subject, identity.claims["email"]) == ("bo", "bo@example.com")


def test_the_certified_provider_tells_of_a_refusal(live: str) -> None:
    """The user is not signed in there, and may not be asked."""
    login = login_of(OidcProvider(live, "basic", "a secret: & more", CALLBACK, allow_insecure_loopback=True))
    with pytest.raises(InvalidCredential) as caught:
        signed_in(login, Browser(), prompt="none")
    assert caught.value.reason == "login_required"


# --- the mock -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    from authlib.deprecate import AuthlibDeprecationWarning  # importing it switches the warning on

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # the mock's business
        from oidc_provider_mock import User, run_server_in_thread

        user = User(sub="ada", claims={"email": "ada@example.com", "email_verified": True})
        with run_server_in_thread(user_claims=[user]) as server:
            yield f"http://localhost:{server.server_port}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_mock_that_others_test_with(mock: str) -> None:
    """Its ID token names no key, and its answers no issuer."""
    login = login_of(
        OidcProvider(
            mock, "any", "secret", CALLBACK, scopes=("openid", "email"), userinfo=True, allow_insecure_loopback=True
        )
    )
    identity = signed_in(login, Browser(sub="ada"))
    assert (identity.issuer, identity.subject) == (mock, "ada")
    if identity.refresh_token is not None:
        assert login.refresh(identity.refresh_token, subject="ada").access_token != identity.access_token
