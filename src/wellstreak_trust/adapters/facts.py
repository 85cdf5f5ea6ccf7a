"""From a WSGI environment or an ASGI scope to `RequestFacts`.

The URL is put together from parts that a client cannot move: a Host field that is no authority counts as absent, or
``Host: x/w/evil`` would put another tenant's path in front of the one that was routed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from ..core.address import UNIX, ClientAddress
from ..core.http import Headers, RequestFacts

__all__ = ["FactsReader", "lines_of"]

_PATH_SAFE: Final = "/:@!$&'()*+,;=-._~"
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9/:@!$&'()*+,;=._~%-]*")
_SECURE: Final = {"http": "https", "https": "https", "ws": "wss", "wss": "wss"}
_CLEAR: Final = {secure: clear for clear, secure in _SECURE.items() if clear != secure}
# Starlette's TestClient calls itself so; no server does, because a peer is an address.
_TEST_CLIENT: Final = "testclient"


class FactsReader:
    """Reads requests for one application.

    Args:
        proxies: whose ``X-Forwarded-Proto`` (one line, ``http`` or ``https``) replaces the scheme. Others may send it
            and change nothing.
        scheme_is_trusted: False where TLS ends at a proxy that is not configured, so that ``http`` may be ``https``.
        forwarded_host: let those proxies replace the URL's host by ``X-Forwarded-Host``, for proxies that set it on
            every request. The Host field itself is never touched.
    """

    def __init__(self, proxies: ClientAddress, *, scheme_is_trusted: bool = True, forwarded_host: bool = False) -> None:
        self._proxies: ClientAddress = proxies
        self._scheme_is_trusted: bool = scheme_is_trusted
        self._forwarded_host: bool = forwarded_host

    def asgi(self, scope: Mapping[str, Any], *, route: str | None = None) -> RequestFacts:
        """Facts of an ASGI scope; header lines stay apart, as ASGI hands them over."""
        raw = scope.get("raw_path")
        path = raw.decode("latin-1") if raw else quote(scope.get("path", ""), safe=_PATH_SAFE, errors="replace")
        return self._facts(
            scope.get("method", "GET"),
            (scope.get("scheme", "http"), path, _query(scope.get("query_string", b""))),
            Headers(scope.get("headers", ())),
            _asgi_peer(scope),
            route,
        )

    def wsgi(self, environ: Mapping[str, Any], *, route: str | None = None) -> RequestFacts:
        """Facts of a WSGI environment; servers have joined repeated lines by commas already (PEP 3333)."""
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        peer = environ.get("REMOTE_ADDR")
        return self._facts(
            environ.get("REQUEST_METHOD", "GET"),
            (
                environ.get("wsgi.url_scheme", "http"),
                quote(path.encode("latin-1", "replace"), safe=_PATH_SAFE),
                environ.get("QUERY_STRING", ""),
            ),
            Headers(lines_of(environ)),
            UNIX if peer == "" else peer,  # servers on a Unix socket have no address to give
            route,
        )

    def _facts(
        self, method: str, place: tuple[str, str, str], headers: Headers, peer: str | None, route: str | None
    ) -> RequestFacts:
        scheme, path, query = place
        host = _only(headers, "host")
        if self._proxies.trusts(peer):
            scheme = _forwarded_scheme(scheme, _only(headers, "x-forwarded-proto"))
            host = (_only(headers, "x-forwarded-host") if self._forwarded_host else "") or host
        return RequestFacts(
            method,
            _url(scheme, host, path, query),
            headers,
            peer=peer,
            route=route,
            scheme_is_trusted=self._scheme_is_trusted,
        )


def lines_of(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The header lines of a WSGI environment."""
    lines = [(key[5:].replace("_", "-").title(), value) for key, value in environ.items() if key[:5] == "HTTP_"]
    lines += [
        (name, environ[key])
        for key, name in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length"))
        if environ.get(key)
    ]
    return lines


def _query(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("latin-1")  # text from Django's AsyncClient alone


def _asgi_peer(scope: Mapping[str, Any]) -> str | None:
    client = scope.get("client")
    if client:
        return "127.0.0.1" if client[0] == _TEST_CLIENT else str(client[0])
    server = scope.get("server")
    return UNIX if server and server[1] is None else None  # a path without port is a Unix socket (ASGI HTTP, 2.3)


def _only(headers: Headers, name: str) -> str:
    """The one line of that name; two disagreeing parties may each have read another one of several."""
    lines = headers.get_all(name)
    return lines[0] if len(lines) == 1 else ""


def _forwarded_scheme(scheme: str, said: str) -> str:
    wanted = said.strip(" \t").lower()
    if wanted == "https":
        return _SECURE.get(scheme, scheme)
    return _CLEAR.get(scheme, scheme) if wanted == "http" else scheme


def _url(scheme: str, host: str, path: str, query: str) -> str:
    authority = host if _AUTHORITY.fullmatch(host) else ""
    if not _PLAIN_PATH.fullmatch(path):
        # What ends a path in a URL must not end it here; routers match it as part of the path.
        path = "/" + quote(path.encode("latin-1", "replace"), safe=_PATH_SAFE + "%").removeprefix("/")
    return f"{scheme}://{authority}{path}" + (f"?{query}" if query else "")
