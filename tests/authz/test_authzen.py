"""AuthZEN 1.0 over HTTP: evaluation, batch and search, by WSGI and by ASGI, and what hostile requests get."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any
from wsgiref.validate import validator

import pytest

from borrowed import policy, user
from wellstreak_trust.authz import AuthZen
from wellstreak_trust.authz.authzen import Entity
from wellstreak_trust.core import ConfigurationError, RequestFacts
from wellstreak_trust.core.errors import StoreUnavailable

URL = "https://pdp.example.com"
PEOPLE = {"ada": user("ada", "member"), "bo": user("bo", "owner"), "cy": user("cy", "member", tenant="t2")}
DOCS = {
    f"d{n}": {"type": "doc", "id": f"d{n}", "tenant_id": "t1", "owner_id": "ada" if n % 2 else "bo"} for n in range(6)
}
ASKED = {
    "subject": {"type": "user", "id": "ada"},
    "action": {"name": "docs:update"},
    "resource": {"type": "doc", "id": "d1"},
}
Ask = Callable[..., tuple[int, Any]]


def subject(entity: Entity) -> Any:
    if entity.id == "down":
        raise StoreUnavailable("secret address of the database")
    return PEOPLE.get(entity.id)


def admits(facts: RequestFacts) -> bool:
    return facts.headers.get("authorization") == "Bearer pep"


def make(**more: Any) -> AuthZen:
    given: dict[str, Any] = {
        "url": URL, "admits": admits, "subject": subject, "resource": lambda entity: DOCS.get(entity.id),
        "subjects": lambda sought: [Entity("user", id) for id in PEOPLE] + [Entity("robot", "bo")],
        "resources": lambda sought, asker: [Entity("doc", id) for id in DOCS],
    }  # fmt: skip
    return AuthZen(policy(), **{**given, **more})


def by_wsgi(
    app: AuthZen, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "x",
        "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": str(len(body)), "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    for name, value in headers.items():
        environ["CONTENT_TYPE" if name == "Content-Type" else f"HTTP_{name.upper().replace('-', '_')}"] = value
    seen: list[Any] = []
    answer = validator(app.wsgi)(environ, lambda status, fields, exc=None: seen.append((status, fields)))
    shown = b"".join(answer)
    answer.close()
    status, fields = seen[0]
    return int(status[:3]), dict(fields), shown


def by_asgi(
    app: AuthZen, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    chunks = [{"type": "http.request", "body": body[:7], "more_body": True}, {"type": "http.request", "body": body[7:]}]
    sent: list[Any] = []

    async def receive() -> Any:
        return chunks.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": "/mnt" + path, "root_path": "/mnt", "headers": fields}
    asyncio.run(app.asgi(scope, receive, send))
    start, shown = sent
    return start["status"], {name.decode().title(): value.decode() for name, value in start["headers"]}, shown["body"]


@pytest.fixture(params=[by_wsgi, by_asgi], ids=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest) -> Ask:
    def post(
        message: Any, path: str = "evaluation", app: AuthZen | None = None, method: str = "POST", **headers: str
    ) -> Any:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        fields = {"Content-Type": "application/json", "Authorization": "Bearer pep"} | headers
        target = path if path.startswith("/") else f"/access/v1/{path}"
        status, seen, shown = request.param(app or make(), method, target, body, fields)
        kind = {name.title(): value for name, value in seen.items()}["Content-Type"]
        assert kind == ("application/json" if status == 200 else "application/problem+json")
        return status, json.loads(shown)

    return post


# --- evaluation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, None), ({"resource": {"type": "doc", "id": "d2"}}, "condition_failed"),
        ({"action": {"name": "billing:read"}}, "no_grant"), ({"action": {"name": "docs:*"}}, "unknown_permission"),
        ({"subject": {"type": "user", "id": "cy"}}, "not_found"),
        ({"resource": {"type": "doc", "id": "x"}}, "not_found"),
        ({"subject": {"type": "user", "id": "nobody"}}, "unauthenticated"),
        ({"subject": {"type": "user", "id": "down"}}, "evaluation_error"),
        ({"subject": {"type": "user", "id": "ada", "properties": {"roles": ["owner"]}},
          "action": {"name": "docs:purge"}}, "no_grant"),
        ({"subject": {"type": "user", "id": "bo"}, "action": {"name": "refunds:create"}}, "approval_required"),
    ],
)  # fmt: skip
def test_evaluation(ask, change, code):
    denied = {"decision": False, "context": {"code": code}}
    assert ask({**ASKED, **change}) == (200, {"decision": True} if code is None else denied)


def test_the_resource_may_be_taken_from_the_request(ask):
    app = make(resource=Entity.as_resource)
    claimed = {"type": "doc", "id": "n1", "properties": {"tenant_id": "t1", "owner_id": "ada", "type": "x", "id": "y"}}
    assert ask({**ASKED, "resource": claimed}, app=app) == (200, {"decision": True})
    assert ask({**ASKED, "resource": {"type": "doc", "id": "n1"}}, app=app)[1]["context"] == {"code": "not_found"}


def test_no_rule_is_told(ask):
    frozen = {"type": "doc", "id": "d1", "properties": {"tenant_id": "t1", "frozen": True}}
    _, answer = ask({**ASKED, "resource": frozen}, app=make(resource=Entity.as_resource))
    assert answer == {"decision": False, "context": {"code": "forbidden_by_rule"}}


# --- batch -----------------------------------------------------------------------------------------------------------

BATCH = [{"resource": {"type": "doc", "id": id}} for id in ("d1", "d2", "d3")]


@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [(None, [True, False, True]), ("execute_all", [True, False, True]), ("deny_on_first_deny", [True, False]),
     ("permit_on_first_permit", [True])],
)  # fmt: skip
def test_batch(ask, semantic, decisions):
    options = {} if semantic is None else {"options": {"evaluations_semantic": semantic}}
    status, answer = ask({**ASKED, "evaluations": BATCH, **options}, "evaluations")
    assert (status, [one["decision"] for one in answer["evaluations"]]) == (200, decisions)
    assert set(answer) == {"evaluations"}


def test_a_batch_of_nothing_is_one_evaluation(ask):
    assert ask(ASKED, "evaluations") == ask({**ASKED, "evaluations": []}, "evaluations") == (200, {"decision": True})


def test_what_is_malformed_in_a_batch_is_denied_by_itself(ask):
    items = [{}, {"action": None}, 7, {"subject": {"type": "user"}}, {"context": []}, {"action": {"name": "docs:read"}}]
    _, answer = ask({**ASKED, "evaluations": items}, "evaluations")
    assert [one["decision"] for one in answer["evaluations"]] == [True, False, False, False, False, True]
    error = {"status": 400, "message": "Invalid request"}
    assert all(one["context"]["error"] == error for one in answer["evaluations"][1:5])


# --- search ----------------------------------------------------------------------------------------------------------


def test_search(ask):
    read = {
        "action": {"name": "docs:read"},
        "resource": {"type": "doc", "id": "d1"},
        "subject": {"type": "user", "id": "?"},
    }
    people = [{"type": "user", "id": "ada"}, {"type": "user", "id": "bo"}]
    assert ask(read, "search/subject") == (200, {"page": {"next_token": "", "count": 2}, "results": people})
    mine = ask({**ASKED, "resource": {"type": "doc"}}, "search/resource")[1]["results"]
    assert [one["id"] for one in mine] == ["d1", "d3", "d5"]
    names = ask({**ASKED, "action": {"name": "ignored"}}, "search/action")[1]["results"]
    assert names == [{"name": "docs:read"}, {"name": "docs:update"}]
    for path, missing in (("search/action", "x"), ("search/subject", "x")):
        assert ask({**ASKED, "resource": {"type": "doc", "id": missing}}, path)[1]["results"] == []


@pytest.mark.parametrize(("path", "count"), [("search/resource", 3), ("search/action", 2), ("search/subject", 2)])
def test_pages_join_to_the_whole(ask, path, count):
    whole = ask(ASKED, path)[1]["results"]
    assert len(whole) == count
    for limit in (1, 2):
        found, token = [], ""
        while True:
            _, answer = ask({**ASKED, "page": {"limit": limit, "token": token}}, path)
            assert answer["page"]["count"] == len(answer["results"]) <= limit
            found += answer["results"]
            token = answer["page"]["next_token"]
            if not token:
                break
        assert found == whole
    foreign = ask({**ASKED, "page": {"limit": 1}}, path)[1]["page"]["next_token"] or "1.0123456789abcdef"
    assert ask({**ASKED, "context": {}, "page": {"token": foreign}}, path)[0] == 400


def test_results_hold_when_asked_again(ask):
    for path, key in (("search/resource", "resource"), ("search/action", "action"), ("search/subject", "subject")):
        for one in ask(ASKED, path)[1]["results"]:
            assert ask({**ASKED, key: one})[1] == {"decision": True}


def test_a_search_that_fails_never_looks_complete(ask):
    def down(*_: object) -> Any:
        raise OSError("10.0.0.7 refused")

    for app in (make(subjects=down), make(resource=down)):
        status, answer = ask(ASKED, "search/subject", app=app)
        assert (status, answer["code"]) == (503, "unavailable")
        assert "10.0.0.7" not in json.dumps(answer)


# --- configuration ---------------------------------------------------------------------------------------------------


def test_configuration_needs_no_credential(ask):
    expected = {
        "policy_decision_point": URL,
        "access_evaluation_endpoint": f"{URL}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{URL}/access/v1/evaluations",
        "search_action_endpoint": f"{URL}/access/v1/search/action",
        "search_subject_endpoint": f"{URL}/access/v1/search/subject",
        "search_resource_endpoint": f"{URL}/access/v1/search/resource",
    }
    path = "/.well-known/authzen-configuration"
    assert ask(b"", path, method="GET", Authorization="none") == (200, expected)
    bare = make(subjects=None, resources=None)
    _, answer = ask(b"", path, app=bare, method="GET")
    assert set(expected) - set(answer) == {"search_subject_endpoint", "search_resource_endpoint"}
    assert ask(ASKED, "search/subject", app=bare)[0] == 404


@pytest.mark.parametrize("url", ["http://pdp.example.com", "pdp", "", "https://", "https://x/?a=1", "https://x/#a",
                                 "https://u@x/", None])  # fmt: skip
def test_a_decision_point_has_a_proper_name(url):
    with pytest.raises(ConfigurationError):
        make(url=url)


# --- hostile requests ------------------------------------------------------------------------------------------------

HOSTILE: list[Any] = [
    b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 50_000,
    b'{"subject": {}, "subject": {}}', b'{"a": ' + b"9" * 10_000 + b"}", {}, {**ASKED, "subject": None},
    {**ASKED, "subject": {"type": "user"}}, {**ASKED, "subject": {"type": "user", "id": 7}},
    {**ASKED, "subject": {"type": "", "id": "ada"}}, {**ASKED, "subject": {"type": "user", "id": "a" * 1025}},
    {**ASKED, "subject": {"type": "user", "id": "ada", "properties": []}}, {**ASKED, "subject": "ada"},
    {**ASKED, "action": "docs:read"}, {**ASKED, "action": {}}, {**ASKED, "action": {"name": ["docs:read"]}},
    {**ASKED, "resource": []}, {**ASKED, "context": "x"}, {**ASKED, "context": []},
]  # fmt: skip


@pytest.mark.parametrize("message", HOSTILE)
@pytest.mark.parametrize("path", ["evaluation", "evaluations"])
def test_what_is_not_understood_is_a_400(ask, message, path):
    status, answer = ask(message, path)
    assert (status, set(answer)) == (400, {"type", "title", "status", "code"})


@pytest.mark.parametrize(
    "change",
    [{"evaluations": {}}, {"evaluations": [{}] * 257}, {"evaluations": [{}], "options": []},
     {"evaluations": [{}], "options": {"evaluations_semantic": "any"}},
     {"evaluations": [{}], "options": {"evaluations_semantic": ["execute_all"]}}],
)  # fmt: skip
def test_batches_have_bounds(ask, change):
    assert ask({**ASKED, **change}, "evaluations")[0] == 400


@pytest.mark.parametrize(
    "page",
    [[], "x", {"limit": -1}, {"limit": True}, {"limit": 1.5}, {"limit": "9"}, {"token": 7}, {"token": "1"},
     {"token": "-1.x"}, {"token": "\u0661.x"}],
)  # fmt: skip
def test_pages_have_bounds(ask, page):
    assert ask({**ASKED, "page": page}, "search/action")[0] == 400


def test_no_depth_is_an_error_of_ours(ask):
    """Reading, and writing for the tag of a page, end at depths of their own."""
    around = json.dumps({**ASKED, "context": {"x": "HERE"}})
    found = {
        ask(around.replace('"HERE"', "[" * depth + "]" * depth).encode(), path)[0]
        for depth in (10, *range(900, 1000, 4))
        for path in ("evaluation", "search/action")
    }
    assert found == {200, 400}


def test_strangers_and_wrong_doors(ask):
    assert ask(ASKED, Authorization="Bearer x")[0] == 401
    assert ask(ASKED, app=make(admits=lambda facts: 1))[0] == 401  # only True admits
    assert ask(ASKED, "nothing")[0] == 404
    assert ask(ASKED, method="GET")[0] == 404
    assert ask(ASKED, "/access/v1/evaluation/")[0] == 404
    assert ask(ASKED, **{"Content-Type": "text/plain"})[0] == 400
    assert ask(b" " * (256 * 1024 + 1))[0] == 413
    assert ask({**ASKED, "context": {"pad": "\ud800"}}) == (200, {"decision": True})


@pytest.mark.asvs("16.5.1")
def test_an_error_of_the_host_is_a_bare_500(ask):
    def broken(facts: RequestFacts) -> bool:
        raise KeyError("tok_secret")

    status, answer = ask(ASKED, app=make(admits=broken))
    assert (status, answer["code"]) == (500, "internal_error")
    assert "tok_secret" not in json.dumps(answer)


@pytest.mark.parametrize(("sent", "kept"), [("a-1", "a-1"), ("x" * 129, None), ("a b", None)])
def test_the_request_id_comes_back(sent, kept):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer pep", "X-Request-ID": sent}
    for server in (by_wsgi, by_asgi):
        fields = server(make(), "POST", "/access/v1/evaluation", json.dumps(ASKED).encode(), headers)[1]
        assert {name.title(): value for name, value in fields.items()}.get("X-Request-Id") == kept


def test_coroutines_are_awaited_under_asgi_and_refused_under_wsgi():
    async def later(entity: Entity) -> Any:
        await asyncio.sleep(0)
        return PEOPLE.get(entity.id)

    headers = {"Content-Type": "application/json", "Authorization": "Bearer pep"}
    asked = ("POST", "/access/v1/evaluation", json.dumps(ASKED).encode(), headers)
    assert by_asgi(make(subject=later), *asked)[2] == b'{"decision":true}'
    assert by_wsgi(make(subject=later), *asked)[0] == 500


def test_a_client_that_leaves_gets_nothing():
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(make().asgi({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send))
    assert sent == []
    with pytest.raises(ConfigurationError):
        asyncio.run(make().asgi({"type": "websocket"}, receive, send))
