"""Analysis: the matrix, the semantic diff, the lint and the escalation graph."""

from __future__ import annotations

import copy
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.authz import Policy, PolicyError, UsageError
from wellstreak_trust.authz.expression import parse
from wellstreak_trust.authz.implication import Table, implies, normal
from wellstreak_trust.authz.logic import Not, Truth, evaluate
from wellstreak_trust.authz.schema import RESOURCE, Schema
from wellstreak_trust.authz.spelling import spelled
from wellstreak_trust.core import Principal

PRESET = Policy.preset()
DEMO = Policy.load(Path(__file__).parents[2] / "src/wellstreak_trust/demo/policy.toml")
NOTES: dict[str, Any] = {
    "schema": 1,
    "permissions": {
        "notes:read": {}, "notes:update": {}, "notes:delete": {"risk": "high"}, "ops:list": {"scope": "platform"},
    },
    "resources": {"note": {"attributes": {"owner_id": "string", "frozen": "bool?", "size": "int"}}},
    "roles": {
        "member": {
            "rank": 10,
            "allow": ["notes:read", {"permission": "notes:update", "when": "resource.owner_id == principal.id"}],
        },
        "admin": {"rank": 50, "inherits": ["member"], "allow": ["notes:*"]},
        "ops": {"allow": ["ops:list"]},
    },
    "forbid": [{"id": "frozen", "permissions": ["notes:update"], "when": "has(resource.frozen) && resource.frozen"}],
}  # fmt: skip


def edited(**roles: Any) -> Policy:
    document = copy.deepcopy(NOTES)
    document["roles"].update(roles)
    return Policy.from_dict(document)


BASE = edited()


# --- matrix ----------------------------------------------------------------------------------------------------------


def test_cells():
    matrix = BASE.matrix()
    assert matrix.roles == ("ops", "member", "admin")
    assert [matrix.cell("notes:update", role) for role in matrix.roles] == ["no", "if", "yes"]
    assert matrix.cell("notes:nope", "admin") == matrix.cell("notes:read", "nope") == "no"
    assert "| notes:update | no | if | yes | frozen |" in matrix.to_markdown()
    assert next(csv.reader(io.StringIO(matrix.to_csv()))) == ["permission", "ops", "member", "admin", "forbids"]


def test_a_condition_that_never_or_always_holds_is_none():
    member = {"allow": [{"permission": "notes:read", "when": "has(resource.size) || !has(resource.size)"},
                        {"permission": "notes:update", "when": "false"}]}  # fmt: skip
    matrix = edited(member=member).matrix()
    assert (matrix.cell("notes:read", "member"), matrix.cell("notes:update", "member")) == ("yes", "no")
    document = copy.deepcopy(NOTES)
    document["forbid"] = [{"id": "never", "permissions": ["*"]}]
    assert Policy.from_dict(document).matrix().cell("notes:read", "admin") == "no"


@pytest.mark.asvs("8.1.1")
def test_the_forms_to_the_letter():
    many = " || ".join(f"resource.n == {number}" for number in range(9))  # more than can be tried out
    matrix = Policy.build(
        permissions=["a:x", "a:y", "a:z"],
        resources={"a": {"attributes": {"n": "int", "b": "bool"}}},
        roles={
            "r": {"rank": 2, "allow": ["a:x", {"permission": "a:y", "when": "resource.b"},
                                       {"permission": "a:z", "when": many}]},
            "q": {"rank": 1, "allow": [{"permission": "a:x", "when": "has(resource.b) && !has(resource.b)"},
                                       {"permission": "a:y", "when": "has(resource.b) || !has(resource.b)"}]},
        },
    ).matrix()  # fmt: skip
    assert matrix.to_csv() == "permission,q,r\r\na:x,no,yes\r\na:y,yes,if\r\na:z,no,if\r\n"
    assert matrix.to_markdown() == (
        "| permission | q | r |\n| --- | --- | --- |\n| a:x | no | yes |\n| a:y | yes | if |\n| a:z | no | if |\n"
    )
    assert matrix.to_html() == (
        '<table>\n<thead><tr><th scope="col">permission</th><th scope="col">q</th><th scope="col">r</th></tr></thead>\n'
        '<tbody>\n<tr><th scope="row">a:x</th><td class="no">no</td><td class="yes">yes</td></tr>\n'
        '<tr><th scope="row">a:y</th><td class="yes">yes</td><td class="if">if</td></tr>\n'
        '<tr><th scope="row">a:z</th><td class="no">no</td><td class="if">if</td></tr>\n</tbody>\n</table>\n'
    )


