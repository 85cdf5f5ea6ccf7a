"""Principals, contexts, events."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest

from wellstreak_trust.core import AuditEvent, Membership, Principal, TenantContext, UsageError
from wellstreak_trust.core.principal import StepUp
from wellstreak_trust.core.tenant import SupportAccess

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_principals_are_frozen_and_take_no_later_edits() -> None:
    attributes = {"department": "ops"}
    principal = Principal("u1", roles=["member"], scopes=["a:b"], attributes=attributes, amr=["pwd"])  # type: ignore[arg-type]  # collections are coerced
    attributes["department"] = "root"
    assert principal.attributes["department"] == "ops"
    assert (principal.roles, principal.scopes, principal.amr) == (frozenset({"member"}), frozenset({"a:b"}), ("pwd",))
    with pytest.raises(AttributeError):
        principal.id = "u2"  # type: ignore[misc]  # frozen on purpose
    with pytest.raises(TypeError):
        principal.attributes["x"] = 1  # type: ignore[index]  # read-only on purpose


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": 1},
        {"id": "u", "kind": "root"},
        {"id": "u", "kind": None},
        {"id": "u", "kind": ["user"]},
        {"id": "u", "kind": b"user"},
        {"id": "u", "tenant_id": ""},
        {"id": "u", "tenant_id": 1},
        {"id": "u", "roles": "owner"},
        {"id": "u", "roles": [1]},
        {"id": "u", "scopes": "a:b"},
        {"id": "u", "scopes": {"a:b": True}},
    ],
)
def test_fields_of_the_wrong_type_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Principal(**fields)


def test_a_kind_is_plain_text() -> None:
    """Text that compares as it likes would be one kind to a mask and another to a rule."""

    class Kind(StrEnum):
        AGENT = "agent"

    class Liar(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return other != "agent"

    for kind in (Kind.AGENT, Liar("agent")):
        principal = Principal("u", kind=kind)  # type: ignore[arg-type]  # what a host may hand in
        assert type(principal.kind) is str
        assert principal.kind == "agent"


def test_principals_cross_processes_and_tenants() -> None:
    principal = Principal("u1", attributes={"a": 1}, actor=Principal("admin"))
    assert pickle.loads(pickle.dumps(principal)) == principal
    assert principal.in_tenant("t1") == replace(principal, tenant_id="t1")
    assert principal.in_tenant("t1").standing is principal.standing
    for unfit in ("", None, 5):
        if unfit is not None:
            with pytest.raises(UsageError):
                principal.in_tenant(unfit)
    assert principal.tenant_id is None


def test_roles_of_a_context_are_the_memberships() -> None:
    principal = Principal("u1", roles=frozenset({"owner"}))
    member = TenantContext("t1", principal, Membership("t1", "u1", frozenset({"member"})))
    assert member.roles == frozenset({"member"})
    assert TenantContext("t1", principal, None).roles == frozenset()


@pytest.mark.parametrize(
    ("wanted", "fields", "met"),
    [
        (StepUp(aal=2), {"aal": 1}, False),
        (StepUp(aal=2), {"aal": 2}, True),
        (StepUp(max_age=60), {}, False),
        (StepUp(max_age=60), {"auth_time": NOW - timedelta(seconds=60)}, True),
        (StepUp(max_age=60), {"auth_time": NOW - timedelta(seconds=61)}, False),
        (StepUp(max_age=60), {"auth_time": NOW + timedelta(seconds=1)}, False),
    ],
)
def test_step_up(wanted: StepUp, fields: dict[str, Any], met: bool) -> None:
    assert wanted.met_by(Principal("u", **fields), NOW) is met
    assert wanted.challenge().status == 401


def test_events_get_an_id_and_a_time() -> None:
    first = AuditEvent("billing.updated", "success", "t1", Principal("u1"))
    second = AuditEvent("billing.updated", "success", "t1", {"id": "job", "kind": "system"})
    assert first.id != second.id
    assert first.occurred_at.tzinfo is not None
    assert dict(first.data) == {}


def test_a_membership_proves_something_while_it_is_neither_suspended_nor_over() -> None:
    support = SupportAccess("the bot is silent", "SUP-1", "u1", NOW)
    plain = Membership("t1", "u1", frozenset({"viewer"}))
    inside = replace(plain, kind="support", support=support)
    assert plain.live(NOW)
    assert not replace(plain, suspended=frozenset({"account"})).live(NOW)
    assert inside.live(NOW - timedelta(microseconds=1))
    assert not inside.live(NOW)
    assert (plain.over(NOW), inside.over(NOW)) == (False, True)


def test_an_attempt_and_how_it_ended_are_two_events_of_one_content() -> None:
    attempt = AuditEvent("a.b", "attempted", "t1", Principal("u1"), ("x",), {"address": "203.0.113.9"}, data={"n": 1})
    later = attempt.occurred_at + timedelta(seconds=1)
    ended = attempt.ended("success", later)
    assert (ended.outcome, ended.occurred_at) == ("success", later)
    assert ended.id != attempt.id
    same = replace(attempt, outcome="success", occurred_at=later, id=ended.id)
    assert ended == same
    object.__setattr__(attempt, "prepared", "by a sink")
    assert attempt.ended("error", later).prepared == "by a sink"
    assert replace(attempt, data={"n": 2}).prepared is None, "other content is prepared anew"
