"""Random policies and rows a third NULL, for whoever compares a filter with the check.

``WT_ORACLE_CASES=10000`` compares so many policies instead of a few.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Principal

CASES = int(os.environ.get("WT_ORACLE_CASES", "100"))
TYPES = {"s": "string", "u": "string", "i": "int", "j": "int", "b": "bool", "f": "bool"}
TEXTS = ["", "a", "B", "b", "Z", "é", "😀", "%", "_", "o'x", 'q"', "u1"]
NUMBERS = [-1, 0, 1, 2, 2**31]
FACTS = {"s": "string", "i": "int", "b": "bool", "t": "strings"}


def values(kind: str) -> list[Any]:
    return {"string": TEXTS, "int": NUMBERS, "bool": [True, False], "strings": [[], ["a"], ["b", "é", ""]]}[kind]


def literal(random: Random, kind: str) -> str:
    if kind == "string":
        return '"' + random.choice(TEXTS).replace('"', '\\"') + '"'
    return str(random.choice(values(kind))).lower()


def operand(random: Random, kind: str) -> str:
    names = [f"resource.{name}" for name, of in TYPES.items() if of == kind]
    facts = [f"{root}.{name}" for root in ("principal", "context") for name, of in FACTS.items() if of == kind]
    return random.choice([*names, *names, *facts, literal(random, kind)])


def atom(random: Random) -> str:
    kind = random.choice(["string", "string", "int", "bool"])
    match random.randrange(6):
        case 0:
            return f"has(resource.{random.choice(list(TYPES))})"
        case 1:
            return operand(random, "bool")
        case 2:
            return f"{operand(random, 'string')} in principal.t"
        case 3 if kind != "bool":
            items = ", ".join(literal(random, kind) for _ in range(random.randrange(1, 4)))
            return f"{operand(random, kind)} in [{items}]"
        case _ if kind == "bool":
            sign, negation = random.choice(["==", "!="]), random.choice(["", "!"])
            return f"{negation}{operand(random, kind)} {sign} {operand(random, kind)}"
        case _:
            sign = random.choice(["==", "!=", "<", "<=", ">", ">="])
            return f"{operand(random, kind)} {sign} {operand(random, kind)}"


def condition(random: Random, depth: int = 3) -> str:
    if depth == 0 or random.random() < 0.3:
        return atom(random)
    if random.random() < 0.2:  # `&&` binds closer than `||`, and both less than a comparison
        return " ".join([atom(random), *(f"{random.choice(['&&', '||'])} {atom(random)}" for _ in range(3))])
    if random.random() < 0.3:
        return f"!({condition(random, depth - 1)})"
    sign = random.choice(["&&", "||"])
    return f"({condition(random, depth - 1)}) {sign} ({condition(random, depth - 1)})"


def policy(random: Random) -> Policy:
    """One permission, up to three grants and two forbids."""
    allow: list[Any] = [{"permission": "d:x", "when": condition(random)} for _ in range(random.randrange(1, 4))]
    return Policy.build(
        permissions={"d:x": {"resource": "d", "scope": random.choice(["tenant", "tenant", "tenant", "platform"])}},
        resources={"d": {"attributes": TYPES}},
        principal={"attributes": {"s": "string", "i": "int", "b": "bool", "t": "strings"}},
        context={"attributes": {"s": "string", "i": "int", "b": "bool", "t": "strings"}},
        roles={"m": [*allow, "d:x"] if random.random() < 0.3 else allow},
        forbid=[
            {"id": f"f{number}", "permissions": ["*"], "when": condition(random, 2)}
            for number in range(random.choice([0, 0, 1, 2]))
        ],
    )


def facts(random: Random) -> dict[str, Any]:
    return {name: random.choice(values(kind)) for name, kind in FACTS.items() if random.random() < 0.7}


def subject(random: Random) -> Principal:
    """Mostly a person of a tenant; also nobody's member, impersonated, an agent with or without a person behind it."""
    tenant = random.choice(["t1", "t1", "t1", None])
    person = Principal("u1", tenant_id=tenant, roles=frozenset({"m"}), attributes=facts(random))
    other = Principal("u2", tenant_id=tenant, roles=frozenset({"m"}), attributes=facts(random))
    match random.randrange(10):
        case 0:
            return replace(person, actor=other)
        case 1 | 2:
            return replace(person, id="a1", kind="agent", actor=random.choice([other, other, None]))
        case 3:
            return replace(person, scopes=random.choice([frozenset(), frozenset({"d:x"})]))
        case _:
            return person


def rows(random: Random, count: int) -> list[dict[str, Any]]:
    """Each with an `id`, and every other column NULL in a third of them."""
    return [
        {
            "id": str(number),
            "tenant_id": random.choice(["t1", "t1", "t2", "T1", None]),
            **{name: None if random.random() < 1 / 3 else random.choice(values(of)) for name, of in TYPES.items()},
        }
        for number in range(count)
    ]
