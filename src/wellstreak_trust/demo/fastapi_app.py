"""The host on FastAPI."""

from typing import Any

from fastapi import Depends, FastAPI, Request, Response

from wellstreak_trust.adapters.fastapi import (
    Guarded,
    TrustMiddleware,
    assert_all_routes_declared,
    facts_of,
    problems,
    public,
)
from wellstreak_trust.adapters.pages.fastapi import operator_page

from .calls import Call, Reply, Route
from .host import Host
from .routes import ROUTES


def make_app(host: Host) -> FastAPI:
    """The host as an application of this framework; refuses to start with an undeclared route."""
    app = FastAPI(openapi_url=None)
    app.add_middleware(TrustMiddleware, trust=host.trust)
    problems(app)
    for route in ROUTES:
        app.add_api_route(route.path, _endpoint(host, route), methods=[route.method], name=route.handler.__name__)
    app.include_router(operator_page(host.console), prefix="/operators")
    assert_all_routes_declared(app)
    return app


def _endpoint(host: Host, route: Route) -> Any:
    async def call(request: Request, grant: Any = None) -> Call:
        return Call(host, facts_of(request), dict(request.path_params), await request.body(), grant)

    if route.operation is None:

        @public(route.public)
        async def open_endpoint(request: Request) -> Response:
            return _respond(await route.handler(await call(request)))

        return open_endpoint

    resource = route.resource

    async def fetch(request: Request) -> Any:
        assert resource is not None
        return await resource(await call(request))

    guard = Guarded(route.operation, resource=fetch if resource is not None else None)

    wanted: Any = Depends(guard)

    async def endpoint(request: Request, grant: Any = wanted) -> Response:
        return _respond(await route.handler(await call(request, grant)))

    return endpoint


def _respond(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, media_type=reply.media)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response
