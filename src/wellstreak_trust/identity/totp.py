"""Time-based one-time passwords (RFC 6238): SHA-1, 30 seconds, 6 digits, as authenticator apps have them.

* A code of the step before, this one and the next is taken, so that a slow thumb and a slow clock still sign in.
* Each step is good once: a compare-and-set on the last accepted step in the database, so that a code seen over a
  shoulder is worth nothing, in no other process either.
* Ten tries in ten minutes, counted by the store before anything is compared.
* The time is this server's, never the client's.
* The seed lies in a vault (`SecretStore`), not beside the account; the row names it.

An app counts only after a first code has shown that it works; until then an older one goes on.

Sources: RFC 6238 with errata, RFC 4226 section 7.3, OWASP ASVS 5.0 6.5.1, 6.5.3, 6.5.5 and 6.5.8.
"""

from __future__ import annotations

from base64 import b32decode, b32encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest, digest
from typing import Final, Literal, Protocol
from urllib.parse import quote, urlencode

from ..core.clock import Clock, SystemClock, to_micros
from ..core.entropy import SYSTEM_ENTROPY, random_hex
from ..core.errors import ConfigurationError, InvalidCredential, UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .factor_store import TotpRow, TotpStore
from .given import text_in
from .presented import Presented, text_of
from .trail import PLATFORM, Cause, Fact, Trail

__all__ = ["SeedVault", "Totp", "TotpEnrolment", "totp_code"]

STEP: Final = 30
DIGITS: Final = 6
DRIFT: Final = 1
TRIES: Final = 10
WINDOW: Final = timedelta(minutes=10)
_SEED_OCTETS: Final = 20  # as long as the hash (RFC 4226, 4, R6)
_SECOND_MICROS: Final = 1_000_000