@pytest.mark.asvs("1.2.10")
@pytest.mark.parametrize("role", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "＝1"])
def test_no_cell_is_a_formula(role):
    header = next(csv.reader(io.StringIO(edited(**{role: {"rank": 5}}).matrix().to_csv())))
    assert f"'{role}" in header
    assert role not in header


def test_names_are_inert_in_markup():
    matrix = edited(**{"<script>alert(1)</script>": {}, 'a|b"': {}}).matrix()
    assert "<script>" not in matrix.to_html()
    assert "&lt;script&gt;" in matrix.to_html()
    assert "a|b&quot;" in matrix.to_html()
    assert 'a\\|b"' in matrix.to_markdown()
    assert "<script>" not in matrix.to_markdown().replace("\\<", "")
    assert '<td class="yes">yes</td>' in matrix.to_html()


def test_ids_are_inert_too():
    document = copy.deepcopy(NOTES)
    document["forbid"][0]["id"] = "=1\n| yes |"
    matrix = Policy.from_dict(document).matrix()
    assert "\n| notes:update | no | if | yes | =1 \\| yes \\| |\n" in matrix.to_markdown()
    assert [row[-1] for row in csv.reader(io.StringIO(matrix.to_csv()))][-2] == "'=1\n| yes |"


def test_the_order_of_a_document_does_not_show():
    document = copy.deepcopy(NOTES)
    document["roles"] = dict(reversed(document["roles"].items()))
    document["permissions"] = dict(reversed(document["permissions"].items()))
    assert Policy.from_dict(document).matrix().to_csv() == BASE.matrix().to_csv()


# --- diff ------------------------------------------------------------------------------------------------------------

OWN = "resource.owner_id == principal.id"


def member(*whens: str) -> Policy:
    grants = [{"permission": "notes:update", "when": when} if when else "notes:update" for when in whens]
    return edited(member={"rank": 10, "allow": ["notes:read", *grants]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([OWN], ["principal.id == resource.owner_id"]),
        ([OWN], ["!(resource.owner_id != principal.id)"]),
        ([OWN, "resource.size > 3"], [f"{OWN} || resource.size > 3"]),
        ([f"{OWN} && resource.size > 3"], [f"3 < resource.size && {OWN}"]),
        (["has(resource.size) && resource.size > 3"], ["resource.size > 3"]),
        ([""], ["", OWN]),
        (["!(resource.size > 3 || !has(resource.owner_id))"], ["has(resource.owner_id) && resource.size <= 3"]),
        ([OWN], [OWN, "false"]),
    ],
)
def test_equal_meaning_is_no_difference(one, other):
    found = member(*one).diff(member(*other))
    assert not found
    assert (len(found), found.lines, str(found)) == (0, (), "")


def test_who_gained_and_lost():
    found = member(OWN).diff(member(""))
    (change,) = found
    assert found
    assert (change.kind, change.role, change.permission, change.possibly) == ("gained", "member", "notes:update", False)
    assert "principal.id == resource.owner_id" in change.before
    assert "member gained notes:update" in str(found)
    assert not found.lost
    (back,) = member("").diff(member(OWN)).lost
    assert "still when" in str(back)
    (none,) = member(OWN).diff(member()).lost
    assert (none.after, "still" in str(none)) == ("false", False)


def test_a_forbid_takes_from_all_who_hold():
    document = copy.deepcopy(NOTES)
    document["forbid"] = []
    free = Policy.from_dict(document)
    assert {(change.kind, change.role) for change in free.diff(BASE)} == {("lost", "admin"), ("lost", "member")}
    assert {(change.kind, change.role) for change in BASE.diff(free)} == {("gained", "admin"), ("gained", "member")}


def test_correlated_atoms_say_possibly():
    (change,) = member("resource.size == 1").diff(member("resource.size == 1", "resource.size == 2"))
    assert change.possibly
    assert "possibly gained" in str(change)


