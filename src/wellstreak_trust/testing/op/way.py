"""The way to a provider that goes by another name than its address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from ...core.egress import EgressResponse
from ...identity.documents import HttpWay, default_way

__all__ = ["Way"]


class Way:
    """An `HttpWay` that knows where the provider really listens."""

    def __init__(self, issuer: str, url: str, timeout: timedelta = timedelta(seconds=5)) -> None:
        self._issuer: str = issuer
        self._url: str = url
        self._way: HttpWay = default_way(timeout, private=True)

    def send(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> EgressResponse:
        """As `HttpWay.send`."""
        if url.startswith(self._issuer):
            url = self._url + url.removeprefix(self._issuer)
        return self._way.send(method, url, headers, body)
