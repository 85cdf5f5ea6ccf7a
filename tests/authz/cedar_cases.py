"""Random policies, each written twice: as a document here, and in Cedar.

Cedar's connectives stop at an error where ours absorb it, and it has no order on strings; everything else of the two
is one language. The tenant gate and the scopes of a credential, which the engine knows by itself, are forbids there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

import cedarpy

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Principal

TENANT = ("d:x", "d:y", "n:z")
PERMISSIONS = (*TENANT, "p:q")
TYPES = {"s": "string", "u": "string", "i": "int", "j": "int", "b": "bool", "f": "bool", "t": "strings"}
FACTS = {"s": "string", "i": "int", "b": "bool", "t": "strings"}
ROLES = ("a", "b", "c", "d")
WORDS = ("", "a", "B", "é", "😀", "%", "o'x", "u1")
NUMBERS = (-1, 0, 1, 2, 2**40)

GATE = """
@id("gate") forbid (principal, action in Action::"tenant", resource) unless {
  principal has tenant_id && (resource in Nothing::"" ||
                              resource has tenant_id && principal.tenant_id == resource.tenant_id) };
"""

Text = tuple[str, str]  # here, in Cedar


def value(random: Random, kind: str) -> Any:
    match kind:
        case "string":
            return random.choice(WORDS)
        case "int":
            return random.choice(NUMBERS)
        case "bool":
            return random.random() < 0.5
        case _:
            return random.sample(WORDS, random.randrange(4))


def facts(random: Random, kinds: dict[str, str], absent: float) -> dict[str, Any]:
    return {name: value(random, kind) for name, kind in kinds.items() if random.random() >= absent}


# --- conditions ------------------------------------------------------------------------------------------------------


def same(text: str) -> Text:
    return text, text


def literal(random: Random, kind: str) -> Text:
    return same(json.dumps(value(random, kind), ensure_ascii=False))


def attribute(random: Random, kind: str) -> Text:
    found = [f"resource.{name}" for name, of in TYPES.items() if of == kind]
    found += [f"{root}.{name}" for root in ("principal", "context") for name, of in FACTS.items() if of == kind]
    built_in = {"string": ["principal.id", "principal.kind", "resource.id"], "int": ["principal.aal"],
                "strings": ["principal.roles"]}  # fmt: skip
    return same(random.choice([*found, *built_in.get(kind, [])]))


def operand(random: Random, kind: str) -> Text:
    return attribute(random, kind) if random.random() < 0.7 else literal(random, kind)


def has(random: Random, root: str, name: str) -> Text:
    return f"has({root}.{name})", f"{root} has {name}"


def atom(random: Random) -> Text:
    match random.randrange(7):
        case 0:
            root = random.choice(("resource", "principal", "context"))
            return has(random, root, random.choice(list(TYPES if root == "resource" else FACTS)))
        case 1:
            return attribute(random, "bool")
        case 2:
            return guarded(random)
        case 3:
            item, items = operand(random, "string"), attribute(random, "strings")
            return f"{item[0]} in {items[0]}", f"{items[1]}.contains({item[1]})"
        case 4:
            kind = random.choice(("string", "int"))
            item, listed = operand(random, kind), [literal(random, kind)[0] for _ in range(random.randrange(1, 4))]
            items = f"[{', '.join(listed)}]"
            return f"{item[0]} in {items}", f"{items}.contains({item[1]})"
        case 5:
            return compared(random, "int", ("<", "<=", ">", ">=", "==", "!="))
        case _:
            return compared(random, random.choice(("string", "bool")), ("==", "!="))


def compared(random: Random, kind: str, signs: tuple[str, ...]) -> Text:
    left, right, sign = operand(random, kind), operand(random, kind), random.choice(signs)
    return f"({left[0]}) {sign} ({right[0]})", f"({left[1]}) {sign} ({right[1]})"


def guarded(random: Random) -> Text:
    """``has(resource.s) && resource.s == ...``, as people write it."""
    name = random.choice([name for name in TYPES if TYPES[name] != "strings"])
    first, second = has(random, "resource", name), operand(random, TYPES[name])
    return tuple(  # type: ignore[return-value]  # two of them
        f"({one} && (resource.{name}) == ({other}))" for one, other in zip(first, second, strict=True)
    )


def condition(random: Random, depth: int = 2) -> Text:
    if depth == 0 or random.random() < 0.35:
        return atom(random)
    if random.random() < 0.25:
        inner = condition(random, depth - 1)
        return f"!({inner[0]})", f"!({inner[1]})"
    sign = random.choice((" && ", " || "))
    parts = [condition(random, depth - 1) for _ in range(random.randrange(2, 4))]
    return sign.join(f"({one})" for one, _ in parts), sign.join(f"({other})" for _, other in parts)


# --- policies --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Case:
    """One policy in both languages, with people and things to ask about."""

    policy: Policy
    cedar: cedarpy.PolicySet
    entities: cedarpy.Entities
    people: list[Principal]
    things: list[dict[str, Any] | None]
    contexts: list[dict[str, Any]]
    questions: list[tuple[int, str, int, int]] = field(default_factory=list)

    def ours(self, question: tuple[int, str, int, int]) -> tuple[Any, ...]:
        who, permission, what, around = question
        return self.people[who], permission, self.things[what], self.contexts[around]

    def answers(self) -> list[cedarpy.AuthzResult]:
        """Cedar's, in one batch."""
        requests = [
            {
                "principal": {"type": "Person", "id": str(who)},
                "action": {"type": "Action", "id": permission},
                "resource": {"type": "Nothing", "id": ""} if self.things[what] is None
                else {"type": "Thing", "id": str(what)},
                "context": self.contexts[around],
            }
            for who, permission, what, around in self.questions
        ]  # fmt: skip
        return cedarpy.is_authorized_batch(requests, self.cedar, self.entities)


