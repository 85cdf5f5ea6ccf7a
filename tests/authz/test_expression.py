"""Conditions: the grammar and its caps, and compiled code against the plain walk over the tree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.authz import PolicyError
from wellstreak_trust.authz.compile import falsity, truth
from wellstreak_trust.authz.expression import MAX_DEPTH, MAX_TEXT, parse
from wellstreak_trust.authz.implication import implies
from wellstreak_trust.authz.judge import Actor
from wellstreak_trust.authz.logic import Equal, Less, Not, Truth, evaluate, unknowns
from wellstreak_trust.authz.schema import CLASH, PRINCIPAL, Schema
from wellstreak_trust.core import Principal

RESOURCE = {"s": "string", "u": "string", "i": "int", "j": "int", "b": "bool", "f": "bool", "t": "strings"}
SCHEMA = Schema(
    principal={**PRINCIPAL, "s": "string", "i": "int", "t": "strings"},
    resource={**RESOURCE, "mixed": CLASH},
    context={"b": "bool", "s": "string"},
)


def tree(text: str):
    return parse(text, SCHEMA, "when")


def refused(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        tree(text)
    assert caught.value.detail.startswith("when: ")
    return caught.value


@pytest.mark.asvs("1.3.12")
@pytest.mark.parametrize(
    "text",
    ["(" * 20_000 + "true" + ")" * 20_000, "!" * 20_000 + "true", "(" * 4_000, "!" * 4_000, "[" * 4_000, "-" * 4_000,
     "true" + " == true" * 400, "'" + "\\" * 4_000, "true" + " " * MAX_TEXT, "[" + "1," * 2_000, "'a' " * 1_000],
)  # fmt: skip
def test_hostile_sizes_are_refused_at_once(text):
    assert refused(text).code == "internal_error"


def test_the_depth_that_is_allowed():
    assert tree("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH) == Truth(True)
    assert "nested" in refused("(" * (MAX_DEPTH + 1) + "true" + ")" * (MAX_DEPTH + 1)).detail
    assert tree("!" * MAX_DEPTH + "true") == Truth(True)
    assert "nested" in refused("!" * (MAX_DEPTH + 1) + "true").detail
    assert tree(" && ".join(["resource.b"] * 290))  # width is bounded by the length alone


def test_a_chain_nests_to_the_left():
    assert tree("true" + " == true" * MAX_DEPTH) == Truth(True)
    assert "nested" in refused("true" + " == true" * (MAX_DEPTH + 1)).detail
    assert tree("(" * 30 + "true == true == true" + ")" * 30) == Truth(True)
    assert "nested" in refused("(" * 31 + "true == true == true" + ")" * 31).detail


def test_equality_of_booleans_may_not_explode():
    assert tree("resource.b" + " == resource.f" * 5)
    assert "complex" in refused("resource.b" + " == resource.f" * 20).detail


@pytest.mark.parametrize(
    "text",
    ["", " ", "()", "true true", "true &&", "&& true", "true & true", "resource", "resource.", ".s == 's'", "nope.s",
     "has(true)", "has(resource)", "has resource.s", "has(resource.s", "resource.s.u == 's'", "resource.s == 's",
     "resource.s == 'a\nb'", r"resource.s == 'a\x41'", r"resource.s == '\u12'", r"resource.s == '\ud800'",
     "resource.i == 1.0", "resource.i == 1u", "resource.i == 0x1", "resource.i == --1", "resource.i == +1",
     "resource.i == 9223372036854775808", "resource.i == -9223372036854775809", "resource.i == " + "9" * 400,
     "resource.i in []", "resource.i in [1,]", "resource.i in [1 2]", "resource.i in [resource.j]", "resource.i in 1",
     "resource.i in [-'a']", "resource.s in 'abc'", "resource.t in ['a']", "resource.t == resource.t", "[1] == [1]",
     "resource.b < true", "resource.b && 1", "!resource.s", "resource.i < resource.s", "true ? true : false",
     "resource.s = 's'", "resource.s == r's'", "resource.s == '''s'''", "resource.s == 's' // c", "true;true",
     "resource['s'] == 's'", "resource.s + 's' == 's'", "size(resource.s) == 1", "resource.ｓ == 's'", "\x00true",
     "resource.mixed == 's'", "principal.nope == 's'", "true || context.nope", "has(resource.nope)", "[true]", "'a'"],
)  # fmt: skip
def test_what_is_not_in_the_language(text):
    refused(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'\\' == '\u005c'", True), (r"'\n\r\t' == '\u000a\u000d\u0009'", True), (r"""'\"' == "\'" """, False),
        ("'é' == 'e\u0301'", False), ("'A' == 'a'", False), ("'' == ''", True), ("'a' < 'b'", True),
        ("'Z' < 'a'", True), ("'\U0001f600' > '\uffff'", True), ("-1 < 0", True), ("- 5 == -5", True),
        ("-9223372036854775808 < 9223372036854775807", True), ("1 in [3, 2, 1]", True), ("-1 in [1]", False),
        (r"""'\"' == '"' """, True), (r"""'\'' == "'" """, True), (r"""'\"' == "\"" """, True), ("0 == 00", True),
        ("0 in [0]", True), ("10 in [10, 100]", True), ("0 < -0", False),
        ("true in [false]", False), ("false in [false, true]", True), ("true == !false", True), ("007 == 7", True),
        ("(1) == (1)", True), ("true\n&&\ttrue", True), ("true != true || true", True),
    ],
)  # fmt: skip
def test_constants_are_decided_at_once(text, value):
    assert evaluate(tree(text), lambda attribute: None) is value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("resource.i > 3", "3 < resource.i"), ("resource.i >= 3", "!(resource.i < 3)"),
        ("resource.i <= resource.j", "resource.j >= resource.i"), ("resource.s != 'a'", "!('a' == resource.s)"),
        ("resource.s in ['a']", "resource.s == 'a'"), ("resource.s in ['b', 'a', 'b']", "resource.s in ['a', 'b']"),
        ("resource.b == true", "resource.b"), ("!(!(resource.b))", "resource.b"),
        ("false == resource.b", "!resource.b"),
        ("resource.s == resource.u", "resource.u == resource.s"), ("((resource.b))", "resource.b"),
    ],
)  # fmt: skip
def test_two_spellings_of_one_meaning_are_one_tree(one, other):
    assert tree(one) == tree(other)


# --- compiled code against the walk ----------------------------------------------------------------------------------

ATOMS = st.sampled_from(
    ["resource.b", "resource.f", "context.b", "resource.s == resource.u", "resource.s == principal.id", "true",
     "resource.s != 'a'", "resource.i < resource.j", "resource.i >= 1", "principal.i <= resource.i", "false",
     "resource.s in resource.t", "'a' in principal.roles", "resource.s in ['a', 'b']", "resource.i in [0, 1]",
     "has(resource.b)", "has(resource.t)", "has(principal.s)", "has(context.s)", "context.s == principal.s",
     "resource.b == resource.f", "resource.b in [true]", "resource.s < resource.u", "principal.aal >= 2",
     "principal.tenant_id == resource.s", "principal.kind == 'user'", "resource.s in principal.t"]
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("!({})".format, inner),
        st.builds("({}) && ({})".format, inner, inner),
        st.builds("({}) || ({})".format, inner, inner),
        st.builds("({}) == ({})".format, inner, inner),
    ),
    max_leaves=6,
)


class Agrees(str):
    """Text that claims to equal everything."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True


