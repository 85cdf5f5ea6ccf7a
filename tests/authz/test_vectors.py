"""The four fact tables, case by case, on the quick path and on the careful one."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from wellstreak_trust.authz import Policy, PolicyError
from wellstreak_trust.core import TrustError

HERE = Path(__file__).parents[1] / "vectors" / "authz"
CODES = {"TRUE": "allowed", "FALSE": "condition_failed", "UNKNOWN": "condition_unknown"}


def table(name: str) -> dict[str, Any]:
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def cases(name: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{case['category']}-{index}".replace(" ", "-"))
        for index, case in enumerate(table(name)["cases"])
    ]


@pytest.fixture(scope="module")
def policies() -> dict[str, Policy]:
    document = table("decisions")["document"]
    return {"base": Policy.from_dict(document), "plain": Policy.from_dict({**document, "forbid": []})}


@pytest.mark.parametrize("case", cases("decisions"))
def test_decisions(case, policies, principal):
    policy = policies[case["document"]]
    try:
        subject = principal(case["subject"])
    except TrustError:
        assert not case["allowed"]
        return
    resource, context = case["resource"], case["context"]
    decision = policy.check(subject, case["permission"], resource, context)
    assert (decision.allowed, decision.code) == (case["allowed"], case["code"])
    if resource is not None:
        for other in (MappingProxyType(resource), SimpleNamespace(**resource)):
            assert policy.check(subject, case["permission"], other, context) == decision


@pytest.mark.parametrize("case", cases("load_refusals"))
def test_load_refusals(case, edited):
    with pytest.raises(PolicyError) as caught:
        Policy.from_dict(edited(table("load_refusals")["document"], [case["set"]]))
    assert case.get("suggests", "") in caught.value.detail + caught.value.hint
    assert caught.value.detail


@pytest.mark.parametrize("case", cases("assignments"))
def test_assignments(case, edited, principal):
    policy = Policy.from_dict(edited(table("assignments")["document"], case["set"]))
    try:
        subject, target = principal(case["subject"]), principal(case["target"])
    except TrustError:
        assert not case["allowed"]
        return
    found = policy.can_assign(subject, target, case["roles"])
    assert (found.allowed, bool(found), found.code == "allowed") == (case["allowed"],) * 3


@pytest.mark.parametrize("case", cases("conditions"))
def test_conditions(case, principal):
    shared = table("conditions")
    declared, values = shared["attributes"], shared["values"]
    policy = Policy.build(
        permissions=["d:x"],
        roles={"m": [{"permission": "d:x", "when": case["when"]}]},
        resources={"d": {"attributes": declared["resource"]}},
        principal={"attributes": declared["principal"]},
        context={"attributes": declared["context"]},
    )
    subject = principal({"id": "u", "tenant_id": "t", "roles": ["m"], "attributes": values["principal"]})
    resource = {"tenant_id": "t", **values["resource"]}
    for shape in (resource, SimpleNamespace(**resource)):
        assert policy.check(subject, "d:x", shape, values["context"]).code == CODES[case["value"]]
