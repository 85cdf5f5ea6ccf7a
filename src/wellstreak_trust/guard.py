"""`Guard`: one request, one way through.

::

    origin ► limits per client ► authenticate ► tenant ► subscription ► policy ► limits per tenant ► connection
           ► audit "attempted" ► the host's operation ► audit outcome ► settle or refund limits

Cheap refusals come first, and each stage consumes what the one before produced. The guard orders the primitives and
records what they said; every rule lives in a primitive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from inspect import isawaitable, iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast

from .core.address import ClientAddress
from .core.entropy import random_hex
from .core.errors import (
    AccessDenied,
    AuditUnavailable,
    ConfigurationError,
    EntitlementDenied,
    NotFound,
    OriginDenied,
    RateLimited,
    TrustError,
    Unavailable,
)
from .core.event import AuditEvent, Outcome
from .core.principal import Principal, StepUp
from .core.sansio import suspends, synced
from .core.tenant import TenantContext
from .tenancy import tenant_scope

if TYPE_CHECKING:
    from .core.http import RequestFacts
    from .trust import Trust

__all__ = ["Grant", "Guard", "Operation", "outcome_of"]

P = ParamSpec("P")
T = TypeVar("T")

PLATFORM: Final = "system"  # the tenant of events that belong to no tenant
_ANONYMOUS: Final = frozenset(("client", "route"))
_NOBODY: Final[Mapping[str, Any]] = {"kind": "anonymous", "id": "anonymous"}


@dataclass(frozen=True, slots=True)
class Operation:
    """A governed action, declared once.

    Args:
        name: stable name, such as ``billing.update``; the ``route`` key of limits where the request has no route.
        permission: ``resource:action`` of the policy's catalogue.
        feature: what the subscription must include; None asks nothing, so that a suspended tenant can still pay.
        limits: further rules (`LimitRule`) of this operation; every rule of the limiter applies besides.
        connection: provider whose connection must be active.
        audit: action name recorded before and after; None records refusals only.
        step_up: assurance this operation wants beyond what the policy's permission asks.
    """

    name: str
    permission: str
    feature: str | None = None
    limits: tuple[Any, ...] = ()
    connection: str | None = None
    audit: str | None = None
    step_up: StepUp | None = None


class Grant:
    """What a guarded operation receives; a context manager, sync and async, around the operation.

    Inside it the tenant scope is entered. Leaving it records the outcome; an exception gives the limits back.
    """

    __slots__ = ("_done", "_guard", "_scope", "connection", "decision", "facts", "operation", "principal", "request_id",
                 "tenant", "verdict")  # fmt: skip

    def __init__(self, guard: Guard, facts: RequestFacts, operation: Operation) -> None:
        self.facts: RequestFacts = facts
        self.operation: Operation = operation
        self.request_id: str = random_hex()
        self.principal: Principal | None = None
        self.tenant: TenantContext | None = None
        self.decision: Any = None
        self.verdict: Any = None
        self.connection: Any = None
        self._guard: Guard = guard
        self._scope: tenant_scope | None = None
        self._done: bool = False

    @property
    def suspends(self) -> bool:
        """Whether leaving the grant may suspend."""
        return self._guard.suspends

    @property
    def subject(self) -> TenantContext | Principal | None:
        """Who the policy judged."""
        return self.tenant or self.principal

    async def afinish(self, outcome: Outcome = "success") -> None:
        """Records the outcome and, unless it is success, gives the limits back; later calls do nothing."""
        if self._done:
            return
        self._done = True
        if outcome != "success" and self.verdict is not None:
            await self.verdict.arefund()
        if self.operation.audit is not None:
            await self._guard.record_outcome(self, outcome)

    finish: Final = synced(afinish)

    async def asettle(self, cost: int) -> None:
        """The final charge of this operation's limits, where it was an estimate on entry."""
        if self.verdict is not None:
            await self.verdict.asettle(cost)

    settle: Final = synced(asettle)

    def enter_scope(self) -> None:
        """Enters the tenant's scope, for adapters that cannot use a ``with`` block."""
        if self.tenant is not None:
            self._scope = tenant_scope(self.tenant)
            self._scope.__enter__()

    def leave_scope(self) -> None:
        """Leaves it; harmless twice."""
        scope, self._scope = self._scope, None
        if scope is not None:
            scope.__exit__(None, None, None)

    def __enter__(self) -> Self:
        self.enter_scope()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.leave_scope()
        self.finish(outcome_of(error))

    async def __aenter__(self) -> Self:
        self.enter_scope()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.leave_scope()
        await self.afinish(outcome_of(error))


def outcome_of(error: BaseException | None) -> Outcome:
    """How an operation that ended with `error` is recorded: refused by a control, or broken."""
    if error is None:
        return "success"
    return "failure" if isinstance(error, TrustError) else "error"


