"""Agents as they ask: a credential of an `AgentIssuer`, and what stands behind it at this moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final

from ..core.clock import Clock
from ..core.errors import InvalidToken
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .agent_claims import PROFILE, Lent, agents_of
from .agent_parents import AgentParent, AgentParents
from .authenticator import Credential
from .jwt import Claims, JwtVerifier
from .keys import KeyFinder
from .presented import Presented

__all__ = ["AgentVerifier"]

RolesSource = Callable[[str, str], Iterable[str] | Awaitable[Iterable[str]]]


class AgentVerifier:
    """Proves agents. A member of an `Authenticator`; with `DpopTokens` also for credentials bound to a key.

    Args:
        keys: of the issuer: the `JwtIssuer` itself, or a `JwksSource` in another service.
        issuer, audience, algorithms, leeway: as for `JwtVerifier`.
        parents: asked for every request whether what the credential hangs on still stands. An outage is raised.
        roles: the roles of a principal in a tenant, from `(principal_id, tenant_id)`, asked for the agent and for who
            stands behind it; None leaves both without roles, to be given their memberships later.

    Raises:
        ConfigurationError: as `JwtVerifier`.
    """

    cookie_name: None = None

    def __init__(
        self,
        keys: KeyFinder,
        *,
        issuer: str,
        audience: str,
        parents: AgentParents,
        roles: RolesSource | None = None,
        algorithms: Collection[str] = ("RS256", "PS256", "ES256", "EdDSA"),
        leeway: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
    ) -> None:
        self._tokens: JwtVerifier = JwtVerifier(
            keys,
            issuer=issuer,
            audience=audience,
            profile=PROFILE,
            algorithms=algorithms,
            leeway=leeway,
            clock=clock,
        )
        self.suspends: bool = suspends(keys, parents) or iscoroutinefunction(roles)
        self._parents: AgentParents = parents
        self._roles: RolesSource | None = roles

    def takes(self, credential: Credential) -> bool:
        """Bearer tokens of the type ``agent+jwt``, for `Authenticator`."""
        return self._tokens.takes(credential)

    def reads(self, token: str) -> bool:
        """See `BindableTokens`."""
        return self._tokens.reads(token)

    async def averify(self, token: Presented) -> Claims:
        """The claims of a credential, whether or not its parent still stands.

        Raises:
            InvalidToken: as `JwtVerifier.verify`.
        """
        return await self._tokens.averify(token)

    async def aauthenticate(self, token: Presented) -> Principal:
        """The agent, with whoever it acts for as its `actor`.

        Raises:
            InvalidToken: as `averify`; bound to a key and shown without a proof; ``parent``: its session or credential
                has ended, or is another's by now.
        """
        claims = await self.averify(token)
        if "cnf" in claims:
            raise InvalidToken("a token that is bound to a key, presented without it", reason="bound")
        return await self.aprincipal(claims)

    authenticate: Final = synced(aauthenticate)

    async def aprincipal(self, claims: Claims) -> Principal:
        """The agent of claims that were verified here; asks whether their parent stands.

        Raises:
            InvalidToken: as `aauthenticate`.
        """
        place, kind = claims["tenant_id"], claims["parent"]["kind"]
        parent = AgentParent(kind, claims["parent"]["id"], claims["sub"], place, claims["run_id"])
        standing = await self._parents.alive(parent)
        if standing is None or not parent.met_by(standing):
            raise InvalidToken("what the agent hangs on has ended", reason="parent")
        agent_id, *others = agents_of(claims["act"])
        scopes = frozenset(claims["scope"].split(" "))
        behind: dict[str, Any] = {"session_id": parent.id} if kind == "session" else {"credential_id": parent.id}
        # Roles outside a tenant are platform roles, which an agent never borrows.
        held = standing.roles if standing.tenant_id == place else frozenset[str]()
        return Principal(
            agent_id,
            kind="agent",
            tenant_id=place,
            roles=await self._roles_of(agent_id, place),
            scopes=scopes if standing.scopes is None else scopes & standing.scopes,
            attributes=Lent.attributes(claims, others),
            issuer=claims["iss"],
            subject=claims["sub"],
            credential_id=claims["jti"],
            actor=replace(standing, tenant_id=place, roles=held | await self._roles_of(standing.id, place), **behind),
        )

    async def _roles_of(self, principal_id: str, tenant_id: str) -> frozenset[str]:
        if self._roles is None:
            return frozenset()
        found = self._roles(principal_id, tenant_id)
        return frozenset(await found if isawaitable(found) else found)
