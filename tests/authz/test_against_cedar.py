"""Decisions against Cedar (cedar-policy, by cedarpy), on policies that are written in both languages.

``WT_ORACLE_CASES=1000`` asks about so many policies instead of a few; each is asked a hundred questions.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from random import Random

sys.path.append(str(Path(__file__).parent))  # the helper is a plain module

import cedar_cases as make

CASES = int(os.environ.get("WT_ORACLE_CASES", "40"))


def test_decisions_are_cedars():
    told: Counter[str] = Counter()
    for seed in range(CASES):
        case = make.case(Random(seed), 100)
        for question, theirs in zip(case.questions, case.answers(), strict=True):
            subject, permission, resource, context = case.ours(question)
            decision = case.policy.check(subject, permission, resource, context)
            if theirs.diagnostics.errors:  # Cedar skips what fails; here it must never open
                told["errors"] += 1
                values = case.policy.trace(subject, permission, resource, context)
                open_ = all(rule.value is False for rule in values if rule.effect == "forbid")
                assert open_ or not decision.allowed, (seed, question)
                continue
            ids = set(theirs.diagnostics.id_annotations_by_reason.values())
            assert decision.allowed is theirs.allowed, (seed, question, decision, ids)
            told[decision.code] += 1
            if decision.allowed:
                assert set(decision.rule_ids) <= ids, (seed, question)
            elif decision.code == "tenant_mismatch":
                assert "gate" in ids, (seed, question)
            else:
                forbids = decision.rule_ids if decision.code == "forbidden_by_rule" else ()
                assert ids - {"scope"} == set(forbids), (seed, question, decision)
                assert decision.code != "ceiling" or "scope" in ids, (seed, question)
    print(told)
    seldom = min(told[code] for code in ("allowed", "tenant_mismatch", "forbidden_by_rule", "no_grant",
                                         "condition_failed", "ceiling", "errors"))  # fmt: skip
    assert seldom > CASES / 4, told  # each kind of answer was compared
    assert told.total() - told["errors"] > 60 * CASES
