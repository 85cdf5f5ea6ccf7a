"""Plain WSGI: ``operator_page(console)`` is an application, for the host to mount at a prefix (``SCRIPT_NAME``)."""

from __future__ import annotations

from collections.abc import Iterable

from ...console import VIEW_OPERATIONS, Console
from ...core.problem import ProblemResponse
from ...core.sansio import require_blocking
from ...guard import Operation
from ..wsgi import App, Environ, StartResponse, current_grant, guarded
from ..wsgi_middleware import answer

__all__ = ["operator_page"]

_SAFE = ("GET", "HEAD")


def operator_page(console: Console, operation: Operation = VIEW_OPERATIONS) -> App:
    """The page as one application, the overview at its root and the sections below.

    Raises:
        ConfigurationError: a part of the console suspends.
    """
    require_blocking(console, "WSGI", "this console")

    @guarded(operation)
    def show(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in _SAFE:
            return answer(start_response, ProblemResponse(405, (("Allow", ", ".join(_SAFE)),), b""))
        name = environ.get("PATH_INFO", "").strip("/")
        made = console.page(name, environ.get("QUERY_STRING", ""), current_grant(environ))
        return answer(start_response, ProblemResponse(made.status, made.headers, made.html.encode()))

    return show
