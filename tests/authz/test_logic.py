"""Three-valued logic by its tables, and what a value of a type is."""

from __future__ import annotations

from collections import UserList
from itertools import product
from typing import Any

import pytest

from wellstreak_trust.authz import logic
from wellstreak_trust.authz.logic import Attribute, Constant, Flag, Not, evaluate, is_of, is_strings, negated, unknowns

Equal, Less, Member, Has = logic.Equal, logic.Less, logic.Member, logic.Has
S, N, B, T = (
    Attribute("resource", "s", "string"),
    Attribute("resource", "n", "int"),
    Attribute("context", "b", "bool"),
    Attribute("principal", "t", "strings"),
)
C = Attribute("resource", "c", "bool")


class Text(str):
    __slots__ = ()


def value(node: logic.Node, **held: Any) -> bool | None:
    return evaluate(node, lambda attribute: held.get(attribute.name))


def missing(node: logic.Node, **held: Any) -> list[str]:
    return [str(each) for each in unknowns(node, lambda attribute: held.get(attribute.name))]


@pytest.mark.asvs("15.3.5")
@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ("a", {"string"}), ("", {"string"}), (1, {"int"}), (0, {"int"}), (True, {"bool"}), (False, {"bool"}),
        (1.0, set()), (None, set()), (b"a", set()), (Text("a"), set()), (["a"], {"strings"}), ([], {"strings"}),
        (("a",), {"strings"}), ({"a"}, {"strings"}), (frozenset(), {"strings"}), (["a", 1], set()), ([1], set()),
        ([Text("a")], set()), (["a", None], set()), ({"a": 1}, set()), (UserList("a"), set()), (object(), set()),
    ],
    ids=range(22),
)  # fmt: skip
def test_types_are_exact(found, kinds):
    assert {kind for kind in ("string", "int", "bool", "strings") if is_of(found, kind)} == kinds
    assert is_strings(found) is ("strings" in kinds)


def test_connectives():
    def conjunction(one: bool | None, other: bool | None) -> bool | None:
        return False if False in (one, other) else None if None in (one, other) else True

    for one, other in product((True, False, None), repeat=2):
        held = {"b": one, "c": other}
        both, either = value(logic.All((Flag(B), Flag(C))), **held), value(logic.Either((Flag(B), Flag(C))), **held)
        assert both is conjunction(one, other)
        opposite = conjunction(*(None if each is None else not each for each in (one, other)))
        assert either is (None if opposite is None else not opposite)
        assert value(Not(Flag(B)), **held) is (None if one is None else not one)
    assert (value(logic.All(())), value(logic.Either(()))) == (True, False)
    assert (value(logic.Truth(True)), value(logic.Truth(False))) == (True, False)


@pytest.mark.parametrize(
    ("node", "held", "expected"),
    [
        (Flag(B), {"b": True}, True), (Flag(B), {"b": False}, False), (Flag(B), {"b": 1}, None), (Flag(B), {}, None),
        (Has(S), {"s": ""}, True), (Has(S), {"s": None}, False), (Has(S), {"s": 1}, False), (Has(T), {"t": []}, True),
        (Equal(S, Constant("a")), {"s": "a"}, True), (Equal(S, Constant("a")), {"s": "b"}, False),
        (Equal(S, Constant("a")), {}, None), (Equal(S, S), {}, None), (Equal(N, Constant(1)), {"n": True}, None),
        (Equal(N, Constant(1)), {"n": 1.0}, None), (Less(N, Constant(3)), {"n": 2}, True),
        (Less(N, Constant(3)), {"n": 3}, False), (Less(Constant(3), N), {"n": 4}, True), (Less(N, N), {"n": 4}, False),
        (Less(S, Constant("b")), {"s": "a"}, True), (Less(S, Constant("a")), {"s": "b"}, False),
        (Less(N, Constant(3)), {"n": "2"}, None), (Member(S, T), {"s": "a", "t": ["a"]}, True),
        (Member(S, T), {"s": "a", "t": []}, False), (Member(S, T), {"s": "a"}, None), (Member(S, T), {"t": []}, None),
        (Member(S, T), {"s": "a", "t": ["a", 1]}, None), (Member(N, Constant((1, 2))), {"n": 2}, True),
        (Member(N, Constant((1, 2))), {"n": 3}, False), (Member(Constant("a"), T), {"t": {"a"}}, True),
    ],
    ids=range(29),
)  # fmt: skip
def test_atoms(node, held, expected):
    assert value(node, **held) is expected
    assert value(negated(node), **held) is (None if expected is None else not expected)


def test_what_is_missing():
    both = logic.All((Flag(B), Equal(S, Constant("a"))))
    assert missing(both) == ["context.b", "resource.s"]
    assert missing(both, b=False) == missing(both, b=True, s="a") == missing(both, b=True, s="b") == []
    assert missing(both, b=True) == ["resource.s"]
    assert missing(Not(logic.Either((Flag(B), Member(S, T)))), s="a") == ["context.b", "principal.t"]
    assert missing(Less(N, N), n="1") == ["resource.n", "resource.n"]
    assert missing(Has(S)) == missing(logic.Truth(True)) == []


def test_what_is_read():
    tree = Not(logic.All((Flag(B), logic.Either((Has(S), Member(S, T), logic.Truth(True))))))
    assert [type(atom) for atom in logic.atoms(tree)] == [Flag, Has, Member]
    assert [str(attribute) for attribute in logic.attributes(tree)] == [
        "context.b",
        "resource.s",
        "resource.s",
        "principal.t",
    ]
    assert list(logic.attributes(Member(N, Constant((1,))))) == [N]
    assert negated(negated(tree)) == tree
