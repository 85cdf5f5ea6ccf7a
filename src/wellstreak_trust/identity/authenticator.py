"""One request, one credential.

A request that offers two credentials lets two parties disagree on who is asking: a proxy that logs the first, a
service that checks the second. So everything offered is counted before anything is read, and only a request that
offers exactly one credential is answered, even where one of several would be good.

Counted are the cookies that a member reads, each copy of them, and the Authorization field, each line of it. WSGI
servers join repeated lines by a comma (PEP 3333), which no credential of ours contains.

Every refusal is the same answer to the byte, its challenge included. One exception is the protocol's: a client that
has all but the server's nonce is told so (RFC 9449, 9), because it cannot know it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..core.errors import ConfigurationError, DpopNonceRequired, InvalidCredential, ReauthRequired, UsageError
from ..core.http import RequestFacts
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .cookies import offered_cookies

__all__ = ["Authenticator", "Credential", "CredentialMember", "RequestMember"]

MAX_CREDENTIAL: Final = 8_192
MAX_COOKIES: Final = 65_536
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


class _Member(Protocol):
    @property
    def cookie_name(self) -> str | None:
        """The cookie it reads; None if it reads the Authorization field."""
        ...

    def takes(self, credential: Credential, /) -> bool:
        """Whether this credential is of its kind, by form alone. Total: never raises."""
        ...


class CredentialMember(_Member, Protocol):
    """One kind of credential: says what it reads, and proves one.

    A member that needs a challenge of its own in ``WWW-Authenticate`` has it as `challenge`; others mean ``Bearer``.
    """

    async def aauthenticate(self, token: str, /) -> Principal:
        """Whom a token proves.

        Raises:
            InvalidCredential: nobody.
        """
        ...


class RequestMember(_Member, Protocol):
    """One kind of credential that counts only for the request it came with, such as `DpopTokens`."""

    async def aprove(self, credential: Credential, facts: RequestFacts, /) -> Principal:
        """Whom a credential proves in this request.

        Raises:
            InvalidCredential: nobody.
        """
        ...


_Prove = Callable[[Credential, RequestFacts], Awaitable[Principal]]


class Authenticator:
    """Finds the one credential of a request and has it proved by the first member that takes it.

    Args:
        members: `SessionManager`, `ApiKeys`, `JwtVerifier`, `DpopTokens`, `AgentVerifier`, or a `CredentialMember` or
            `RequestMember` of the host.

    Raises:
        ConfigurationError: no member, or something that is none.
    """

    def __init__(self, members: Iterable[CredentialMember | RequestMember]) -> None:
        self.members: tuple[CredentialMember | RequestMember, ...] = (
            tuple(members) if isinstance(members, Iterable) else ()
        )
        if not self.members:
            raise ConfigurationError("an Authenticator without members refuses everybody", reason="authenticator")
        for member in self.members:
            proves = hasattr(member, "aprove") or hasattr(member, "aauthenticate")
            if not (proves and all(hasattr(member, name) for name in ("cookie_name", "takes"))):
                raise ConfigurationError(
                    f"{type(member).__name__} cannot prove a request",
                    hint="members are SessionManager, ApiKeys, JwtVerifier, or have what CredentialMember asks for",
                    reason="authenticator",
                )
        self.suspends: bool = suspends(*self.members)
        self._provers: tuple[tuple[_Member, _Prove], ...] = tuple((m, _prover(m)) for m in self.members)
        self._cookies: tuple[str, ...] = tuple({m.cookie_name: None for m in self.members if m.cookie_name is not None})
        self._challenge: str = ", ".join(dict.fromkeys(getattr(m, "challenge", "Bearer") for m in self.members))

    async def aauthenticate(self, facts: RequestFacts) -> Principal:
        """Who is asking.

        Raises:
            InvalidCredential: none, several, of no known kind, or refused by its member. `reason` tells the audit
                trail which (``none``, ``many``, ``scheme``, ``oversized``, or the member's); the answer does not.
            UsageError: `facts` are no `RequestFacts`.
        """
        if not isinstance(facts, RequestFacts):
            raise UsageError(
                f"a credential is read from RequestFacts, not from {type(facts).__name__}",
                hint="the adapters make them: facts_of(request); or RequestFacts(method, url, headers)",
            )
        try:
            credential = self._only(facts)
            for member, prove in self._provers:
                if member.takes(credential):
                    return await prove(credential, facts)
            raise InvalidCredential("no member takes this kind of credential", reason="scheme")
        except (DpopNonceRequired, ReauthRequired):
            raise  # they ask for something else than a credential, and say what
        except InvalidCredential as refusal:
            refusal.challenge = self._challenge
            raise

    authenticate: Final = synced(aauthenticate)

    def _only(self, facts: RequestFacts) -> Credential:
        # Before anything is taken apart: eight megabytes of semicolons would cost more than any answer is worth.
        if any(len(line) > MAX_COOKIES for line in facts.headers.get_all("cookie")):
            raise InvalidCredential(f"cookies of more than {MAX_COOKIES} characters", reason="oversized")
        offered = [*_offered(facts, self._cookies)]
        if not offered:
            raise InvalidCredential("no credential", reason="none")
        if len(offered) > 1:
            raise InvalidCredential("more than one credential", reason="many")
        if len(offered[0].token) > MAX_CREDENTIAL:
            raise InvalidCredential(f"a credential of more than {MAX_CREDENTIAL} characters", reason="oversized")
        return offered[0]


def _prover(member: Any) -> _Prove:
    """A member that can look at the request is made to: without it, it would prove less than it is there for."""
    if hasattr(member, "aprove"):
        prove: _Prove = member.aprove
        return prove

    async def by_token(credential: Credential, facts: RequestFacts) -> Principal:
        del facts
        principal: Principal = await member.aauthenticate(credential.token)
        return principal

    return by_token


def _offered(facts: RequestFacts, cookies: tuple[str, ...]) -> Iterator[Credential]:
    for name in cookies:
        for value in offered_cookies(facts, name):
            yield Credential(cookie=name, token=value)
    for line in facts.headers.get_all("authorization"):
        if len(line) > 2 * MAX_CREDENTIAL:  # two that are good would fit into less
            yield Credential(token=line)
            continue
        for part in line.split(","):
            yield _authorization(part.strip(" \t"))


def _authorization(text: str) -> Credential:
    """A line that does not parse still counts: it may mean something to a proxy in front."""
    found = _AUTHORIZATION.fullmatch(text) if len(text) <= MAX_CREDENTIAL else None
    return Credential(scheme=found[1].lower(), token=found[2]) if found is not None else Credential(token=text)
