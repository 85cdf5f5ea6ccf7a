"""Conditions against CEL itself (the Rust implementation): a value or an error is TRUE, FALSE or UNKNOWN.

Absent keys are dropped and not sent as null, of which CEL's `has` is true; comparisons are well typed, because CEL
says that ``1 == 'x'`` is false where a document does not load.

``WT_ORACLE_CASES=100000`` asks about so many conditions.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import cel

sys.path.append(str(Path(__file__).parent))  # the helper is a plain module

import filter_policies as make

from wellstreak_trust.authz.expression import parse
from wellstreak_trust.authz.judge import Actor
from wellstreak_trust.authz.model import Condition
from wellstreak_trust.authz.schema import PRINCIPAL, RESOURCE, Schema
from wellstreak_trust.core import Principal

CASES = int(os.environ.get("WT_ORACLE_CASES", "1000"))
SCHEMA = Schema({**PRINCIPAL, **make.FACTS}, {**RESOURCE, **make.TYPES}, make.FACTS)


def value_in_cel(when: str, facts: dict[str, Any]) -> bool | None:
    try:
        found = cel.evaluate(when, facts)
    except (KeyError, ValueError, TypeError, RuntimeError):  # "no such key", and what follows from it
        return None
    assert type(found) is bool, when
    return found


def test_conditions_are_cels():
    seen: Counter[bool | None] = Counter()
    for seed in range(CASES):
        random = Random(seed)
        when = make.condition(random)
        principal, context = make.facts(random), make.facts(random)
        row = {name: value for name, value in make.rows(random, 1)[0].items() if value is not None}
        actor = Actor(Principal("u1", attributes=principal), None, frozenset())
        actor.attributes = {name: principal.get(name) for name in make.FACTS}
        columns, facts = dict.fromkeys((*RESOURCE, *make.TYPES)), dict.fromkeys(make.FACTS)
        ours = Condition.of(when, parse(when, SCHEMA, "when")).value(actor, columns | row, facts | context)
        theirs = value_in_cel(when, {"principal": principal, "resource": row, "context": context})
        assert ours is theirs, (seed, when, principal, row, context)
        seen[ours] += 1
    assert min(seen[value] for value in (True, False, None)) > CASES / 8, seen  # each was compared
