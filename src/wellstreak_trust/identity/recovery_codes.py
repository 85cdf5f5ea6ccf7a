"""Recovery codes: ten codes of 80 random bits, each good once, for the day the phone is lost.

80 bits are too few for a plain hash (ASVS 5.0, 6.5.2), so the store holds argon2id of each code. The codes of one set
share one salt of 128 bits: a try costs one hash, not ten, and a copy of the table still has to be attacked set by set.

A new set ends the old one. Whoever is out of codes, or used one, should be asked to make a new set.
"""

from __future__ import annotations

import re
from typing import Final

from ..core.clock import Clock, SystemClock
from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import InvalidCredential, UsageError
from ..core.event import EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .factor_store import RecoveryCodeStore
from .given import text_in
from .passwords import PasswordHasher
from .presented import Presented, text_of
from .trail import Fact, Trail

__all__ = ["RecoveryCodes"]

COUNT: Final = 10
_OCTETS: Final = 10  # 80 bits
_SALT_OCTETS: Final = 16
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base32: no i, l, o, u
_READ_AS: Final = str.maketrans("iloILOABCDEFGHJKMNPQRSTVWXYZ", "110110abcdefghjkmnpqrstvwxyz")
_CODE: Final = re.compile(f"[{_ALPHABET}]{{16}}")
_GAPS: Final = re.compile(r"[ -]")
_NOBODYS_SALT: Final = bytes(_SALT_OCTETS)
_Codes = tuple[Secret[str], ...]


class RecoveryCodes:
    """Makes and redeems recovery codes. Every method has an ``a`` twin; the async ones never block the loop.

    Args:
        store: `MemoryRecoveryCodeStore` or `storage.sql.SqlRecoveryCodeStore`.
        hasher: the pool that passwords are hashed in, so that both stay within its memory.
        audit: takes ``factor.enrolled``, ``.used``, ``.removed`` and ``.refused``.
    """

    def __init__(
        self,
        store: RecoveryCodeStore,
        hasher: PasswordHasher,
        *,
        audit: EventSink | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.suspends: bool = suspends(store, audit)
        self._store: RecoveryCodeStore = store
        self._hasher: PasswordHasher = hasher
        self._trail: Trail = Trail(audit, clock or SystemClock())

    async def agenerate(self, user_id: str) -> _Codes:
        """Ten new codes, ``xxxx-xxxx-xxxx-xxxx``, shown once; the set before is dead.

        Raises:
            UsageError: no user.
            Busy: no worker was free in time.
        """
        if not text_in(user_id, "user_id"):
            raise UsageError("recovery codes need a user")
        codes = tuple(_drawn() for _ in range(COUNT))
        salt = SYSTEM_ENTROPY.octets(_SALT_OCTETS)
        digests = [await self._hasher.aderive(code, salt) for code in codes]
        async with self._trail.around(Fact("factor.enrolled", user_id, ("recovery_codes", user_id))):
            await self._store.replace(user_id, salt, digests)
        return tuple(Secret("-".join(code[at : at + 4] for at in range(0, 16, 4))) for code in codes)

    generate: Final = synced(agenerate)

    async def aconsume(self, user_id: str, code: Presented) -> int:
        """Uses a code up; returns how many are left. Limit attempts before this point.

        Case, spaces and hyphens do not matter, nor whether 0 and 1 were read as letters.

        Raises:
            InvalidCredential: no codes, a wrong or a used one: all alike, and alike in time.
            Busy: no worker was free in time.
        """
        salt = await self._store.salt_of(text_in(user_id, "user_id"))
        digest = await self._hasher.aderive(_read(code), salt or _NOBODYS_SALT)
        left = await self._store.consume_if(user_id, digest) if salt is not None else None
        target = ("recovery_codes", user_id)
        if left is None:
            await self._trail.tell(Fact("factor.refused", user_id, target, "wrong"), "denied")
            raise InvalidCredential("no such recovery code", reason="wrong")
        await self._trail.tell(Fact("factor.used", user_id, target))
        return left

    consume: Final = synced(aconsume)

    async def aremaining(self, user_id: str) -> int:
        """How many codes are left."""
        return await self._store.count(text_in(user_id, "user_id"))

    remaining: Final = synced(aremaining)

    async def aremove(self, user_id: str, *, by: Principal | None = None) -> None:
        """Forgets the user's set."""
        text_in(user_id, "user_id")
        async with self._trail.around(Fact("factor.removed", user_id, ("recovery_codes", user_id), by=by)):
            await self._store.replace(user_id, SYSTEM_ENTROPY.octets(_SALT_OCTETS), ())

    remove: Final = synced(aremove)


def _drawn() -> str:
    drawn = int.from_bytes(SYSTEM_ENTROPY.octets(_OCTETS), "big")
    return "".join(_ALPHABET[drawn >> shift & 31] for shift in range(75, -1, -5))


def _read(code: Presented) -> str:
    """The code as it was made; what cannot be one becomes empty, and costs as much as one."""
    text = text_of(code)
    found = _GAPS.sub("", text).translate(_READ_AS) if len(text) <= 64 else ""
    return found if _CODE.fullmatch(found) else ""
