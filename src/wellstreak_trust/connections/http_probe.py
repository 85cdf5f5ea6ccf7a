"""`HttpProbe`: one authenticated request to a provider, that cannot be turned against the host (see `core.egress`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from ..core.egress import Egress, EgressFailed, EgressResponse
from ..core.errors import ConfigurationError
from .probe import Kind, ProbeContext, ProbeResult

__all__ = ["HttpProbe"]

_BY_STATUS: Final = {401: "unauthorized", 403: "forbidden", 429: "rate_limited"}


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Asks a URL with the connection's secret.

    Args:
        name: unique within the provider.
        url: https (or http where `allow_private`).
        kind: ``"auth"`` counts as proof; choose an endpoint that answers 401 without a good credential.
        timeout: deadline around resolving, connecting and reading.
        header, prefix: where the secret goes; an empty header sends none.
        ok: accepted status codes.
        allow_private: permit loopback and private addresses, for self-hosted providers and tests.
        scopes: what the credential must be allowed; the provider lists it in `scope_header`, by commas or spaces.
    """

    name: str
    url: str
    kind: Kind = "auth"
    timeout: timedelta = timedelta(seconds=5)
    method: str = "GET"
    header: str = "Authorization"
    prefix: str = "Bearer "
    ok: range = range(200, 300)
    allow_private: bool = False
    scopes: tuple[str, ...] = ()
    scope_header: str = "X-OAuth-Scopes"
    required: bool = True
    blocking: bool = True

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.username is not None:
            raise ConfigurationError("the probe's url is not https://host/...", reason="probe_url")
        if parts.scheme == "http" and not self.allow_private:
            raise ConfigurationError(
                "a probe over plain http would send the credential in clear", hint="use https", reason="probe_url"
            )

    async def run(self, context: ProbeContext) -> ProbeResult:
        """One request; blocks, so the async face runs it in a worker thread."""
        begun = context.clock.monotonic_ns()
        result = self._ask(context)
        return ProbeResult(
            result.outcome,
            result.code,
            result.detail,
            timedelta(microseconds=(context.clock.monotonic_ns() - begun) // 1000),
            context.clock.now(),
            result.retry_after,
        )

    def _ask(self, context: ProbeContext) -> ProbeResult:
        way = Egress(context.clock, self.timeout, allow_private=self.allow_private)
        try:
            return self._meaning(way.send(self.method, self.url, self._headers(context)))
        except EgressFailed as failed:
            return ProbeResult("fail", failed.code)

    def _headers(self, context: ProbeContext) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "wellstreak-trust-probe"}
        if context.secret is not None and self.header:
            value = context.secret.reveal()
            headers[self.header] = self.prefix + (value if isinstance(value, str) else value.decode("latin-1"))
        return headers

    def _meaning(self, response: EgressResponse) -> ProbeResult:
        status = response.status
        if status in self.ok:
            granted = (response.headers.get(self.scope_header) or "").replace(",", " ").split()
            return ProbeResult("ok") if set(self.scopes) <= set(granted) else ProbeResult("fail", "insufficient_scope")
        wait = response.headers.get("Retry-After") or ""
        seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else None
        retry = timedelta(seconds=min(seconds, 86_400)) if seconds is not None else None
        if status in _BY_STATUS:
            return ProbeResult("fail", _BY_STATUS[status], f"status {status}", retry_after=retry)
        if 300 <= status < 400:
            return ProbeResult("fail", "redirected", f"status {status}")
        return ProbeResult(
            "fail", "server_error" if status >= 500 else "bad_response", f"status {status}", retry_after=retry
        )
