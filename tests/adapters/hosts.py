"""The demo's host once more, for ways in that the demo does not serve itself: Starlette, plain ASGI and plain WSGI."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from wellstreak_trust.core import drive
from wellstreak_trust.demo.calls import Call, Reply, Route
from wellstreak_trust.demo.host import Host
from wellstreak_trust.demo.routes import ROUTES

OPERATORS = "/operators"


class Table:
    """A router of a dozen lines: (method, pattern) to a part."""

    def __init__(self, parts: dict[Route, Any], operators: Any) -> None:
        self.rows = [
            (route.method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)), part)
            for route, part in parts.items()
        ]
        self.operators = operators
        self.declared = {route.method + " " + route.path: part for route, part in parts.items()}
        self.declared[OPERATORS] = operators

    def find(self, method: str, path: str) -> tuple[Any, dict[str, str]] | int:
        """The part and its parameters, or the status that says why there is none."""
        matched = [(m, part, found) for m, row, part in self.rows if (found := row.fullmatch(path)) is not None]
        for allowed, part, found in matched:
            if method in (allowed, "HEAD" if allowed == "GET" else allowed):
                return part, found.groupdict()
        return 405 if matched else 404


def wsgi_app(host: Host) -> Any:
    from wellstreak_trust.adapters.pages.wsgi import operator_page
    from wellstreak_trust.adapters.wsgi import (
        Body,
        TrustMiddleware,
        assert_all_routes_declared,
        current_grant,
        facts_of,
        guarded,
        public,
    )
    from wellstreak_trust.webhooks import read_body

    def call(environ: dict[str, Any], grant: Any = None) -> Call:
        if "test.body" not in environ:
            environ["test.body"] = read_body(Body(environ))
        return Call(host, facts_of(environ), environ["test.params"], environ["test.body"], grant)

    def part(route: Route) -> Any:
        def answered(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            grant = current_grant(environ) if route.operation is not None else None
            return respond(drive(route.handler(call(environ, grant))), start_response)

        if route.operation is None:
            return public(route.public)(answered)
        resource = route.resource
        return guarded(route.operation, resource=resource and (lambda environ: resource(call(environ))))(answered)

    def respond(reply: Reply, start_response: Any) -> list[bytes]:
        line = f"{reply.status} {HTTPStatus(reply.status).phrase}"
        start_response(line, [*reply.headers, ("Content-Type", reply.media)])
        return [reply.body]

    table = Table({route: part(route) for route in ROUTES}, operator_page(host.console))

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        if path.startswith(OPERATORS + "/"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = OPERATORS, environ["PATH_INFO"].removeprefix(OPERATORS)
            return table.operators(environ, start_response)
        found = table.find(environ["REQUEST_METHOD"], path)
        if isinstance(found, int):
            return respond(Reply({}, found), start_response)
        environ["test.params"] = found[1]
        return found[0](environ, start_response)

    whole = TrustMiddleware(app, host.trust)
    assert_all_routes_declared(whole, table.declared)
    return whole


def asgi_app(host: Host) -> Any:
    from wellstreak_trust.adapters.asgi import (
        TrustMiddleware,
        assert_all_routes_declared,
        current_grant,
        facts_of,
        guarded,
        public,
    )
    from wellstreak_trust.adapters.pages.asgi import operator_page

    async def call(scope: Any, receive: Any, grant: Any = None) -> Call:
        if "test.body" not in scope:
            scope["test.body"] = b""
            while True:
                message = await receive()
                scope["test.body"] += message.get("body", b"")
                if not message.get("more_body"):
                    break
        return Call(host, facts_of(scope), scope["test.params"], scope["test.body"], grant)

    def part(route: Route) -> Any:
        async def answered(scope: Any, receive: Any, send: Any) -> None:
            grant = current_grant(scope) if route.operation is not None else None
            await respond(await route.handler(await call(scope, receive, grant)), send)

        if route.operation is None:
            return public(route.public)(answered)
        resource = route.resource

        async def fetch(scope: Any) -> Any:
            assert resource is not None
            return await resource(await call(scope, scope["test.receive"]))

        return guarded(route.operation, resource=resource and fetch)(answered)

    async def respond(reply: Reply, send: Any) -> None:
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers]
        headers.append((b"content-type", reply.media.encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    table = Table({route: part(route) for route in ROUTES}, operator_page(host.console))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(OPERATORS + "/"):
            scope["root_path"] = OPERATORS
            await table.operators(scope, receive, send)
            return
        found = table.find(scope["method"], scope["path"])
        if isinstance(found, int):
            await respond(Reply({}, found), send)
            return
        scope["test.params"], scope["test.receive"] = found[1], receive
        await found[0](scope, receive, send)

    whole = TrustMiddleware(app, host.trust)
    assert_all_routes_declared(whole, table.declared)
    return whole


def starlette_app(host: Host) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Mount
    from starlette.routing import Route as Path

    from wellstreak_trust.adapters.pages.starlette import operator_page
    from wellstreak_trust.adapters.starlette import (
        TrustMiddleware,
        assert_all_routes_declared,
        facts_of,
        guarded,
        public,
    )

    async def call(request: Request, grant: Any = None) -> Call:
        return Call(host, facts_of(request), dict(request.path_params), await request.body(), grant)

    def respond(reply: Reply) -> Response:
        response = Response(reply.body, reply.status, media_type=reply.media)
        for name, value in reply.headers:
            response.headers.append(name, value)
        return response

    def endpoint(route: Route) -> Any:
        if route.operation is None:

            @public(route.public)
            async def opened(request: Request) -> Response:
                return respond(await route.handler(await call(request)))

            return opened
        resource = route.resource

        async def fetch(request: Request) -> Any:
            assert resource is not None
            return await resource(await call(request))

        @guarded(route.operation, resource=resource and fetch)
        async def granted(request: Request, grant: Any) -> Response:
            return respond(await route.handler(await call(request, grant)))

        return granted

    paths = [Path(route.path, endpoint(route), methods=[route.method]) for route in ROUTES]
    app = Starlette(routes=[*paths, Mount(OPERATORS, routes=operator_page(host.console))])
    app.add_middleware(TrustMiddleware, trust=host.trust)
    assert_all_routes_declared(app)
    return app
