"""`EndpointRegistry`: whose endpoint a delivery came to, and with which keys it has to be signed.

::

    token in the path ─► sha256 ─► row ─► tenant, provider, public URL, key ring ─► verifier
                                    │
                 unknown, disabled ─┴─► 404

The token is the only thing a request contributes. Tenant, provider, secrets and the URL that some providers sign come
from the registry; a header or a body that names a tenant is not asked.

A secret is replaced with an overlap: the new version is accepted at once, the old one until the overlap ends.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any, Final, Protocol

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex, random_token
from ..core.errors import (
    Conflict,
    EndpointUnknown,
    RequestError,
    Unavailable,
    UsageError,
    WeakSecret,
    WebhookError,
    WebhookKeyUnavailable,
    WebhookStoreUnavailable,
)
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .challenge import ChallengeResponse
from .codecs import SecretText
from .endpoint_store import EndpointKey, EndpointRow, EndpointStatus, EndpointStore
from .event import VerifiedWebhook
from .key_source import KeySource
from .keys import SigningSecret
from .parse import HeaderSource
from .scheme import Scheme
from .schemes import lookup
from .verify import WebhookVerifier, verifier

__all__ = ["Endpoint", "EndpointRegistry", "EndpointSecrets", "RegisteredEndpoint"]

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22,128}")
_MOST_CACHED: Final = 4_096
_MOST_KEYS: Final = 4
_TRIES: Final = 8


class SecretRef(Protocol):
    """What the secret store says about a version it wrote."""

    @property
    def version(self) -> int:
        """Grows with each."""
        ...


class EndpointSecrets(Protocol):
    """Where signing secrets are kept; ``secrets.SecretStore`` is one."""

    async def aput(self, tenant_id: str, name: str, value: Any, /) -> SecretRef:
        """Stores a new version."""
        ...

    async def aget(self, tenant_id: str, name: str, /, *, version: int | None = None) -> Secret[str] | Secret[bytes]:
        """The value of a version."""
        ...


@dataclass(frozen=True, slots=True)
class RegisteredEndpoint:
    """A new endpoint. The token is shown once; what is stored does not give it back.

    Args:
        url: the address to enter at the provider, with the token in it.
    """

    id: str
    token: Secret[str]
    url: Secret[str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A resolved endpoint.

    Args:
        url: the public URL as the provider calls it, empty if none was configured.
    """

    id: str
    tenant_id: str
    provider: str
    status: EndpointStatus
    url: str = field(repr=False)  # the token stands in it
    verifier: WebhookVerifier

    def verify(
        self, headers: HeaderSource, body: bytes, *, query: str = "", method: str = "POST", now: datetime | None = None
    ) -> VerifiedWebhook:
        """As `WebhookVerifier.verify`, with the configured URL.

        Args:
            query: the request's query string, without the question mark; it takes the place of the configured one,
                because some providers put a hash of the body there (Twilio's ``bodySHA256``) and sign it.
        """
        return self.verifier.verify(headers, body, url=self._signed_url(query), method=method, now=now)

    async def averify(
        self, headers: HeaderSource, body: bytes, *, query: str = "", method: str = "POST", now: datetime | None = None
    ) -> VerifiedWebhook:
        """As `verify`; where a key may have to be fetched, in a worker thread."""
        return await self.verifier.averify(headers, body, url=self._signed_url(query), method=method, now=now)

    def challenge(
        self, method: str, query: str, headers: HeaderSource, body: bytes, *, now: datetime | None = None
    ) -> ChallengeResponse | None:
        """As `WebhookVerifier.challenge`; `query` is the request's query string, without the question mark."""
        base = (self.url or "https://endpoint.invalid/").partition("?")[0]
        return self.verifier.challenge(method, f"{base}?{query}" if query else base, headers, body, now=now)

    def _signed_url(self, query: str) -> str | None:
        return f"{self.url.partition('?')[0]}?{query}" if self.url and query else self.url or None


