"""Names in reach of a condition: what is built in, what may be declared, and what is suggested for a misspelt one."""

from __future__ import annotations

import pytest

from wellstreak_trust.authz import Policy, PolicyError
from wellstreak_trust.authz.logic import Attribute
from wellstreak_trust.authz.schema import CLASH, PRINCIPAL, RESOURCE, Schema, declare, merge, resembling
from wellstreak_trust.core import Principal


@pytest.mark.parametrize(
    ("when", "allowed"),
    [
        ("principal.id == 'u1'", True), ("principal.kind == 'user'", True), ("principal.tenant_id == 't1'", True),
        ("'m' in principal.roles", True), ("principal.aal == 2", True), ("principal.aal > 2", False),
        ("resource.id == 'd1'", True), ("resource.type == 'doc'", True), ("resource.tenant_id == 't1'", True),
        ("has(principal.id) && has(principal.kind) && has(principal.tenant_id) && has(principal.roles)", True),
        ("has(principal.aal) && has(resource.id) && has(resource.type) && has(resource.tenant_id)", True),
    ],
)  # fmt: skip
def test_what_is_built_in(when, allowed):
    policy = Policy.build(permissions=["d:x"], roles={"m": [{"permission": "d:x", "when": when}]})
    subject = Principal("u1", tenant_id="t1", roles=frozenset({"m"}), aal=2)
    assert policy.check(subject, "d:x", {"id": "d1", "type": "doc", "tenant_id": "t1"}).allowed is allowed


def test_nothing_else_is_built_in():
    assert {name: set(names) for name, names in (("principal", PRINCIPAL), ("resource", RESOURCE))} == {
        "principal": {"id", "kind", "tenant_id", "roles", "aal"},
        "resource": {"id", "type", "tenant_id"},
    }
    for when in ("has(principal.scopes)", "has(principal.attributes)", "has(resource.roles)", "has(context.id)"):
        with pytest.raises(PolicyError, match="not declared"):
            Policy.build(permissions=["d:x"], roles={"m": [{"permission": "d:x", "when": when}]})


@pytest.mark.parametrize("name", ["true", "false", "null", "in", "", "_x", "1x", "a-b", "a.b", "é", "x" * 65, "a b"])
def test_what_no_condition_could_spell(name):
    with pytest.raises(PolicyError) as refusal:
        declare({name: "string"}, {}, "context.attributes")
    assert refusal.value.detail.startswith("context.attributes.")
    assert refusal.value.hint


@pytest.mark.asvs("8.1.3")
def test_declarations():
    assert declare({"a": "string?", "b": "strings?", "c": "int"}, {"z": "bool"}, "x") == {
        "a": "string", "b": "strings", "c": "int", "z": "bool"}  # fmt: skip
    assert declare({"x" * 64: "int", "True": "bool", "aal": "int?"}, PRINCIPAL, "x")["aal"] == "int"
    with pytest.raises(PolicyError, match="built in as strings"):
        declare({"roles": "string"}, PRINCIPAL, "principal.attributes")


def test_what_types_declare_alike_and_not():
    found = merge([{"a": "string", "b": "int"}, {"a": "string", "b": "bool"}, {"c": "bool"}])
    assert found == {**RESOURCE, "a": "string", "b": CLASH, "c": "bool"}
    schema = Schema(PRINCIPAL, found, {})
    assert schema.attribute("resource", "a", "when") == Attribute("resource", "a", "string")
    with pytest.raises(PolicyError, match="declare 'b' differently"):
        schema.attribute("resource", "b", "when")
    with pytest.raises(PolicyError, match=r"when: context\.a is not declared") as refusal:
        schema.attribute("context", "a", "when")
    assert refusal.value.hint == "none is declared"


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("scop", ["scope", "risk"], "did you mean 'scope'?"), ("zzz", ["b", "a"], "known: a, b"),
        (5, ["b", "a"], "known: a, b"), (None, [], "none is declared"), ("x", [], "none is declared"),
        ("zz", [f"n{number:02}" for number in range(12)], "known: " + ", ".join(f"n{n:02}" for n in range(12))),
        ("zz", [f"n{number:02}" for number in range(13)],
         "known: " + ", ".join(f"n{n:02}" for n in range(12)) + ", ..."),
        ("a" * 100_000, ["a" * 80], f"did you mean '{'a' * 80}'?"),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_is_suggested(word, known, hint):
    assert resembling(word, known) == hint
