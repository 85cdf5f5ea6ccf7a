"""API keys: ``wsk_live_<id 12>_<secret 32><checksum 6>``, base62 (0-9, A-Z, a-z).

The prefix lets scanners find a leaked key and the checksum lets them, and us, drop a mistyped one without a lookup.
The store holds a SHA-256 of the key. A key belongs to an owner in one tenant and never allows more than its owner may
do at this moment: its scopes are cut to the owner's rights on every request.

Owner and tenant of a new key come from the principal who asks (`ApiKeys.create_for`). A server that takes them from the
body of a request lets anybody make a key for anybody (CVE-2025-61928).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from inspect import isawaitable, iscoroutinefunction
from typing import Final
from zlib import crc32

from ..core.clock import Clock, SystemClock
from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import Denied, InvalidCredential, NotFound, TrustError, Unavailable, UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .apikey_store import ApiKeyInfo, ApiKeyRow, ApiKeyStore
from .authenticator import Credential
from .given import names_in, span_in, text_in, text_or_none
from .presented import Presented, text_of
from .session_input import shown_label
from .trail import Cause, Fact, Trail

__all__ = ["API_KEY_PATTERN", "ApiKeys", "CreatedApiKey"]

API_KEY_PATTERN: Final = r"wsk_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}"
"""For secret scanners; follow up a match with the checksum (`ApiKeys.is_well_formed`)."""

PREFIX: Final = "wsk_live_"
MAX_LIFETIME: Final = timedelta(days=366)

_KEY: Final = re.compile(r"(wsk_live_([0-9A-Za-z]{12})_[0-9A-Za-z]{32})([0-9A-Za-z]{6})")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 32
_TOUCH_EVERY: Final = timedelta(hours=1)

Rights = AbstractSet[str] | None
RightsSource = Callable[[str, str], Rights | Awaitable[Rights]]
_Infos = list[ApiKeyInfo]


@dataclass(frozen=True, slots=True)
class CreatedApiKey:
    """A new key; `secret` is the whole key, shown once and kept nowhere."""

    id: str
    secret: Secret[str]
    scopes: frozenset[str]
    expires_at: datetime


class ApiKeys:
    """Creates, proves, rotates and revokes keys. Every method has an ``a`` twin.

    Args:
        store: `MemoryApiKeyStore`, `storage.sql.SqlApiKeyStore` or `storage.redis.RedisApiKeyStore`.
        rights: what an owner may do in a tenant now, from `(owner_id, tenant_id)`; None for an owner who is no member
            any more, whose keys are refused. Without it a key may do what its scopes say: then revoke the keys of
            people who leave (`revoke_all`).
        audit: takes ``api_key.created``, ``.rotated`` and ``.revoked``. A key that cannot be recorded does not work.
    """

    cookie_name: None = None

    def __init__(
        self,
        store: ApiKeyStore,
        *,
        rights: RightsSource | None = None,
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.suspends: bool = suspends(store, audit) or iscoroutinefunction(rights)
        self._store: ApiKeyStore = store
        self._rights: RightsSource | None = rights
        self._clock: Clock = clock or SystemClock()
        self._trail: Trail = Trail(audit, self._clock)

    @property
    def cut_to_rights(self) -> bool:
        """Whether a key never allows more than its owner may do now."""
        return self._rights is not None

    @property
    def recorded(self) -> bool:
        """Whether keys made and revoked are recorded."""
        return self._trail.sink is not None

    @staticmethod
    def is_well_formed(token: Presented) -> bool:
        """Whether form and checksum are those of a key: nothing about whether it exists."""
        return _key_id(token) is not None

    def takes(self, credential: Credential) -> bool:
        """Bearer tokens with the prefix of keys, for `Authenticator`."""
        return credential.scheme == "bearer" and credential.token.startswith(PREFIX)

    async def aauthenticate(self, token: Presented) -> Principal:
        """The owner in the key's tenant, with what both the key and the owner may do as its ceiling.

        Raises:
            InvalidCredential: malformed, unknown, revoked, expired and ownerless look alike.
        """
        key_id = _key_id(token)
        if key_id is None:
            raise InvalidCredential("not an API key", reason="shape")
        row, now = await self._store.read(key_id), self._clock.now()
        # Compared in any case: a missing id must not answer sooner than a wrong secret.
        right = compare_digest(row.digest if row is not None else bytes(32), _digest(text_of(token)))
        if row is None or not right:
            raise InvalidCredential("no such API key", reason="unknown")
        info = row.info
        if now >= info.expires_at:
            raise InvalidCredential("an expired API key", reason="expired")
        scopes = await self._allowed(info.owner_id, info.tenant_id, info.scopes)
        if scopes is None:
            raise InvalidCredential("the owner is no member any more", reason="owner")
        if info.last_used_at is None or now - info.last_used_at >= _TOUCH_EVERY:
            with suppress(Unavailable):  # a use that cannot be recorded is still a use: the key was read and is good
                await self._store.touch(info.id, now)
        return Principal(info.owner_id, kind="api_key", tenant_id=info.tenant_id, scopes=scopes, credential_id=info.id)

    authenticate: Final = synced(aauthenticate)

    async def acreate(
        self,
        *,
        owner_id: str,
        tenant_id: str,
        scopes: Iterable[str],
        name: str = "",
        expires_in: timedelta = timedelta(days=90),
        by: Principal | None = None,
    ) -> CreatedApiKey:
        """A new key. In a request use `create_for`, which takes owner and tenant from the principal.

        Args:
            by: who makes it, for the audit trail; the owner when None.

        Raises:
            UsageError: no owner or tenant, scopes that are no names, a lifetime that is not within 366 days.
            Denied: a scope the owner does not have.
        """
        if not (text_in(owner_id, "owner_id") and text_in(tenant_id, "tenant_id")):
            raise UsageError("a key has an owner and a tenant")
        if not timedelta() < span_in(expires_in, "expires_in") <= MAX_LIFETIME:
            raise UsageError("a key lives up to 366 days")
        wanted = _scopes(scopes)
        if await self._allowed(owner_id, tenant_id, wanted) != wanted:
            raise Denied("a key cannot do what its owner may not")
        now = self._clock.now()
        info = ApiKeyInfo(
            _random(_ID_LENGTH), owner_id, tenant_id, wanted, shown_label(name) or "", now, now + expires_in
        )
        created, row = _minted(info)
        await self._store.add(row)
        await self._record("api_key.created", row, by)
        return created

    create: Final = synced(acreate)

    async def acreate_for(
        self, principal: Principal, *, scopes: Iterable[str], name: str = "", expires_in: timedelta = timedelta(days=90)
    ) -> CreatedApiKey:
        """A new key for whoever asks, in the tenant they act in.

        Raises:
            Denied: no user acting as himself in a tenant. A key makes no key, or it would outlive its own end; an
                impersonation makes none, or it would last longer than itself; scopes beyond the principal's own.
            UsageError: as `create`.
        """
        wanted = _scopes(scopes)
        if principal.kind != "user" or principal.actor is not None or principal.tenant_id is None:
            raise Denied("only a user who acts as himself in a tenant makes a key")
        if principal.scopes is not None and not wanted <= principal.scopes:
            raise Denied("a key cannot do what its maker may not")
        return await self.acreate(
            owner_id=principal.id,
            tenant_id=principal.tenant_id,
            scopes=wanted,
            name=name,
            expires_in=expires_in,
            by=principal,
        )

    create_for: Final = synced(acreate_for)

    async def arotate(
        self,
        key_id: str,
        *,
        overlap: timedelta = timedelta(hours=24),
        tenant_id: str | None = None,
        by: Principal | None = None,
    ) -> CreatedApiKey:
        """A second key like the first, which ends after `overlap`.

        Args:
            by: as for `create`.
            tenant_id: refuses a key of any other tenant; give it wherever the id comes from a request.

        Raises:
            NotFound: no such key, an expired one, or another tenant's.
            UsageError: a negative overlap.
        """
        if span_in(overlap, "overlap") < timedelta():
            raise UsageError("an overlap is zero or more")
        row, now = await self._find(key_id, tenant_id), self._clock.now()
        if row is None or now >= row.info.expires_at:
            raise NotFound("no such API key")
        old = row.info
        lifetime = old.expires_at - old.created_at
        created, new = _minted(
            replace(old, id=_random(_ID_LENGTH), created_at=now, expires_at=now + lifetime, last_used_at=None)
        )
        if not await self._store.succeed(new, old.id, min(old.expires_at, now + overlap)):
            raise NotFound("no such API key")
        await self._record("api_key.rotated", new, by)
        return created

    rotate: Final = synced(arotate)

    async def arevoke(self, key_id: str, *, tenant_id: str | None = None, by: Principal | None = None) -> bool:
        """Ends a key from the next request on; tells whether there was one. `tenant_id` and `by` as for `rotate`."""
        tenant_id = text_or_none(tenant_id, "tenant_id")
        gone = await self._store.revoke(key_id, tenant_id=tenant_id) if _is_id(key_id) else None
        if gone is not None:
            await self._tell_end(gone, "revoked", by)
        return gone is not None

    revoke: Final = synced(arevoke)

    async def arevoke_all(self, owner_id: str, /, *, tenant_id: str | None = None, by: Principal | None = None) -> int:
        """Ends every key of an owner, in one tenant or in all; returns how many."""
        tenant_id = text_or_none(tenant_id, "tenant_id")
        gone = await self._store.revoke_owned(text_in(owner_id, "owner_id"), tenant_id=tenant_id)
        for info in gone:
            await self._tell_end(info, "revoked_all", by)
        return len(gone)

    revoke_all: Final = synced(arevoke_all)

    async def alist(self, tenant_id: str) -> _Infos:
        """The tenant's keys, oldest first, expired ones included."""
        return [*await self._store.list(text_in(tenant_id, "tenant_id"))]

    list: Final = synced(alist)

    async def _record(self, action: str, row: ApiKeyRow, by: Principal | None) -> None:
        info = row.info
        fact = Fact(action, info.owner_id, ("api_key", info.id), by=by, tenant_id=info.tenant_id)
        try:
            await self._trail.record(fact)
        except TrustError:
            await self._store.revoke(info.id, tenant_id=None)  # a key that nobody could trace must not work
            raise

    async def _tell_end(self, info: ApiKeyInfo, cause: Cause, by: Principal | None) -> None:
        fact = Fact("api_key.revoked", info.owner_id, ("api_key", info.id), cause, by, info.tenant_id)
        await self._trail.tell(fact)

    async def _find(self, key_id: str, tenant_id: str | None) -> ApiKeyRow | None:
        row = await self._store.read(key_id) if _is_id(key_id) else None
        return row if row is not None and tenant_id in (None, row.info.tenant_id) else None

    async def _allowed(self, owner_id: str, tenant_id: str, scopes: frozenset[str]) -> frozenset[str] | None:
        """`scopes` cut to the owner's rights; None for an owner who has none to cut to."""
        if self._rights is None:
            return scopes
        found = self._rights(owner_id, tenant_id)
        rights = await found if isawaitable(found) else found
        return None if rights is None else scopes & frozenset(rights)


