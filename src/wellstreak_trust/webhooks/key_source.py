"""Keys that a provider publishes: certificates and key sets, fetched from addresses that the scheme allows.

A delivery names the address or the key id, so a stranger chooses what is asked for. Therefore: the host is compared as
a parsed label with the scheme's list, https on its own port only, no redirects, 3 seconds, 64 KiB; an answer is kept,
a failure is remembered, simultaneous askers share one request, an unknown key id asks again at most once a minute,
and all addresses together at most 30 times a minute, of which made-up ones get at most half.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any, Final, Protocol

from ..core.clock import Clock, SystemClock
from ..core.egress import Egress, EgressFailed
from ..core.errors import UntrustedCertificate, WebhookKeyUnavailable
from ..core.http import Target

__all__ = ["HttpsKeys", "KeySource", "NoKeys", "load_keys", "trusted"]

_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND


class KeySource(Protocol):
    """Where documents with keys come from."""

    def fetch(self, url: str, *, ask: bytes | None = None, anew: bool = False) -> bytes:
        """The document at an address that the caller has found trustworthy.

        Args:
            ask: a JSON body to POST, for providers that hand out keys by an authenticated call.
            anew: what is kept lacks the wanted key; ask again if that was not done just now.

        Raises:
            WebhookKeyUnavailable: it cannot be had right now.
        """
        ...

    def roots(self) -> Sequence[bytes]:
        """Certificates in DER that a provider's chain must end in."""
        ...


class NoKeys:
    """A source that has nothing, for hosts whose network does not let requests out: pin the keys then."""

    def fetch(self, url: str, *, ask: bytes | None = None, anew: bool = False) -> bytes:
        """Raises `WebhookKeyUnavailable`."""
        raise WebhookKeyUnavailable("no key source is configured", hint="keys=HttpsKeys(), or pin the key in secrets=")

    def roots(self) -> Sequence[bytes]:
        """None."""
        return ()


@dataclass(slots=True)
class _Kept:
    document: bytes | None
    at: int  # monotonic nanoseconds
    lock: Lock


class HttpsKeys:
    """Fetches over https; made once and shared, because it holds the cache.

    Args:
        way: how requests leave; the default allows global addresses only.
        ttl: how long an answer is kept.
        pause: how long a failure is remembered, and the least time between two requests to one address.
        most: requests a minute to all addresses together, half of them to addresses that never answered; and how many
            addresses are kept.
        roots: certificates in DER that chains must end in; None for the system's.
    """

    def __init__(
        self,
        way: Egress | None = None,
        *,
        clock: Clock = SystemClock(),
        ttl: timedelta = timedelta(hours=24),
        pause: timedelta = timedelta(minutes=1),
        most: int = 30,
        roots: Sequence[bytes] | None = None,
    ) -> None:
        self._way: Egress = way or Egress(clock, timedelta(seconds=3))
        self._clock: Clock = clock
        self._ttl: int = int(ttl.total_seconds() * _SECOND)
        self._pause: int = int(pause.total_seconds() * _SECOND)
        self._most: int = most
        self._roots: Sequence[bytes] | None = roots
        self._lock: Lock = Lock()
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()
        self._asked: list[int] = []

    def fetch(self, url: str, *, ask: bytes | None = None, anew: bool = False) -> bytes:
        """See `KeySource`; the request of one caller serves all that wait for the same address."""
        kept = self._entry((url, ask or b""))
        with kept.lock:
            age = self._clock.monotonic_ns() - kept.at
            fresh = age < (self._pause if anew or kept.document is None else self._ttl)
            if not fresh or kept.at < 0:
                self._ask(kept, url, ask)
            if kept.document is None:
                raise WebhookKeyUnavailable("the key document cannot be had", hint="can this host reach the provider?")
            return kept.document

    def roots(self) -> Sequence[bytes]:
        """The configured certificates, or the system's."""
        if self._roots is None:
            import ssl

            self._roots = ssl.create_default_context().get_ca_certs(binary_form=True)
        return self._roots

    def _entry(self, key: tuple[str, bytes]) -> _Kept:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                while len(self._kept) >= self._most:
                    del self._kept[self._least()]
                found = self._kept[key] = _Kept(None, -1, Lock())
            self._kept.move_to_end(key)
            return found

    def _least(self) -> tuple[str, bytes]:
        """The entry to give up: one that never had a document, so that made-up addresses push no real key out."""
        return next((key for key, kept in self._kept.items() if kept.document is None), next(iter(self._kept)))

    def _ask(self, kept: _Kept, url: str, ask: bytes | None) -> None:
        now = self._clock.monotonic_ns()
        with self._lock:
            self._asked = [at for at in self._asked if now - at < _MINUTE]
            # Half is kept for addresses that have answered before.
            if len(self._asked) >= (self._most if kept.document is not None else self._most // 2):
                raise WebhookKeyUnavailable("too many key documents were asked for", hint="are deliveries forged?")
            self._asked.append(now)
        try:
            headers = {"Accept": "*/*"} | ({"Content-Type": "application/json"} if ask is not None else {})
            answer = self._way.send("GET" if ask is None else "POST", url, headers, ask)
        except EgressFailed:
            answer = None
        kept.at = now
        if answer is not None and answer.status == 200 and answer.complete:
            kept.document = answer.body  # a redirect or an error page is no key; a good one from before stays


def trusted(url: object, hosts: re.Pattern[str], paths: re.Pattern[str]) -> str:
    """The address, if it is https on its own port at an allowed host; `UntrustedCertificate` for every other."""
    if isinstance(url, str) and url.isascii() and url.isprintable() and len(url) <= 512:
        target = Target.parse(url)
        plain = target.scheme == "https" and target.port in (None, 443) and not target.query and "#" not in url
        if plain and hosts.fullmatch(target.host) and paths.fullmatch(target.path):
            return url
    raise UntrustedCertificate("keys of this provider do not come from that address")


def load_keys(document: bytes) -> list[dict[str, Any]]:
    """The keys of a JWK set (RFC 7517, 5) or of Plaid's answer; `WebhookKeyUnavailable` if it is none."""
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        found = json.loads(document)
        keys = found.get("keys", [found["key"]] if "key" in found else [found])
        if all(isinstance(key, dict) for key in keys):
            return list(keys)
    raise WebhookKeyUnavailable("the key document is no key set")