class Guard:
    """The pipeline over one `Trust`. Make one per host and keep it."""

    def __init__(self, trust: Trust) -> None:
        self.trust: Trust = trust
        self.suspends: bool = suspends(
            trust.authenticator, trust.tenants, trust.limiter, trust.audit, trust.connections
        )
        self._address: ClientAddress = trust.client_address or ClientAddress()
        self._limiters: dict[tuple[str, frozenset[str]], Any] = {}
        self._anonymous: Any = trust.limiter.select(_is_anonymous) if trust.limiter is not None else None

    async def aadmit(self, facts: RequestFacts, *, route: str = "public") -> Any:
        """The stages before any credential: origin, then limits per client. Public routes run these alone.

        Returns the limiter's verdict, or None without a limiter.

        Raises:
            OriginDenied, RateLimited
        """
        origin = self.trust.origin.check(facts)
        if not origin.allowed:
            raise OriginDenied(origin.reason)
        if self._anonymous is None:
            return None
        return _admitted(await self._anonymous.acheck(self._client_keys(facts, route)))

    admit: Final = synced(aadmit)

    async def aenter(self, facts: RequestFacts, operation: Operation, resource: Any = None) -> Grant:
        """Takes a request through every stage.

        Args:
            resource: what is acted upon, or a callable of the `TenantContext` (a coroutine function with the async
                face) that fetches it inside the tenant's scope; a callable that finds None is a 404.

        Returns:
            A `Grant`; enter it as a context manager around the operation.

        Raises:
            TrustError: the first stage that refuses. The refusal is recorded.
        """
        grant = Grant(self, facts, operation)
        try:
            await self._pass(grant, resource)
        except TrustError as refusal:
            if grant.verdict is not None:
                await grant.verdict.arefund()
            await self._record_refusal(grant, refusal)
            raise
        return grant

    enter: Final = synced(aenter)

    async def _pass(self, grant: Grant, resource: Any) -> None:
        trust, operation = self.trust, grant.operation
        await self.aadmit(grant.facts, route=operation.name)
        grant.principal = await trust.authenticator.aauthenticate(grant.facts)
        if trust.policy.scope_of(operation.permission) != "platform":
            grant.tenant = await trust.tenants.aresolve(grant.facts, grant.principal)
            grant.principal = grant.tenant.principal
            await _require_feature(grant.tenant, operation.feature)
        found = await _fetch(resource, grant.tenant)
        grant.decision = trust.policy.check(grant.subject, operation.permission, found)
        self._count("wst.authz.decisions", outcome=_word(grant.decision.allowed), permission=operation.permission)
        _require_allowed(grant.decision)
        self._require_step_up(operation.step_up, grant.principal)
        grant.verdict = await self._charge(grant)
        if operation.connection is not None:
            grant.connection = await self._require_connection(grant, operation.connection)
        if operation.audit is not None:
            await trust.audit.aemit(self._event(grant, operation.audit, "attempted"))

    def _require_step_up(self, step_up: StepUp | None, principal: Principal) -> None:
        if step_up is not None and not step_up.met_by(principal, self.trust.clock.now()):
            raise step_up.challenge()

    async def _require_connection(self, grant: Grant, provider: str) -> Any:
        if self.trust.connections is None or grant.tenant is None:
            raise ConfigurationError(
                f"{grant.operation.name} needs the connection {provider!r}",
                hint="give Trust(connections=Connections(...)) and a tenant-scoped permission",
                reason="connections",
            )
        return await self.trust.connections.arequire_active(grant.tenant.tenant_id, provider)

    async def _charge(self, grant: Grant) -> Any:
        if self.trust.limiter is None:
            return None
        keys = self._keys(grant)
        view = (grant.operation.name, frozenset(keys))
        limiter = self._limiters.get(view)
        if limiter is None:
            limiter = self._limiters.setdefault(view, self._limiter_of(grant.operation, view[1]))
        return _admitted(await limiter.acheck(keys))

    def _limiter_of(self, operation: Operation, offered: frozenset[str]) -> Any:
        assert self.trust.limiter is not None
        own = tuple(rule for rule in operation.limits if not isinstance(rule, str))
        wider = self.trust.limiter.with_rules(own) if own else self.trust.limiter
        return wider.select(lambda rule: not _is_anonymous(rule) and _required(rule) <= offered)

    def _client_keys(self, facts: RequestFacts, route: str) -> dict[str, str]:
        return {"client": self._address.key(facts), "route": facts.route or route}

    def _keys(self, grant: Grant) -> dict[str, str]:
        principal = cast("Principal", grant.principal)
        keys = {**self._client_keys(grant.facts, grant.operation.name), "principal": principal.id}
        if grant.tenant is not None:
            keys["tenant"] = grant.tenant.tenant_id
        if principal.kind == "api_key" and principal.credential_id:
            keys["api_key"] = principal.credential_id
        return keys

    # --- what is recorded -------------------------------------------------------------------------------------------

    async def record_outcome(self, grant: Grant, outcome: Outcome) -> None:
        """Records how an attempted operation ended.

        A trail that cannot take it now does not undo work that is done: the attempt without outcome is the evidence.
        """
        try:
            await self.trust.audit.aemit(self._event(grant, grant.operation.audit or grant.operation.name, outcome))
        except Unavailable:
            self._count("wst.audit.dropped", criticality="outcome")

    async def _record_refusal(self, grant: Grant, refusal: TrustError) -> None:
        self._count("wst.guard.refused", code=refusal.code)
        if isinstance(refusal, RateLimited | AuditUnavailable):
            return  # a flood must not become a flood of durable writes; a dead trail cannot record itself
        event = self._event(grant, "access.denied", "denied", reason=_reason(refusal))
        try:
            await self.trust.audit.aemit(event)
        except Unavailable:
            self._count("wst.audit.dropped", criticality="protective")

    def _event(self, grant: Grant, action: str, outcome: Outcome, reason: str | None = None) -> AuditEvent:
        facts, decision = grant.facts, grant.decision
        tenant_id = grant.tenant.tenant_id if grant.tenant is not None else PLATFORM
        return AuditEvent(
            action,
            outcome,
            tenant_id,
            grant.principal or _NOBODY,
            source=_source(self._address, facts),
            reason=reason,
            request={"id": grant.request_id, "method": facts.method[:16], "operation": grant.operation.name},
            decision=decision.audit() if decision is not None else None,
            occurred_at=self.trust.clock.now(),
        )

    def _count(self, name: str, **labels: str) -> None:
        if self.trust.counters is not None:
            self.trust.counters.add(name, **labels)

    # --- for hosts without an adapter --------------------------------------------------------------------------------

    def operation(
        self, operation: Operation, *, resource: Any = None
    ) -> Callable[[Callable[Concatenate[Grant, P], T]], Callable[Concatenate[RequestFacts, P], T]]:
        """Decorates a function (or coroutine function) of a `Grant`: it is called with `RequestFacts` instead."""

        def decorate(function: Callable[Concatenate[Grant, P], T]) -> Callable[Concatenate[RequestFacts, P], T]:
            if iscoroutinefunction(function):
                later = function

                @wraps(function)
                async def guarded_later(facts: RequestFacts, /, *args: P.args, **kwargs: P.kwargs) -> Any:
                    async with await self.aenter(facts, operation, resource) as grant:
                        return await later(grant, *args, **kwargs)

                return cast("Callable[Concatenate[RequestFacts, P], T]", guarded_later)

            @wraps(function)
            def guarded(facts: RequestFacts, /, *args: P.args, **kwargs: P.kwargs) -> T:
                with self.enter(facts, operation, resource) as grant:
                    return function(grant, *args, **kwargs)

            return guarded

        return decorate


