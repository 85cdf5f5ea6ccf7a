"""`Guard`: the stages, in their order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

from ..core.address import ClientAddress
from ..core.errors import (
    AccessDenied,
    ConfigurationError,
    EntitlementDenied,
    InvalidCredential,
    NotFound,
    OriginDenied,
    TenantNotFound,
    TrustError,
)
from ..core.principal import Principal, StepUp
from ..core.sansio import suspends, synced
from ..core.tenant import TenantContext
from ..tenancy import tenant_scope
from .approval import aspend, presented
from .faults import Dependency
from .grant import Grant, Operation
from .limits import Limits
from .trail import Trail
from .vetting import gathered, refuse, ungated, unknown_permission, unmeetable, unregistered, unsubscribed

if TYPE_CHECKING:
    from ..core.http import RequestFacts
    from ..trust import Trust

__all__ = ["Guard", "refuse_generators"]

P = ParamSpec("P")
T = TypeVar("T")

_VERBS: Final = {
    "authenticator": "aauthenticate", "tenants": "aresolve", "policy": "check", "origin": "check", "audit": "aemit",
    "limiter": "acheck", "connections": "arequire_active", "approvals": "aconsume",
}  # fmt: skip
_OPTIONAL: Final = frozenset(("limiter", "connections", "approvals"))
_ORIGIN, _AUTHENTICATOR, _TENANTS = Dependency("origin"), Dependency("authenticator"), Dependency("tenants")
_POLICY, _CONNECTIONS = Dependency("policy"), Dependency("connections")


class Guard:
    """The pipeline over one `Trust`. Make one per host and keep it.

    A part that raises what is no `TrustError` counts as down (503); every way out but the last one gives back what
    the tenant's limits took, and leaves no tenant scope.

    Raises:
        ConfigurationError: a part without the verb that the guard asks it by.
    """

    def __init__(self, trust: Trust) -> None:
        _require_verbs(trust)
        self.trust: Trust = trust
        self.suspends: bool = suspends(
            trust.authenticator, trust.tenants, trust.limiter, trust.audit, trust.connections, trust.approvals
        )
        address = trust.client_address or ClientAddress()
        self._limits: Limits = Limits(trust.limiter, address)
        self.trail: Trail = Trail(trust, address)

    async def aadmit(self, facts: RequestFacts, *, route: str = "public") -> Any:
        """The stages before any credential: origin, then limits per client. Public routes run these alone.

        Returns the limiter's verdict, or None without a limiter.

        Raises:
            OriginDenied, RateLimited
        """
        self.require_origin(facts)
        return await self._limits.afirst(self._limits.keys(facts, route))

    admit: Final = synced(aadmit)

    def require_origin(self, facts: RequestFacts) -> None:
        """The first stage alone, for handshakes whose other stages come later. Raises `OriginDenied`."""
        with _ORIGIN:
            verdict = self.trust.origin.check(facts)
            allowed, reason = verdict.allowed, verdict.reason
        if allowed is not True:
            raise OriginDenied(reason)

    async def aenter(
        self, facts: RequestFacts, operation: Operation, resource: Any = None, arguments: Any = None
    ) -> Grant:
        """Takes a request through every stage.

        Args:
            resource: what is acted upon, or a callable of the `TenantContext` (a coroutine function with the async
                face) that fetches it inside the tenant's scope; a callable that finds None is a 404. What it raises
                is the host's own and passes unchanged.
            arguments: what an approval binds besides the resource (amount, recipient): a mapping, or a callable like
                `resource`, asked only where the request brings an approval.

        Returns:
            A `Grant`; enter it as a context manager around the operation.

        Raises:
            TrustError: the first stage that refuses. The refusal is recorded.
        """
        grant = Grant(facts, operation, self.trail, suspends=self.suspends)
        try:
            await self.apass(grant, resource, arguments)
        except TrustError as refusal:
            await grant.arefund()
            await self.trail.arefusal(grant, refusal)
            raise
        except BaseException:  # cancelled or interrupted, or the host's own resource callable
            await grant.afinish("error")
            raise
        return grant

    enter: Final = synced(aenter)

    def faults(self, operation: Operation) -> list[ConfigurationError]:
        """Why this `Trust` could never serve an operation; empty where it can.

        Returns:
            Errors to show, not raised: ``unregistered_operation``, ``unknown_permission``, ``limits`` that nothing
            counts, ``connections`` without a gate, ``entitlements`` that nobody answers for, a ``step_up`` that no
            sign-in meets.
        """
        trust, platform = self.trust, self._is_platform(operation)
        found = (
            unregistered(operation, trust.operations),
            unknown_permission(operation, trust.policy),
            self._limits.fault(operation),
            ungated(operation, trust.connections, platform=platform),
            unsubscribed(operation, trust.tenants, platform=platform),
            unmeetable(operation),
        )
        return [fault for fault in found if fault is not None]

    def vet(self, operation: Operation) -> None:
        """Refuses an operation that this `Trust` could never serve; adapters ask when the host starts.

        Raises:
            ConfigurationError: the one of its `faults`, or one error that lists them all.
        """
        found = self.faults(operation)
        if found:
            raise gathered(found)

    async def apass(self, grant: Grant, resource: Any = None, arguments: Any = None) -> None:
        """The stages themselves, in their order; fills in the grant. Neither records nor undoes what it refuses.

        Raises:
            TrustError: the first stage that refuses.
        """
        trust, operation = self.trust, grant.operation
        self.require_origin(grant.facts)
        refuse(unregistered(operation, trust.operations))
        keys = self._limits.keys(grant.facts, operation.name, operation.limits)
        await self._limits.afirst(keys)
        await self._identify(grant)
        found = await _fetch(resource, grant.tenant)
        approval = self._decide(grant, found)
        self._require_step_up(operation.step_up, grant.principal)
        grant.verdict = await self._limits.asecond(grant, keys)
        if operation.connection is not None:
            grant.connection = await self._require_connection(grant, operation.connection)
        if approval is not None:
            await aspend(grant, trust.approvals, approval, found, await _asked(arguments, grant.tenant))
        await self.trail.aattempt(grant)

    def _decide(self, grant: Grant, resource: Any) -> str | None:
        """Asks the policy; an approval that the request brings is returned, because it is spent at the end.

        Raises:
            TrustError: denied, and no approval could change that.
        """
        with _POLICY:
            grant.decision = self.trust.policy.check(grant.subject, grant.operation.permission, resource)
            allowed = grant.decision.allowed is True
            approval = None if allowed else presented(grant, self.trust.approvals)
        self.trail.count("wst.authz.decisions", outcome=_word(allowed), permission=grant.operation.permission)
        if not allowed and approval is None:
            raise _denial(grant.decision)
        return approval

    async def _identify(self, grant: Grant) -> None:
        """Who asks and, unless the platform itself is acted upon, in which tenant."""
        with _AUTHENTICATOR:
            principal = await self.trust.authenticator.aauthenticate(grant.facts)
        if not isinstance(principal, Principal):
            raise InvalidCredential("the authenticator returned nobody", reason="none")
        grant.principal = principal
        if self._is_platform(grant.operation):
            return
        with _TENANTS:
            tenant = await self.trust.tenants.aresolve(grant.facts, principal)
        if not isinstance(tenant, TenantContext):
            raise TenantNotFound("the resolver returned no context")
        grant.tenant, grant.principal = tenant, tenant.principal
        await _require_feature(grant.operation, tenant)

    def _is_platform(self, operation: Operation) -> bool:
        """A policy of the host's own may know no scopes: then everything happens in a tenant."""
        scope_of = getattr(self.trust.policy, "scope_of", None)
        if scope_of is None:
            return False
        with _POLICY:
            return bool(scope_of(operation.permission) == "platform")

    def _require_step_up(self, step_up: StepUp | None, principal: Principal | None) -> None:
        if step_up is not None and (principal is None or not step_up.met_by(principal, self.trust.clock.now())):
            raise step_up.challenge()

    async def _require_connection(self, grant: Grant, provider: str) -> Any:
        gate, tenant = self.trust.connections, grant.tenant
        refuse(ungated(grant.operation, gate, platform=tenant is None))
        assert gate is not None
        assert tenant is not None
        with _CONNECTIONS:
            return await gate.arequire_active(tenant.tenant_id, provider)

    # --- for hosts without an adapter --------------------------------------------------------------------------------

    def operation(
        self, operation: Operation, *, resource: Any = None, arguments: Any = None
    ) -> Callable[[Callable[Concatenate[Grant, P], T]], Callable[Concatenate[RequestFacts, P], T]]:
        """Decorates a function (or coroutine function) of a `Grant`: it is called with `RequestFacts` instead.

        Raises:
            ConfigurationError: an operation that is not registered.
        """
        refuse(unregistered(operation, self.trust.operations))

        def decorate(function: Callable[Concatenate[Grant, P], T]) -> Callable[Concatenate[RequestFacts, P], T]:
            refuse_generators(function)
            if iscoroutinefunction(function):
                later = function

                @wraps(function)
                async def guarded_later(facts: RequestFacts, /, *args: P.args, **kwargs: P.kwargs) -> Any:
                    async with await self.aenter(facts, operation, resource, arguments) as grant:
                        return await later(grant, *args, **kwargs)

                return cast("Callable[Concatenate[RequestFacts, P], T]", guarded_later)

            @wraps(function)
            def guarded(facts: RequestFacts, /, *args: P.args, **kwargs: P.kwargs) -> T:
                with self.enter(facts, operation, resource, arguments) as grant:
                    return function(grant, *args, **kwargs)

            return guarded

        return decorate


