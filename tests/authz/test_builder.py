"""Conditions in Python: the text they stand for, the digest that text has, and what Python would silently drop."""

from __future__ import annotations

import copy
import pickle
from enum import IntEnum, StrEnum
from random import Random
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.authz import (
    Expression,
    Policy,
    PolicyError,
    UsageError,
    all_of,
    any_of,
    context,
    has,
    principal,
    resource,
)
from wellstreak_trust.authz.builder import Names
from wellstreak_trust.authz.expression import parse
from wellstreak_trust.authz.schema import PRINCIPAL, RESOURCE, Schema

TYPES = {"s": "string", "u": "string", "i": "int", "j": "int", "b": "bool", "f": "bool", "t": "strings"}
SCHEMA = Schema({**PRINCIPAL, **TYPES}, {**RESOURCE, **TYPES}, TYPES)


class State(StrEnum):
    OPEN = "open"


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (resource.s == principal.id, "resource.s == principal.id"),
        (resource.s != "a", "resource.s != 'a'"),
        ("a" == resource.s, "resource.s == 'a'"),  # noqa: SIM300  Python turns it round
        (resource.i < 3, "resource.i < 3"), (resource.i <= 3, "resource.i <= 3"),
        (resource.i > -1, "resource.i > -1"), (resource.i >= resource.j, "resource.i >= resource.j"),
        (3 < resource.i, "resource.i > 3"),  # noqa: SIM300  likewise
        (resource.b == True, "resource.b == true"),  # noqa: E712  what is written is the comparison
        (resource.s.is_in(["a", "b"]), "resource.s in ['a', 'b']"),
        (resource.i.is_in({3, 1}), "resource.i in [1, 3]"),
        (resource.s.is_in(principal.t), "resource.s in principal.t"),
        (resource.s == State.OPEN, "resource.s == 'open'"), (resource.i == Level.HIGH, "resource.i == 3"),
        (resource.s == "it's \\ \"x\"\n", "resource.s == 'it\\'s \\\\ \"x\"\\n'"),
        (has(resource.s), "has(resource.s)"), (~resource.b, "!resource.b"), (~~resource.b, "!!resource.b"),
        (~(resource.i < 3), "!(resource.i < 3)"), (~resource.b == context.b, "!resource.b == context.b"),
        (all_of(has(resource.b), resource.b), "has(resource.b) && resource.b"),
        (resource.b & resource.f & context.b, "resource.b && resource.f && context.b"),
        (resource.b | resource.f & context.b, "resource.b || resource.f && context.b"),
        ((resource.b | resource.f) & context.b, "(resource.b || resource.f) && context.b"),
        (~(resource.b & context.b), "!(resource.b && context.b)"),
        (any_of(resource.b, all_of(resource.f, context.b)), "resource.b || resource.f && context.b"),
        (all_of(resource.b), "resource.b"), (any_of(resource.i == 1), "resource.i == 1"),
        ((resource.i == 1) == (resource.j == 1), "(resource.i == 1) == (resource.j == 1)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_written_down(expression, text):
    assert str(expression) == text
    assert parse(text, SCHEMA, "when")
    assert text in repr(expression)


def policy(when: Any, **sections: Any) -> Policy:
    return Policy.build(
        permissions={"d:x": {"resource": "d"}},
        roles={"m": [{"permission": "d:x", "when": when}]},
        resources={"d": {"attributes": TYPES}},
        context={"attributes": TYPES},
        principal={"attributes": {"t": "strings", "b": "bool"}},
        **sections,
    )


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (resource.s == principal.id, "resource.s == principal.id"),
        (resource.s == principal.id, 'principal.id==resource.s'),
        (resource.i > 3, "3 < resource.i"),
        (resource.i >= 3, "!(resource.i < 3)"),
        (~(resource.b & resource.f), "!resource.f || !resource.b"),
        (resource.s.is_in(["b", "a"]), "resource.s in [\"a\", 'b', 'a']"),
        ((resource.b & resource.f) & context.b, "resource.b && (context.b && resource.f)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_expression_and_its_text_are_one_policy(expression, text):
    forbid = {"id": "f", "permissions": ["*"]}
    built = policy(expression, forbid=[{**forbid, "when": ~expression}])
    written = policy(text, forbid=[{**forbid, "when": f"!({text})"}])
    assert built.version == written.version
    assert not built.diff(written)
    assert Policy.from_dict(built.document).version == built.version
    assert built.version != policy(text).version


def test_the_digest_is_of_what_conditions_mean():
    texts = ["resource.i < 3", "resource.i < 4", "resource.i > 3", "resource.j < 3", "resource.i <= 3",
             "resource.s == 'a'", "resource.s == 'A'", "resource.s == 'a '", "resource.b", "!resource.b",
             "has(resource.b)", "resource.b && resource.f", "resource.b || resource.f", "resource.b || !resource.b",
             "resource.s in ['a', 'b']", "resource.s in ['a', 'c']", "true", "false"]  # fmt: skip
    assert len({policy(text).version for text in texts}) == len(texts)


def test_one_text_over_several_types_is_digested_as_each_reads_it():
    def both(kind: str) -> str:
        return Policy.build(
            permissions={"d:x": {"resource": "d"}, "e:x": {"resource": "e"}},
            roles={"m": [{"permission": "*", "when": "resource.x == resource.y"}]},
            resources={
                "d": {"attributes": {"x": "string", "y": "string"}},
                "e": {"attributes": {"x": kind, "y": kind}},
            },
        ).version

    assert len({both("string"), both("bool"), both("int")}) == 3


# --- what Python would drop ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: resource.b and resource.f, lambda: resource.b or resource.f, lambda: not resource.b,
        lambda: 1 < resource.i < 3, lambda: resource.s == "a" == resource.u, lambda: bool(resource.b),
        lambda: resource.s in principal.t, lambda: "a" in principal.t, lambda: resource.b if resource.f else None,
        lambda: list(principal.t), lambda: all_of(), lambda: any_of(),
        lambda: resource.b == resource.f & context.b, lambda: (resource.b | context.b) != resource.f,
        lambda: context.b == (resource.b | resource.f),
    ],
)  # fmt: skip
def test_what_python_cannot_write_down_raises(attempt):
    with pytest.raises(UsageError):
        attempt()


