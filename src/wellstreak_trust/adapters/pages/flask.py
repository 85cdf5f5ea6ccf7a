"""Flask: ``app.register_blueprint(operator_page(console), url_prefix="/operators")``."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ...console import VIEW_OPERATIONS, Console
from ...core.sansio import require_blocking
from ...guard import Grant, Operation
from ..flask import guarded

__all__ = ["operator_page"]


def operator_page(console: Console, operation: Operation = VIEW_OPERATIONS) -> Blueprint:
    """The page as a blueprint.

    Raises:
        ConfigurationError: a part of the console suspends.
    """
    require_blocking(console, "Flask", "this console")
    blueprint = Blueprint("operator_page", __name__)

    @blueprint.get("/")
    @blueprint.get("/<path>")
    @guarded(operation)
    def show(grant: Grant, path: str = "") -> Response:
        made = console.page(path, request.query_string.decode("latin-1"), grant)
        return Response(made.html, made.status, list(made.headers))

    return blueprint