def _minted(info: ApiKeyInfo) -> tuple[CreatedApiKey, ApiKeyRow]:
    head = f"{PREFIX}{info.id}_{_random(_SECRET_LENGTH)}"
    key = head + _checksum(head)
    return CreatedApiKey(info.id, Secret(key), info.scopes, info.expires_at), ApiKeyRow(info, _digest(key))


def _key_id(token: object) -> str | None:
    found = _KEY.fullmatch(text_of(token))
    return found[2] if found is not None and _checksum(found[1]) == found[3] else None


def _is_id(key_id: object) -> bool:
    return isinstance(key_id, str) and key_id.isascii() and key_id.isalnum() and len(key_id) == _ID_LENGTH


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()


def _checksum(head: str) -> str:
    """CRC-32 of the text before it in base62, most significant digit first, 6 digits."""
    number, digits = crc32(head.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def _random(length: int) -> str:
    """Even over all 62 digits: octets from 248 on would favour the first eight, so they are drawn again."""
    found = ""
    while len(found) < length:
        found += "".join(_DIGITS[octet % 62] for octet in SYSTEM_ENTROPY.octets(length * 2) if octet < 248)
    return found[:length]


def _scopes(scopes: Iterable[str]) -> frozenset[str]:
    found = frozenset(names_in(scopes, "scopes"))
    if not found or "" in found:
        raise UsageError("scopes are names of permissions", hint="scopes={'agents:read'}")
    return found
