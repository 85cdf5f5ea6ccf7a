"""Keys that an issuer publishes (RFC 7517, 5), usable wherever a `KeySet` is.

`kept` says when the document is fetched. Added here:

* A known key id is answered from what is held, without lock and without waiting.
* An unknown one may mean that the issuer has just rotated, so it asks, at most once in `cooldown` for the whole
  source: whoever sends made-up ids buys one request a minute. All others that lack their key are refused at once; who
  arrives while the one request is under way waits for it, so a genuine newcomer is found.
* A set that cannot be used (no JSON, no usable key, more than 64) is a failed fetch and replaces nothing
  (GHSA-fhv5). Single members that cannot be used are left out: private, symmetric, of unknown kinds, ambiguous.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, ProviderUnavailable
from ..core.sansio import drive
from .documents import HttpWay, checked_url, default_way, fetched
from .given import configured_span
from .kept import Kept, Terms
from .keys import MAX_KEYS, KeySet, VerifyKey
from .waiting import BLOCKING, LOOP, Waiter

__all__ = ["JwksSource", "usable_keys"]

_AGEING: Final = 0.8  # of `fresh`


class JwksSource:
    """The published keys of one issuer.

    Args:
        url: of the key set: https, or http on loopback where `allow_insecure_loopback`.
        fresh: how long a set is served without a newer one; a fifth before that it is fetched in the background.
        stale: how long it is served while fetching fails.
        cooldown: the least time between two requests that unknown key ids cause.
        timeout: deadline around a whole request.
        allow_private: permits addresses of one's own network.
        http: how requests leave; by default `core.egress.Egress`.

    Raises:
        ConfigurationError: another kind of URL, or spans that are not in order.
    """

    suspends: bool = False

    def __init__(
        self,
        url: str,
        *,
        fresh: timedelta = timedelta(seconds=300),
        stale: timedelta = timedelta(hours=24),
        cooldown: timedelta = timedelta(seconds=60),
        timeout: timedelta = timedelta(seconds=5),
        allow_private: bool = False,
        allow_insecure_loopback: bool = False,
        http: HttpWay | None = None,
        clock: Clock | None = None,
    ) -> None:
        for name, span in (("fresh", fresh), ("stale", stale), ("cooldown", cooldown), ("timeout", timeout)):
            configured_span(span, name)
        if not timedelta() < fresh <= stale or min(cooldown, timeout) <= timedelta():
            raise ConfigurationError(
                "a key source needs 0 < fresh <= stale, and a positive cooldown and timeout", reason="key_source"
            )
        self.url: str = checked_url(url, "the address of a key set", loopback=allow_insecure_loopback)
        found = clock or SystemClock()
        self._way: HttpWay = http or default_way(timeout, private=allow_private or allow_insecure_loopback)
        patience = timeout + timedelta(seconds=1)  # a resolver may overdraw a little
        self._kept: Kept[KeySet] = Kept(self._fetch, Terms(_AGEING * fresh, fresh, stale, cooldown, patience), found)

    def __repr__(self) -> str:
        return f"JwksSource({self.url!r})"

    def find(self, alg: str, kid: str | None) -> VerifyKey | None:
        """As `KeySet.find`. Waits for the network only where nothing is held, or for an unknown key id that is due.

        Raises:
            ProviderUnavailable: no keys can be had, and none are held that are young enough.
        """
        keys = self._kept.at_hand()
        key = keys.find(alg, kid) if keys is not None else None
        return key if key is not None else drive(self.search(BLOCKING, alg, kid))

    async def afind(self, alg: str, kid: str | None) -> VerifyKey | None:
        """`find`, awaited; a `find` right after it does not wait."""
        return await self.search(LOOP, alg, kid)

    async def search(self, wait: Waiter, alg: str, kid: str | None) -> VerifyKey | None:
        """`find`, for operations that are written over a way to wait."""
        since = self._kept.launches
        keys = await self._kept.obtain(wait)
        # A flight that began before this call may bring a set that was read before the rotation: so up to two.
        for _ in range(2):
            key = keys.find(alg, kid)
            newer = keys if key is not None else await self._kept.newer(keys, since, wait)
            if newer is keys:
                return key
            keys = newer
        return keys.find(alg, kid)

    def _fetch(self) -> KeySet:
        return usable_keys(fetched(self._way, "the key set", self.url))


def usable_keys(document: dict[str, Any]) -> KeySet:
    """The keys of a published set that may verify signatures.

    Raises:
        ProviderUnavailable: no list of at most 64 keys, or none that can be used.
    """
    members = document.get("keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise ProviderUnavailable(f"the key set: no list of at most {MAX_KEYS} keys", hint="is the address right?")
    keys = [key for member in members for key in _usable(member)]
    times = Counter(key.kid for key in keys)
    # Which of two keys of one name signed would depend on their order.
    distinct = [key for key in keys if key.kid is None or times[key.kid] == 1]
    if not distinct:
        raise ProviderUnavailable("the key set: no key that can be used", hint="RSA, P-256, P-384, P-521, Ed25519")
    return KeySet(distinct)


def _usable(member: object) -> tuple[VerifyKey, ...]:
    try:
        return KeySet.from_jwks({"keys": [member]}).keys
    except ConfigurationError:
        return ()
