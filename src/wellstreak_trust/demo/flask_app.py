"""The host on Flask."""

import re
from typing import Any

import flask

from wellstreak_trust.adapters.flask import TrustExtension, assert_all_routes_declared, facts_of, guarded, public
from wellstreak_trust.adapters.pages.flask import operator_page
from wellstreak_trust.core import drive

from .calls import Call, Reply, Route
from .host import Host
from .routes import ROUTES


def make_app(host: Host) -> flask.Flask:
    """The host as an application of this framework; refuses to start with an undeclared route."""
    app = flask.Flask(__name__, static_folder=None)
    TrustExtension(host.trust).init_app(app)
    for number, route in enumerate(ROUTES):
        path = re.sub(r"\{(\w+)\}", r"<\1>", route.path)
        view = _view(host, route)
        app.add_url_rule(path, f"{route.handler.__name__}_{number}", view, methods=[route.method])
    app.register_blueprint(operator_page(host.console), url_prefix="/operators")
    assert_all_routes_declared(app)
    return app


def _view(host: Host, route: Route) -> Any:
    def call(grant: Any = None) -> Call:
        params = dict(flask.request.view_args or {})
        return Call(host, facts_of(), params, flask.request.get_data(), grant)

    if route.operation is None:

        @public(route.public)
        def open_view(**params: str) -> flask.Response:
            return _respond(drive(route.handler(call())))

        return open_view

    resource = route.resource
    fetch = (lambda request: resource(call())) if resource is not None else None

    @guarded(route.operation, resource=fetch)
    def view(grant: Any, **params: str) -> flask.Response:
        return _respond(drive(route.handler(call(grant))))

    return view


def _respond(reply: Reply) -> flask.Response:
    return flask.Response(reply.body, reply.status, [*reply.headers, ("Content-Type", reply.media)])
