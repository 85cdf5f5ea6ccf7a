"""What every membership and usage store must do; run it against your own.

Each check is a coroutine over a fresh store: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from ...core.errors import LastOwner, TenantNotFound
from ...core.tenant import Membership
from ...tenancy.entitlements import Hold, UsageStore
from ...tenancy.membership import MembershipStore
from ...tenancy.workspace import Invited, WorkspaceState

__all__ = ["MEMBERSHIP_CHECKS", "USAGE_CHECKS"]

_UNTIL: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_INVITED: Final = Invited("i1", "d" * 64, "é@example.com", frozenset(("admin", "member")), "u1", _UNTIL)
_FOUNDED: Final = WorkspaceState.founded("t1", "u1", name="Äcme", seats=5)


async def a_tenant_id_is_claimed_once(store: MembershipStore) -> None:
    """The second claim loses and changes nothing."""
    assert await store.claim(_FOUNDED)
    assert not await store.claim(WorkspaceState.founded("t1", "intruder"))
    assert await store.load("t1") == _FOUNDED
    assert await store.load("t2") is None


async def states_come_back_whole(store: MembershipStore) -> None:
    """Every field survives a change, times to the microsecond; unknown workspaces are told apart from empty ones."""
    await store.claim(_FOUNDED)
    before, after = await store.transact("t1", lambda state: state.with_invitation(_INVITED).with_member("u2", _ROLES))
    assert before == _FOUNDED
    assert await store.load("t1") == after
    closed = replace(_INVITED, status="accepted")
    _, after = await store.transact("t1", lambda state: replace(state.with_invitation(closed), seats=None, name=""))
    assert await store.load("t1") == after
    _, after = await store.transact("t1", lambda state: replace(state.without_member("u2"), invitations={}))
    assert await store.load("t1") == after
    assert set(after.members) == {"u1"}


async def a_rule_that_raises_changes_nothing(store: MembershipStore) -> None:
    """The error passes through; an unknown workspace never reaches the rule."""
    await store.claim(_FOUNDED)

    def refuse(state: WorkspaceState) -> WorkspaceState:
        state.without_member("u1")
        raise LastOwner("no")

    assert await _raises(LastOwner, lambda: store.transact("t1", refuse))
    assert await _raises(TenantNotFound, lambda: store.transact("t2", refuse))
    assert await store.load("t1") == _FOUNDED


async def single_memberships_are_found(store: MembershipStore) -> None:
    """By tenant and principal, and by principal alone; tenants do not mix."""
    await store.claim(_FOUNDED)
    await store.claim(WorkspaceState.founded("t0", "u2"))
    await store.transact("t1", lambda state: state.with_member("u2", _ROLES))
    assert await store.find("t1", "u2") == Membership("t1", "u2", _ROLES, 3)
    assert await store.find("t0", "u1") is None
    assert await store.find("t9", "u1") is None
    assert [found.tenant_id for found in await store.memberships_of("u2")] == ["t0", "t1"]
    assert await store.memberships_of("u9") == []


async def invitations_are_found_by_digest(store: MembershipStore) -> None:
    """The digest names the workspace."""
    await store.claim(_FOUNDED)
    await store.transact("t1", lambda state: state.with_invitation(_INVITED))
    assert await store.tenant_of_invitation(_INVITED.digest) == "t1"
    assert await store.tenant_of_invitation("e" * 64) is None


async def a_limit_is_never_passed(store: UsageStore) -> None:
    """The amount is taken whole or not at all; tenants, features and periods count apart."""
    assert await store.take_if(_hold("a", 3), 5) == 3
    assert await store.take_if(_hold("b", 3), 5) is None
    assert await store.take_if(_hold("c", 2), 5) == 5
    assert await store.take_if(_hold("d", 6), 5) is None
    assert await store.take_if(replace(_hold("e", 9), period=2), 5) is None
    for other in (replace(_hold("f", 1), period=2), replace(_hold("g", 1), tenant_id="t2")):
        assert await store.take_if(other, 5) == 1
    assert await store.used("t1", "runs", 1) == 5
    assert await store.used("t1", "other", 1) == 0


async def a_hold_is_closed_once(store: UsageStore) -> None:
    """Released holds give back once; committed ones never."""
    await store.take_if(_hold("a", 3), 5)
    await store.take_if(_hold("b", 1), 5)
    assert await store.release("a")
    assert not await store.release("a")
    assert await store.commit("b")
    assert not await store.commit("b")
    assert not await store.release("b")
    assert not await store.release("unknown")
    assert await store.used("t1", "runs", 1) == 1


_ROLES: Final = frozenset(("billing", "member"))


def _hold(name: str, amount: int) -> Hold:
    return Hold(name, "t1", "runs", 1, amount)


async def _raises(kind: type[Exception], call: Callable[[], Awaitable[object]]) -> bool:
    try:
        await call()
    except kind:
        return True
    return False


MEMBERSHIP_CHECKS: Final = (
    a_tenant_id_is_claimed_once,
    states_come_back_whole,
    a_rule_that_raises_changes_nothing,
    single_memberships_are_found,
    invitations_are_found_by_digest,
)
USAGE_CHECKS: Final = (a_limit_is_never_passed, a_hold_is_closed_once)
