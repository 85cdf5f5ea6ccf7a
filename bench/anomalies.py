"""Detectors over a trail: events a second, one thread, all rules.

python bench/anomalies.py
"""

from __future__ import annotations

import random
from statistics import median
from time import process_time
from typing import Any

import report

from wellstreak_trust.telemetry.anomalies import RULES, detect

EVENTS, ROUNDS = report.size(50_000, 5_000), report.rounds(7)
ACTIONS = [
    "billing.read",
    "agents.updated",
    "access.denied",
    "session.opened",
    "secret.read",
    "connection.state_changed",
]


def trail() -> list[dict[str, Any]]:
    dice, action = random.Random(7), ""
    people = [f"u{number}" for number in range(500)]
    joined = [{"field": "roles", "from": [], "to": ["member"]}]
    leaves: list[dict[str, Any]] = [
        {
            "v": 1, "id": who, "seq": seq, "recorded_at": "2026-11-23T12:00:00.000000Z", "tenant_id": "acme",
            "action": "member.joined", "outcome": "success", "actor": {"id": who, "kind": "user"}, "targets": [who],
            "changes": joined,
        }
        for seq, who in enumerate(people)
    ]  # fmt: skip
    for seq in range(EVENTS):
        second = seq // 20
        at = f"2026-11-{24 + second // 86_400:02}T{second // 3_600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
        if seq % 2 == 0:
            action = dice.choices(ACTIONS, [80, 12, 1, 4, 2, 1])[0]
        who, denied = people[seq // 2 % 500], action == "access.denied"
        leaf = {"v": 1, "id": str(seq), "seq": 500 + seq, "recorded_at": f"{at}.{seq % 20 * 50_000:06}Z"}
        leaf |= {"tenant_id": "acme", "action": action, "request": {"id": f"r{seq // 2}"}}
        leaf["outcome"] = "denied" if denied else ("attempted", "success")[seq % 2]
        leaf["actor"] = {"id": who, "kind": "user", "credential_id": f"s{who}"}
        leaf["source"] = {"address": f"203.0.{seq // 2 % 100}.7"}
        leaf["targets"] = [{"type": "agent", "id": f"a{dice.randrange(99)}"}]
        leaf["decision"] = {"allowed": not denied, "permission": action.replace(".", ":"), "code": "allowed"}
        leaves.append(leaf)
    return leaves


def main() -> None:
    leaves = trail()
    speeds, found = [], 0
    for _ in range(ROUNDS):
        started = process_time()
        found = sum(1 for _ in detect(leaves))
        speeds.append(EVENTS / (process_time() - started))
    print(f"{len(RULES)} rules, {found} findings")
    report.measured(
        "telemetry", "anomaly rules over a trail", median(speeds), "events/s", better="higher", target=200_000
    )


if __name__ == "__main__":
    main()