class EndpointRegistry:
    """Endpoints of all tenants.

    Args:
        store: `MemoryEndpointStore`, ``storage.sql.SqlEndpointStore(database)``, or your own.
        secrets: the secret store; secrets stand there as ``webhook/<endpoint id>``.
        schemes: your own schemes, beside the built-in ones.
        keys: where providers' public keys come from; see `verifier`.
        cache: how long a prepared verifier is kept; a secret that is disabled in the secret store is refused after
            that. What the registry itself changes holds at once.
        pace: least time between two notes of the same outcome of one endpoint, so that a flood of forged deliveries is
            no flood of writes.

    Raises by all verbs: `EndpointUnknown` for a token or id that is not there; `WebhookStoreUnavailable` for a store
    that is down.
    """

    def __init__(
        self,
        store: EndpointStore,
        secrets: EndpointSecrets,
        *,
        schemes: Iterable[Scheme] = (),
        keys: KeySource | None = None,
        clock: Clock = SystemClock(),
        cache: timedelta = timedelta(minutes=5),
        pace: timedelta = timedelta(seconds=10),
    ) -> None:
        self.suspends: bool = suspends(store, secrets)
        self._store: EndpointStore = store
        self._secrets: EndpointSecrets = secrets
        self._schemes: dict[str, Scheme] = {scheme.name: scheme for scheme in schemes}
        self._keys: KeySource | None = keys
        self._clock: Clock = clock
        self._cache: timedelta = cache
        self._pace: timedelta = pace
        self._lock: Lock = Lock()
        self._verifiers: OrderedDict[tuple[object, ...], tuple[datetime, WebhookVerifier]] = OrderedDict()
        self._noted: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    # --- deliveries --------------------------------------------------------------------------------------------------

    async def aresolve(self, token: str) -> Endpoint:
        """The endpoint of a token; unknown and disabled ones are the same `EndpointUnknown`, after the same look-up."""
        fits = isinstance(token, str) and _TOKEN.fullmatch(token) is not None
        row = await self._by_token(_hash(token) if fits else "")
        if row is None or row.status == "disabled":
            raise EndpointUnknown("no such endpoint", hint="was it disabled, or is the path cut off?")
        url = row.url.replace("{token}", token)
        return Endpoint(row.id, row.tenant_id, row.provider, row.status, url, await self._verifier(row, url))

    async def areceive(
        self,
        token: str,
        headers: HeaderSource,
        body: bytes,
        *,
        query: str = "",
        method: str = "POST",
        now: datetime | None = None,
    ) -> tuple[Endpoint, VerifiedWebhook]:
        """Resolves and verifies, and notes the outcome for `list`; `Receiver` does the rest as well."""
        endpoint = await self.aresolve(token)
        try:
            event = (
                await endpoint.averify(headers, body, query=query, method=method, now=now)
                if self.suspends
                else endpoint.verify(headers, body, query=query, method=method, now=now)
            )
        except WebhookError as error:
            await self.anote(endpoint.id, f"refused: {error.step}")
            raise
        await self.anote(endpoint.id, "accepted")
        return endpoint, event

    async def anote(self, id: str, outcome: str) -> None:
        """Notes the last delivery, at most every `pace`; a store that is down does not fail the delivery."""
        now = self._clock.now()
        with self._lock:
            before = self._noted.get((id, outcome))
            if before is not None and now - before < self._pace:
                return
            _bounded(self._noted)[(id, outcome)] = now
        try:
            await self._store.note(id, now, outcome)
        except Unavailable:
            return

    # --- administration ----------------------------------------------------------------------------------------------

    async def aregister(
        self, tenant_id: str, provider: str, secret: SecretText | None = None, *, url: str = ""
    ) -> RegisteredEndpoint:
        """A new endpoint.

        Args:
            secret: the signing secret; None where the provider hands it over in its handshake: the endpoint is pending
                until `rotate` brings it.
            url: the public address with ``{token}`` in it, such as ``https://hooks.example.com/in/{token}``.

        Raises:
            UnsupportedScheme, WeakSecret: as `verifier` does, before anything is stored.
            UsageError: a URL without ``{token}``.
        """
        if url and url.count("{token}") != 1:
            raise UsageError("the url has no place for the token", hint="https://hooks.example.com/in/{token}")
        scheme = self._scheme(provider)
        if secret is not None:
            verifier(scheme, [secret], keys=self._keys)
        id, token = f"ep_{random_hex(12)}", random_token()
        keys = (
            () if secret is None else (EndpointKey((await self._secrets.aput(tenant_id, _name(id), secret)).version),)
        )
        status: EndpointStatus = "pending" if secret is None else "active"
        row = EndpointRow(id, tenant_id, scheme.name, _hash(token), url, status, keys, self._clock.now())
        if not await self._swapped(row):
            raise Conflict("the endpoint's token is taken", hint="try again")
        return RegisteredEndpoint(id, Secret(token), Secret(url.replace("{token}", token)))

    async def arotate(
        self, tenant_id: str, id: str, secret: SecretText, *, overlap: timedelta = timedelta(hours=24)
    ) -> None:
        """A new secret, accepted at once; those before it until the overlap ends (zero: they end now).

        Raises:
            WeakSecret: as `verifier` does. Conflict: others keep changing the endpoint.
        """
        row = await self._by_id(tenant_id, id)
        verifier(self._scheme(row.provider), [secret], keys=self._keys)
        version = (await self._secrets.aput(tenant_id, _name(id), secret)).version
        until = self._clock.now() + overlap

        def ring(row: EndpointRow) -> EndpointRow:
            old = [EndpointKey(key.version, min(until, key.until or until)) for key in self._living(row)]
            status: EndpointStatus = "active" if row.status == "pending" else row.status
            return replace(row, keys=(EndpointKey(version), *old)[:_MOST_KEYS], status=status)

        await self._change(tenant_id, id, ring)

    async def adisable(self, tenant_id: str, id: str) -> None:
        """Deliveries are answered like those to an unknown endpoint, from now on."""
        await self._change(tenant_id, id, lambda row: replace(row, status="disabled"))

    async def aenable(self, tenant_id: str, id: str) -> None:
        """Undoes `disable`."""
        await self._change(tenant_id, id, lambda row: replace(row, status="active" if row.keys else "pending"))

    async def alist(self, tenant_id: str) -> tuple[EndpointRow, ...]:
        """The tenant's endpoints with status, key ring and last delivery, oldest first."""
        try:
            return await self._store.list(tenant_id)
        except Unavailable as error:
            raise _down(error) from None

    resolve: Final = synced(aresolve)
    receive: Final = synced(areceive)
    note: Final = synced(anote)
    register: Final = synced(aregister)
    rotate: Final = synced(arotate)
    disable: Final = synced(adisable)
    enable: Final = synced(aenable)
    list: Final = synced(alist)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _scheme(self, provider: str) -> Scheme:
        return self._schemes.get(provider) or lookup(provider)

    def _living(self, row: EndpointRow) -> tuple[EndpointKey, ...]:
        now = self._clock.now()
        return tuple(key for key in row.keys if key.until is None or key.until > now)

    async def _verifier(self, row: EndpointRow, url: str) -> WebhookVerifier:
        now = self._clock.now()
        wanted = (row.id, row.version, url)
        with self._lock:
            held = self._verifiers.get(wanted)
        if held is not None and now - held[0] < self._cache:
            return held[1]
        scheme, pending = self._scheme(row.provider), row.status == "pending"
        secrets = (_placeholder(scheme),) if pending else await self._served(row)
        try:
            made = verifier(
                scheme,
                secrets,
                clock=self._clock,
                url=url or None,
                endpoint=f"{row.tenant_id}/{row.id}",
                keys=self._keys,
                pending=pending,
            )
        except WeakSecret:
            if not pending:
                raise
            raise WebhookKeyUnavailable("the endpoint has no secret yet", hint="rotate() brings it") from None
        with self._lock:
            _bounded(self._verifiers)[wanted] = (now, made)
        return made

    async def _served(self, row: EndpointRow) -> tuple[SigningSecret, ...]:
        """The living secrets that the secret store serves; one that it holds back drops out of the ring."""
        found: tuple[SigningSecret, ...] = ()
        for key in self._living(row):
            try:
                secret = await self._secrets.aget(row.tenant_id, _name(row.id), version=key.version)
                found += (SigningSecret(secret, key.until),)
            except Unavailable as error:
                raise _down(error) from None
            except RequestError:
                continue
        if not found:
            raise WebhookKeyUnavailable("none of the endpoint's secrets is served", hint="rotate() brings a new one")
        return found

    async def _by_token(self, token_hash: str) -> EndpointRow | None:
        try:
            return await self._store.by_token(token_hash)
        except Unavailable as error:
            raise _down(error) from None

    async def _by_id(self, tenant_id: str, id: str) -> EndpointRow:
        try:
            row = await self._store.by_id(tenant_id, id)
        except Unavailable as error:
            raise _down(error) from None
        if row is None:
            raise EndpointUnknown("the tenant has no such endpoint")
        return row

    async def _swapped(self, row: EndpointRow) -> bool:
        try:
            return await self._store.swap_if(row)
        except Unavailable as error:
            raise _down(error) from None

    async def _change(self, tenant_id: str, id: str, change: Any) -> None:
        for _ in range(_TRIES):
            if await self._swapped(change(await self._by_id(tenant_id, id))):
                return
        raise Conflict("others keep changing the endpoint", hint="try again")


def _hash(token: str) -> str:
    return sha256(b"wellstreak_trust webhook endpoint" + token.encode()).hexdigest()


def _name(id: str) -> str:
    return f"webhook/{id}"


def _placeholder(scheme: Scheme) -> str:
    """A secret that nobody knows, for a pending endpoint: handshakes are answered, deliveries refused."""
    return f"whsec_{random_hex(16)}" if scheme.mac.codec == "whsec" else random_hex(32)


def _bounded(kept: OrderedDict[Any, Any]) -> OrderedDict[Any, Any]:
    while len(kept) >= _MOST_CACHED:
        kept.popitem(last=False)
    return kept


def _down(error: Unavailable) -> WebhookStoreUnavailable:
    return WebhookStoreUnavailable(f"endpoint store: {error.detail}", hint=error.hint)