def test_past_eight_atoms_trees_are_compared():
    many = [f"resource.size == {number}" for number in range(12)]
    assert not member(" || ".join(many)).diff(member(" || ".join(reversed(many))))
    assert not member(*many).diff(member(*reversed(many)))
    found = member(*many).diff(member(*many[1:]))
    assert {change.kind for change in found} == {"gained", "lost"}
    assert all(change.possibly for change in found)
    for one, other, kind in ((many, [""], "gained"), ([""], many, "lost"), (many, [], "lost"), ([], many, "gained")):
        free = [Policy.from_dict({**member(*whens).document, "forbid": []}) for whens in (one, other)]
        (change,) = free[0].diff(free[1])
        assert (change.kind, change.possibly) == (kind, True)


def test_eight_atoms_are_tried_out_and_nine_are_not():
    def of(count: int) -> Table | None:
        text = " && ".join(f"resource.n == {number}" for number in range(count))
        return Table.of(parse(text, SCHEMA, "when"))

    table = of(8)
    assert table is not None
    for number in range(8):
        node = parse(f"resource.n == {number}", SCHEMA, "when")
        true, false, unknown = table.true(node), table.true(Not(node)), table.unknown(node)
        assert true | false | unknown == table.true(Truth(True)) == 2**3**8 - 1
        assert [each.bit_count() for each in (true, false, unknown)] == [3**7] * 3
    assert of(9) is None
    assert Table.of(*(parse(text, SCHEMA, "when") for text in ("resource.b", "!resource.b", "true"))) is not None


@pytest.mark.parametrize(
    ("premise", "conclusion", "holds"),
    [
        ("resource.b", "has(resource.b)", True), ("!resource.b", "has(resource.b)", True),
        ("has(resource.b)", "resource.b || !resource.b", True), ("has(resource.b)", "resource.b", False),
        ("!has(resource.b)", "resource.b", False), ("resource.b", "!has(resource.b)", False),
        ("resource.s == resource.u", "has(resource.s) && has(resource.u)", True),
        ("has(resource.s)", "resource.s == resource.u || resource.s != resource.u", False),
        ("has(resource.s) && has(resource.u)", "resource.s == resource.u || resource.s != resource.u", True),
        ("has(resource.s) && resource.b", "resource.s == resource.u || resource.s != resource.u", False),
        ("resource.s == 'a'", "has(resource.s)", True), ("has(resource.s)", "resource.s == 'a'", False),
        ("has(resource.s)", "resource.s == 'a' || resource.s != 'a'", True),
    ],
)  # fmt: skip
def test_what_is_there_is_known_and_what_is_not_is_unknown(premise, conclusion, holds):
    declared = {**RESOURCE, "b": "bool", "s": "string", "u": "string"}
    schema = Schema(SCHEMA.principal, declared, SCHEMA.context)
    assert implies(parse(premise, schema, "a"), parse(conclusion, schema, "b")) is holds


def test_every_kind_of_change_has_its_line():
    def policy(**permissions: dict[str, Any]) -> Policy:
        return Policy.from_dict(document | {"permissions": {**document["permissions"], **permissions}})

    document = {
        "schema": 1,
        "permissions": {"a:x": {}, "a:y": {}, "a:z": {}},
        "resources": {"a": {"attributes": {"p": "bool", "q": "bool"}}},
        "roles": {"m": {"rank": 1, "allow": ["a:x", {"permission": "a:y", "when": "resource.p"}]}},
    }
    before = policy()
    facts = {"a:x": {"step_up": {"aal": 2}}, "a:y": {"step_up": {"max_age": 60}, "approval": {"by": "a:z"}}}
    assert before.diff(policy(**facts)).lines == (
        "~ a:x step_up: none -> aal 2",
        "~ a:y step_up: none -> aal 1, 60 s",
        "~ a:y approval: none -> by a:z",
    )
    masked = Policy.from_dict(document | {"ceilings": {"agent": {"allow": []}, "impersonation": {"allow": ["a:x"]}}})
    assert before.diff(masked).lines == (
        "~ a:x masks: agent, impersonation -> impersonation",
        "~ a:y masks: agent, impersonation -> none",
        "~ a:z masks: agent, impersonation -> none",
    )
    platform = policy(**{"a:z": {"scope": "platform"}, "a:new": {}})
    assert before.diff(platform).lines[:2] == ("~ a:new: absent -> declared", "~ a:z scope: tenant -> platform")
    roles = {"n": {"allow": ["a:z"]}, "m": {"rank": 2, "allow": [{"permission": "a:*", "when": "resource.q"}]}}
    after = Policy.from_dict(document | {"roles": roles})
    found = before.diff(after)
    assert found.lines == (
        "~ role m rank: 1 -> 2",
        "~ role n: absent -> declared",
        "- m lost a:x; still when resource.q",
        "+ m gained a:y when resource.q; before when resource.p (by a:*)",
        "- m lost a:y when resource.p; still when resource.q",
        "+ m gained a:z when resource.q (by a:*)",
        "+ n gained a:z",
    )
    assert str(found) == "\n".join(found.lines)
    assert [(change.role, change.permission) for change in found.gained] == [("m", "a:y"), ("m", "a:z"), ("n", "a:z")]
    assert [(change.role, change.permission) for change in found.lost] == [("m", "a:x"), ("m", "a:y")]
    assert after.diff(before).lines[:2] == ("~ role m rank: 2 -> 1", "~ role n: declared -> absent")
    assert len(found) == 7
    assert list(found) == list(found.changes)


