"""The host's people, as far as linking a provider's identity must know them. Everybody here has proved an address."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from wellstreak_trust.identity import Account
from wellstreak_trust.storage.sql import AsyncDatabase, Database

from .data import LinkedIdentity, User


class People:
    """`LinkedAccounts` over the host's own tables."""

    def __init__(self, port: Database | AsyncDatabase) -> None:
        self.suspends: bool = port.suspends
        self._port: Database | AsyncDatabase = port

    async def linked_to(self, issuer: str, subject: str, /) -> str | None:
        """The person that an identity is."""
        return await self._port.run(lambda c: _owner(c, issuer, subject), read=True)

    async def holder_of(self, address: str, /) -> Account | None:
        """The person who has an address."""
        query = select(User.id).where(User.email == address)
        found = await self._port.run(lambda c: c.scalar(query), read=True)
        return None if found is None else Account(found, proved=True)

    async def create(self, issuer: str, subject: str, /, *, address: str | None, proved: bool) -> str | None:
        """Nobody is let in who was not there before: this host registers people itself."""
        return None

    async def attach(self, user_id: str, issuer: str, subject: str, /, *, address: str | None) -> bool:
        """Makes an identity a person's, if that person still has the address."""

        def work(connection: Connection) -> bool:
            named = select(User.id).where(User.id == user_id, User.email == address)
            if address is not None and connection.scalar(named) is None:
                return False
            try:
                with connection.begin_nested():
                    row = {"issuer": issuer, "subject": subject, "user_id": user_id}
                    connection.execute(insert(LinkedIdentity).values(row))
            except IntegrityError:
                return _owner(connection, issuer, subject) == user_id
            return True

        return await self._port.run(work)


def _owner(connection: Connection, issuer: str, subject: str) -> str | None:
    query = select(LinkedIdentity.user_id).where(LinkedIdentity.issuer == issuer, LinkedIdentity.subject == subject)
    found: str | None = connection.scalar(query)
    return found