VALUES = st.sampled_from(
    [None, "a", "b", "", "A", 0, 1, -1, 2, True, False, 1.0, float("nan"), [], ["a"], ["a", 1], ("a", "b"), {"a"},
     frozenset({"b"}), {}, {"a": 1}, Agrees("a"), [Agrees("a")], object(), b"a"]
)  # fmt: skip


def mapping(names) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES))


@pytest.mark.asvs("1.3.2")
def test_compiled_code_reaches_nothing_by_name():
    for function in (truth(tree("resource.b")), falsity(tree("resource.s in principal.t"))):
        assert function.__globals__["__builtins__"] == {}
        assert "__import__" not in function.__globals__


@settings(max_examples=100, deadline=None)
@given(CONDITIONS, mapping(RESOURCE), mapping("sit"), mapping("bs"))
def test_compiled_conditions_agree_with_the_walk(text, resource, attributes, context):
    node = tree(text)
    actor = Actor(
        Principal("a", tenant_id="a", roles=frozenset({"a"}), aal=2, attributes=attributes), "a", frozenset("a")
    )
    actor.attributes = {name: attributes.get(name) for name in "sit"}
    complete = {name: resource.get(name) for name in RESOURCE}
    around = {name: context.get(name) for name in "bs"}

    def lookup(attribute):
        if attribute.root == "principal":
            return actor.named(attribute.name)
        return (complete if attribute.root == "resource" else around)[attribute.name]

    is_true, is_false = truth(node)(actor, complete, around), falsity(node)(actor, complete, around)
    assert (is_true, is_false) == {True: (True, False), False: (False, True), None: (False, False)}[
        evaluate(node, lookup)
    ]
    assert bool(list(unknowns(node, lookup))) is (evaluate(node, lookup) is None)


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, CONDITIONS, mapping(RESOURCE))
def test_connectives_commute_and_forget_duplicates(one, other, resource):
    def value(text: str) -> bool | None:
        return evaluate(tree(text), lambda attribute: resource.get(attribute.name))

    for sign in ("&&", "||", "=="):
        assert value(f"({one}) {sign} ({other})") == value(f"({other}) {sign} ({one})")
    assert value(f"({one}) && ({one})") == value(f"({one}) || ({one})") == value(f"!(!({one}))") == value(one)


# --- implication -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("premise", "conclusion", "expected"),
    [
        ("resource.b && resource.f", "resource.b", True), ("resource.b", "resource.b && resource.f", False),
        ("resource.b", "resource.b || resource.f", True), ("resource.b", "true", True), ("true", "resource.b", False),
        ("false", "resource.b", True), ("true", "resource.b || !resource.b", False),  # UNKNOWN is neither
        ("true", "has(resource.b) || !has(resource.b)", True),
        ("resource.i > 3", "!(resource.i <= 3)", True), ("resource.b == resource.f", "resource.f == resource.b", True),
        ("resource.i == 1", "resource.i != 2", False),  # true, and not found: sound, not complete
    ],
)  # fmt: skip
def test_implication(premise, conclusion, expected):
    assert implies(tree(premise), tree(conclusion)) is expected


def test_implication_of_many_atoms_compares_trees():
    many = " || ".join(f"resource.i == {number}" for number in range(12))
    assert implies(tree(many), tree(many))
    assert implies(tree("resource.i == 3"), tree(many))
    assert not implies(tree(many), tree("resource.i == 3"))


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, CONDITIONS, mapping(RESOURCE))
def test_an_implication_that_was_found_holds(one, other, resource):
    premise, conclusion = tree(one), tree(other)

    def lookup(attribute):
        return resource.get(attribute.name) if attribute.root == "resource" else None

    if implies(premise, conclusion) and evaluate(premise, lookup) is True:
        assert evaluate(conclusion, lookup) is True
    assert implies(premise, premise)


def test_only_two_comparisons_exist():
    assert isinstance(tree("resource.i >= 3"), Not)
    assert isinstance(tree("resource.i < 3"), Less)
    assert isinstance(tree("resource.s == 's'"), Equal)
