"""What an agent's credential hangs on: the session or credential that it was minted from, asked for at every use."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable, iscoroutinefunction
from typing import Protocol

from ..core.clock import Clock, SystemClock
from ..core.errors import ConfigurationError, Denied
from ..core.principal import Principal
from ..core.sansio import suspends
from .apikey_store import ApiKeyInfo, ApiKeyStore
from .apikeys import RightsSource
from .session_store import SessionStore

__all__ = ["AgentParent", "AgentParents", "LiveParents", "parent_of"]


@dataclass(frozen=True, slots=True)
class AgentParent:
    """Where an agent's authority comes from.

    Args:
        kind: ``session`` for a user who signed in, else the kind of the principal whose credential it was.
        id: the session's or the credential's.
        principal_id: whose it is.
        tenant_id: the tenant in which the agent works.
        run_id: the piece of work; a host can end one run by answering None for it.
    """

    kind: str
    id: str
    principal_id: str
    tenant_id: str
    run_id: str

    def met_by(self, standing: Principal | None) -> bool:
        """Whether what stands now is what was named: the same principal, acting as itself, in this tenant."""
        if standing is None or standing.actor is not None:
            return False
        kind = "user" if self.kind == "session" else self.kind
        here = standing.tenant_id in (None, self.tenant_id)
        return (standing.kind, standing.id, here) == (kind, self.principal_id, True)


class AgentParents(Protocol):
    """Asked for every request of an agent: does what it hangs on still stand?"""

    @property
    def suspends(self) -> bool:
        """Whether `alive` suspends."""
        ...

    async def alive(self, parent: AgentParent, /) -> Principal | None:
        """The principal behind it as it is now, with today's scopes; None once its session or credential has ended.

        A failure of what it asks is to be raised (`Unavailable`): nobody acts on a doubt.
        """
        ...


class LiveParents:
    """`AgentParents` over the stores of sessions and API keys.

    Args:
        sessions: knows the sessions of users.
        api_keys: knows the keys of services. At least one of the two.
        rights: as for `ApiKeys`: what the owner of a key may do now, None for one who has left.

    Raises:
        ConfigurationError: neither store.
    """

    def __init__(
        self,
        sessions: SessionStore | None = None,
        *,
        api_keys: ApiKeyStore | None = None,
        rights: RightsSource | None = None,
        clock: Clock | None = None,
    ) -> None:
        if sessions is None and api_keys is None:
            raise ConfigurationError("agents hang on sessions or on keys", hint="give a store", reason="agents")
        self.suspends: bool = suspends(sessions, api_keys) or iscoroutinefunction(rights)
        self._sessions: SessionStore | None = sessions
        self._api_keys: ApiKeyStore | None = api_keys
        self._rights: RightsSource | None = rights
        self._clock: Clock = clock or SystemClock()

    async def alive(self, parent: AgentParent, /) -> Principal | None:
        """See `AgentParents`."""
        if parent.kind == "session" and self._sessions is not None:
            now = self._clock.now()
            rows = await self._sessions.live(parent.principal_id)
            return next((row.principal for row in rows if row.id == parent.id and row.ended_by(now) is None), None)
        if parent.kind == "api_key" and self._api_keys is not None:
            row = await self._api_keys.read(parent.id)
            return None if row is None else await self._of_key(row.info)
        return None

    async def _of_key(self, info: ApiKeyInfo) -> Principal | None:
        if self._clock.now() >= info.expires_at:
            return None
        scopes = info.scopes
        if self._rights is not None:
            found = self._rights(info.owner_id, info.tenant_id)
            rights = await found if isawaitable(found) else found
            if rights is None:
                return None
            scopes &= frozenset(rights)
        return Principal(info.owner_id, kind="api_key", tenant_id=info.tenant_id, scopes=scopes, credential_id=info.id)


def parent_of(principal: Principal, *, tenant_id: str, run_id: str) -> AgentParent:
    """What a principal's agents hang on.

    Raises:
        Denied: an agent or an impersonation, whose authority is borrowed; nothing that could be ended.
    """
    if principal.actor is not None or principal.kind == "agent":
        raise Denied("borrowed authority is not lent on")
    if principal.session_id is not None:
        return AgentParent("session", principal.session_id, principal.id, tenant_id, run_id)
    if principal.credential_id is None:
        raise Denied("an agent hangs on a session or a credential, and this principal has neither")
    return AgentParent(principal.kind, principal.credential_id, principal.id, tenant_id, run_id)
