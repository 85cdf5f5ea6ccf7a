"""Every tree has one text, and that text is the tree again."""

from __future__ import annotations

import pytest

from wellstreak_trust.authz.expression import parse
from wellstreak_trust.authz.implication import normal
from wellstreak_trust.authz.logic import All, Attribute, Constant, Either, Equal, Flag, Has, Less, Member, Not, Truth
from wellstreak_trust.authz.schema import PRINCIPAL, RESOURCE, Schema
from wellstreak_trust.authz.spelling import literal, spelled

S, N, B, T = (
    Attribute("resource", "s", "string"),
    Attribute("resource", "i", "int"),
    Attribute("resource", "b", "bool"),
    Attribute("resource", "t", "strings"),
)
SCHEMA = Schema(PRINCIPAL, {**RESOURCE, "s": "string", "i": "int", "b": "bool", "t": "strings"}, {})
FLAG, SMALL = Flag(B), Less(N, Constant(3))


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (Truth(True), "true"), (Truth(False), "false"), (Not(Truth(True)), "!true"), (FLAG, "resource.b"),
        (Has(S), "has(resource.s)"), (Not(Has(S)), "!has(resource.s)"), (Not(FLAG), "!resource.b"),
        (Equal(S, Constant("a")), "resource.s == 'a'"), (Not(Equal(S, Constant("a"))), "resource.s != 'a'"),
        (SMALL, "resource.i < 3"), (Not(SMALL), "resource.i >= 3"), (Less(Constant(-3), N), "-3 < resource.i"),
        (Not(Less(Constant(-3), N)), "-3 >= resource.i"), (Member(S, T), "resource.s in resource.t"),
        (Not(Member(S, T)), "!(resource.s in resource.t)"),
        (Member(N, Constant((-1, 2))), "resource.i in [-1, 2]"),
        (Member(S, Constant(("a'", "b\\"))), "resource.s in ['a\\'', 'b\\\\']"),
        (All((FLAG, SMALL)), "resource.b && resource.i < 3"), (Either((FLAG, SMALL)), "resource.b || resource.i < 3"),
        (Not(All((FLAG, SMALL))), "!(resource.b && resource.i < 3)"),
        (All((FLAG, Either((SMALL, FLAG)))), "resource.b && (resource.i < 3 || resource.b)"),
        (Either((FLAG, All((SMALL, FLAG)))), "resource.b || (resource.i < 3 && resource.b)"),
        (Not(Not(FLAG)), "!(!resource.b)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_tree_and_its_text(tree, text):
    assert spelled(tree) == text
    assert normal(parse(text, SCHEMA, "when")) == normal(tree)


@pytest.mark.parametrize(
    ("tree", "text"),
    [(All(()), "true"), (Either(()), "false"), (All((FLAG,)), "resource.b"), (Either((Not(FLAG),)), "!resource.b")],
)
def test_connectives_of_few_parts(tree, text):
    """What is left when the parts of a condition are taken away one by one."""
    assert spelled(tree) == text


def test_literals():
    assert literal('tab\t, line\r\n, quote \', "double" and \\') == (
        "'tab\\t, line\\r\\n, quote \\', \"double\" and \\\\'"
    )
    assert literal(-7) == "-7"
    assert literal(("a", "b")) == "['a', 'b']"