def test_wildcards_show_what_they_bring():
    document = copy.deepcopy(NOTES)
    document["permissions"]["notes:purge"] = {}
    found = BASE.diff(Policy.from_dict(document))
    assert found.lines == (
        "~ notes:purge: absent -> declared",
        "+ admin gained notes:purge (by notes:*)",
    )


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (("roles", "member", "rank"), 60, "rank"),
        (("roles", "new"), {}, "role"),
        (("permissions", "notes:read", "step_up"), {"aal": 2, "max_age": 60}, "step_up"),
        (("permissions", "new:one"), {}, "permission"),
        (("permissions", "ops:list", "scope"), "tenant", "scope"),
        (("permissions", "notes:read", "approval"), {"by": "notes:delete"}, "approval"),
    ],
)
def test_changed_facts(path, value, kind):
    document = copy.deepcopy(NOTES)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    changes = [change for change in BASE.diff(Policy.from_dict(document)) if change.kind == kind]
    assert len(changes) == 1
    assert str(changes[0]).startswith("~ ")


def test_diff_wants_a_policy():
    with pytest.raises(UsageError):
        BASE.diff(NOTES)


# --- the logic below -------------------------------------------------------------------------------------------------

SCHEMA = Schema({"id": "string"}, {"b": "bool", "s": "string", "n": "int", "c": "bool"}, {})
VALUES = {"b": [None, True, False], "c": [None, True, False], "s": [None, "u", "v"], "n": [None, 1, 2], "id": ["u"]}


@st.composite
def texts(draw, depth=3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(
            ["resource.b", "!resource.c", "has(resource.b)", "has(resource.n)", "resource.n < 2", "resource.n >= 2",
             "resource.s == principal.id", "resource.s != 'v'", "resource.s in ['u', 'w']", "true", "false"]
        ))  # fmt: skip
    parts = draw(st.lists(texts(depth - 1), min_size=1, max_size=3))
    return draw(st.sampled_from(["(", "!("])) + f" {draw(st.sampled_from(['&&', '||']))} ".join(parts) + ")"


def cases():
    for b in VALUES["b"]:
        for c in VALUES["c"]:
            for s in VALUES["s"]:
                for n in VALUES["n"]:
                    yield {"b": b, "c": c, "s": s, "n": n, "id": "u"}


@settings(max_examples=60, deadline=None)
@given(texts(), texts())
def test_answers_hold_in_every_case(one, other):
    first, second = parse(one, SCHEMA, "a"), parse(other, SCHEMA, "b")
    again, normalised = parse(spelled(first), SCHEMA, "c"), normal(first)
    implied, back = implies(first, second), implies(second, first)
    for case in cases():
        values = [evaluate(node, lambda attribute, held=case: held[attribute.name]) for node in (first, second)]
        assert evaluate(again, lambda attribute, held=case: held[attribute.name]) is values[0]
        assert evaluate(normalised, lambda attribute, held=case: held[attribute.name]) is values[0]
        assert not (implied and values[0] is True and values[1] is not True)
        assert not (back and values[1] is True and values[0] is not True)


def test_strings_are_spelled_so_that_they_parse():
    node = parse(r"resource.s == 'a\'\\\n\t\r\u00e9'", SCHEMA, "x")
    assert parse(spelled(node), SCHEMA, "y") == node


# --- lint ------------------------------------------------------------------------------------------------------------


