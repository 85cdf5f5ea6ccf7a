"""``Authorization: DPoP <token>``: access tokens that count only with a proof of the key they were issued for."""

from __future__ import annotations

from typing import Protocol

from ..core.errors import InvalidToken
from ..core.http import RequestFacts
from ..core.principal import Principal
from ..core.sansio import suspends
from .authenticator import Credential
from .dpop import Dpop
from .jwt import Claims

__all__ = ["BindableTokens", "DpopTokens"]


class BindableTokens(Protocol):
    """Tokens that may be bound to a key: `JwtVerifier` and `AgentVerifier`."""

    def reads(self, token: str, /) -> bool:
        """Whether a token is of this kind, by form alone."""
        ...

    async def averify(self, token: str, /) -> Claims:
        """The claims of a token that passes every check but that of its key."""
        ...

    async def aprincipal(self, claims: Claims, /) -> Principal:
        """Whom those claims prove."""
        ...


class DpopTokens:
    """A member of an `Authenticator`: takes the scheme ``DPoP`` (RFC 9449, 7.1), and nothing without a proof.

    Args:
        tokens: a `JwtVerifier` or `AgentVerifier`. As a member of its own it takes tokens that are bound to nothing, as
            bearer tokens, and refuses those that are bound; leave it out to take bound ones alone.
        dpop: verifies the proofs. `RequestFacts.url` must be the address that clients see.
    """

    cookie_name: None = None

    def __init__(self, tokens: BindableTokens, dpop: Dpop) -> None:
        self.suspends: bool = suspends(tokens, dpop)
        self.challenge: str = dpop.challenge
        self._tokens: BindableTokens = tokens
        self._dpop: Dpop = dpop

    def takes(self, credential: Credential) -> bool:
        """See `CredentialMember`."""
        return credential.scheme == "dpop" and self._tokens.reads(credential.token)

    async def aprove(self, credential: Credential, facts: RequestFacts) -> Principal:
        """Whom the token proves, with the proof beside it.

        Raises:
            InvalidToken: as `JwtVerifier.verify` and `Dpop.verify`; no proof, or several; a token that is bound to no
                key, or to more than a key.
        """
        claims = await self._tokens.averify(credential.token)
        bound = claims.get("cnf")
        if type(bound) is not dict or bound.keys() != {"jkt"} or type(bound["jkt"]) is not str:
            raise InvalidToken("a token that is not bound to a key of a proof", reason="bound")
        proofs = [part for line in facts.headers.get_all("dpop") for part in line.split(",", 2)]
        if len(proofs) != 1:
            raise InvalidToken("no proof, or more than one", reason="proof")
        await self._dpop.averify(
            proofs[0].strip(" \t"),
            method=facts.method,
            url=facts.url,
            access_token=credential.token,
            jkt=bound["jkt"],
        )
        return await self._tokens.aprincipal(claims)
