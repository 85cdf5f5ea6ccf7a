"""Accounts in this process: for tests, and as the model of what a host implements."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from ..core.entropy import random_hex
from .linking import Account
from .tokens import normalised_email

__all__ = ["MemoryAccounts"]


@dataclass
class _Entry:
    address: str | None = None
    proved: bool = False
    password: str | None = None
    identities: set[tuple[str, str]] = field(default_factory=set)


class MemoryAccounts:
    """Both `LinkedAccounts` and `EmailAddresses`, in a dictionary."""

    suspends: bool = False
    volatile: bool = True

    def __init__(self) -> None:
        self._lock: Lock = Lock()
        self._entries: dict[str, _Entry] = {}

    def register(self, address: str, password: str) -> str:
        """A new account with a password and an address that is not proved; its id."""
        with self._lock:
            user_id = random_hex()
            self._entries[user_id] = _Entry(normalised_email(address), password=password)
            return user_id

    def credentials_of(self, user_id: str) -> tuple[str, ...]:
        """What opens the account: ``password``, and the issuers of its identities."""
        with self._lock:
            entry = self._entries[user_id]
            return (*["password"] * (entry.password is not None), *sorted(issuer for issuer, _ in entry.identities))

    async def find(self, address: str, /) -> str | None:
        """See `EmailAddresses`; a proved address before any other."""
        holder = await self.holder_of(normalised_email(address) or "")
        return holder.user_id if holder is not None else None

    async def has_proof(self, user_id: str, /) -> bool:
        """See `EmailAddresses`."""
        with self._lock:
            return self._entries[user_id].proved

    async def address_of(self, user_id: str, /) -> str | None:
        """See `EmailAddresses`."""
        with self._lock:
            return self._entries[user_id].address

    async def mark_verified(self, user_id: str, address: str, /) -> bool:
        """See `EmailAddresses`; an address that another account has proved is not proved again."""
        with self._lock:
            entry, wanted = self._entries[user_id], normalised_email(address)
            if entry.proved or entry.address != wanted or self._prover_of(wanted) is not None:
                return False
            entry.proved, entry.password, entry.identities = True, None, set()
            return True

    async def change_address(self, user_id: str, old: str, new: str, /) -> bool:
        """See `EmailAddresses`."""
        with self._lock:
            entry, wanted = self._entries[user_id], normalised_email(new)
            if entry.address != normalised_email(old) or self._prover_of(wanted) not in (None, user_id):
                return False
            entry.address, entry.proved = wanted, True
            return True

    async def linked_to(self, issuer: str, subject: str, /) -> str | None:
        """See `LinkedAccounts`."""
        with self._lock:
            return self._owner_of(issuer, subject)

    async def holder_of(self, address: str, /) -> Account | None:
        """See `LinkedAccounts`."""
        with self._lock:
            holders = [
                (not entry.proved, user_id) for user_id, entry in self._entries.items() if entry.address == address
            ]
            return Account(min(holders)[1], not min(holders)[0]) if holders else None

    async def create(self, issuer: str, subject: str, /, *, address: str | None, proved: bool) -> str | None:
        """See `LinkedAccounts`."""
        with self._lock:
            if self._owner_of(issuer, subject) is not None or (proved and self._prover_of(address) is not None):
                return None
            user_id = random_hex()
            self._entries[user_id] = _Entry(address, proved, identities={(issuer, subject)})
            return user_id

    async def attach(self, user_id: str, issuer: str, subject: str, /, *, address: str | None) -> bool:
        """See `LinkedAccounts`."""
        with self._lock:
            entry, owner = self._entries[user_id], self._owner_of(issuer, subject)
            if owner not in (None, user_id) or (
                address is not None and not (entry.proved and entry.address == address)
            ):
                return False
            entry.identities.add((issuer, subject))
            return True

    def _owner_of(self, issuer: str, subject: str) -> str | None:
        key = (issuer, subject)
        return next((user_id for user_id, entry in self._entries.items() if key in entry.identities), None)

    def _prover_of(self, address: str | None) -> str | None:
        found = (user_id for user_id, entry in self._entries.items() if entry.proved and entry.address == address)
        return next(found, None)
