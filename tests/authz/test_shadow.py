"""A shadow answers by the active policy, whatever the candidate does, and counts where they differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from wellstreak_trust.authz import Difference, Policy, Shadow
from wellstreak_trust.authz.shadow import MOST_KINDS
from wellstreak_trust.core import FixedClock, Principal, UsageError
from wellstreak_trust.core.errors import AccessDenied


def policy(*allow: str, **sections) -> Policy:
    return Policy.build(permissions=["d:x", "d:y"], roles={"m": list(allow)}, **sections)


MEMBER = Principal("u1", tenant_id="t1", roles=frozenset({"m"}))
DOC = {"tenant_id": "t1"}


class Raising:
    def check(self, *_: object) -> object:
        raise RuntimeError("down")


class Lying:
    """Answers something that is no decision."""

    def check(self, *_: object) -> object:
        return True


def test_the_active_policy_answers():
    active = policy("d:x")
    shadow = Shadow(active, policy("d:y"))
    for name in ("d:x", "d:y", "d:z"):
        assert shadow.check(MEMBER, name, DOC) == active.check(MEMBER, name, DOC)
    report = shadow.report()
    assert (report.asked, report.compared, report.differing) == (3, 3, 2)
    assert {(found.kind, found.permission) for found, _ in report.counts} == {("lost", "d:x"), ("gained", "d:y")}
    assert "2 of 3 answers differ (3 asked)" in str(report)
    assert "d:x: lost, allowed m.allow[0] -> no_grant" in str(report)


@pytest.mark.parametrize("candidate", [Raising(), Lying()])
def test_a_candidate_that_fails_decides_nothing(candidate):
    shadow = Shadow(policy("d:x"), candidate)
    assert shadow.check(MEMBER, "d:x", DOC).allowed
    assert not shadow.check(MEMBER, "d:y", DOC).allowed
    assert [found.kind for found in shadow.report().recent] == ["raised", "raised"]


def test_a_slow_candidate_is_left_alone_for_a_while():
    clock = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))

    class Slow:
        asked = 0
        takes = timedelta(milliseconds=60)

        def check(self, *asked: object) -> object:
            self.asked += 1
            clock.advance(self.takes)
            return policy("d:x").check(*asked)

    candidate = Slow()
    shadow = Shadow(policy("d:x"), candidate, clock=clock)
    for _ in range(50):
        assert shadow.check(MEMBER, "d:x", DOC).allowed
    report = shadow.report()
    assert (candidate.asked, report.asked, report.compared, report.skipped) == (1, 50, 1, 49)
    assert "49 skipped for slowness" in str(report)
    clock.advance(timedelta(seconds=5.999))
    shadow.check(MEMBER, "d:x", DOC)
    assert candidate.asked == 1
    clock.advance(timedelta(milliseconds=1))
    candidate.takes = timedelta(milliseconds=50)
    for _ in range(10):
        shadow.check(MEMBER, "d:x", DOC)
    assert candidate.asked == 11
    assert shadow.report().skipped == 50


def test_require_is_the_active_one_too():
    shadow = Shadow(policy("d:x"), policy("d:y"))
    assert shadow.require(MEMBER, "d:x", DOC).allowed
    with pytest.raises(AccessDenied):
        shadow.require(MEMBER, "d:y", DOC)


def test_another_reason_counts():
    forbid = [{"id": "f", "permissions": ["d:y"]}]
    shadow = Shadow(policy("d:x"), policy("d:x", forbid=forbid))
    shadow.check(MEMBER, "d:y", DOC)
    assert shadow.report().recent == (Difference("reason", "d:y", "no_grant", "forbidden_by_rule", (), ("f",)),)


def test_sampling_and_bounds():
    shadow = Shadow(policy("d:x"), policy(), every=10, keep=3)
    for _ in range(95):
        assert shadow.check(MEMBER, "d:x", DOC)
    report = shadow.report()
    assert (report.asked, report.compared, report.differing) == (95, 10, 10)
    assert len(report.recent) == 3
    assert len(report.counts) == 1


def test_kinds_are_bounded():
    names = [f"d:p{number}" for number in range(MOST_KINDS + 5)]
    active = Policy.build(permissions=names, roles={"m": names})
    shadow = Shadow(active, Policy.build(permissions=names, roles={"m": []}))
    for name in names:
        shadow.check(MEMBER, name, DOC)
    report = shadow.report()
    assert (len(report.counts), report.uncounted, report.differing) == (MOST_KINDS, 5, MOST_KINDS + 5)


def test_nobody_is_named():
    shadow = Shadow(policy("d:x"), policy())
    shadow.check(Principal("ada-7", tenant_id="acme", roles=frozenset({"m"})), "d:x", {"tenant_id": "acme"})
    assert "ada-7" not in repr(shadow.report())
    assert "acme" not in repr(shadow.report())


def test_threads_lose_no_count():
    shadow = Shadow(policy("d:x"), policy())
    threads = [Thread(target=lambda: [shadow.check(MEMBER, "d:x", DOC) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shadow.report().differing == 800


@pytest.mark.parametrize("options", [{"every": 0}, {"every": True}, {"keep": -1}, {"every": 1.5}])
def test_nonsense_is_refused(options):
    with pytest.raises(UsageError):
        Shadow(policy(), policy(), **options)


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(UsageError):
        Shadow(policy(), None)
