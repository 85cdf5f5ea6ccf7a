"""What is WSGI's and ASGI's own, without a framework: PEP 3333 to the letter, mounts, lifespans, odd endings."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest
from small import READ, WRITE, Small, tenant_now
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from ways import HOST, call_asgi, call_wsgi

from wellstreak_trust import Operation
from wellstreak_trust.adapters import asgi, starlette, wsgi
from wellstreak_trust.core.errors import ConfigurationError, InvalidRequest
from wellstreak_trust.origin import CorsPolicy, SecurityHeaders
from wellstreak_trust.tenancy import current_tenant
from wellstreak_trust.testing import signer
from wellstreak_trust.webhooks import MemoryReplayStore, Receiver, ReplayGuard, read_body


@pytest.fixture
def small() -> Small:
    return Small()


class Server:
    """Keeps what a WSGI server is told, and refuses what it must refuse."""

    def __init__(self, *, lax: bool = False) -> None:
        self.lax: bool = lax  # as servers must not be
        self.starts: list[tuple[str, list[tuple[str, str]]]] = []
        self.sent: list[bytes] = []

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info is not None and self.sent and not self.lax:
            raise exc_info[1]
        assert exc_info is not None or not self.starts, "started twice"
        self.starts.append((status, headers))
        return self.sent.append

    def run(self, app: Any, small: Small, path: str = "/w/acme/x", method: str = "GET", **given: Any) -> None:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": HOST,
            "SERVER_PORT": "443", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "203.0.113.9",
            "wsgi.version": (1, 0), "wsgi.url_scheme": "https", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
            "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False, **given,
        }  # fmt: skip
        for name, value in small.lines():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        body = app(environ, self.start)
        try:
            self.sent.extend(piece for piece in body if piece)
        finally:
            getattr(body, "close", lambda: None)()

    @property
    def status(self) -> int:
        return int(self.starts[-1][0][:3])


class Steps:
    """A body, and whether it was closed."""

    def __init__(self, *steps: Any) -> None:
        self.steps, self.closed = iter(steps), ""

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> bytes:
        step = next(self.steps)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed += tenant_now()


def answering(body: Any) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body

    return app


@pytest.mark.parametrize("before", [(), (b"",), (b"", b"")])
def test_a_refusal_before_the_first_byte_takes_the_answers_place(small: Small, before: tuple[bytes, ...]) -> None:
    server, body = Server(), Steps(*before, InvalidRequest("a detail nobody may see"), b"never")
    server.run(wsgi.TrustMiddleware(wsgi.guarded(READ)(answering(body)), small.trust), small)
    assert [status for status, _ in server.starts] == ["200 OK", "400 Bad Request"]
    assert b"nobody" not in b"".join(server.sent)
    assert dict(server.starts[-1][1])["Content-Type"] == "application/problem+json"
    assert body.closed == "acme"
    assert small.trail() == ["notes.read attempted", "notes.read failure"]


@pytest.mark.parametrize("lax", [False, True])
def test_a_refusal_after_it_cuts_the_connection(small: Small, lax: bool) -> None:
    server, body = Server(lax=lax), Steps(b"half", InvalidRequest("too late"))
    with pytest.raises(InvalidRequest):
        server.run(wsgi.TrustMiddleware(wsgi.guarded(READ)(answering(body)), small.trust), small)
    assert (len(server.starts), server.sent, body.closed) == (1, [b"half"], "acme")
    assert small.trail() == ["notes.read attempted", "notes.read failure"]


@pytest.mark.parametrize("lax", [False, True])
def test_what_was_written_the_old_way_counts_as_begun(small: Small, lax: bool) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"half")
        raise InvalidRequest("too late")

    server = Server(lax=lax)
    with pytest.raises(InvalidRequest):
        server.run(wsgi.TrustMiddleware(wsgi.public("a test")(app), small.trust), small)
    assert server.sent == [b"half"]


def test_the_hosts_own_errors_pass(small: Small) -> None:
    app = wsgi.TrustMiddleware(wsgi.guarded(READ)(lambda environ, start: [1 / 0]), small.trust)  # type: ignore[list-item]  # raises
    with pytest.raises(ZeroDivisionError):
        Server().run(app, small)
    assert small.trail() == ["notes.read attempted", "notes.read error"]
    assert current_tenant() is None


def test_a_host_that_starts_again_with_its_own_error_page_is_recorded_by_that(small: Small) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError("mine")
        except ValueError:
            start_response("500 Internal Server Error", [], sys.exc_info())
        return [b"sorry"]

    server = Server()
    server.run(wsgi.TrustMiddleware(wsgi.guarded(READ)(app), small.trust), small)
    assert (server.status, server.sent) == (500, [b"sorry"])
    assert small.trail() == ["notes.read attempted", "notes.read error"]


def test_wsgirefs_validator_has_nothing_to_say(small: Small) -> None:
    def generated(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield tenant_now().encode()
        yield b"."

    whole = validator(wsgi.TrustMiddleware(validator(wsgi.guarded(READ)(generated)), small.trust))
    assert call_wsgi(whole, "GET", "/w/acme/x", small.lines(), b"").body == b"acme."
    assert call_wsgi(whole, "GET", "/w/evil/x", small.lines(), b"").status == 404


def test_lists_stay_lists_so_that_servers_know_their_length(small: Small) -> None:
    app = wsgi.TrustMiddleware(wsgi.guarded(READ)(answering([b"x"])), small.trust)
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/w/acme/x", "wsgi.url_scheme": "https"}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in small.lines()}
    assert app(environ, Server().start) == [b"x"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"CONTENT_LENGTH": "3"}, b"abc"), ({"CONTENT_LENGTH": ""}, b""), ({}, b""), ({"CONTENT_LENGTH": "x"}, b""),
        ({"CONTENT_LENGTH": "-1"}, b""), ({"CONTENT_LENGTH": "9"}, b"abcdef"),
        ({"wsgi.input_terminated": True}, b"abcdef"),
    ],
)  # fmt: skip
def test_a_body_ends_where_its_request_does(given: dict[str, Any], found: bytes) -> None:
    body = wsgi.Body({"wsgi.input": io.BytesIO(b"abcdef"), **given})
    assert read_body(body, limit=100) == found


def test_preflights_headers_and_nonces(small: Small) -> None:
    with_cors = Small(cors=CorsPolicy(["https://app.example.com"]), security_headers=SecurityHeaders.strict())

    def page(environ: Any, start_response: Any) -> list[bytes]:
        nonce = wsgi.csp_nonce(environ)
        assert nonce == wsgi.csp_nonce(environ)
        start_response("200 OK", [])
        return [f"{nonce} {wsgi.facts_of(environ).method}".encode()]

    app = wsgi.TrustMiddleware(wsgi.public("a test")(page), with_cors.trust)
    origin = ("Origin", "https://app.example.com")
    asked = call_wsgi(app, "OPTIONS", "/", [("Host", HOST), origin, ("Access-Control-Request-Method", "PUT")], b"")
    assert (asked.status, asked.header("content-length")) == (204, None)
    answer = call_wsgi(app, "GET", "/", [("Host", HOST), origin], b"")
    nonce, method = answer.body.decode().split()
    assert f"'nonce-{nonce}'" in (answer.header("content-security-policy") or "")
    assert (answer.header("access-control-allow-origin"), method) == ("https://app.example.com", "GET")


def test_routes_and_misplaced_calls() -> None:
    small = Small()
    silent = answering([b""])
    parts = {"/a": wsgi.guarded(READ)(silent), "/b": wsgi.public("x")(silent), "/c": silent}
    app = wsgi.TrustMiddleware(silent, small.trust)
    with pytest.raises(ConfigurationError, match="undeclared routes: /c"):
        wsgi.assert_all_routes_declared(app, parts)
    assert wsgi.assert_all_routes_declared(app, parts, public={"/c": "because"}) == ()
    assert app.trust is small.trust
    with pytest.raises(ConfigurationError) as caught:
        wsgi.assert_all_routes_declared(app, {"/x": wsgi.guarded(Operation("x", "notes:reed"))(silent)})
    assert caught.value.reason == "unknown_permission"
    for call in (wsgi.facts_of, wsgi.csp_nonce, wsgi.current_grant):
        with pytest.raises(ConfigurationError, match="no Trust in this app"):
            call({})
    opened = wsgi.TrustMiddleware(wsgi.public("x")(lambda e, s: [str(wsgi.current_grant(e)).encode()]), small.trust)
    server = Server()
    server.run(opened, small)
    assert (server.status, b"grant" in b"".join(server.sent)) == (500, False)
    with pytest.raises(ConfigurationError) as caught:
        wsgi.public("twice")(parts["/a"])
    assert caught.value.reason == "declared_twice"


def test_wsgi_refuses_stores_that_suspend(small: Small) -> None:
    class Later:
        suspends = True

        async def aauthenticate(self, facts: Any) -> Any: ...

    with pytest.raises(ConfigurationError) as caught:
        wsgi.TrustMiddleware(answering([]), Small(authenticator=Later()).trust)
    assert caught.value.reason == "store_suspends"


# --- ASGI ------------------------------------------------------------------------------------------------------------


def test_a_mounted_application_is_guarded_as_it_stands(small: Small) -> None:
    async def files(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"{tenant_now()} {asgi.current_grant(scope).operation.name}")(scope, receive, send)

    app = Starlette(routes=[Mount("/w/{t}/files", app=asgi.guarded(READ)(files))])
    app.add_middleware(starlette.TrustMiddleware, trust=small.trust)
    starlette.assert_all_routes_declared(app)
    assert asyncio.run(call_asgi(app, "GET", "/w/acme/files/a", small.lines(), b"")).body == b"acme notes.read"
    assert asyncio.run(call_asgi(app, "GET", "/w/acme/files/a", small.lines("eve"), b"")).status == 404
    bare = Starlette(routes=[Mount("/w/{t}/files", app=files)])
    with pytest.raises(ConfigurationError, match=r"/w/\{t\}/files"):
        starlette.assert_all_routes_declared(bare)


@pytest.mark.parametrize("decorate", [asgi.guarded(READ), asgi.public("a test")])
def test_a_lifespan_passes_a_guarded_root(small: Small, decorate: Any) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(asgi.TrustMiddleware(decorate(app), small.trust)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]  # not called
    assert seen == ["lifespan"]


def test_a_cancelled_request_is_recorded_and_given_back() -> None:
    small = Small(limit=1)
    inside = asyncio.Event()

    @asgi.guarded(WRITE)
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        inside.set()
        await asyncio.sleep(3600)

    async def main() -> None:
        for _ in range(2):
            request = asyncio.create_task(
                call_asgi(asgi.TrustMiddleware(slow, small.trust), "POST", "/w/acme/x", small.lines(), b"")
            )
            await inside.wait()
            inside.clear()
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request
            assert small.trail()[-1] == "notes.written error"

    asyncio.run(main())


def test_a_webhook_whose_client_leaves_in_the_middle_is_not_taken(small: Small) -> None:
    taken: list[Any] = []
    stripe = signer("stripe")
    sent = stripe.sign(b'{"id": "evt_1"}')
    receiver = Receiver(stripe.verifier(), ReplayGuard(MemoryReplayStore()))

    async def handle(delivery: Any) -> None:
        taken.append(delivery)

    messages = [{"type": "http.request", "body": sent.body[:5], "more_body": True}, {"type": "http.disconnect"}]
    answers: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in sent.headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/in", "query_string": b"", "headers": headers}
    asyncio.run(asgi.webhook(receiver)(handle)(scope, receive, send))
    assert (answers[0]["status"], taken) == (400, [])


def test_generators_and_second_declarations_are_refused() -> None:
    async def steps(scope: Any, receive: Any, send: Any) -> Any:
        yield b""

    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    for decorate in (asgi.guarded(READ), asgi.public("x")):
        with pytest.raises(ConfigurationError) as caught:
            decorate(steps)  # type: ignore[arg-type]  # what is refused
        assert caught.value.reason == "guarded_generator"
    with pytest.raises(ConfigurationError) as caught:
        asgi.public("x")(asgi.guarded(READ)(app))
    assert caught.value.reason == "declared_twice"
    with pytest.raises(ConfigurationError, match="/a"):
        asgi.assert_all_routes_declared(asgi.TrustMiddleware(app, Small().trust), {"/a": app})


@pytest.mark.parametrize(
    ("messages", "outcome"),
    [
        ([{"type": "websocket.close", "code": 1000}], "denied"),  # which servers answer with 403
        ([{"type": "websocket.http.response.start", "status": 404, "headers": []}], "failure"),
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], "success"),
    ],
)
def test_a_handshake_that_the_application_refuses_is_recorded_so(
    small: Small, messages: list[dict[str, Any]], outcome: str
) -> None:
    @asgi.guarded(WRITE)
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    async def send(message: Any) -> None: ...

    lines = [("Host", HOST), small.cookie("ada"), ("Origin", f"https://{HOST}")]
    scope = {
        "type": "websocket", "scheme": "wss", "path": "/w/acme/ws", "query_string": b"",
        "client": ("203.0.113.9", 5), "headers": [(name.lower().encode(), value.encode()) for name, value in lines],
    }  # fmt: skip
    asyncio.run(asgi.TrustMiddleware(app, small.trust)(scope, None, send))  # type: ignore[arg-type]  # not asked
    assert small.trail() == ["notes.written attempted", f"notes.written {outcome}"]
