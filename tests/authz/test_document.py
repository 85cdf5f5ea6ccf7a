"""Documents: three formats, one digest, and nothing but `PolicyError` for whatever is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import UserDict
from datetime import date
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.authz import Policy, PolicyError, loader, reader
from wellstreak_trust.core import ConfigurationError, Principal

TOML = """
schema = 1
name = "shop"
[permissions."docs:read"]
[permissions."docs:update"]
risk = "high"
resource = "doc"
step_up = { aal = 2, max_age = 900 }
[resources.doc.attributes]
owner_id = "string?"
[roles.member]
rank = 10
allow = ["docs:read", { permission = "docs:update", when = "resource.owner_id == principal.id" }]
[[forbid]]
id = "locked"
permissions = ["docs:*"]
when = "principal.kind == 'agent'"
"""
DOCUMENT: dict[str, Any] = {
    "forbid": [{"when": "principal.kind == 'agent'", "permissions": ["docs:*"], "id": "locked"}],
    "roles": {
        "member": {
            "allow": ["docs:read", {"when": "resource.owner_id == principal.id", "permission": "docs:update"}],
            "rank": 10,
        }
    },
    "permissions": {
        "docs:update": {"step_up": {"max_age": 900, "aal": 2}, "resource": "doc", "risk": "high"},
        "docs:read": {},
    },
    "resources": {"doc": {"attributes": {"owner_id": "string?"}}},
    "name": "shop",
    "schema": 1,
}


def refused(document: Any) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        Policy.from_dict(document)
    assert caught.value.detail
    return caught.value


def written(tmp_path, name: str, text: str | bytes):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_three_formats_have_one_digest(tmp_path):
    versions = {
        Policy.load(written(tmp_path, "p.toml", TOML)).version,
        Policy.load(str(written(tmp_path, "p.json", json.dumps(DOCUMENT)))).version,
        Policy.load(written(tmp_path, "p.yaml", yaml.safe_dump(DOCUMENT))).version,
        Policy.load(written(tmp_path, "p.YML", yaml.safe_dump(DOCUMENT, default_flow_style=True))).version,
        Policy.from_dict(DOCUMENT).version,
        Policy.from_dict(MappingProxyType(DOCUMENT)).version,
        Policy.from_dict(UserDict(DOCUMENT)).version,
    }
    assert len(versions) == 1
    assert len(versions.pop()) == 64


@pytest.mark.parametrize(
    "change",
    [
        [["name"], "other"], [["roles", "member", "rank"], 11], [["forbid"], []],
        [["forbid", 0, "id"], "other"], [["forbid", 0, "when"], "principal.kind == 'user'"],
        [["permissions", "docs:read", "risk"], "low"], [["permissions", "docs:read", "scope"], "platform"],
        [["permissions", "docs:update", "step_up", "max_age"], 901], [["roles", "guest"], {}],
        [["resources", "doc", "attributes", "owner_id"], "string"], [["roles", "member", "allow"], ["docs:read"]],
        [["principal"], {"attributes": {"x": "int"}}],
    ],
)  # fmt: skip
def test_the_digest_tells_meanings_apart(change, edited):
    changes = [[["forbid"], []], change] if change[0] == ["permissions", "docs:read", "scope"] else [change]
    if len(changes) == 2:
        changes.append([["roles"], {}])
    assert Policy.from_dict(edited(DOCUMENT, changes)).version != Policy.from_dict(DOCUMENT).version


def test_defaults_and_short_forms_are_not_meanings(edited):
    spelt = [["roles", "member", "allow", 0], {"permission": "docs:read"}]
    filled = [["roles", "member", "inherits"], []]
    assert Policy.from_dict(edited(DOCUMENT, [spelt, filled])).version == Policy.from_dict(DOCUMENT).version


def test_later_edits_change_nothing(edited):
    mine = edited(DOCUMENT, [])
    policy = Policy.from_dict(mine)
    mine["roles"]["member"]["allow"].append("docs:*")
    mine["forbid"].clear()
    mine["permissions"]["docs:purge"] = {}
    assert policy.permissions == ("docs:read", "docs:update")
    robot = Principal("a1", kind="agent", tenant_id="t1", roles={"member"})
    assert policy.check(robot, "docs:read").code == "forbidden_by_rule"


@pytest.mark.asvs("1.5.2")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.json", '{"schema": 1, "schema": 1}'), ("p.json", '{"schema": 1, "roles": {"m": {"rank": 1, "rank": 2}}}'),
        ("p.json", '{"schema": NaN}'), ("p.json", '{"schema": 1.0}'), ("p.json", '{"schema": 1,}'), ("p.json", ""),
        ("p.json", "[]"), ("p.json", "1"), ("p.json", "null"), ("p.json", "[" * 200_000), ("p.json", b"\xff\xfe"),
        ("p.json", '{"schema": ' + "9" * 5_000 + "}"), ("p.json", '{"schema": 1, "name": "\\ud800"}'),
        ("p.json", b'\xef\xbb\xbf{"schema": 1}'), ("p.json", '{"a": ' * 100_000),
        ("p.toml", "schema = 1\nschema = 1"), ("p.toml", "schema = "), ("p.toml", "schema = 2020-01-01"),
        ("p.toml", "a = " + "[" * 5_000), ("p.toml", b"schema = 1\nname = '\xc3'"), ("p.toml", ""),
        ("p.yaml", "schema: 1\nschema: 1"), ("p.yaml", "schema: 1\nroles: {m: {rank: 1, rank: 2}}"),
        ("p.yaml", "a: &x {}\nb: *x"), ("p.yaml", "base: &x {schema: 1}\n<<: *x"), ("p.yaml", "{<<: {schema: 1}}"),
        ("p.yaml", "a: !!timestamp x"), ("p.yaml", "a: !!bool x"),
        ("p.yaml", "a: !!int ''"), ("p.yaml", "a: !!binary é"),
        ("p.yaml", "!!python/object/apply:os.system ['true']"), ("p.yaml", "schema: 1\n1: 2"), ("p.yaml", "- 1"),
        ("p.yaml", "schema: 1\n? [a]\n: 1"), ("p.yaml", "schema: 2020-01-01"), ("p.yaml", "a: b: c"),
        ("p.yaml", "[" * 5_000), ("p.yaml", "a: 1\n---\nb: 2"), ("p.yaml", ""), ("p.yaml", "\x00"),
        ("p.txt", "schema = 1"), ("policy", "schema = 1"),
    ],
)  # fmt: skip
def test_files_that_do_not_load(name, text, tmp_path):
    with pytest.raises(PolicyError) as caught:
        Policy.load(written(tmp_path, name, text))
    assert caught.value.detail


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("p.json", b"\xff\xfe", "not UTF-8 at byte 0. save the file as UTF-8"),
        ("p.json", "[" * 200_000, "nested too deeply"),
        ("p.json", '{"schema": NaN}', "NaN is no JSON"), ("p.json", '{"schema": 1.5}', "1.5 is no integer"),
        ("p.json", '{"schema": 1, "schema": 1}', "the key 'schema' stands twice in one object"),
        ("p.json", '{"schema": ', "does not parse: Expecting value: line 1"),
        ("p.toml", "a =", "does not parse: Invalid"),
        ("p.yaml", "a: b: c", "does not parse as YAML at line 1"), ("p.yaml", "a: 1\na: 1", "stands twice in the YAML"),
        ("p.yaml", "a: &x {}\nb: *x", "a YAML alias in a policy"), ("p.tml", "", "did you mean '.toml'?"),
        ("p.json", "[]", "a policy document is a table"), ("p.yaml", "1: 2", "a key that is no text"),
        ("p.toml", "name = 2020-01-01", "name: date is no value of a policy"),
        ("p.json", '{"name": "\\ud800"}', "name: text that is no Unicode"),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_file_that_does_not_load_says_why(name, text, told, tmp_path):
    with pytest.raises(PolicyError) as caught:
        Policy.load(written(tmp_path, name, text))
    assert told in str(caught.value)


def test_sizes_of_documents_are_capped(tmp_path, monkeypatch):
    text = json.dumps(DOCUMENT)
    monkeypatch.setattr(reader, "MAX_BYTES", len(text))
    assert Policy.load(written(tmp_path, "p.json", text))
    with pytest.raises(PolicyError, match=rf"p\.json: larger than {len(text)} bytes"):
        Policy.load(written(tmp_path, "p.json", text + " "))
    monkeypatch.setattr(reader, "MAX_NODES", 5)
    with pytest.raises(PolicyError, match="nested too deeply or too large"):
        Policy.from_dict(DOCUMENT)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(PolicyError, match="the policy file cannot be read: No such file"):
        Policy.load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("path", ["nowhere.toml", "", "nul\0.toml", 5, None, b"p.toml"])
def test_files_that_are_not_there(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PolicyError):
        Policy.load(path)
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(PolicyError):
        Policy.load("folder.toml")


class Raising(dict):
    def items(self):
        raise KeyError("down")


def endless() -> dict[str, Any]:
    document: dict[str, Any] = {"schema": 1}
    document["roles"] = document
    return document


def wide() -> list[Any]:
    bomb: list[Any] = ["docs:read"]
    for _ in range(11):
        bomb = [bomb] * 40
    return bomb


@pytest.mark.parametrize(
    "document",
    [None, 5, "schema = 1", b"", [], {}, {"schema": "1"}, {1: 1}, {"schema": 1, "name": 5}, Raising(schema=1),
     {"schema": 1, "name": float("nan")}, {"schema": 1, "name": date(2020, 1, 1)}, {"schema": 1, None: {}},
     {"schema": 1, "name": "\udcff"}, {"schema": 1, "\udcff": 1}, {"schema": 1, "roles": {"a": Raising(x=1)}},
     {"schema": 1, "roles": {"": {}}}, {"schema": 1, "roles": {" a": {}}}, {"schema": 1, "roles": {"a\n": {}}},
     {"schema": 1, "permissions": {"docs:read\n": {}}}, {"schema": 1, "permissions": {"Docs:read": {}}},
     {"schema": 1, "permissions": {"d:r": {"resource": "nope"}}},
     {"schema": 1, "permissions": {"d:r": {"step_up": {}}}},
     {"schema": 1, "permissions": {"d:r": {"step_up": {"aal": 4}}}}, {"schema": 1, "roles": {"a": {"rank": 2**40}}},
     {"schema": 1, "permissions": {"d:r": {"step_up": {"aal": True, "max_age": 5}}}},
     {"schema": 1, "resources": {"d": {"attributes": {"__class__": "string"}}}},
     {"schema": 1, "resources": {"d": {"attributes": {"in": "string"}}}},
     {"schema": 1, "resources": {"d": {"attributes": {"tenant_id": "int"}}}},
     {"schema": 1, "principal": {"attributes": {"roles": "string"}}}, {"schema": 1, "principal": {"team": "string"}},
     {"schema": 1, "roles": {"a": {"inherits": ["a"]}}}, {"schema": 1, "roles": {"a": {"allow": ["*"]}}}],
)  # fmt: skip
def test_documents_that_do_not_load(document):
    refused(document)


@pytest.mark.parametrize("make", [endless, wide])
def test_documents_without_end(make):
    assert "nested too deeply or too large" in refused({"schema": 1, "roles": make()}).detail


def test_expansion_is_bounded(monkeypatch):
    monkeypatch.setattr(loader, "MAX_RULES", 5_000)
    names = [f"d:p{number}" for number in range(100)]
    roles: dict[str, Any] = {"r0": ["*"]}
    for number in range(1, 100):
        roles[f"r{number}"] = {"inherits": [f"r{number - 1}"]}
    for hostile in (roles, {"r": ["*"] * 100}):
        with pytest.raises(PolicyError, match="rules once"):
            Policy.build(permissions=names, roles=hostile)


TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["schema", "roles", "permissions", "forbid", "allow", "when", "id", "a:b", "m", "inherits"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_no_other_error_escapes(document):
    try:
        policy = Policy.from_dict({"schema": 1, **document} if isinstance(document, dict) else document)
    except PolicyError:
        return
    assert policy.version


@pytest.mark.parametrize(
    ("change", "place", "hint"),
    [
        ([["roles", "member", "allow", 1, "when"], "resource.ownr_id == principal.id"], "roles.member.allow[1].when",
         "owner_id"),
        ([["roles", "member", "alow"], []], "roles.member.alow", "allow"),
        ([["permissions", "docs:read", "step_up"], {"all": 2}], 'permissions."docs:read".step_up.all', "aal"),
        ([["forbid", 0, "permissions", 0], "docs:raed"], "forbid[0].permissions[0]", "docs:read"),
        ([["permissions", "docs:update", "resource"], "dco"], 'permissions."docs:update".resource', "doc"),
        ([["context"], {"atributes": {}}], "context.atributes", "attributes"),
        ([["roles", "member", "allow"], [{"permission": "docs:read", "id": "locked"}]], "roles.member.allow[0]", ""),
        ([["shcema"], 1], "shcema", "schema"),
        ([["deny"], []], "deny", "forbid"), ([["forbids"], []], "forbids", "forbid"),
        ([["permissions", "docs:read", "scope"], "Tenant"], 'permissions."docs:read".scope', "tenant"),
        ([["permissions", "docs:read", "scope"], "platfrom"], 'permissions."docs:read".scope', "platform"),
        ([["permissions", "docs:read", "risk"], "hihg"], 'permissions."docs:read".risk', "high"),
        ([["permissions", "docs:read", "approval"], {"by": "docs:updat"}], 'permissions."docs:read".approval.by',
         "docs:update"),
        ([["resources", "doc", "attributes", "owner_id"], "sting"], "resources.doc.attributes.owner_id", "string"),
        ([["roles", "member", "allow", 0], "dcos:*"], "roles.member.allow[0].permission", "docs:*"),
        ([["roles", "member", "inherits"], ["membr"]], "roles.member.inherits[0]", "member"),
        ([["roles", "member", "allow", 1, "effect"], "deny"], "roles.member.allow[1].effect", "permission"),
        ([["roles", "member", "allow", 1, "when"], "resorce.id == 'a'"], "roles.member.allow[1].when", "resource"),
        ([["roles", "member", "allow", 1, "when"], "hsa(resource.owner_id)"], "roles.member.allow[1].when", "has"),
        ([["forbid", 0, "when"], "principal.knid == 'agent'"], "forbid[0].when", "kind"),
        ([["forbid", 0, "when"], "principal.kind == 'agent' || True"], "forbid[0].when", "true"),
        ([["ceilings"], {"agnet": {"allow": []}}], "ceilings.agnet", "agent"),
        ([["ceilings"], {"agent": {"allow": ["docs:raed"]}}], "ceilings.agent.allow[0]", "docs:read"),
    ],
)  # fmt: skip
def test_errors_tell_the_place_and_the_cure(change, place, hint, edited):
    error = refused(edited(DOCUMENT, [change]))
    assert error.detail.startswith(place)
    assert hint in error.hint
    assert isinstance(error, ConfigurationError)


def test_a_permission_of_a_resource_type_knows_that_type_alone(edited):
    two = [["resources", "page"], {"attributes": {"owner_id": "int", "site": "string"}}]
    assert Policy.from_dict(edited(DOCUMENT, [two]))
    clash = [["roles", "member", "allow", 0], {"permission": "docs:read", "when": "has(resource.owner_id)"}]
    assert "differently" in refused(edited(DOCUMENT, [two, clash])).detail
    foreign = [["roles", "member", "allow", 1, "when"], "resource.site == 'x'"]
    assert "not declared" in refused(edited(DOCUMENT, [two, foreign])).detail


def test_platform_permissions_are_named_one_by_one():
    permissions = {"ops:list": {"scope": "platform"}, "docs:read": {}}
    assert "one by one" in refused({"schema": 1, "permissions": permissions, "roles": {"a": {"allow": ["ops:*"]}}}).hint
    policy = Policy.build(permissions=permissions, roles={"all": ["*"], "ops": ["ops:list"]})
    assert not policy.check(Principal("u", roles={"all"}), "ops:list")
    assert policy.check(Principal("u", roles={"ops"}), "ops:list")
    forbidden = Policy.build(
        permissions=permissions, roles={"ops": ["ops:list"]}, forbid=[{"id": "f", "permissions": ["*"]}]
    )
    assert forbidden.check(Principal("u", roles={"ops"}), "ops:list").rule_ids == ("f",)


def test_build_is_the_document_in_code():
    built = Policy.build(name="x", permissions=("a:b",), roles={"m": iter(["a:b"]), "n": {"rank": 3}})
    assert built.version == Policy.from_dict(
        {"schema": 1, "name": "x", "permissions": {"a:b": {}}, "roles": {"m": {"allow": ["a:b"]}, "n": {"rank": 3}}}
    ).version  # fmt: skip
    with pytest.raises(PolicyError):
        Policy.build(permissions=["a:b"], roles={"m": "a:b"})


def test_a_large_document_loads():
    names = [f"docs:p{number}" for number in range(40)]
    roles = {f"r{number}": [names[(number + step) % 40] for step in range(10)] for number in range(1_000)}
    policy = Policy.build(permissions=names, roles=roles)
    assert len(policy.roles) == 1_000
    someone = Principal("u1", tenant_id="t1", roles={"r7"})
    assert policy.permissions_for(someone) == set(roles["r7"])


def test_deciding_needs_no_pydantic():
    code = (
        "import sys, wellstreak_trust.authz; print([m for m in ('pydantic', 'yaml', 'sqlalchemy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