def findings(policy: Policy) -> set[tuple[str, str]]:
    return {(finding.code, finding.place) for finding in policy.lint()}


def test_the_shipped_policies_are_clean():
    assert PRESET.lint() == []
    assert DEMO.lint() == []


def test_what_lint_finds():
    document = {
        "schema": 1,
        "permissions": {"a:read": {}, "a:write": {"risk": "high"}, "a:none": {}, "p:list": {"scope": "platform"}},
        "resources": {"a": {"attributes": {"x": "bool", "n": "int"}}},
        "roles": {
            "member": {"rank": 1, "allow": ["a:read", {"permission": "a:read", "when": "resource.x"}]},
            "child": {"rank": 2, "inherits": ["member"], "allow": [{"permission": "a:read", "when": "resource.n > 1"}]},
            "odd": {"rank": 3, "allow": [{"permission": "a:write", "when": "true"},
                                         {"permission": "a:read", "when": "false"}]},
            "root": {"allow": ["p:list", "a:write"]},
        },
        "forbid": [
            {"id": "all", "permissions": ["a:none"]},
            {"id": "nil", "permissions": ["a:read"], "when": "has(resource.x) && !has(resource.x)"},
            {"id": "bare", "permissions": ["*"], "when": "resource.x"},
            {"id": "fine", "permissions": ["*"], "when": "has(resource.x) && resource.x"},
        ],
    }  # fmt: skip
    policy = Policy.from_dict(document)
    assert findings(policy) == {
        ("ungranted_permission", 'permissions."a:none"'),
        ("shadowed_grant", "roles.member.allow[1]"),
        ("shadowed_grant", "roles.child.allow[0]"),
        ("grant_always", "roles.odd.allow[0].when"),
        ("grant_never", "roles.odd.allow[1].when"),
        ("mixed_scopes", "roles.root"),
        ("risky_grant", "roles.root"),
        ("forbid_always", "forbid[0]"),
        ("forbid_never", "forbid[1].when"),
        ("unguarded_forbid", "forbid[2].when"),
    }
    assert all(finding.hint and finding.code in str(finding) for finding in policy.lint())


def linted(roles: dict[str, Any], **sections: Any) -> set[tuple[str, str]]:
    return findings(
        Policy.build(
            permissions=["a:read", "a:write"],
            resources={"a": {"attributes": {"x": "bool", "n": "int"}}},
            roles=roles,
            **sections,
        )
    )


def test_a_grant_that_forbids_leave_nothing_of():
    roles = {"m": ["a:write", {"permission": "a:read", "when": "resource.x && resource.n > 1"}]}
    dead = {"id": "f", "permissions": ["a:read"], "when": "has(resource.x) && resource.x"}
    assert linted(roles, forbid=[dead]) == {("grant_never", "roles.m.allow[1]")}
    alive = {**dead, "when": "has(resource.x) && !resource.x"}
    assert linted(roles, forbid=[alive]) == set()
    roles["m"][1] = {"permission": "*", "when": "resource.x && resource.n > 1"}
    assert linted({"m": roles["m"][1:]}, forbid=[dead]) == set()  # of `a:write` something is left


def test_a_role_that_opens_nothing():
    roles: dict[str, Any] = {"m": ["a:*"], "tag": [], "child": {"inherits": ["tag"]}}
    assert linted(roles) == {("idle_role", "roles.tag"), ("idle_role", "roles.child")}
    asked = [{"id": "f", "permissions": ["a:read"], "when": "'tag' in principal.roles"}]
    assert linted(roles, forbid=asked) == {("idle_role", "roles.child")}
    asked_by_grant = {**roles, "m": ["a:*", {"permission": "a:read", "when": "'tag' in principal.roles"}]}
    assert ("idle_role", "roles.tag") not in linted(asked_by_grant)
    elsewhere = [{"id": "f", "permissions": ["a:read"], "when": "principal.id in ['tag', 'm']"}]
    assert ("idle_role", "roles.tag") in linted(roles, forbid=elsewhere)
    shut = {"m": ["a:write"], "n": ["a:read"]}
    assert ("idle_role", "roles.n") in linted(shut, forbid=[{"id": "f", "permissions": ["a:read"]}])