def wildcard(random: Random, *, forbid: bool) -> tuple[str, list[str]]:
    """A name or wildcard with what it stands for: in roles, permissions of the tenant alone."""
    return random.choice(
        [("*", list(PERMISSIONS if forbid else TENANT)), ("d:*", ["d:x", "d:y"])]
        + [(name, [name]) for name in PERMISSIONS for _ in range(2)]
    )


def case(random: Random, questions: int) -> Case:
    texts = [GATE]
    texts += (
        f'@id("scope") forbid (principal, action == Action::"{name}", resource) '
        f'when {{ principal has scopes && !principal.scopes.contains("{name}") }};'
        for name in PERMISSIONS
    )
    document: dict[str, Any] = {
        "schema": 1,
        "permissions": {name: {"scope": "platform" if name == "p:q" else "tenant"} for name in PERMISSIONS},
        "resources": {"d": {"attributes": TYPES}},
        "principal": {"attributes": FACTS},
        "context": {"attributes": FACTS},
    }
    inherits = {role: random.sample(ROLES[:index], random.randrange(min(index, 2) + 1))
                for index, role in enumerate(ROLES)}  # fmt: skip
    document["roles"] = {
        role: {
            "inherits": inherits[role],
            "allow": [_grant(random, role, index, texts) for index in range(random.randrange(1, 5))],
        }
        for role in ROLES
    }
    document["forbid"] = [_forbid(random, index, texts) for index in range(random.randrange(4))]
    people = [_person(random, index) for index in range(6)]
    things: list[dict[str, Any] | None] = [
        None,
        *({"id": str(index), **_tenant(random), **facts(random, TYPES, 0.15)} for index in range(1, 10)),
    ]
    found = Case(
        Policy.from_dict(document),
        cedarpy.PolicySet.from_str("\n".join(texts)),
        cedarpy.Entities.from_json_str(json.dumps(_entities(people, things, inherits))),
        people,
        things,
        [facts(random, FACTS, 0.15) for _ in range(4)],
    )
    found.questions = [
        (random.randrange(6), random.choice(PERMISSIONS), random.randrange(10), random.randrange(4))
        for _ in range(questions)
    ]
    return found


def _grant(random: Random, role: str, index: int, texts: list[str]) -> dict[str, str]:
    name, stands_for = wildcard(random, forbid=False)
    grant = {"permission": name, "id": f"{role}{index}"}
    return grant | _written(random, f'permit (principal in Role::"{role}", action in', grant["id"], stands_for, texts)


def _forbid(random: Random, index: int, texts: list[str]) -> dict[str, Any]:
    name, stands_for = wildcard(random, forbid=True)
    forbid = {"permissions": [name], "id": f"f{index}"}
    return forbid | _written(random, "forbid (principal, action in", f"f{index}", stands_for, texts, bare=0.05)


def _written(
    random: Random, head: str, id: str, stands_for: list[str], texts: list[str], *, bare: float = 0.3
) -> dict[str, str]:
    actions = ", ".join(f'Action::"{name}"' for name in stands_for)
    if random.random() < bare:
        texts.append(f'@id("{id}") {head} [{actions}], resource);')
        return {}
    ours, theirs = condition(random)
    texts.append(f'@id("{id}") {head} [{actions}], resource) when {{ {theirs} }};')
    return {"when": ours}


def _tenant(random: Random) -> dict[str, str]:
    found = random.choice((*("t1",) * 9, "t2", "T1", None))
    return {} if found is None else {"tenant_id": found}


def _person(random: Random, index: int) -> Principal:
    scopes = random.choice((None, None, None, frozenset(random.sample(PERMISSIONS, 2))))
    return Principal(
        random.choice(("u1", "a", str(index))),
        kind=random.choice(("user", "service")),
        **_tenant(random),
        roles=frozenset(random.sample(ROLES, random.randrange(3))),
        scopes=scopes,
        aal=random.choice((1, 2)),
        attributes=facts(random, FACTS, 0.15),
    )


def _entities(
    people: list[Principal], things: list[dict[str, Any] | None], inherits: dict[str, list[str]]
) -> list[dict[str, Any]]:
    def entity(kind: str, id: str, attrs: dict[str, Any], parents: list[tuple[str, str]]) -> dict[str, Any]:
        return {
            "uid": {"type": kind, "id": id},
            "attrs": attrs,
            "parents": [{"type": of, "id": name} for of, name in parents],
        }

    found = [entity("Action", "tenant", {}, []), entity("Nothing", "", {}, [])]
    found += (entity("Action", name, {}, [("Action", "tenant")] if name in TENANT else []) for name in PERMISSIONS)
    found += (entity("Role", role, {}, [("Role", parent) for parent in inherits[role]]) for role in ROLES)
    for index, person in enumerate(people):
        attrs = {**person.attributes, "id": person.id, "kind": person.kind, "aal": person.aal,
                 "roles": sorted(person.roles)}  # fmt: skip
        if person.tenant_id is not None:
            attrs["tenant_id"] = person.tenant_id
        if person.scopes is not None:
            attrs["scopes"] = sorted(person.scopes)
        found.append(entity("Person", str(index), attrs, [("Role", role) for role in sorted(person.roles)]))
    found += (entity("Thing", str(index), thing, []) for index, thing in enumerate(things) if thing is not None)
    return found
