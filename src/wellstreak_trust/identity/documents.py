"""Documents of a provider: where they may come from, and how they are read.

https only, global addresses only, no redirects, 256 KiB, one deadline around everything (`core.egress`). Where tenants
bring providers of their own, an issuer is an address that somebody else chose: it must not lead into the host's own
network, unless that is what was asked for. Plain http is for a provider on this very machine, and only where it is
asked for too: whoever can change the key set can sign in as anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from ..core.clock import SystemClock
from ..core.egress import Egress, EgressFailed, EgressResponse
from ..core.errors import ConfigurationError, InvalidToken, ProviderUnavailable
from .jws import json_object

__all__ = ["HttpWay", "asked", "checked_url", "default_way", "fetched", "json_document", "json_list"]

MAX_DOCUMENT: Final = 256 * 1024
_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))


class HttpWay(Protocol):
    """How requests leave; `core.egress.Egress` is one."""

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> EgressResponse:
        """One exchange, redirects not followed; raises `EgressFailed` and nothing else."""
        ...


def default_way(timeout: timedelta = timedelta(seconds=5), *, private: bool = False) -> HttpWay:
    """An `Egress` for documents of providers.

    Its deadline is real time, whatever clock the rest of a test runs on: a peer that drips does so in real time.

    Args:
        private: also to addresses that are not global.
    """
    return Egress(SystemClock(), timeout, MAX_DOCUMENT, allow_private=private)


def checked_url(url: object, what: str, *, loopback: bool, query: bool = True) -> str:
    """`url` itself.

    Args:
        what: names it in the error.
        loopback: permits http on 127.0.0.1, ::1 and localhost.
        query: whether it may carry one.

    Raises:
        ConfigurationError: not an absolute https URL without user information and fragment.
    """
    if isinstance(url, str) and url.isascii() and url.isprintable() and " " not in url and "\\" not in url:
        try:
            parts = urlsplit(url)
            fits = parts.scheme == "https" or (parts.scheme == "http" and loopback and parts.hostname in _LOOPBACK)
            plain = parts.hostname and parts.username is None and parts.port != 0
            if fits and plain and "#" not in url and (query or "?" not in url):
                return url
        except ValueError:  # a port or a bracket that is none
            pass
    raise ConfigurationError(
        f"{what} is not an https URL without {'fragment' if query else 'query and fragment'}",
        hint="https://..., or allow_insecure_loopback=True for http on 127.0.0.1 in tests",
        reason="url",
    )


def asked(
    way: HttpWay, what: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None
) -> EgressResponse:
    """One exchange with a provider: a POST where there is a body.

    Raises:
        ProviderUnavailable: no whole answer, or one of its own failure (status 500 and above, 429).
    """
    try:
        method = "GET" if body is None else "POST"
        answer = way.send(method, url, {"Accept": "application/json", **headers}, body)
    except EgressFailed as failed:
        raise ProviderUnavailable(f"{what}: {failed.code}", hint="can this host reach the provider?") from None
    if answer.status >= 500 or answer.status == 429 or not answer.complete:
        why = f"status {answer.status}" if answer.complete else "an answer beyond 256 KiB"
        raise ProviderUnavailable(f"{what}: {why}", hint="ask the provider, or wait")
    return answer


def fetched(way: HttpWay, what: str, url: str) -> dict[str, Any]:
    """A JSON object at an address of the provider's.

    Raises:
        ProviderUnavailable: no answer, another status than 200 (a redirect too), too long, or not a JSON object.
    """
    answer = asked(way, what, url, {})
    if answer.status != 200:
        raise ProviderUnavailable(f"{what}: status {answer.status}", hint="redirects are not followed: give the end")
    found = json_document(answer.body)
    if found is None:
        raise ProviderUnavailable(f"{what}: not a JSON object", hint="open the address: is it the right one?")
    return found


def json_document(octets: bytes) -> dict[str, Any] | None:
    """A strict JSON object, or None: no repeated members, no NaN, no nesting that exhausts the stack."""
    try:
        return json_object(octets, "document")
    except InvalidToken:
        return None


def json_list(octets: bytes) -> list[Any]:
    """A JSON list; empty where it is none."""
    try:
        found = json.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []
