"""A translated policy against Casbin itself: the same person may do the same in the same place."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import casbin
import pytest
from casbin.persist.adapter import load_policy_line
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from wellstreak_trust import Principal
from wellstreak_trust.authz import Policy
from wellstreak_trust.authz.casbin import RoleHeld, from_casbin
from wellstreak_trust.cli.__main__ import app
from wellstreak_trust.core.errors import PolicyError

CASES = int(os.environ.get("WT_ORACLE_CASES", "120"))
ALLOW = "some(where (p.eft == allow))"
EFT = ", eft"
DENY_WINS = f"{ALLOW} && !some(where (p.eft == deny))"
PERSONS, ROLES = ("ada", "bo", "cy"), ("member", "admin", "ops", "owner")
DOMAINS, OBJECTS, ACTIONS = ("acme", "umbrella"), ("bills", "agents"), ("read", "write")


def model(
    *, domains: bool = False, g: str = "_, _", effect: str = ALLOW, act: str = "r.act == p.act", **more: str
) -> str:
    dom = "dom, " if domains else ""
    asks = "g(r.sub, p.sub, r.dom)" if g.count("_") == 3 else "g(r.sub, p.sub)"
    parts = [asks if g else "r.sub == p.sub", *(["r.dom == p.dom"] if domains else []), "r.obj == p.obj", act]
    role = f"[role_definition]\ng = {g}\n" if g else ""
    return (
        f"[request_definition]\nr = sub, {dom}obj, act\n"
        f"[policy_definition]\np = sub, {dom}obj, act{more.get('eft', '')}\n{role}"
        f"[policy_effect]\ne = {effect}\n[matchers]\nm = {more.get('matcher') or ' && '.join(parts)}\n"
    )


def theirs(text: str, lines: str) -> casbin.Enforcer:
    read = casbin.Model()
    read.load_model_from_text(text)
    enforcer = casbin.Enforcer(read)
    for line in lines.splitlines():
        load_policy_line(line.strip(), enforcer.model)
    enforcer.build_role_links()
    return enforcer


def differences(text: str, lines: str, *, domains: bool) -> list[tuple[object, ...]]:
    found = from_casbin(text, lines)
    policy, enforcer = Policy.from_dict(found.document), theirs(text, lines)
    held = defaultdict[tuple[str, str], set[str]](set)
    for person, role, tenant in found.holds:
        held[person, tenant].add(role)
    different = []
    for person, domain, thing, action in product(
        (*PERSONS, "stranger"), DOMAINS if domains else ("",), (*OBJECTS, "nothing"), ACTIONS
    ):
        roles = frozenset(held[person, domain])
        subject = Principal(person, tenant_id=domain or "all", roles=roles)
        ours = policy.check(subject, f"{thing}:{action}").allowed
        asked = [person, *([domain] if domains else []), thing, action]
        if ours != enforcer.enforce(*asked):
            different.append((*asked, ours))
    return different


def lines_of(rules: list[tuple[str, ...]], links: list[tuple[str, ...]]) -> str:
    return (
        "\n".join(", ".join(["p", *rule]) for rule in rules) + "\n" + "\n".join(", ".join(["g", *li]) for li in links)
    )


EFFECTS = st.sampled_from(["allow", "allow", "deny"])
ABOVE = st.sampled_from([("admin", "member"), ("owner", "admin"), ("owner", "ops"), ("ops", "member")])
GIVEN = st.tuples(st.sampled_from(PERSONS), st.sampled_from(ROLES))


@settings(max_examples=CASES, deadline=None)
@given(data=st.data(), effect=st.sampled_from([ALLOW, DENY_WINS]), domains=st.booleans(), by_domain=st.booleans())
def test_the_same_person_may_do_the_same_in_the_same_place(
    data: st.DataObject, effect: str, domains: bool, by_domain: bool
) -> None:
    dom = [st.sampled_from(DOMAINS)] if domains else []
    rule = st.tuples(
        st.sampled_from((*ROLES, "ada")), *dom, st.sampled_from(OBJECTS), st.sampled_from((*ACTIONS, "*")), EFFECTS
    )
    # A wild action stands for those that are named, so both are.
    named = [("auditor", *DOMAINS[: len(dom)], "bills", action, "allow") for action in ACTIONS]
    rules = [*named, *data.draw(st.lists(rule, max_size=8))]
    links = data.draw(st.lists(st.one_of(ABOVE, GIVEN), max_size=8))
    if domains and by_domain:
        links = [(*link, data.draw(st.sampled_from(DOMAINS))) for link in links]
    wild = "(r.act == p.act || p.act == '*')"
    text = model(domains=domains, g="_, _, _" if domains and by_domain else "_, _", effect=effect, act=wild, eft=EFT)
    assert differences(text, lines_of(rules, links), domains=domains) == []


@settings(max_examples=CASES // 4, deadline=None)
@given(
    rules=st.lists(
        st.tuples(st.sampled_from(PERSONS), st.sampled_from(OBJECTS), st.sampled_from(ACTIONS), EFFECTS), min_size=1
    )
)
def test_lists_of_who_may_what_need_no_roles(rules: list[tuple[str, ...]]) -> None:
    assert differences(model(g="", effect=DENY_WINS, eft=EFT), lines_of(rules, []), domains=False) == []


def test_what_is_the_same_everywhere_stays_one_role_and_inherits() -> None:
    lines = "p, admin, acme, bills, write\np, member, acme, bills, read\ng, admin, member, acme\ng, ada, admin, acme\n"
    both = lines + lines.replace("acme", "umbrella")
    found = from_casbin(model(domains=True, g="_, _, _"), both)
    assert found.document["roles"]["admin"] == {"inherits": ["member"], "allow": ["bills:write"]}
    assert found.holds == (RoleHeld("ada", "admin", "acme"), RoleHeld("ada", "admin", "umbrella"))
    assert found.notes == ()


def test_what_differs_from_domain_to_domain_is_a_role_a_domain() -> None:
    lines = "p, admin, acme, bills, write\np, admin, umbrella, bills, read\ng, ada, admin, acme\n"
    found = from_casbin(model(domains=True, g="_, _, _"), lines)
    assert sorted(found.document["roles"]) == ["admin@acme", "admin@umbrella"]
    assert found.holds == (RoleHeld("ada", "admin@acme", "acme"),)
    assert "one role a domain: admin" in found.notes[0]


def test_names_are_renamed_where_no_permission_can_have_them() -> None:
    lines = "p, member, /v1/bills, GET\n"
    with pytest.raises(PolicyError, match="/v1/bills"):
        from_casbin(model(), lines)
    found = from_casbin(model(), lines, rename={"/v1/bills": "bills", "GET": "read"})
    assert list(found.document["permissions"]) == ["bills:read"]
    with pytest.raises(PolicyError, match="would be one word"):
        from_casbin(model(), lines + "p, member, bills, GET\n", rename={"/v1/bills": "bills", "GET": "read"})


def test_deny_lines_that_had_no_effect_have_none_and_are_told() -> None:
    found = from_casbin(model(eft=EFT), "p, member, bills, read, allow\np, member, bills, read, deny\n")
    assert found.document["forbid"] == []
    assert any("deny lines have no effect" in note for note in found.notes)


def test_a_deny_reaches_whoever_inherits_it() -> None:
    lines = "p, member, bills, write, deny\np, admin, bills, write, allow\ng, admin, member\ng, ada, admin\n"
    (forbid,) = from_casbin(model(effect=DENY_WINS, eft=EFT), lines).document["forbid"]
    assert forbid["when"] == "'admin' in principal.roles || 'member' in principal.roles"


def test_who_is_only_denied_by_name_stays_denied() -> None:
    text = model(effect=DENY_WINS, eft=EFT)
    lines = "p, member, bills, read, allow\np, ada, bills, read, deny\ng, ada, member\ng, bo, member\n"
    assert RoleHeld("ada", "ada", "") in from_casbin(text, lines).holds
    assert differences(text, lines, domains=False) == []


def test_a_deny_that_is_the_same_everywhere_reaches_what_inherits_it_in_one_domain() -> None:
    text = model(domains=True, g="_, _, _", effect=DENY_WINS, eft=EFT)
    lines = (
        "p, frozen, acme, bills, write, deny\np, frozen, umbrella, bills, write, deny\n"
        "p, ops, umbrella, bills, write, allow\np, ops, acme, bills, read, allow\n"
        "g, ops, frozen, umbrella\ng, bo, ops, umbrella\ng, cy, frozen, acme\n"
    )
    (forbid,) = from_casbin(text, lines).document["forbid"]
    assert forbid["when"] == "'frozen' in principal.roles || 'ops@umbrella' in principal.roles"
    assert differences(text, lines, domains=True) == []


REFUSED: dict[str, tuple[str, str]] = {
    "default allow": (model(effect="!some(where (p.eft == deny))"), "policy_effect"),
    "priority": (model(effect="priority(p.eft) || deny"), "policy_effect"),
    "key match": (model(act="keyMatch(r.act, p.act)"), "keyMatch"),
    "superuser": (model(matcher="g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act || r.sub == 'root'"), "matchers"),
    "attributes": (model(matcher="r.sub.age > 18 && r.obj == p.obj && r.act == p.act"), "r.sub.age"),
    "nothing compared": (model(matcher="g(r.sub, p.sub) && r.obj == p.obj"), "does not compare act"),
    "compared twice": (model(act="r.act == p.act && r.obj == p.obj"), "r.obj==p.obj"),
    "wild subjects": (model(matcher="(r.sub == p.sub || p.sub == '*') && r.obj == p.obj && r.act == p.act"), "p.sub"),
    "roles of resources": (model().replace("g = _, _\n", "g = _, _\ng2 = _, _\n"), "'g2'"),
    "other fields": (model().replace("r = sub,", "r = user,"), "other fields"),
    "a section of its own": (model() + "[constraint_definition]\nc = x\n", "constraint_definition"),
    "no effect": (model().replace("e = ", "x = "), "lacks 'e'"),
    "roles of a domain without domains": (model(g="_, _, _"), "role_definition"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_meaning_here_is_refused(text: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told) as caught:
        from_casbin(text, "p, member, bills, read\n")
    assert caught.value.reason == "casbin"
    assert caught.value.hint


LINES: dict[str, tuple[str, str]] = {
    "too few": ("p, member, bills", "line 1: 2 values"),
    "too many": ("p, member, bills, read, allow", "line 1: 4 values"),
    "an empty value": ("p, member, , read", "line 1"),
    "another kind": ("p2, member, bills, read", "'p2'"),
    "half a link": ("p, member, bills, read\ng, ada", "line 2"),
    "nothing": ("# nobody may anything", "without a p line"),
    "a circle": ("p, a, bills, read\ng, a, b\ng, b, a", "inherits itself"),
    "too deep": ("p, r0, bills, read\n" + "\n".join(f"g, r{n}, r{n + 1}" for n in range(12)) + "\ng, ada, r0", "links"),
}


@pytest.mark.parametrize(("lines", "told"), LINES.values(), ids=LINES)
def test_a_line_that_says_something_else_is_refused(lines: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told):
        from_casbin(model(), lines)


WILD = "(r.act == p.act || p.act == '*')"
WILD_BOTH = "g(r.sub, p.sub) && (r.obj == p.obj || p.obj == '*') && (p.act == '*' || r.act == p.act)"


def test_a_star_stands_for_what_is_named_and_only_where_the_matcher_says_so() -> None:
    lines = "p, member, bills, read\np, member, agents, write\np, admin, *, read\np, owner, bills, *\ng, ada, admin\n"
    text = model(matcher=WILD_BOTH)
    found = from_casbin(text, lines)
    assert list(found.document["permissions"]) == ["agents:read", "agents:write", "bills:read", "bills:write"]
    assert found.document["roles"]["admin"]["allow"] == ["agents:read", "bills:read"]
    assert found.document["roles"]["owner"]["allow"] == ["bills:read", "bills:write"]
    assert found.document["roles"]["member"]["allow"] == ["agents:write", "bills:read"]
    assert "* stands for what the policy names; declare what comes later, or it is denied" in found.notes
    assert differences(text, lines, domains=False) == [("ada", "nothing", "read", False)], "what the note says"
    just_objects = from_casbin(text, "p, member, bills, read\np, admin, *, read\n")
    assert any(note.startswith("* stands for") for note in just_objects.notes)
    with pytest.raises(PolicyError, match=r"the name '\*'"):
        from_casbin(model(act=WILD), "p, member, bills, read\np, admin, *, read\n")


@pytest.mark.parametrize("links", range(8, 14))
def test_links_reach_as_far_as_in_casbin_or_are_refused(links: int) -> None:
    chain = "\n".join(f"g, r{n}, r{n + 1}" for n in range(links - 1))
    lines = f"p, r{links - 1}, bills, read\n{chain}\ng, ada, r0\n"
    if theirs(model(), lines).enforce("ada", "bills", "read"):
        assert differences(model(), lines, domains=False) == []
    else:
        with pytest.raises(PolicyError, match="links above"):
            from_casbin(model(), lines)


def test_a_role_that_is_the_same_everywhere_differs_where_what_it_inherits_does() -> None:
    lines = (
        "p, member, acme, bills, read\np, member, umbrella, bills, write\n"
        "p, admin, acme, agents, read\np, admin, umbrella, agents, read\ng, admin, member\ng, ada, admin\n"
    )
    found = from_casbin(model(domains=True, g="_, _"), lines)
    assert found.document["roles"]["admin@acme"] == {"inherits": ["member@acme"], "allow": ["agents:read"]}
    assert set(found.holds) == {RoleHeld("ada", "admin@acme", "acme"), RoleHeld("ada", "admin@umbrella", "umbrella")}
    assert differences(model(domains=True, g="_, _"), lines, domains=True) == []


def test_one_role_a_domain_is_written_where_it_means_something_or_is_held() -> None:
    lines = "p, ops, acme, bills, read\np, ops, umbrella, bills, write\np, member, initech, bills, read\n"
    given = lines + "g, ada, ops, acme\ng, bo, ops, initech\ng, ops, member, hooli\n"
    found = from_casbin(model(domains=True, g="_, _, _"), given)
    ops = [role for role in found.document["roles"] if role.startswith("ops@")]
    assert ops == ["ops@acme", "ops@hooli", "ops@initech", "ops@umbrella"]
    assert found.document["roles"]["ops@hooli"]["inherits"] == ["member@hooli"]
    assert RoleHeld("bo", "ops@initech", "initech") in found.holds
    fewer = from_casbin(model(domains=True, g="_, _, _"), lines + "g, ada, ops, acme\n").document["roles"]
    assert sorted(role for role in fewer if role.startswith("ops@")) == ["ops@acme", "ops@umbrella"]


def test_two_roles_never_become_one_name() -> None:
    lines = "p, ops, acme, bills, read\np, ops, umbrella, bills, write\np, ops@acme, acme, agents, read\n"
    with pytest.raises(PolicyError, match="there is a role 'ops@acme' already"):
        from_casbin(model(domains=True, g="_, _, _"), lines)


def test_the_document_is_the_same_for_the_same_policy_in_any_order() -> None:
    lines = ["p, b, bills, read", "p, a, bills, write", "p, c, agents, read", "g, a, b", "g, a, c", "g, ada, a"]
    found = [from_casbin(model(), "\n".join(each)) for each in (lines, reversed(lines))]
    assert json.dumps(found[0].document) == json.dumps(found[1].document)
    assert found[0].holds == found[1].holds
    assert found[0].document["name"] == "from-casbin"
    assert list(found[0].document["roles"]) == ["a", "b", "c"]
    assert found[0].document["roles"]["a"]["inherits"] == ["b", "c"]


def test_an_effect_is_allow_or_deny() -> None:
    with pytest.raises(PolicyError, match="'maybe'"):
        from_casbin(model(eft=EFT), "p, member, bills, read, maybe")


def test_only_wild_rules_name_nothing() -> None:
    text = model(act="(r.act == p.act || '*' == p.act)")
    with pytest.raises(PolicyError, match="every rule is for"):
        from_casbin(text, "p, member, bills, *\n")


def test_comments_continuations_and_spaces_are_read_as_casbin_reads_them() -> None:
    text = model().replace("m = g", "# who\nm = \\\n g").replace("r = sub", "; what\nr = sub")
    lines = "\n# who may\n  p , member,bills , read \n g, ada,  member\n"
    assert differences(text, lines, domains=False) == []
    assert from_casbin(text, lines).holds == (RoleHeld("ada", "member", ""),)


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["policy", "from-casbin", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "model.conf").write_text(model())
    (tmp_path / "policy.csv").write_text("p, member, /bills, read\ng, ada, member\n")
    return tmp_path / "model.conf", tmp_path / "policy.csv"


def test_the_command_writes_a_document_that_loads_and_who_holds_what(files: tuple[Path, Path], tmp_path: Path) -> None:
    holds = tmp_path / "holds.csv"
    done = run(*files, "--rename", "/bills=bills", "--holds", holds, "--out", tmp_path / "policy.json")
    assert done.exit_code == 0, done.output
    loaded = Policy.load(tmp_path / "policy.json")
    assert loaded.check(Principal("ada", tenant_id="t", roles={"member"}), "bills:read").allowed
    assert holds.read_text() == "person,role,tenant_id\nada,member,\n"


def test_the_command_says_what_it_cannot_translate(files: tuple[Path, Path]) -> None:
    done = run(*files)
    assert done.exit_code == 1
    assert "cannot be translated: the name '/bills'" in done.output
    assert "fix: rename it" in done.output


def test_the_command_prints_the_document_where_no_file_is_named(files: tuple[Path, Path]) -> None:
    done = run(*files, "--rename", "/bills=bills")
    assert json.loads(done.stdout)["permissions"] == {"bills:read": {}}


@pytest.mark.parametrize("rename", ["bills", "=bills", "bills="])
def test_a_renaming_without_two_names_is_a_mistake(files: tuple[Path, Path], rename: str) -> None:
    assert run(*files, "--rename", rename).exit_code == 2


def test_a_file_that_cannot_be_read_ends_the_command(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(files[0], tmp_path / "none.csv").exit_code == 2
