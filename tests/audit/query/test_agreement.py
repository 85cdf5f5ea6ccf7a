"""Memory, SQLite and PostgreSQL give the answer that a plain reading of the rules gives, for generated queries.

The oracle does not parse: it is given the structure that the text was written from.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest

from wellstreak_trust.audit import AuditEvent, AuditLog
from wellstreak_trust.core import FixedClock

CASES = int(os.environ.get("WT_QUERY_CASES", "120"))
START = datetime(2026, 11, 1, tzinfo=UTC)
NASTY = [
    "50%",
    "a_b",
    "a[b]c",
    "what?",
    'say "x"',
    "back\\slash",
    "Straße",
    "emoji\N{SNOWMAN}",
    "x' OR '1'='1",
    "a*b",
    "%",
    "",
]
ACTORS = ["u1", "u2", "U1", "u_1", "u%1", "svc.bot", "x' OR '1'='1"]
ACTIONS = ["member.invited", "member.removed", "session.opened", "Member.invited", "billing.plan_changed"]
OUTCOMES = ["success", "failure", "denied", "error", "attempted"]
TARGETS = ["int_1", "int_2", "Int_1", "int%2", *NASTY[:9]]


def events(dice: random.Random) -> Iterator[AuditEvent]:
    for number in range(300):
        yield AuditEvent(
            dice.choice(ACTIONS),
            dice.choice(OUTCOMES),  # type: ignore[arg-type]
            dice.choice(["t1", "t1", "t1", "t2"]),
            {"id": dice.choice(ACTORS)},
            targets=tuple(
                {"type": "x", "id": one} if dice.random() < 0.5 else one
                for one in dice.sample(TARGETS, dice.randrange(3))
            ),
            reason=dice.choice([None, *NASTY, "\0 and \u2028"]),
            data={"n": dice.randrange(-5, 50), "s": dice.choice(NASTY)} if dice.random() < 0.7 else {},
            occurred_at=START + timedelta(hours=dice.randrange(24 * 20)),
            id=f"event-{number}",
        )


Term = tuple[str, str, bool, Callable[[dict[str, Any]], bool]]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def text_term(dice: random.Random, key: str, pool: list[str], read: Callable[[dict[str, Any]], list[str]]) -> Term:
    value = dice.choice(pool)
    if dice.random() < 0.4 and value and not set(value) & set(' "*[]?'):
        cut = dice.randrange(len(value))
        pattern = dice.choice([f"{value[:cut]}*", f"*{value[cut:]}", f"{value[:1]}*{value[cut + 1 :]}"])
        return key, pattern, False, lambda event: any(fnmatchcase(found, pattern) for found in read(event))
    return key, quoted(value), False, lambda event: value in read(event)


def day_term(dice: random.Random) -> Term:
    day = START + timedelta(days=dice.randrange(20))
    end = day + timedelta(days=1)

    def at(event: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(event["occurred_at"])

    form = dice.randrange(6)
    name = f"{day:%Y-%m-%d}"
    if form == 0:
        return "created", name, False, lambda event: day <= at(event) < end
    if form == 1:
        last = day + timedelta(days=dice.randrange(5))
        return "created", f"{name}..{last:%Y-%m-%d}", False, lambda e: day <= at(e) < last + timedelta(days=1)
    sign = [">=", ">", "<", "<="][form - 2]
    tests: list[Callable[[datetime], bool]] = [
        lambda m: m >= day,
        lambda m: m >= end,
        lambda m: m < day,
        lambda m: m < end,
    ]
    return "created", f"{sign}{name}", True, lambda event: tests[form - 2](at(event))


def number_term(dice: random.Random) -> Term:
    low = dice.randrange(-5, 50)

    def at(event: dict[str, Any]) -> list[int]:
        return [event["data"]["n"]] if "n" in event.get("data", {}) else []

    if dice.random() < 0.5:
        return "data.n", f"{low}..{low + 7}", False, lambda event: any(low <= n <= low + 7 for n in at(event))
    return "data.n", f">={low}", True, lambda event: any(n >= low for n in at(event))


def ids(event: dict[str, Any]) -> list[str]:
    return [one["id"] if isinstance(one, dict) else one for one in event.get("targets", [])]


def term(dice: random.Random) -> Term:
    return dice.choice(
        [
            lambda: text_term(dice, "actor", ACTORS, lambda event: [event["actor"]["id"]]),
            lambda: text_term(dice, "action", ACTIONS, lambda event: [event["action"]]),
            lambda: text_term(dice, "target", TARGETS, ids),
            lambda: text_term(dice, "reason", NASTY, lambda event: [event["reason"]] if "reason" in event else []),
            lambda: text_term(dice, "data.s", NASTY, lambda e: [e["data"]["s"]] if "s" in e.get("data", {}) else []),
            lambda: (lambda o: ("outcome", o, False, lambda event: event["outcome"] == o))(dice.choice(OUTCOMES)),
            lambda: ("has", "reason", False, lambda event: bool(event.get("reason"))),
            lambda: day_term(dice),
            lambda: number_term(dice),
        ]
    )()


def generated(dice: random.Random) -> tuple[str, Callable[[dict[str, Any]], bool]]:
    terms = [(term(dice), dice.random() < 0.25) for _ in range(dice.randrange(1, 5))]
    keys = {one[0] for one, negated in terms if not negated}
    alternatives = {key: [t for (k, _, bound, t), neg in terms if k == key and not neg and not bound] for key in keys}
    must = [t for (_, _, bound, t), negated in terms if bound and not negated]
    never = [t for (*_, t), negated in terms if negated]

    def oracle(event: dict[str, Any]) -> bool:
        return (
            all(not tests or any(test(event) for test in tests) for tests in alternatives.values())
            and all(test(event) for test in must)
            and not any(test(event) for test in never)
        )

    return " ".join(f"{'-' if negated else ''}{key}:{value}" for (key, value, *_), negated in terms), oracle


@pytest.fixture
def log(store: Any) -> AuditLog:
    return AuditLog(store, clock=FixedClock(START + timedelta(days=30)))


def test_generated_queries(log: AuditLog) -> None:
    dice = random.Random(20261124)
    log.emit_many(list(events(dice)))
    all_of_t1 = log.events("t1", limit=1_000)
    hits = 0
    for _ in range(CASES):
        text, oracle = generated(dice)
        wanted = [event["id"] for event in all_of_t1 if oracle(event)]
        found = log.query(text, tenant_id="t1")
        assert [event["id"] for event in found] == wanted, text
        hits += 0 < len(wanted) < len(all_of_t1)
    assert hits > CASES // 3  # most questions tell events apart


def test_pages_join_without_a_seam(log: AuditLog) -> None:
    dice = random.Random(7)
    log.emit_many(list(events(dice)))
    whole = log.query("-outcome:denied", tenant_id="t1")
    assert whole.next is None
    for limit, budget in ((40, 1_000), (1_000, 60), (30, 50)):
        joined: list[dict[str, Any]] = []
        before: int | None = None
        while True:
            page = log.query("-outcome:denied", tenant_id="t1", limit=limit, before=before, budget=budget)
            assert len(page) <= limit
            assert page.scanned <= budget
            joined += page
            if page.next is None:
                break
            before = page.next
        assert joined == whole
