"""Every action is declared once, with what happens when it cannot be recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wellstreak_trust.audit import SDK_ACTIONS, ActionRegistry, ActionSpec, AuditEvent, AuditEventRejected
from wellstreak_trust.core.errors import ConfigurationError

OURS = {spec.name: spec.criticality for spec in SDK_ACTIONS}


def test_the_registry_always_holds_our_own_actions() -> None:
    registry = ActionRegistry([ActionSpec("billing.plan_changed", "critical")])
    assert {spec.name for spec in registry} == {*OURS, "billing.plan_changed"}
    assert "audit.gap" in registry
    assert registry.spec("billing.plan_changed").criticality == "critical"


def test_our_own_criticalities() -> None:
    """What stops harm must go on without a trail; what opens a door must not."""
    assert all(spec.about for spec in SDK_ACTIONS)
    protective = (
        "access.denied",
        "session.revoked",
        "session.closed",
        "secret.disabled",
        "webhook.refused",
        "member.removed",
    )
    assert {OURS[name] for name in protective} == {"protective"}
    critical = ("tenancy.elevated", "secret.read", "secret.rotated", "member.roles_changed", "audit.exported")
    assert {OURS[name] for name in critical} == {"critical"}
    assert OURS["webhook.verified"] == "sampled"


def test_unknown_actions() -> None:
    with pytest.raises(AuditEventRejected):
        ActionRegistry().spec("unknown.action")
    assert ActionRegistry(strict=False).spec("unknown.action").criticality == "standard"
    for name in ("", "a b", "a\nb", None, 7, [], "x" * 200):
        with pytest.raises(AuditEventRejected):
            ActionRegistry(strict=False).spec(name)  # type: ignore[arg-type]  # what a host may hand over


@pytest.mark.parametrize("arguments", [("a b",), ("",), (None,), ("ok.ok", "urgent"), ("ok.ok", None)])
def test_specs_that_are_none(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError):
        ActionSpec(*arguments)


def test_every_action_of_ours_says_which_requirement_asks_for_it() -> None:
    """OWASP ASVS 5, 16.1.1: an inventory of what is logged; NIST SP 800-53, AU-2."""
    assert all(spec.asvs and spec.nist for spec in SDK_ACTIONS)
    assert {requirement.split(".")[0] for spec in SDK_ACTIONS for requirement in spec.asvs} == {"16"}


def test_data_holds_what_is_declared() -> None:
    spec = ActionSpec("plan.changed", fields=frozenset({"plan", "seats"}))
    event = AuditEvent("plan.changed", "success", "t1", {"id": "u"}, data={"plan": "pro"})
    spec.check(event)
    with pytest.raises(AuditEventRejected) as refused:
        spec.check(replace(event, data={"plan": "pro", "email": "ada@example.test"}))
    assert "data.email" in refused.value.detail
    assert "ada@" not in refused.value.detail
    assert ActionSpec("a.b", fields={"x"}).fields == frozenset({"x"})  # type: ignore[arg-type]  # a set will do
    for fields in ({"a b"}, {1}):
        with pytest.raises(ConfigurationError):
            ActionSpec("a.b", fields=fields)  # type: ignore[arg-type]  # what a host may hand over


def test_a_registry_that_is_not_strict_remembers_a_bounded_number() -> None:
    registry = ActionRegistry(strict=False)
    for number in range(3_000):
        assert registry.spec(f"made.up_{number}").criticality == "standard"
    assert len(registry._undeclared) == 1_000
    assert "made.up_1" not in registry


@pytest.mark.parametrize("names", [["a.b", "a.b"], ["audit.gap"]])
def test_no_action_is_declared_twice(names: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        ActionRegistry([ActionSpec(name) for name in names])
