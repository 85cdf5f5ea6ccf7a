"""Each rule with a trail that makes it fire and one that does not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellstreak_trust.core import ConfigurationError, UsageError
from wellstreak_trust.core.clock import rfc3339
from wellstreak_trust.telemetry.anomalies import RULES, AnomalyConfig, Finding, Watch, detect

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


class Trail:
    """Writes leaves as the log does; `at` moves its clock, hosts may claim any other time."""

    def __init__(self, tenant: str = "acme", first: int = 1_000) -> None:
        self.tenant = tenant
        self.leaves: list[dict[str, Any]] = []
        self.now = START
        self.first = first

    def add(
        self, action: str, actor: str = "ada", outcome: str = "success", *, wait: timedelta = SECOND, **parts: Any
    ) -> Trail:
        self.now += wait
        who = {"id": actor, "kind": parts.pop("kind", "user"), **parts.pop("acting", {})}
        self.leaves.append(
            {
                "v": 1,
                "id": f"e{len(self.leaves)}",
                "seq": self.first + len(self.leaves),
                "recorded_at": rfc3339(self.now),
                "occurred_at": rfc3339(parts.pop("claimed", self.now)),
                "tenant_id": parts.pop("tenant", self.tenant),
                "action": action,
                "outcome": outcome,
                "actor": who,
                **parts,
            }
        )
        return self

    def denied(self, actor: str = "eve", code: str = "no_grant", **parts: Any) -> Trail:
        return self.add("access.denied", actor, "denied", decision={"allowed": False, "code": code}, **parts)

    def many(self, times: int, action: str, *arguments: Any, **parts: Any) -> Trail:
        for _ in range(times):
            self.add(action, *arguments, **parts)
        return self

    def found(self, config: AnomalyConfig | None = None, *, only: Iterable[str] = ()) -> list[Finding]:
        return list(detect(self.leaves, config, only=only))


def rules(trail: Trail, config: AnomalyConfig | None = None) -> list[str]:
    return [finding.rule_id for finding in trail.found(config)]


def session(number: int) -> dict[str, Any]:
    return {"acting": {"session_id": f"s{number}"}}


def revoked(*targets: Any, action: str = "session.revoked") -> Trail:
    return Trail().add("billing.read", **session(1)).add(action, "root", targets=list(targets))


MISMATCH = "tenant_mismatch"
OWNER = [{"field": "roles", "from": [], "to": ["owner"]}]
MEMBER = [{"field": "roles", "from": [], "to": ["member"]}]
USE = {"decision": {"allowed": True, "permission": "billing:update"}}


def network(number: int) -> dict[str, Any]:
    return {"source": {"address": f"203.0.{number}.7"}}


def elevated(minutes: str = "15", ticket: str = "INC-1") -> Trail:
    return Trail("system").add("tenancy.elevated", "op", data={"minutes": minutes, "ticket": ticket})


def granted(first: int = 0) -> Trail:
    return (
        Trail(first=first).add("workspace.created", "ada").add("member.joined", "bob", targets=["bob"], changes=MEMBER)
    )


def spray(accounts: int, tries: int = 1, address: str = "203.0.113.{}") -> Trail:
    trail = Trail("system")
    for number in range(accounts):
        for _ in range(tries):
            source = {"address": address.format(number % 250)}
            trail.add("signin.failed", f"user-{number}", "denied", source=source)
    return trail


def owner_from(*networks: int, wait: timedelta = MINUTE) -> Trail:
    trail = Trail().add("workspace.created", "ada", **network(networks[0]))
    for number in networks[1:]:
        trail.add("billing.read", "ada", wait=wait, **network(number))
    return trail


FIRES: dict[str, list[Trail]] = {
    "wst.use_after_revoke": [
        revoked({"type": "session", "id": "s1"}).add("billing.read", wait=6 * SECOND, **session(1)),
        revoked("k1", action="api_key.revoked").add("x.read", "svc", wait=MINUTE, acting={"credential_id": "k1"}),
        revoked("ada", action="member.removed").add("billing.read", outcome="attempted", wait=MINUTE),
    ],
    "wst.role_before_grant": [
        granted().add("billing.update", "eve", **USE),
        granted().add("billing.update", "eve", "attempted", **USE),
    ],
    "wst.cross_tenant_denials": [
        Trail().denied(code=MISMATCH).denied(code=MISMATCH, tenant="b").denied(code=MISMATCH),
        Trail("system").many(3, "access.denied", "eve", "denied", reason="tenant_not_found:unknown"),
    ],
    "wst.denial_burst": [Trail().many(20, "access.denied", "eve", "denied")],
    "wst.credential_spray": [spray(15), spray(15, address="2001:db8:5:{0:x}::1")],
    "wst.new_network_privileged": [
        owner_from(1, 1, 2),
        owner_from(1, 1, wait=31 * DAY),
        Trail("system")
        .add("authz.break_glass", "op", data={"ticket": "T"}, **network(1))
        .add("x.y", "op", **network(2)),
    ],
    "wst.secret_read_unused": [Trail().add("secret.read", targets=["slack/bot"]).add("billing.read", wait=11 * MINUTE)],
    "wst.break_glass_long": [
        elevated(ticket=" "),
        elevated().add("tenancy.elevation_ended", "op", wait=16 * MINUTE),
        elevated().add("billing.read", "op", wait=HOUR),
    ],
    "wst.webhook_forgery": [
        Trail().many(10, "webhook.refused", "anonymous", "denied", reason="signature_mismatch", targets=["ep1"])
    ],
    "wst.connection_flapping": [Trail().many(6, "connection.state_changed", "connections", targets=["slack"])],
    "wst.export_volume": [
        Trail().add("audit.exported", data={"entries": 900}).add("audit.exported", wait=DAY, data={"entries": 2_800})
    ],
    "wst.clock_regression": [Trail().add("a.b").add("a.b", wait=-6 * SECOND)],
    "wst.dangling_intent": [
        Trail().add("billing.update", outcome="attempted", request={"id": "r1"}).add("a.b", wait=16 * MINUTE),
    ],
    "wst.audit_gap": [Trail().add("audit.gap", "log", data={"count": 7}), Trail("system").add("audit.tail_cut", "log")],
}
QUIET: dict[str, list[Trail]] = {
    "wst.use_after_revoke": [
        revoked({"type": "session", "id": "s1"}).add("billing.read", wait=4 * SECOND, **session(1)),
        revoked({"type": "session", "id": "s1"}).add("billing.read", wait=MINUTE, **session(2)),
        revoked({"type": "session", "id": "s1"}).add("access.denied", outcome="denied", wait=MINUTE, **session(1)),
        revoked("ada", action="member.removed").add("member.joined", targets=["ada"]).add("billing.read", wait=MINUTE),
        revoked("ada", action="member.removed").add("billing.read", wait=MINUTE, tenant="other"),
    ],
    "wst.role_before_grant": [
        granted().add("billing.update", "ada", **USE).add("billing.update", "bob", **USE),
        granted(first=77).add("billing.update", "eve", **USE),
        Trail("system", first=0).add("platform.list", "op", **USE),
        granted().add("billing.update", "op", acting={"reason": "INC-1"}, **USE),
        granted().add("billing.update", "eve", acting={"actor": {"id": "op"}}, **USE),
        granted().add("billing.update", "eve", "denied", decision={"allowed": False, "permission": "billing:update"}),
    ],
    "wst.cross_tenant_denials": [
        Trail().denied(code=MISMATCH).denied(code=MISMATCH).denied(code="no_grant"),
        Trail().denied(code=MISMATCH).denied(code=MISMATCH).denied(code=MISMATCH, wait=HOUR),
        Trail().denied("a", MISMATCH).denied("b", MISMATCH).denied("c", MISMATCH),
    ],
    "wst.denial_burst": [
        Trail().many(19, "access.denied", "eve", "denied"),
        Trail()
        .many(200, "access.denied", "scanner", "denied", wait=MINUTE)
        .many(20, "access.denied", "scanner", "denied", wait=15 * SECOND),
    ],
    "wst.credential_spray": [spray(14), spray(15, tries=4), spray(15, address="198.51.{}.7")],
    "wst.new_network_privileged": [
        owner_from(1, 1, 1),
        Trail().add("x.y", "bob", **network(1)).add("x.y", "bob", **network(2)),
        Trail().add("workspace.created", "ada", **network(1)).add("access.denied", "ada", "denied", **network(2)),
    ],
    "wst.secret_read_unused": [
        Trail().add("secret.read", targets=["s"]).add("connection.state_changed").add("a.b", wait=HOUR),
        Trail().add("secret.read", "worker", kind="service", targets=["s"]).add("a.b", wait=HOUR),
        Trail().add("secret.read", targets=["s"]).add("a.b", wait=9 * MINUTE),
    ],
    "wst.break_glass_long": [elevated().add("tenancy.elevation_ended", "op", wait=15 * MINUTE), elevated()],
    "wst.webhook_forgery": [
        Trail().many(9, "webhook.refused", "anonymous", "denied", reason="signature_mismatch", targets=["ep1"]),
        Trail().many(30, "webhook.refused", "anonymous", "denied", reason="timestamp", targets=["ep1"]),
    ],
    "wst.connection_flapping": [
        Trail().many(5, "connection.state_changed", "connections", targets=["slack"]),
        Trail().many(9, "connection.state_changed", "connections", targets=["slack"], wait=20 * MINUTE),
    ],
    "wst.export_volume": [
        Trail().add("audit.exported", data={"entries": 900}).add("audit.exported", wait=DAY, data={"entries": 1_500}),
        Trail().many(20, "audit.exported", data={"entries": 40}),
    ],
    "wst.clock_regression": [Trail().add("a.b").add("a.b", wait=-4 * SECOND), Trail().add("a.b", claimed=START - HOUR)],
    "wst.dangling_intent": [
        Trail()
        .add("billing.update", outcome="attempted", request={"id": "r1"})
        .add("billing.update", outcome="error", request={"id": "r1"})
        .add("a.b", wait=HOUR),
        Trail().add("billing.update", outcome="attempted"),
    ],
    "wst.audit_gap": [Trail("system").add("audit.heartbeat", "log").add("a.b", wait=HOUR)],
}
CASES = [(rule, number) for rule, trails in FIRES.items() for number in range(len(trails))]
CALM = [(rule, number) for rule, trails in QUIET.items() for number in range(len(trails))]


def test_every_rule_has_both_kinds_of_trail() -> None:
    assert FIRES.keys() == QUIET.keys() == RULES.keys()


@pytest.mark.parametrize(("rule", "number"), CASES)
def test_it_fires(rule: str, number: int) -> None:
    trail = FIRES[rule][number]
    found = [finding for finding in trail.found() if finding.rule_id == rule]
    assert len(found) == 1
    (finding,) = found
    assert finding.severity == RULES[rule][0]
    assert finding.seqs
    assert set(finding.seqs) <= {leaf["seq"] for leaf in trail.leaves}
    assert START - MINUTE <= finding.first_seen <= finding.last_seen + 31 * DAY
    assert finding.explanation
    assert trail.found(only=[rule]) == found


@pytest.mark.parametrize(("rule", "number"), CALM)
def test_it_does_not(rule: str, number: int) -> None:
    assert [finding for finding in QUIET[rule][number].found() if finding.rule_id == rule] == []


def test_a_policy_tells_which_roles_allow_what() -> None:
    def allows(roles: frozenset[str], permission: str) -> bool:
        return "owner" in roles or permission == "agents:read"

    config = AnomalyConfig(allows=allows)
    read = {"decision": {"allowed": True, "permission": "agents:read"}}
    trail = (
        granted().add("a.b", "bob", **USE).add("a.b", "bob", **USE).add("a.b", "bob", **read).add("a.b", "ada", **USE)
    )
    assert rules(trail, config) == ["wst.role_before_grant"]
    trail.add("member.roles_changed", "ada", targets=["bob"], changes=OWNER).add("a.b", "bob", **USE)
    assert rules(trail, config) == ["wst.role_before_grant"]


def test_silence_of_the_log_is_a_gap_where_it_has_a_heartbeat() -> None:
    config = AnomalyConfig(heartbeat=MINUTE)
    beating = Trail("system").many(9, "audit.heartbeat", "log", wait=MINUTE)
    assert rules(beating, config) == []
    beating.add("audit.heartbeat", "log", wait=4 * MINUTE)
    assert rules(beating, config) == ["wst.audit_gap"]
    stopped = Trail("system").add("audit.heartbeat", "log")
    late = AnomalyConfig(heartbeat=MINUTE, now=START + HOUR)
    assert rules(stopped, late) == ["wst.audit_gap"]


def test_a_burst_is_one_finding_and_the_next_one_another() -> None:
    trail = Trail().many(60, "access.denied", "eve", "denied")
    trail.add("a.b", wait=DAY).many(60, "access.denied", "eve", "denied")
    assert rules(trail).count("wst.denial_burst") == 2


def test_what_the_host_says_of_the_time_decides_nothing() -> None:
    trail = Trail()
    for number in range(20):
        trail.denied(claimed=START - number * DAY)
    assert "wst.denial_burst" in rules(trail)


def test_trails_of_tenants_do_not_mix() -> None:
    trail = Trail()
    for number in range(38):
        trail.denied(tenant="a" if number % 2 else "b")
    assert "wst.denial_burst" not in rules(trail)


def test_memory_is_bounded_by_subjects() -> None:
    watch = Watch(AnomalyConfig(subjects=100))
    trail = Trail()
    for number in range(5_000):
        trail.denied(f"p{number}", "tenant_mismatch", source={"address": f"10.{number % 200}.{number // 200}.1"})
        trail.add("secret.read", f"p{number}", targets=["s"], wait=timedelta())
        trail.add("session.revoked", f"p{number}", targets=[f"s{number}"], wait=timedelta())
    for leaf in trail.leaves:
        watch.see(leaf)
    for detector in watch._detectors:
        for value in vars(detector).values():
            if hasattr(value, "_most"):
                assert len(value) <= 100, (detector.rule_id, len(value))


def test_memory_is_bounded_whatever_one_subject_does() -> None:
    watch = Watch()
    trail = Trail("system").add("authz.break_glass", "op", data={"ticket": "T"}, **network(1))
    for number in range(11_000):
        anywhere = {"source": {"address": f"2001:db8:{number:x}::1"}}
        trail.denied("op", "tenant_mismatch", wait=timedelta())
        trail.add("secret.read", "op", targets=["s"], wait=timedelta(), **anywhere)
        trail.add(f"job.{number}", "op", "attempted", wait=timedelta())
        trail.add("job.run", "op", "attempted", wait=timedelta())
    for leaf in trail.leaves:
        watch.see(leaf)
    assert len(watch._ways) <= 1_000
    for detector in watch._detectors:
        for value in vars(detector).values():
            for held in value.values() if hasattr(value, "_most") else ():
                size = len(getattr(held, "events", held))
                assert size <= 10_000, (detector.rule_id, size)
                assert detector.rule_id != "wst.new_network_privileged" or size <= 256


def test_a_flood_of_guesses_costs_each_record_the_same() -> None:
    seen = 0

    class Watched(dict[str, int]):
        def values(self) -> Any:
            nonlocal seen
            seen += len(self)
            return super().values()

    watch = Watch(only=["wst.credential_spray"])
    watch.see(spray(1).leaves[0])
    (window,) = watch._detectors[0]._windows.values()  # type: ignore[attr-defined]  # how much is looked at
    window.labels = Watched(window.labels)
    for leaf in spray(1, tries=500).leaves + spray(400).leaves:
        watch.see(leaf)
    assert seen < 2_000


def test_a_grant_to_somebody_else_tells_nothing_again() -> None:
    trail = granted().add("a.b", "eve", **USE)
    trail.add("member.joined", "cy", targets=["cy"], changes=MEMBER).add("a.b", "eve", **USE)
    assert rules(trail) == ["wst.role_before_grant"]


def test_findings_come_as_the_records_do() -> None:
    watch = Watch()
    seen = [finding for leaf in FIRES["wst.denial_burst"][0].leaves for finding in watch.see(leaf)]
    assert [finding.rule_id for finding in seen] == ["wst.denial_burst"]
    assert watch.end() == []


@pytest.mark.parametrize("wrong", [{}, {"recorded_at": 5}, None, {"recorded_at": "x", "seq": 1}])
def test_what_is_no_leaf_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError):
        Watch().see(wrong)


def test_numbers_are_positive_and_rules_exist() -> None:
    for wrong in ({"denials": 0}, {"intent": timedelta()}, {"denials_over_mean": -1.0}):
        with pytest.raises(ConfigurationError):
            AnomalyConfig(**wrong)
    with pytest.raises(UsageError, match="no rule"):
        Watch(only=["wst.nothing"])


ODD = st.none() | st.text() | st.integers() | st.booleans() | st.lists(st.text(), max_size=2)
ACTIONS = """access.denied secret.read session.revoked member.joined x.y audit.exported webhook.refused signin.failed
tenancy.elevated tenancy.elevation_ended audit.gap""".split()


def mapping(*names: str) -> st.SearchStrategy[Any]:
    return st.none() | st.dictionaries(st.sampled_from(names), ODD)


LEAF = st.fixed_dictionaries(
    {
        "seq": st.integers(0, 99),
        "recorded_at": st.just("2026-11-24T12:00:00.000000Z"),
        "tenant_id": st.sampled_from("ab"),
        "action": st.sampled_from(ACTIONS),
        "outcome": st.sampled_from(["success", "denied", "attempted"]),
        "actor": st.fixed_dictionaries({"id": st.sampled_from("pq")}, optional={"credential_id": ODD, "kind": ODD}),
    },
    optional={
        "targets": st.lists(ODD | mapping("id"), max_size=3),
        "source": mapping("address"),
        "decision": mapping("allowed", "code", "permission"),
        "data": mapping("count", "minutes", "ticket"),
        "changes": st.lists(mapping("field", "to"), max_size=2),
        "request": mapping("id"),
        "reason": ODD,
    },
)


@given(st.lists(LEAF, max_size=30))
def test_no_leaf_makes_it_raise(leaves: list[dict[str, Any]]) -> None:
    for finding in detect(leaves):
        assert finding.rule_id in RULES
