"""A host's accounts, its mail and its trail, as the tests of accounts need them: real rules, kept in memory."""

from __future__ import annotations

from dataclasses import dataclass

from wellstreak_trust.identity import Mail
from wellstreak_trust.identity.tokens import normalised_email


@dataclass
class Person:
    address: str | None
    password: str | None = None
    verified: bool = False
    identities: int = 0


class Accounts:
    """`PasswordAccounts` over a dictionary; `calls` holds the verbs in order."""

    suspends = False

    def __init__(self, **people: Person) -> None:
        self.people: dict[str, Person] = people
        self.calls: list[str] = []

    async def find(self, address, /):
        self.calls.append("find")
        wanted = normalised_email(address)
        found = (name for name, each in self.people.items() if normalised_email(each.address) == wanted)
        return next(found, None)

    async def address_of(self, user_id, /):
        self.calls.append("address_of")
        person = self.people.get(user_id)
        return person.address if person else None

    async def has_proof(self, user_id, /):
        return self.people[user_id].verified

    async def mark_verified(self, user_id, address, /):
        person = self.people[user_id]
        if person.address != address or person.verified:
            return False
        person.verified, person.password, person.identities = True, None, 0
        return True

    async def change_address(self, user_id, old, new, /):
        person = self.people[user_id]
        if person.address != old or await self.find(new) is not None:
            return False
        person.address, person.verified = new, True
        return True

    async def password_of(self, user_id, /):
        self.calls.append("password_of")
        person = self.people.get(user_id)
        return person.password if person else None

    async def change_password(self, user_id, old, new, /):
        person = self.people[user_id]
        if person.password != old:
            return False
        person.password = new
        return True


class Letterbox:
    """A mailer that keeps what it takes; `calls` counts the mails for nobody as well."""

    suspends = False

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.calls = 0

    async def send(self, mail, /):
        self.calls += 1
        if mail is not None:
            self.mails.append(mail)

    @property
    def last(self) -> Mail:
        return self.mails[-1]


class Sink:
    """An event sink that keeps what it takes, or fails on demand."""

    suspends = False

    def __init__(self) -> None:
        self.events: list = []
        self.broken: Exception | None = None

    async def aemit(self, event):
        if self.broken is not None:
            raise self.broken
        self.events.append(event)
