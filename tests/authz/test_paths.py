"""The quick path of `check` answers what the careful one answers, to the last field."""

from __future__ import annotations

from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Membership, Principal, TenantContext

CONDITIONS = st.sampled_from(
    ["", "resource.b", "!resource.b", "has(resource.b) && resource.b", "resource.s == principal.id", "context.b",
     "resource.s in principal.t", "!(resource.s in ['u1', 'x'])", "resource.i < 2 || resource.b", "principal.aal > 1",
     "has(principal.t) || has(context.b)", "resource.b == context.b", "'m' in principal.roles", "true", "false"]
)  # fmt: skip
VALUES = st.sampled_from([None, "u1", "x", 0, 1, 5, True, False, ["u1"], ["u1", 1], 1.0, {}])
TENANTS = st.sampled_from(["t1", "t1", "t1", "t2", "", None, 1])
DECLARED = {"b": "bool", "s": "string", "i": "int"}


def grant(when: str) -> dict[str, str]:
    return {"permission": "d:x", "when": when} if when else {"permission": "d:x"}


@st.composite
def policies(draw) -> Policy:
    return Policy.build(
        permissions={"d:x": {"scope": draw(st.sampled_from(["tenant", "tenant", "platform"]))}},
        resources={"d": {"attributes": DECLARED}},
        principal={"attributes": {"t": "strings"}},
        context={"attributes": {"b": "bool"}},
        roles={"m": [grant(when) for when in draw(st.lists(CONDITIONS, max_size=3))], "n": []},
        forbid=[
            {"id": f"f{index}", "permissions": ["*"], **({"when": when} if when else {})}
            for index, when in enumerate(draw(st.lists(CONDITIONS, max_size=2)))
        ],
    )


RESOURCES = st.none() | st.fixed_dictionaries({"tenant_id": TENANTS}, optional=dict.fromkeys(DECLARED, VALUES))
CONTEXTS = st.none() | st.fixed_dictionaries({}, optional={"b": VALUES})
PRINCIPALS = st.builds(
    Principal,
    st.just("u1"),
    tenant_id=st.sampled_from(["t1", "t1", None]),
    roles=st.sampled_from([frozenset({"m"}), frozenset({"m", "n"}), frozenset({"n"}), frozenset()]),
    scopes=st.sampled_from([None, None, frozenset({"d:x"}), frozenset()]),
    aal=st.sampled_from([1, 2]),
    attributes=st.fixed_dictionaries({}, optional={"t": VALUES}),
)


@settings(max_examples=100, deadline=None)
@given(policies(), st.lists(st.tuples(PRINCIPALS, RESOURCES, CONTEXTS), min_size=4, max_size=8), st.booleans())
def test_two_paths_one_answer(policy, questions, in_context):
    for principal, resource, context in questions:
        subject = TenantContext("t1", principal, Membership("t1", "u1", principal.roles)) if in_context else principal
        quick = policy.check(subject, "d:x", resource, context)
        assert policy._judge(subject, "d:x", resource, context) == quick
        if resource is not None:
            assert policy.check(subject, "d:x", MappingProxyType(resource), context) == quick