def test_roles_that_reach_an_owner():
    def roles(**more: Any) -> dict[str, Any]:
        return {"owner": {"rank": 9, "allow": ["a:*"]}, "admin": {"rank": 5, "allow": ["a:read"]}, **more}

    assert linted(roles()) == set()
    assert linted(roles(sly={"inherits": ["owner"]})) == {("reaches_owner", "roles.sly")}
    two = roles(king={"rank": 9, "allow": ["a:*"]}, heir={"rank": 9, "allow": ["a:*"]})
    assert linted(two) == {("reaches_owner", "roles.king"), ("reaches_owner", "roles.heir")}
    assert linted({"chief": {"rank": 9, "allow": ["a:*"]}, "sly": {"inherits": ["chief"]}}) == set()  # ask with --to


def test_an_unguarded_forbid_really_denies():
    document = copy.deepcopy(NOTES)
    document["forbid"] = [{"id": "bare", "permissions": ["*"], "when": "resource.frozen"}]
    policy = Policy.from_dict(document)
    assert ("unguarded_forbid", "forbid[0].when") in findings(policy)
    admin = Principal("u", tenant_id="t", roles=frozenset({"admin"}))
    assert policy.check(admin, "notes:read").code == "forbid_unknown"


# --- escalation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "given"),
    [(PRESET, {"admin", "member"}), (DEMO, {"admin", "member", "viewer"})],
    ids=["preset", "demo"],
)
def test_no_role_reaches_owner(policy, given):
    graph = policy.escalation()
    assert graph.paths("owner") == ()
    assert graph.paths("super_admin") == ()
    assert {step.gives for step in graph.steps if step.role == "owner"} == given


@pytest.mark.parametrize(
    ("role", "how"),
    [
        ({"rank": 0, "inherits": ["admin"]}, "holds"),
        ({"rank": 50, "allow": ["*"]}, "assign"),
        ({"rank": 90, "allow": ["*"]}, "promote"),
        ({"rank": 90, "allow": ["*"]}, "mint"),
    ],
)
def test_planted_holes_are_found(role, how):
    graph = edited(ghost=role).escalation()
    assert any(step.role == "ghost" and step.gives == "admin" and step.via == how for step in graph.steps)
    (path,) = graph.paths("admin")
    assert path[0].role == "ghost"
    assert graph.paths("admin", trusted=["ghost"]) == ()


def test_paths_are_shortest_and_wanted():
    graph = edited(king={"rank": 90, "allow": ["*"]}).escalation()
    assert {path[0].role: len(path) for path in graph.paths("member")} == {"admin": 1, "king": 1}
    assert "king" in str(graph.paths("admin")[0][0])
    for wrong, hint in (("amdin", "admin"), (None, "known"), ([], "known"), (5, "known")):
        with pytest.raises(PolicyError) as caught:
            graph.paths(wrong)
        assert hint in caught.value.hint


# --- trace -----------------------------------------------------------------------------------------------------------


def test_every_rule_has_its_value():
    member = Principal("u1", tenant_id="t", roles=frozenset({"admin", "nobody"}))
    found = BASE.trace(member, "notes:update", {"tenant_id": "t", "owner_id": "u1", "frozen": True})
    assert {(rule.rule_id, rule.value) for rule in found} == {
        ("frozen", True), ("admin.allow[0]", True), ("member.allow[1]", True),
    }  # fmt: skip
    unknown = BASE.trace(member, "notes:update", {"frozen": 1})
    assert {(rule.rule_id, rule.value) for rule in unknown} >= {("frozen", False), ("member.allow[1]", None)}
    assert BASE.trace(None, "notes:update") == BASE.trace(member, "nope") == ()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["member", "admin", "ops"]),
    st.fixed_dictionaries({"tenant_id": st.just("t")}, optional={
        "owner_id": st.sampled_from(["u1", "u2", 1, None]), "frozen": st.sampled_from([True, False, 1, None]),
    }),
)  # fmt: skip
def test_the_trace_explains_the_decision(role, resource):
    subject = Principal("u1", tenant_id="t", roles=frozenset({role}))
    decision, traced = BASE.check(subject, "notes:update", resource), BASE.trace(subject, "notes:update", resource)
    forbids = {rule.value for rule in traced if rule.effect == "forbid"}
    grants = {rule.value for rule in traced if rule.effect == "allow"}
    assert decision.allowed is (forbids == {False} and True in grants)
    assert (decision.code == "forbidden_by_rule") is (True in forbids)
    assert (decision.code == "no_grant") is (forbids == {False} and not grants)