class SeedVault(Protocol):
    """Where seeds lie: `secrets.SecretStore`, or whatever keeps a text under a name."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def aput(self, tenant_id: str, name: str, value: str, /) -> object:
        """Keeps a text."""
        ...

    async def aget(self, tenant_id: str, name: str, /) -> Secret[str] | Secret[bytes]:
        """The text, or an error."""
        ...

    async def adestroy(self, tenant_id: str, name: str, /) -> object:
        """Forgets it."""
        ...


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """What the user's app needs, shown once.

    Args:
        secret: base32, for typing in. uri: for a QR code (``otpauth://totp/...``).
    """

    secret: Secret[str]
    uri: Secret[str]


def totp_code(
    seed: bytes, step: int, *, digits: int = DIGITS, algorithm: Literal["sha1", "sha256", "sha512"] = "sha1"
) -> str:
    """The code of a time step (RFC 4226, 5.3; RFC 6238, 4.2)."""
    mac = digest(seed, step.to_bytes(8, "big"), algorithm)
    at = mac[-1] & 0x0F
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


class Totp:
    """Enrols and checks authenticator apps. Every method has an ``a`` twin.

    Args:
        store: `MemoryTotpStore` or `storage.sql.SqlTotpStore`.
        seeds: the vault. vault_tenant: under which tenant it keeps them.
        issuer: the name that apps show beside the account.
        audit: takes ``factor.enrolled``, ``.removed`` and ``.refused``.

    Raises:
        ConfigurationError: an issuer that apps cannot show.
    """

    def __init__(
        self,
        store: TotpStore,
        seeds: SeedVault,
        *,
        issuer: str,
        vault_tenant: str = PLATFORM,
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not issuer.strip() or ":" in issuer or not issuer.isprintable():
            raise ConfigurationError("an issuer is printable text without a colon", reason="totp_issuer")
        self.suspends: bool = suspends(store, seeds, audit)
        self._store: TotpStore = store
        self._seeds: SeedVault = seeds
        self._tenant: str = vault_tenant
        self._issuer: str = issuer
        self._clock: Clock = clock or SystemClock()
        self._trail: Trail = Trail(audit, self._clock)

    async def abegin(self, user_id: str, *, account: str) -> TotpEnrolment:
        """A new seed, which counts once `confirm` has seen a code of it.

        Args:
            account: what the app shows: the user's address, as a rule.

        Raises:
            UsageError: no user, or an account that apps cannot show.
        """
        if (
            not text_in(user_id, "user_id")
            or not text_in(account, "account")
            or ":" in account
            or not account.isprintable()
        ):
            raise UsageError("an enrolment has a user and an account name without a colon")
        text = b32encode(SYSTEM_ENTROPY.octets(_SEED_OCTETS)).decode("ascii")
        name = f"totp/{random_hex()}"
        await self._seeds.aput(self._tenant, name, text)
        before = await self._store.enrol(TotpRow(user_id, name, self._clock.now()))
        await self._forget(before)
        label = f"{quote(self._issuer, safe='')}:{quote(account, safe='')}"
        facts = {"secret": text, "issuer": self._issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP}
        uri = f"otpauth://totp/{label}?{urlencode(facts, quote_via=quote)}"
        return TotpEnrolment(Secret(text), Secret(uri))

    begin: Final = synced(abegin)

    async def aconfirm(self, user_id: str, code: Presented) -> None:
        """Makes the pending app the user's, in the place of an earlier one.

        Raises:
            InvalidCredential: nothing pending, a wrong code, too many tries: all alike.
        """
        row, step = await self._right(user_id, code, pending=True)
        async with self._trail.around(Fact("factor.enrolled", user_id, ("totp", row.seed))):
            confirmed, before = await self._store.confirm_if(row.seed, step)
            if not confirmed:
                raise InvalidCredential("another enrolment came first", reason="replaced")
        await self._forget(before)

    confirm: Final = synced(aconfirm)

    async def averify(self, user_id: str, code: Presented) -> None:
        """Checks a code; each is good once. After it, `SessionManager.step_up` with ``aal=2``.

        Raises:
            InvalidCredential: no app, a wrong or used code, too many tries: all alike.
        """
        row, step = await self._right(user_id, code, pending=False)
        if not await self._store.advance_if(row.seed, step):
            await self._refuse(user_id, "replayed")
            raise InvalidCredential("a code that was used before", reason="replayed")

    verify: Final = synced(averify)

    async def aenrolled(self, user_id: str) -> bool:
        """Whether the user has a confirmed app."""
        return await self._store.confirmed(text_in(user_id, "user_id"))

    enrolled: Final = synced(aenrolled)

    async def aremove(self, user_id: str, *, by: Principal | None = None) -> bool:
        """Forgets the user's app, lost or replaced; tells whether there was one. Ask for a fresh sign-in first, and end
        the user's other sessions after.
        """
        text_in(user_id, "user_id")
        async with self._trail.around(Fact("factor.removed", user_id, ("totp", user_id), by=by)):
            seeds = await self._store.remove(user_id)
        for name in seeds:
            await self._forget(name)
        return bool(seeds)

    remove: Final = synced(aremove)

    async def _right(self, user_id: str, code: Presented, *, pending: bool) -> tuple[TotpRow, int]:
        now = self._clock.now()
        row = await self._store.attempt(
            text_in(user_id, "user_id"), pending=pending, now=now, limit=TRIES, window=WINDOW
        )
        if row is None:
            raise InvalidCredential("no app, or tried too often", reason="unknown")
        held = (await self._seeds.aget(self._tenant, row.seed)).reveal()
        step = _matching(b32decode(held), text_of(code), _step(now))
        if step is None:
            await self._refuse(user_id, "wrong")
            raise InvalidCredential("a wrong code", reason="wrong")
        return row, step

    async def _refuse(self, user_id: str, cause: Cause) -> None:
        await self._trail.tell(Fact("factor.refused", user_id, ("totp", user_id), cause), "denied")

    async def _forget(self, name: str | None) -> None:
        if name is not None:
            await self._seeds.adestroy(self._tenant, name)


def _step(now: datetime) -> int:
    return to_micros(now) // _SECOND_MICROS // STEP


def _matching(seed: bytes, code: str, now: int) -> int | None:
    """The step a code is of. Every candidate is compared, so that time does not tell which one was near."""
    typed = code.encode("utf-8", "surrogatepass")
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):
        if compare_digest(totp_code(seed, step).encode("ascii"), typed):
            found = step
    return found
