"""What must hold of every policy: the laws that Cedar proves of itself, tried on random ones.

Order and repetition decide nothing, a wildcard is its expansion, inheritance is its closure, a forbid only takes away,
a grant only adds, and whoever holds a role is judged by that role alone.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # the helper is a plain module

import cedar_cases as make

from wellstreak_trust.authz import Decision, Policy

Document = dict[str, Any]


def shuffled(document: Document, random: Random) -> Document:
    for role in document["roles"].values():
        random.shuffle(role["allow"])
        random.shuffle(role["inherits"])
    random.shuffle(document["forbid"])
    for section in ("roles", "permissions"):
        document[section] = dict(random.sample(list(document[section].items()), len(document[section])))
    return document


def repeated(document: Document, random: Random) -> Document:
    for role in document["roles"].values():
        role["allow"] = [copy for grant in role["allow"] for copy in (grant, {**grant, "id": f"{grant['id']} again"})]
    document["forbid"] += [{**forbid, "id": f"{forbid['id']} again"} for forbid in document["forbid"]]
    return document


def spelt_out(document: Document, random: Random) -> Document:
    """Wildcards as names."""
    for role in document["roles"].values():
        role["allow"] = [
            {**grant, "permission": name, "id": f"{grant['id']} {name}"}
            for grant in role["allow"]
            for name in names(grant["permission"], make.TENANT)
        ]
    for forbid in document["forbid"]:
        forbid["permissions"] = [name for each in forbid["permissions"] for name in names(each, make.PERMISSIONS)]
    return document


def names(written: str, known: tuple[str, ...]) -> list[str]:
    if written == "*":
        return list(known)
    return [name for name in known if name.startswith(written[:-1])] if written.endswith(":*") else [written]


def closure(document: Document, role: str) -> set[str]:
    return {role}.union(*(closure(document, parent) for parent in document["roles"][role]["inherits"]))


def flattened(document: Document, random: Random) -> Document:
    """Inheritance as copies."""
    roles = document["roles"]
    found = {
        role: {
            "allow": [
                {**grant, "id": f"{role} {grant['id']}"}
                for each in sorted(closure(document, role))
                for grant in roles[each]["allow"]
            ]
        }
        for role in roles
    }
    return {**document, "roles": found}


def negated_twice(document: Document, random: Random) -> Document:
    for rule in (*document["forbid"], *(grant for role in document["roles"].values() for grant in role["allow"])):
        if "when" in rule:
            rule["when"] = f"!(!({rule['when']}) || false) && true"
    return document


def answers(case: make.Case, policy: Policy) -> Iterator[Decision]:
    for question in case.questions:
        yield policy.check(*case.ours(question))


@pytest.fixture(scope="module")
def cases() -> list[make.Case]:
    return [make.case(Random(seed), 60) for seed in range(1_000, 1_015)]


@pytest.mark.parametrize("rewritten", [shuffled, repeated, spelt_out, flattened, negated_twice])
def test_meaning_is_kept(cases, rewritten):
    for index, case in enumerate(cases):
        other = Policy.from_dict(rewritten(copy.deepcopy(case.policy.document), Random(index)))
        assert [(found.allowed, found.code, found.missing) for found in answers(case, case.policy)] == [
            (found.allowed, found.code, found.missing) for found in answers(case, other)
        ]
        if rewritten in (shuffled, negated_twice):
            assert not case.policy.diff(other)


def test_a_forbid_only_takes_away_and_a_grant_only_adds(cases):
    for index, case in enumerate(cases):
        random, document = Random(index), case.policy.document
        forbid = {"id": "more", "permissions": ["*"], "when": make.condition(random)[0]}
        closer = Policy.from_dict({**document, "forbid": [*document.get("forbid", []), forbid]})
        wider = copy.deepcopy(document)
        wider["roles"][random.choice(make.ROLES)]["allow"].append(
            {"permission": "*", "when": make.condition(random)[0]}
        )
        for less, now, more in zip(
            answers(case, closer), answers(case, case.policy), answers(case, Policy.from_dict(wider)), strict=True
        ):
            assert less.allowed <= now.allowed <= more.allowed


def test_other_roles_decide_nothing(cases):
    for case in cases:
        subject, *question = case.ours(case.questions[0])
        document = case.policy.document
        held = {each for role in subject.roles for each in closure(document, role)}
        document["roles"] = {name: role for name, role in document["roles"].items() if name in held}
        found, wanted = Policy.from_dict(document).check(subject, *question), case.policy.check(subject, *question)
        assert (found.allowed, found.code, found.missing) == (wanted.allowed, wanted.code, wanted.missing)