def refuse_generators(function: object) -> None:
    """Refuses to decorate a generator function: its body would run after the grant is closed.

    Raises:
        ConfigurationError: with the way to stream all the same.
    """
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise ConfigurationError(
            "a guarded function cannot be a generator: its body would run outside the grant",
            hint="return the iterator, or a streaming response, from a plain function",
            reason="guarded_generator",
        )


def _require_verbs(trust: Trust) -> None:
    for field, verb in _VERBS.items():
        part = getattr(trust, field)
        if not callable(getattr(part, verb, None)) and not (part is None and field in _OPTIONAL):
            raise ConfigurationError(
                f"{field} is {type(part).__name__}, which has no {verb}()",
                hint=f"give the part of this package, or a class with {verb}()",
                reason="part",
            )


async def _require_feature(operation: Operation, tenant: TenantContext) -> None:
    if operation.feature is None:
        return
    refuse(unsubscribed(operation, tenant, platform=False))
    with _TENANTS:
        answer = await tenant.entitlements.acheck(tenant, operation.feature)
        allowed = answer.allowed is True
    if not allowed:
        raise EntitlementDenied(answer.reason, limit=answer.limit, used=answer.used, resets_at=answer.resets_at)


async def _fetch(resource: Any, tenant: TenantContext | None) -> Any:
    """The resource, fetched once the tenant is proved."""
    found = await _asked(resource, tenant)
    if found is None and resource is not None:
        raise NotFound("the resource does not exist in this tenant")
    return found


async def _asked(part: Any, tenant: TenantContext | None) -> Any:
    """`part`, or what it gives when called inside the tenant's scope."""
    if not callable(part):
        return part
    with tenant_scope(tenant) if tenant is not None else nullcontext():
        found = part(tenant)
        return await found if isawaitable(found) else found


def _denial(decision: Any) -> TrustError:
    for obligation in decision.obligations:
        if isinstance(obligation, StepUp):
            return obligation.challenge()
    return AccessDenied(decision)


def _word(allowed: bool) -> str:
    return "allowed" if allowed else "denied"
