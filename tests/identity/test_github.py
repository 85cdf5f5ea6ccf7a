"""GitHub: OAuth without OpenID Connect, over real HTTP against a small stand-in that checks what GitHub checks."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local_http import Quiet, serving
from sign_ins import jar
from wellstreak_trust.core.egress import EgressResponse
from wellstreak_trust.core.errors import ConfigurationError, InvalidRequest, ProviderUnavailable
from wellstreak_trust.core.http import Headers
from wellstreak_trust.identity import GitHubLogin, InvalidCredential, MemoryLoginStore

CALLBACK = "http://127.0.0.1/callback"
SOUND: dict[str, Any] = {
    "user": {"id": 17, "login": "ada"},
    "emails": [
        {"email": "old@example.com", "primary": False, "verified": True},
        {"email": "ada@example.com", "primary": True, "verified": True},
    ],
    "token": {"access_token": "gho_x", "token_type": "bearer", "scope": "read:user"},
    "status": 200,
}


class Site(Quiet):
    """The pages and the API of GitHub that a sign-in uses."""

    says: dict[str, Any] = {}
    challenges: dict[str, str] = {}

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.path.startswith("/login/oauth/authorize"):
            wanted = {
                "response_type": "code", "client_id": "client", "redirect_uri": CALLBACK,
                "scope": "read:user user:email", "code_challenge_method": "S256",
            }  # fmt: skip
            assert wanted.items() <= query.items()
            self.challenges[query["state"]] = query["code_challenge"]
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?code={query['state']}&state={query['state']}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.headers["Authorization"] == "Bearer gho_x" and self.headers["User-Agent"]:
            self.answer(self.says["status"], self.says[{"/user": "user", "/user/emails": "emails"}[self.path]])
        else:
            self.answer(401, {})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
        proof = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        known = (form["client_id"], form["client_secret"]) == ("client", "secret")
        bound = self.challenges.get(form["code"]) == proof and form["redirect_uri"] == CALLBACK
        sound = known and bound and self.headers["Accept"] == "application/json"
        self.answer(200, self.says["token"] if sound else {"error": "bad_verification_code"})

    def answer(self, status: int, value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def base() -> Any:
    with serving(Site) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def login(base: str) -> GitHubLogin:
    Site.says = dict(SOUND)
    return GitHubLogin(
        "client", "secret", CALLBACK, MemoryLoginStore(), site=base, api=base, allow_insecure_loopback=True
    )


def browse(url: str) -> str:
    from http.client import HTTPConnection

    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", f"{parts.path}?{parts.query}")
    location = connection.getresponse().headers["Location"]
    connection.close()
    return location


def sign_in(login: GitHubLogin) -> Any:
    start = login.begin("/home")
    return login.complete(browse(start.url), jar(start))


def test_a_sign_in(login: GitHubLogin, base: str) -> None:
    identity = sign_in(login)
    assert (identity.issuer, identity.subject, identity.return_to) == (base, "17", "/home")
    assert (identity.email, identity.email_proved) == ("ada@example.com", True)
    assert dict(identity.claims) == {"iss": base, "sub": "17", "login": "ada", "email": "ada@example.com"}
    assert (identity.id_token, identity.sid) == (None, None)


@pytest.mark.anyio
async def test_a_sign_in_awaited(login: GitHubLogin) -> None:
    start = await login.abegin()
    assert (await login.acomplete(browse(start.url), jar(start))).subject == "17"


@pytest.mark.parametrize(
    "emails",
    [
        [],
        {},
        b"junk",
        b"[" * 100_000,
        [7, {"email": 7, "primary": True, "verified": True}],
        [{"email": "ada@example.com", "primary": True, "verified": False}],
        [{"email": "ada@example.com", "primary": True, "verified": "true"}],
        [{"email": "ada@example.com", "primary": False, "verified": True}],
    ],
    ids=lambda emails: str(emails)[:40],
)
def test_an_address_counts_if_primary_and_verified(login: GitHubLogin, emails: Any) -> None:
    Site.says["emails"] = emails
    identity = sign_in(login)
    assert (identity.subject, identity.email, identity.email_proved) == ("17", None, False)


@pytest.mark.parametrize(
    "user", [{}, {"id": "17"}, {"id": True}, {"id": 0}, {"id": -1}, {"id": 2**63}, {"id": 1.5}, [], b"junk"]
)
def test_the_person_is_a_number(login: GitHubLogin, user: Any) -> None:
    Site.says["user"] = user
    with pytest.raises(InvalidCredential) as caught:
        sign_in(login)
    assert caught.value.reason == "userinfo"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ({"error": "bad_verification_code"}, "code"),
        ({"access_token": "gho_x", "token_type": "mac"}, "token_answer"),
        ({"access_token": "gho_other", "token_type": "bearer"}, "userinfo"),
        ({"access_token": 7, "token_type": "bearer"}, "token_answer"),
    ],
)
def test_refusals(login: GitHubLogin, token: Any, reason: str) -> None:
    Site.says["token"] = token
    with pytest.raises(InvalidCredential) as caught:
        sign_in(login)
    assert caught.value.reason == reason


def test_a_return_path_is_judged(login: GitHubLogin) -> None:
    with pytest.raises(InvalidRequest):
        login.begin("//evil.example")


def test_an_outage_is_an_outage(login: GitHubLogin) -> None:
    Site.says["status"] = 502
    with pytest.raises(ProviderUnavailable):
        sign_in(login)


def test_the_callback_is_bound_as_everywhere(login: GitHubLogin) -> None:
    start = login.begin()
    callback = browse(start.url)
    with pytest.raises(InvalidCredential) as caught:
        login.complete(callback, {})
    assert caught.value.reason == "browser"
    assert login.complete(callback, jar(start)).subject == "17"
    with pytest.raises(InvalidCredential):
        login.complete(callback, jar(start))


PARTS = [{"client_secret": ""}, {"scopes": "u"}, {"site": "http://github.com"}, {"api": "x"}]


def test_by_default_it_is_github_itself() -> None:
    asked: list[str] = []

    class Watched:
        def send(self, method: str, url: str, *args: Any) -> EgressResponse:
            asked.append(f"{method} {url}")
            answer: Any = SOUND["emails"] if url.endswith("/emails") else {**SOUND["token"], **SOUND["user"]}
            return EgressResponse(200, Headers({}), json.dumps(answer).encode(), True)

    login = GitHubLogin("client", "secret", "https://app.example/callback", MemoryLoginStore(), http=Watched())
    start = login.begin()
    assert start.url.startswith("https://github.com/login/oauth/authorize?")
    state = parse_qs(urlsplit(start.url).query)["state"][0]
    identity = login.complete(f"code=c&state={state}", jar(start))
    assert (identity.issuer, identity.subject, identity.return_to) == ("https://github.com", "17", "/")
    assert asked == [
        "POST https://github.com/login/oauth/access_token",
        "GET https://api.github.com/user",
        "GET https://api.github.com/user/emails",
    ]


@pytest.mark.parametrize("parts", PARTS)
def test_parts_that_do_not_fit(parts: dict[str, Any]) -> None:
    given = {
        "client_id": "c",
        "client_secret": "s",
        "redirect_uri": "https://app.example/cb",
        "store": MemoryLoginStore(),
    }
    assert GitHubLogin(**given).issuer == "https://github.com"
    with pytest.raises(ConfigurationError):
        GitHubLogin(**{**given, **parts})
