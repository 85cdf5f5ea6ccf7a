"""One request, one credential.

A request that offers two credentials lets two parties disagree on who is asking: a proxy that logs the first, a
service that checks the second. So everything offered is counted before anything is read, and only a request that
offers exactly one credential is answered, even where one of several would be good.

Counted are the cookies that a member reads, each copy of them, and the Authorization field, each line of it. WSGI
servers join repeated lines by a comma (PEP 3333), which no credential of ours contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..core.errors import ConfigurationError, InvalidCredential
from ..core.http import RequestFacts
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .cookies import offered_cookies

__all__ = ["Authenticator", "Credential", "CredentialMember"]

MAX_CREDENTIAL: Final = 8_192
_AUTHORIZATION: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([A-Za-z0-9._~+/-]+=*)")  # RFC 9110, 11.4


@dataclass(frozen=True, slots=True)
class Credential:
    """One credential as a request offers it.

    Args:
        cookie: the cookie's name, None for an Authorization line.
        scheme: the authentication scheme in lower case, such as ``bearer``; empty for a cookie or a line that does
            not parse.
        token: the text itself.
    """

    cookie: str | None = None
    scheme: str = ""
    token: str = field(default="", repr=False)


class CredentialMember(Protocol):
    """One kind of credential: says what it reads, and proves one."""

    @property
    def cookie_name(self) -> str | None:
        """The cookie it reads; None if it reads the Authorization field."""
        ...

    def takes(self, credential: Credential, /) -> bool:
        """Whether this credential is of its kind, by form alone. Total: never raises."""
        ...

    async def aauthenticate(self, token: str, /) -> Principal:
        """Whom a token proves.

        Raises:
            InvalidCredential: nobody.
        """
        ...


class Authenticator:
    """Finds the one credential of a request and has it proved by the first member that takes it.

    Args:
        members: `SessionManager`, `ApiKeys`, `JwtVerifier`, or a `CredentialMember` of the host.

    Raises:
        ConfigurationError: no member, or something that is none.
    """

    def __init__(self, members: Iterable[CredentialMember]) -> None:
        self.members: tuple[CredentialMember, ...] = tuple(members)
        if not self.members:
            raise ConfigurationError("an Authenticator without members refuses everybody", reason="authenticator")
        for member in self.members:
            if not all(hasattr(member, name) for name in ("cookie_name", "takes", "aauthenticate")):
                raise ConfigurationError(
                    f"{type(member).__name__} cannot prove a request",
                    hint="members are SessionManager, ApiKeys, JwtVerifier, or have what CredentialMember asks for",
                    reason="authenticator",
                )
        self.suspends: bool = suspends(*self.members)
        self._cookies: tuple[str, ...] = tuple({m.cookie_name: None for m in self.members if m.cookie_name is not None})

    async def aauthenticate(self, facts: RequestFacts) -> Principal:
        """Who is asking.

        Raises:
            InvalidCredential: none, several, of no known kind, or refused by its member. `reason` tells the audit
                trail which (``none``, ``many``, ``scheme``, ``oversized``, or the member's); the answer does not.
        """
        credential = self._only(facts)
        for member in self.members:
            if member.takes(credential):
                return await member.aauthenticate(credential.token)
        raise InvalidCredential("no member takes this kind of credential", reason="scheme")

    authenticate: Final = synced(aauthenticate)

    def _only(self, facts: RequestFacts) -> Credential:
        offered = [*_offered(facts, self._cookies)]
        if not offered:
            raise InvalidCredential("no credential", reason="none")
        if len(offered) > 1:
            raise InvalidCredential("more than one credential", reason="many")
        if len(offered[0].token) > MAX_CREDENTIAL:
            raise InvalidCredential(f"a credential of more than {MAX_CREDENTIAL} characters", reason="oversized")
        return offered[0]


def _offered(facts: RequestFacts, cookies: tuple[str, ...]) -> Iterator[Credential]:
    for name in cookies:
        for value in offered_cookies(facts, name):
            yield Credential(cookie=name, token=value)
    for line in facts.headers.get_all("authorization"):
        for part in line.split(","):
            yield _authorization(part.strip(" \t"))


def _authorization(text: str) -> Credential:
    """A line that does not parse still counts: it may mean something to a proxy in front."""
    found = _AUTHORIZATION.fullmatch(text) if len(text) <= MAX_CREDENTIAL else None
    return Credential(scheme=found[1].lower(), token=found[2]) if found is not None else Credential(token=text)