@pytest.mark.parametrize(
    "value",
    [None, 1.0, float("nan"), b"a", object(), {"a": 1}, [None], [[1.0]], MagicMock(), iter("a"), Expression, resource],
    ids=lambda value: type(value).__name__,
)
def test_what_no_policy_holds(value):
    for attempt in (lambda: resource.s == value, lambda: resource.s.is_in(value), lambda: all_of(value, resource.b),
                    lambda: resource.b & value, lambda: has(value)):  # fmt: skip
        with pytest.raises(UsageError) as refusal:
            attempt()
        assert refusal.value.hint


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (resource.s == 1, "string compared with int"), (resource.nope == "a", "not declared"),
        (resource.s, "a condition is wanted"), (has(resource.i < 3), "unexpected"), (resource.i.is_in([]), "literals"),
        (resource.i.is_in([1, "a"]), "one type"), (resource.s.is_in("abc"), "string in string"),
        (resource.s == "\ud800", "no Unicode"), (resource.i == 2**63, "64 bits"), (resource.t == ["a"], "string"),
        (resource.b & (resource.i < "a"), "int compared with string"), (~resource.s, "a condition is wanted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_types_are_checked_when_it_loads(when, told):
    with pytest.raises(PolicyError) as refusal:
        policy(when)
    assert refusal.value.detail.startswith("roles.m.allow[0].when: ")
    assert told in refusal.value.detail + refusal.value.hint


def test_nothing_in_a_value_ends_its_string():
    for hostile in ("' || true || '", "\\' || true || '", '" || true', "a\\", "\n' || true", "\r", "\x00'", "'"):
        assert policy(resource.s == hostile).rules()[0].tree.right.value == hostile


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_every_text_comes_back(value):
    assert parse(str(resource.s == value), SCHEMA, "when").right.value == value


def test_expressions_stand_where_conditions_stand_and_nowhere_else():
    with pytest.raises(PolicyError, match="Expression is no value"):
        policy("true", name=resource.s)
    with pytest.raises(PolicyError, match="Expression is no value"):
        Policy.build(permissions=["d:x"], roles={"m": [resource.s]})
    assert policy(resource.b).document["roles"]["m"]["allow"][0]["when"] == "resource.b"


def test_sizes_are_capped_before_they_grow():
    found = resource.b == resource.f
    with pytest.raises(UsageError, match="4096"):
        for _ in range(64):
            found = found == found  # each step doubles the text


def test_expressions_are_values():
    found = resource.s == "a"
    for name in ("text", "binds", "other"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(found, name, "true")
    with pytest.raises(TypeError):
        hash(found)
    assert str(pickle.loads(pickle.dumps(found))) == str(copy.deepcopy(found)) == "resource.s == 'a'"
    assert not hasattr(resource, "__len__")
    assert not hasattr(resource, "_root_")
    assert isinstance(resource, Names)
    assert repr(context) == "<attributes of the context>"


# --- against the text that is meant ----------------------------------------------------------------------------------

Both = tuple[Expression, str]
ATOMS: list[Both] = [
    (resource.b, "resource.b"), (context.f, "context.f"), (has(resource.s), "has(resource.s)"),
    (resource.s == principal.id, "resource.s == principal.id"), (resource.i < 2, "resource.i < 2"),
    (resource.i >= resource.j, "resource.i >= resource.j"), (resource.s.is_in(["a", "b"]), "resource.s in ['a', 'b']"),
]  # fmt: skip


def grown(random: Random, depth: int) -> Both:
    if depth == 0 or random.random() < 0.2:
        return random.choice(ATOMS)
    one, other = grown(random, depth - 1), grown(random, depth - 1)
    match random.randrange(5):
        case 0:
            return ~one[0], f"!({one[1]})"
        case 1:
            return one[0] & other[0], f"({one[1]}) && ({other[1]})"
        case 2:
            return any_of(one[0], other[0]), f"({one[1]}) || ({other[1]})"
        case 3:
            return all_of(one[0], other[0], ATOMS[0][0]), f"({one[1]}) && ({other[1]}) && resource.b"
        case _:
            return one[0] | other[0], f"({one[1]}) || ({other[1]})"


@given(st.integers(0, 2**32))
def test_operators_mean_their_connectives(seed):
    expression, text = grown(Random(seed), 4)
    assert policy(expression).version == policy(text).version
