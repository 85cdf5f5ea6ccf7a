"""Every action is declared once, with what happens when it cannot be recorded."""

from __future__ import annotations

from typing import Any

import pytest

from wellstreak_trust.audit import SDK_ACTIONS, ActionRegistry, ActionSpec, AuditEventRejected
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


@pytest.mark.parametrize("names", [["a.b", "a.b"], ["audit.gap"]])
def test_no_action_is_declared_twice(names: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        ActionRegistry([ActionSpec(name) for name in names])
