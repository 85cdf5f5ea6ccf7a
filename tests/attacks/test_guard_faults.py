"""Whatever part fails, and however, the guard ends closed: no grant, no tenant scope, the limits given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from wellstreak_trust import Grant, Guard, Operation, Principal, RequestFacts, Trust
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.authz import Policy
from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.core.errors import (
    AccessDenied,
    AuditEventRejected,
    AuditUnavailable,
    Denied,
    InvalidCredential,
    InvalidRequest,
    OriginDenied,
    RateLimited,
    StoreUnavailable,
    TenantConflict,
    TenantNotFound,
    TrustError,
    Unavailable,
    UsageError,
)
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.identity import Authenticator, MemorySessionStore, SessionManager
from wellstreak_trust.origin import OriginPolicy
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.telemetry import Counters
from wellstreak_trust.tenancy import (
    Memberships,
    MemoryMembershipStore,
    PathSource,
    TenantResolver,
    current_tenant,
    tenant_scope,
    testing_context,
)

UPDATE = Operation("billing.update", "billing:update", feature="ai", connection="slack", audit="billing.updated")


class Gate:
    async def arequire_active(self, tenant_id: str, provider: str) -> Any:
        return {"proved": provider}


class Plans:
    async def acheck(self, tenant: Any, feature: str, amount: int = 1) -> Any:
        return type("Answer", (), {"allowed": True})()


class World:
    """Every part works, until one is replaced."""

    def __init__(self, limit: int = 1, **changed: Any) -> None:
        self.sessions = SessionManager(MemorySessionStore())
        self.memberships = Memberships(MemoryMembershipStore())
        self.memberships.create_workspace(Principal("ada"), tenant_id="acme")
        self.token = self.sessions.open("ada")
        self.audit = AuditLog(MemoryAuditStore())
        self.limiter = RateLimiter(
            [LimitRule("tenant", limit, timedelta(hours=1), by=("tenant",))], store=MemoryLimitStore()
        )
        self.counters = Counters()
        parts: dict[str, Any] = {
            "authenticator": Authenticator([self.sessions]),
            "tenants": TenantResolver([PathSource("/w/{tenant}/")], self.memberships, entitlements=Plans()),
            "policy": Policy.from_dict(
                {
                    "schema": 1,
                    "permissions": {"billing:update": {}, "billing:close": {}, "p:list": {"scope": "platform"}},
                    "roles": {"owner": {"allow": ["billing:update"]}},
                }
            ),
            "limiter": self.limiter,
            "origin": OriginPolicy(),
            "audit": self.audit,
            "connections": Gate(),
            "counters": self.counters,
        }
        self.parts = {**parts, **{name: change(parts[name]) for name, change in changed.items()}}
        self.guard = Guard(Trust(profile="test", **self.parts))

    def facts(self, method: str = "POST", **headers: Any) -> RequestFacts:
        lines = {"cookie": f"{self.token.cookie.name}={self.token.token.reveal()}", "sec-fetch-site": "same-origin"}
        return RequestFacts(method, "https://app.example/w/acme/x", {**lines, **headers}, peer="203.0.113.9")

    def left(self) -> int:
        return self.limiter.peek({"tenant": "acme"}).remaining

    def trail(self, tenant_id: str = "acme") -> list[str]:
        return [f"{e['action']} {e['outcome']}" for e in reversed(self.audit.events(tenant_id))]


class Broken:
    """A part whose one verb raises; everything else is the real part."""

    def __init__(self, part: Any, verb: str, error: BaseException) -> None:
        self.part, self.verb, self.error = part, verb, error

    def __getattr__(self, name: str) -> Any:
        if name != self.verb:
            return getattr(self.part, name)
        if not name.startswith("a") or name == "acheck_sync":
            return self._now
        return self._later

    def _now(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error

    async def _later(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error


VERBS = {
    "authenticator": "aauthenticate", "tenants": "aresolve", "policy": "check", "origin": "check",
    "audit": "aemit", "connections": "arequire_active",
}  # fmt: skip
FAULTS = [
    StoreUnavailable("down"),
    ValueError("foreign"),
    KeyError("x"),
    TimeoutError(),
    RecursionError(),
    AssertionError(),
]


@pytest.mark.asvs("16.5.3")
@pytest.mark.parametrize("face", ["sync", "async"])
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("part", VERBS)
def test_every_fault_of_every_part_is_closed(part: str, error: Exception, face: str) -> None:
    world = World(**{part: lambda real: Broken(real, VERBS[part], error)})
    with pytest.raises(Unavailable) as caught:
        if face == "sync":
            world.guard.enter(world.facts(), UPDATE)
        else:
            asyncio.run(world.guard.aenter(world.facts(), UPDATE))
    assert caught.value.status == 503
    assert "foreign" not in f"{caught.value} {caught.value.detail} {caught.value.problem()}"
    assert current_tenant() is None
    assert world.left() == 1


@pytest.mark.parametrize("error", FAULTS[:2], ids=lambda error: type(error).__name__)
def test_a_limiter_and_entitlements_that_fail_are_closed(error: Exception) -> None:
    class Views:
        rules = ()

        def select(self, wanted: Any) -> Any:
            return self

        async def acheck(self, keys: Any, cost: int = 1) -> Any:
            raise error

    with pytest.raises(Unavailable):
        (world := World(limiter=lambda real: Views())).guard.enter(world.facts(), UPDATE)

    def without_plans(real: TenantResolver) -> Any:
        real._entitlements = Broken(Plans(), "acheck", error)
        return real

    with pytest.raises(Unavailable):
        (world := World(tenants=without_plans)).guard.enter(world.facts(), UPDATE)
    assert world.left() == 1


@pytest.mark.parametrize("answer", [None, 1, "yes", object(), {"allowed": True}])
def test_answers_of_another_shape_do_not_admit(answer: Any) -> None:
    class Says:
        async def aauthenticate(self, facts: Any) -> Any:
            return answer

        async def aresolve(self, facts: Any, principal: Any) -> Any:
            return answer

        def check(self, *args: Any) -> Any:
            return answer

        def scope_of(self, permission: str) -> str:
            return "tenant"

    closed = {
        "authenticator": InvalidCredential,
        "tenants": TenantNotFound,
        "policy": Unavailable,
        "origin": Unavailable,
    }
    for part, error in closed.items():
        world = World(**{part: lambda real: Says()})
        with pytest.raises(error):
            world.guard.enter(world.facts(), UPDATE)
        assert world.left() == 1


class Truthy:
    obligations = ()
    code = "odd"
    conceal = False

    def __init__(self, allowed: Any) -> None:
        self.allowed = self.reason = allowed

    def audit(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("allowed", [1, "no", object(), None])
def test_only_true_allows(allowed: Any) -> None:
    class Says:
        def check(self, *args: Any) -> Any:
            return Truthy(allowed)

    for part, error in (("policy", AccessDenied), ("origin", OriginDenied)):
        world = World(**{part: lambda real: Says()})
        with pytest.raises(error):
            world.guard.enter(world.facts(), UPDATE)


def test_a_policy_that_knows_no_scopes_decides_in_a_tenant() -> None:
    class Says:
        def check(self, subject: Any, permission: str, resource: Any = None, context: Any = None) -> Any:
            return Truthy(subject.tenant_id == "acme")

    world = World(policy=lambda real: Says())
    world.guard.vet(UPDATE)
    with world.guard.enter(world.facts(), UPDATE) as grant:
        assert grant.tenant is not None


# --- the host's own code ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("theirs"), KeyboardInterrupt(), InvalidRequest("theirs")])
def test_what_a_resource_raises_passes_unchanged(error: BaseException) -> None:
    world = World()

    def resource(tenant: Any) -> Any:
        assert current_tenant() is tenant
        raise error

    with pytest.raises(type(error)) as caught:
        world.guard.enter(world.facts(), UPDATE, resource)
    assert caught.value is error
    assert current_tenant() is None
    assert world.left() == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt(), "error"),
        (SystemExit(), "error"),
        (ZeroDivisionError(), "error"),
        (StoreUnavailable("x"), "error"),
        (InvalidRequest("x"), "failure"),
        (OriginDenied(), "denied"),
    ],
)
def test_how_an_operation_ends(error: BaseException, outcome: str) -> None:
    world = World()
    with pytest.raises(type(error)) as caught, world.guard.enter(world.facts(), UPDATE):
        raise error
    assert caught.value is error
    assert world.trail() == ["billing.updated attempted", f"billing.updated {outcome}"]
    assert world.left() == 1
    assert current_tenant() is None


# --- cancellation ----------------------------------------------------------------------------------------------------


def test_cancellation_inside_the_operation_is_recorded_and_refunded() -> None:
    world = World()

    async def main() -> None:
        inside = asyncio.Event()

        async def work() -> None:
            async with await world.guard.aenter(world.facts(), UPDATE):
                inside.set()
                await asyncio.sleep(3600)

        task = asyncio.create_task(work())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert world.trail() == ["billing.updated attempted", "billing.updated error"]
    assert world.left() == 1


@pytest.mark.parametrize("part", ["connections", "audit"])
def test_cancellation_while_a_part_is_asked_refunds(part: str) -> None:
    class Slow:
        def __init__(self, real: Any) -> None:
            self.real, self.asked = real, asyncio.Event()

        async def arequire_active(self, tenant_id: str, provider: str) -> Any:
            self.asked.set()
            await asyncio.sleep(3600)

        async def aemit(self, event: Any) -> Any:
            receipt = await self.real.aemit(event)
            if not self.asked.is_set():
                self.asked.set()
                await asyncio.sleep(3600)  # recorded, and the answer never comes
            return receipt

    world = World(**{part: Slow})
    slow = world.parts[part]

    async def main() -> None:
        task = asyncio.create_task(world.guard.aenter(world.facts(), UPDATE))
        await slow.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert current_tenant() is None

    asyncio.run(main())
    assert world.left() == 1
    stands = ["billing.updated attempted", "billing.updated error"]
    assert world.trail() == (stands if part == "audit" else [])


# --- grants ----------------------------------------------------------------------------------------------------------


def test_a_grant_is_finished_once() -> None:
    world = World(limit=2)
    grant = world.guard.enter(world.facts(), UPDATE)
    with grant:
        grant.finish("failure")
        grant.finish("success")
    grant.finish("error")
    assert world.trail() == ["billing.updated attempted", "billing.updated failure"]
    assert world.left() == 2


def test_a_grant_is_entered_once() -> None:
    world = World(limit=2)
    grant = world.guard.enter(world.facts(), UPDATE)
    with grant:
        with pytest.raises(UsageError), grant:
            pass  # pragma: no cover  never reached
        assert current_tenant() is grant.tenant
    with pytest.raises(UsageError), grant:
        pass  # pragma: no cover  never reached
    assert current_tenant() is None
    assert world.trail() == ["billing.updated attempted", "billing.updated success"]


def test_a_grant_does_not_leak_out_of_a_generator() -> None:
    world = World()

    def rows(grant: Grant) -> Iterator[str]:
        with grant:
            yield "row"

    async def rows_later(grant: Grant) -> Any:
        async with grant:
            yield "row"

    with pytest.raises(ConfigurationError) as caught:
        next(rows(world.guard.enter(world.facts(), UPDATE)))
    assert caught.value.reason == "scope_in_generator"
    assert current_tenant() is None
    assert world.left() == 1
    assert world.trail() == ["billing.updated attempted", "billing.updated error"]

    async def main() -> None:
        grant = await world.guard.aenter(world.facts(), UPDATE)
        with pytest.raises(ConfigurationError):
            await anext(rows_later(grant))
        assert current_tenant() is None

    asyncio.run(main())
    assert world.left() == 1


def test_generator_functions_cannot_be_guarded() -> None:
    world = World()

    def rows(grant: Grant) -> Iterator[str]:
        yield "row"

    with pytest.raises(ConfigurationError) as caught:
        world.guard.operation(UPDATE)(rows)
    assert caught.value.reason == "guarded_generator"


def test_inside_another_tenants_scope_nothing_is_taken() -> None:
    world = World()
    with tenant_scope(testing_context("other")) as other:
        with pytest.raises(TenantConflict), world.guard.enter(world.facts(), UPDATE):
            pass  # pragma: no cover  never reached
        assert current_tenant() is other
    assert world.left() == 1
    assert world.trail() == ["billing.updated attempted", "billing.updated error"]


# --- the trail never masks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [AuditEventRejected("x"), AuditUnavailable("x"), ValueError("x"), StoreUnavailable("x")]
)
def test_a_trail_that_refuses_the_refusal_does_not_replace_it(error: Exception) -> None:
    world = World(audit=lambda real: Broken(real, "aemit", error))
    with pytest.raises(AccessDenied):
        world.guard.enter(world.facts(), Operation("close", "billing:close"))
    assert any(name == "wst.audit.dropped" for name, _ in world.counters.snapshot())


@pytest.mark.parametrize("error", [AuditEventRejected("x"), ValueError("x"), StoreUnavailable("x")])
def test_a_trail_that_dies_meanwhile_masks_neither_result_nor_error(error: Exception) -> None:
    world = World(limit=9)
    broken = Broken(world.audit, "aemit", error)
    grant = world.guard.enter(world.facts(), UPDATE)
    grant._trail._trust = Trust(profile="test", **{**world.parts, "audit": broken})
    with grant:
        done = True
    assert done
    grant = world.guard.enter(world.facts(), Operation("quiet", "billing:update"))
    grant.verdict = Broken(grant.verdict, "arefund", error)
    with pytest.raises(ZeroDivisionError), grant:
        raise ZeroDivisionError
    assert any(name == "wst.limits.unrefunded" for name, _ in world.counters.snapshot())


HOSTILE = ["\ud800", "\x00", "\r\nSet-Cookie: a=b", "é" * 9_000, "Bearer aaaa.bbbb.cccc", "\u202e", "%s%n", ""]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stops_neither_a_recorded_action_nor_its_refusal(text: str) -> None:
    world = World(limit=9)
    with world.guard.enter(world.facts(method=text or "POST", **{"user-agent": text, "referer": text}), UPDATE):
        assert world.trail()[-1] == "billing.updated attempted"
    with pytest.raises(Denied):
        world.guard.enter(world.facts(method=text, **{"user-agent": text}), Operation("close", "billing:close"))
    assert world.trail()[-1] == "access.denied denied"
    assert world.audit.dropped == 0


# --- what could never work is refused early --------------------------------------------------------------------------


def test_parts_without_their_verb_are_refused_when_the_guard_is_made() -> None:
    for part, verb in VERBS.items():
        with pytest.raises(ConfigurationError, match=rf"{part} .*has no {verb}"):
            World(**{part: lambda real: object()})
    assert isinstance(World(connections=lambda real: None, limiter=lambda real: None).guard, Guard)


@pytest.mark.parametrize(
    ("operation", "changed", "reason"),
    [
        (Operation("x", "billing:updaet"), {}, "unknown_permission"),
        (Operation("x", "billing:update", limits=("tenannt",)), {}, "limits"),
        (Operation("x", "billing:update", limits=("tenant",)), {"limiter": lambda real: None}, "limits"),
        (Operation("x", "billing:update", connection="slack"), {"connections": lambda real: None}, "connections"),
        (Operation("x", "p:list", connection="slack"), {}, "connections"),
    ],
)
def test_operations_that_could_never_be_served(
    operation: Operation, changed: dict[str, Callable[[Any], Any]], reason: str
) -> None:
    world = World(**changed)
    with pytest.raises(ConfigurationError) as caught:
        world.guard.vet(operation)
    assert caught.value.reason == reason
    with pytest.raises(TrustError):  # and a host that did not ask is not served either
        world.guard.enter(world.facts(), operation)
    world.guard.vet(Operation("good", "billing:update", limits=("tenant",) if world.parts["limiter"] else ()))


def test_an_operations_own_limit_per_client_is_enforced() -> None:
    world = World(limit=99)
    rule = LimitRule("own", 2, timedelta(hours=1), by=("client",))
    operation = Operation("costly", "billing:update", limits=(rule,))
    for _ in range(2):
        world.guard.enter(world.facts(), operation).finish()
    with pytest.raises(RateLimited):
        world.guard.enter(world.facts(), operation)


def test_operations_of_one_name_keep_their_own_limits() -> None:
    world = World(limit=99)
    rule = LimitRule("own", 1, timedelta(hours=1), by=("tenant",))
    first, second = Operation("same", "billing:update"), Operation("same", "billing:update", limits=(rule,))
    world.guard.enter(world.facts(), first).finish()
    world.guard.enter(world.facts(), second).finish()
    with pytest.raises(RateLimited):
        world.guard.enter(world.facts(), second)


def test_no_address_is_wanted_where_no_rule_counts_by_it() -> None:
    world = World()
    lines = world.facts().headers
    with world.guard.enter(RequestFacts("POST", "https://app.example/w/acme/x", lines), UPDATE) as grant:
        assert grant.verdict.allowed


def test_a_step_up_beyond_the_policy() -> None:
    world = World()
    with pytest.raises(InvalidCredential):
        world.guard.enter(world.facts(), Operation("x", "billing:update", step_up=StepUp(aal=3)))
    assert world.left() == 1