def _is_anonymous(rule: Any) -> bool:
    return _required(rule) <= _ANONYMOUS and not any(key.endswith("?") for key in rule.by)


def _required(rule: Any) -> frozenset[str]:
    return frozenset(key for key in rule.by if not key.endswith("?"))


def _admitted(verdict: Any) -> Any:
    if not verdict.allowed:
        raise RateLimited(verdict)
    return verdict


async def _require_feature(tenant: TenantContext, feature: str | None) -> None:
    if feature is None:
        return
    if tenant.entitlements is None:
        raise ConfigurationError(
            f"an operation asks for the feature {feature!r}, but the resolver has no entitlements",
            hint="TenantResolver(sources, memberships, entitlements=Entitlements(source))",
            reason="entitlements",
        )
    answer = await tenant.entitlements.acheck(tenant, feature)
    if not answer.allowed:
        raise EntitlementDenied(answer.reason, limit=answer.limit, used=answer.used, resets_at=answer.resets_at)


async def _fetch(resource: Any, tenant: TenantContext | None) -> Any:
    """The resource, fetched inside the tenant's scope once the tenant is proved."""
    if not callable(resource):
        return resource
    if tenant is None:
        found = resource(None)
        found = await found if isawaitable(found) else found
    else:
        with tenant_scope(tenant):
            found = resource(tenant)
            found = await found if isawaitable(found) else found
    if found is None:
        raise NotFound("the resource does not exist in this tenant")
    return found


def _require_allowed(decision: Any) -> None:
    if decision.allowed:
        return
    for obligation in decision.obligations:
        if isinstance(obligation, StepUp):
            raise obligation.challenge()
    raise AccessDenied(decision)


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"


def _reason(refusal: TrustError) -> str:
    said = getattr(refusal, "reason", "") or getattr(getattr(refusal, "decision", None), "code", "")
    return f"{refusal.code}:{said}" if said else refusal.code


def _source(client_address: ClientAddress, facts: RequestFacts) -> Mapping[str, Any]:
    try:
        found = {"address": client_address.of(facts)}
    except ConfigurationError:
        found = {}
    agent = facts.headers.get("user-agent")
    if agent:
        found["user_agent"] = agent[:200].encode("ascii", "backslashreplace").decode("ascii")
    return found
