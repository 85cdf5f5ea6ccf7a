"""Credentials for AI workers: short-lived tokens that say for whom an agent acts, and never allow more than that one.

The claims are those of a delegation in RFC 8693: `sub` is the person or service on whose behalf, `act` the agent that
acts now, with the agents before it nested inside, the nearest first (4.1). Beside them stand `scope` (4.2),
`tenant_id`, `run_id`, `parent` and, where the agent may touch only some things, `resources`.

Authority only shrinks. Each arrow is checked when the token is made:

    session or credential  ->  agent  ->  agent of the agent  ->  ... at most `max_depth`
        scopes               subset     subset
        tenant               equal      equal
        end                  sooner     not later
        resources            any        subset
        run                  named      equal

And at each use the token counts only while its parent stands (`AgentParents`): revoking the session or key ends every
agent of every depth with the next request. Scopes are cut to what the parent has at that moment.

The principal of a request is the agent: ``kind="agent"``, and `actor` is the person or service behind it, as policies
want it (`authz`). `attributes` hold `run_id`, `resources` and `delegated_by`, the agents in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ..core.entropy import random_hex
from ..core.errors import ConfigurationError, Denied, InvalidCredential, UsageError
from ..core.event import AuditEvent, EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .agent_claims import MAX_DEPTH, TYP, Lent, act_of, is_name
from .agent_parents import AgentParents, parent_of
from .issuer import JwtIssuer

__all__ = ["AgentIssuer", "AgentToken"]

_SECOND: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(hours=12)
_MOST: Final = 256
_MORE: Final = "an agent cannot do what whoever it acts for may not"


@dataclass(frozen=True, slots=True)
class AgentToken:
    """A new credential; `token` is shown once and kept nowhere."""

    token: Secret[str]
    id: str
    agent_id: str
    scopes: frozenset[str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Order:
    agent_id: str
    scopes: frozenset[str]
    run_id: str
    tenant_id: str
    lifetime: timedelta


class AgentIssuer:
    """Mints credentials of agents. Every method has an ``a`` twin.

    Args:
        issuer: signs them, with a public-key algorithm, so that services which verify cannot mint.
        audience: the services that take them.
        parents: tells whether what a credential hangs on still stands.
        max_lifetime: the longest life of one; a longer run asks for another, from the session or key it began with.
        max_depth: how many agents may stand in a row; 1 is an agent without agents of its own.
        audit: takes ``agent.credential_minted``. A credential that cannot be recorded is not handed out.

    Raises:
        ConfigurationError: arguments out of range, or an issuer that signs with HMAC.
    """

    def __init__(
        self,
        issuer: JwtIssuer,
        *,
        audience: str,
        parents: AgentParents,
        max_lifetime: timedelta = timedelta(minutes=15),
        max_depth: int = 3,
        audit: EventSink | None = None,
    ) -> None:
        if not _SECOND <= max_lifetime <= min(issuer.max_lifetime, _LONGEST):
            raise ConfigurationError("agents live a second to twelve hours, as their issuer allows", reason="agents")
        if not 1 <= max_depth <= MAX_DEPTH:
            raise ConfigurationError(f"max_depth is 1 to {MAX_DEPTH}", reason="agents")
        if any(str(key.alg).startswith("HS") for key in issuer.keys):
            raise ConfigurationError("agents' tokens are signed with a private key", hint="Ed25519", reason="alg")
        self.suspends: bool = suspends(parents, audit)
        self._issuer: JwtIssuer = issuer
        self._audience: str = audience
        self._parents: AgentParents = parents
        self._max_lifetime: timedelta = max_lifetime
        self._max_depth: int = max_depth
        self._audit: EventSink | None = audit

    async def amint(
        self,
        behind: Principal,
        agent_id: str,
        *,
        scopes: Iterable[str],
        run_id: str,
        tenant_id: str | None = None,
        lifetime: timedelta = timedelta(minutes=5),
        resources: Iterable[str] | None = None,
        jkt: str | None = None,
    ) -> AgentToken:
        """A credential for `agent_id` to act for `behind`.

        Args:
            behind: who asks, as an `Authenticator` returned it: a person with a session, a service with its
                credential, or an agent that hands a part of its work on.
            scopes: at least one, each of them among those of `behind` where it has a ceiling.
            run_id: names the piece of work; an agent hands on only its own.
            tenant_id: where `behind` is bound to no tenant; prove its membership first (`tenancy`).
            lifetime: up to `max_lifetime`; an agent's agents end no later than itself.
            resources: names of what may be touched, such as ``note:n1``, for policies to compare; None is anything,
                and for an agent's agent what its maker may touch.
            jkt: binds the credential to a key of DPoP (`DpopSigner.jkt`).

        Raises:
            Denied: more scopes, another tenant or run, more resources, a later end or more depth than `behind` has;
                an impersonation.
            InvalidCredential: what `behind` came from has ended.
            UsageError: names that are none, or a lifetime out of range.
            AuditUnavailable: the trail cannot take it.
        """
        order = _Order(agent_id, _names(scopes, "scopes"), run_id, tenant_id or behind.tenant_id or "", lifetime)
        self._check(behind, order)
        things = None if resources is None else _names(resources, "resources")
        root, chain = behind, [agent_id]
        if behind.kind == "agent":
            lent = Lent.of(behind)
            root, chain = lent.root, [agent_id, behind.id, *lent.delegated_by]
            things = lent.narrowed(run_id, self._issuer.clock.now() + lifetime, things)
        if len(chain) > self._max_depth:
            raise Denied(f"more than {self._max_depth} agents in a row")
        parent = parent_of(root, tenant_id=order.tenant_id, run_id=run_id)
        standing = await self._parents.alive(parent)
        if standing is None or not parent.met_by(standing):
            raise InvalidCredential("the session or credential behind an agent has ended", reason="parent")
        if standing.scopes is not None and not order.scopes <= standing.scopes:
            raise Denied(_MORE)
        claims = {"sub": root.id, "act": act_of(chain), "parent": {"kind": parent.kind, "id": parent.id}}
        made = self._made(order, {**claims, **_narrow(things, jkt)})
        await self._record(behind, order, made)
        return made

    mint: Final = synced(amint)

    def _check(self, behind: Principal, order: _Order) -> None:
        if not all(map(is_name, (order.agent_id, order.run_id))):
            raise UsageError("agent_id and run_id are 1 to 255 printable ASCII characters without a space")
        if not _SECOND <= order.lifetime <= self._max_lifetime:
            raise UsageError(f"an agent lives one second to {self._max_lifetime}")
        if not is_name(order.tenant_id):
            raise UsageError("an agent works in one tenant", hint="tenant_id=context.tenant_id")
        if any(each.tenant_id not in (None, order.tenant_id) for each in (behind, behind.actor or behind)):
            raise Denied("an agent stays in the tenant of whoever it acts for")
        if behind.scopes is not None and not order.scopes <= behind.scopes:
            raise Denied(_MORE)

    def _made(self, order: _Order, more: Mapping[str, Any]) -> AgentToken:
        at = datetime.fromtimestamp(int(self._issuer.clock.now().timestamp()), UTC)
        claims = {
            "jti": random_hex(),
            "aud": self._audience,
            "scope": " ".join(sorted(order.scopes)),
            "tenant_id": order.tenant_id,
            "run_id": order.run_id,
            **more,
        }
        token = self._issuer.issue(claims, typ=TYP, lifetime=order.lifetime)
        ends_at = at + order.lifetime // _SECOND * _SECOND
        return AgentToken(Secret(token), claims["jti"], order.agent_id, order.scopes, ends_at)

    async def _record(self, behind: Principal, order: _Order, made: AgentToken) -> None:
        if self._audit is None:
            return
        event = AuditEvent(
            "agent.credential_minted",
            "success",
            order.tenant_id,
            behind,
            targets=({"type": "agent", "id": order.agent_id}, {"type": "run", "id": order.run_id}),
            data={"credential": made.id, "scopes": " ".join(sorted(order.scopes))},
            occurred_at=self._issuer.clock.now(),
        )
        await self._audit.aemit(event)  # what it raises passes, and the token with it


def _narrow(resources: frozenset[str] | None, jkt: str | None) -> dict[str, Any]:
    things = {} if resources is None else {"resources": sorted(resources)}
    return {**things, **({} if jkt is None else {"cnf": {"jkt": jkt}})}


def _names(given: Iterable[str], what: str) -> frozenset[str]:
    found = frozenset(given)
    if isinstance(given, str) or not 0 < len(found) <= _MOST or not all(map(is_name, found)):
        raise UsageError(f"{what} is a collection of 1 to {_MOST} names", hint=f"{what}={{'agents:read'}}")
    return found
