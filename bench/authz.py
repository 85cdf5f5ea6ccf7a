"""What a decision costs, as a ratio to the least that could answer: a closure over a dictionary of frozensets.

Workload: 40 permissions, three tenant roles, an ownership condition, a forbid, N grants in custom roles. CPU time,
interleaved rounds, median of the per-round ratios, so that another process on the machine slows both sides alike.

    python bench/authz.py
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import process_time_ns
from typing import Any

import report

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Membership, Principal, TenantContext

ROUNDS = report.rounds(31)
CALLS = report.size(4_000, 400)
NAMES = [f"docs:action_{number}" for number in range(38)] + ["docs:read", "docs:update"]
MEMBER = ["docs:read", *NAMES[:10]]
ADMIN = NAMES[:30]

Question = tuple[Principal | TenantContext, str, dict[str, Any]]


def document(grants: int) -> dict[str, Any]:
    roles: dict[str, Any] = {
        "member": {"allow": [*MEMBER, {"permission": "docs:update", "when": "resource.owner_id == principal.id"}]},
        "admin": {"inherits": ["member"], "allow": ADMIN},
        "owner": {"inherits": ["admin"], "allow": ["docs:*"]},
    }
    for number in range(grants // 10):
        roles[f"custom_{number}"] = {"allow": [NAMES[(number + step) % 38] for step in range(10)]}
    return {
        "schema": 1,
        "permissions": {name: {} for name in NAMES},
        "resources": {"doc": {"attributes": {"owner_id": "string", "suspended": "bool"}}},
        "roles": roles,
        "forbid": [{"id": "suspended", "permissions": ["*"], "when": "resource.suspended"}],
    }


def closure() -> Callable[[Any, str, dict[str, Any]], bool]:
    """The limit: no reasons, no missing values, no types, no ceilings."""
    grants = {"member": frozenset(MEMBER), "admin": frozenset(MEMBER + ADMIN), "owner": frozenset(NAMES)}
    owned = frozenset(("docs:update",))

    def check(subject: Any, permission: str, resource: dict[str, Any]) -> bool:
        if resource["tenant_id"] != subject.tenant_id or resource["suspended"]:
            return False
        for role in subject.roles:
            if permission in grants[role]:
                return True
            if permission in owned and resource["owner_id"] == subject.id:
                return True
        return False

    return check


def questions() -> dict[str, Question]:
    doc = {"type": "doc", "id": "d1", "tenant_id": "t1", "owner_id": "u1", "suspended": False}
    plain = Principal("u1")
    return {
        "plain grant": (Principal("u1", tenant_id="t1", roles=frozenset(("member",))), "docs:read", doc),
        "own resource": (Principal("u1", tenant_id="t1", roles=frozenset(("member",))), "docs:update", doc),
        "two roles": (Principal("u1", tenant_id="t1", roles=frozenset(("member", "owner"))), "docs:action_37", doc),
        "in a context": (TenantContext("t1", plain, Membership("t1", "u1", frozenset(("member",)))), "docs:read", doc),
        "denied": (Principal("u1", tenant_id="t1", roles=frozenset(("member",))), "docs:action_37", doc),
        "other tenant": (Principal("u1", tenant_id="t2", roles=frozenset(("member",))), "docs:read", doc),
    }


def per_call(check: Callable[..., object], question: Question, calls: int = CALLS) -> float:
    started = process_time_ns()
    for _ in range(calls):
        check(*question)
    return (process_time_ns() - started) / calls


def compared(check: Callable[..., object], question: Question) -> tuple[float, float, float]:
    """(nanoseconds of the closure, nanoseconds of the policy, median ratio)."""
    limit = closure()
    assert bool(check(*question)) is bool(limit(*question))
    rounds = [(per_call(limit, question), per_call(check, question)) for _ in range(ROUNDS)]
    return median(a for a, _ in rounds), median(b for _, b in rounds), median(b / a for a, b in rounds)


def all_permissions(policy: Policy, question: Question) -> float:
    """What a settings page asks: the median ratio for all 40 permissions of one subject."""
    limit, (subject, _, resource) = closure(), question

    def least(*_: object) -> object:
        return {name for name in NAMES if limit(subject, name, resource)}

    def ours(*_: object) -> object:
        return policy.permissions_for(subject, resource)

    assert least() == ours()
    rounds = [(per_call(least, question, CALLS // 40), per_call(ours, question, CALLS // 40)) for _ in range(ROUNDS)]
    return median(b / a for a, b in rounds)


def main() -> None:
    Policy.from_dict(document(10))  # the first load imports what validates documents
    print(f"{'grants':>8} {'load ms':>8}  {'question':<14} {'closure ns':>10} {'policy ns':>10} {'ratio':>6}")
    first: dict[str, float] = {}
    for grants in (10, 1_000, 10_000, 100_000):
        source = document(grants)
        started = process_time_ns()
        policy = Policy.from_dict(source)
        load = (process_time_ns() - started) / 1e6
        for name, question in questions().items():
            limit, ours, ratio = compared(policy.check, question)
            first.setdefault(name, ratio)
            growth = f"  growth x{ratio / first[name]:.2f}" if grants == 100_000 else ""
            print(f"{grants:>8} {load:>8.1f}  {name:<14} {limit:>10.0f} {ours:>10.0f} {ratio:>6.2f}{growth}")
            if grants == 10:
                report.against("authz", f"policy check, {name}", ratio, "a closure written by hand", target=2)
            if grants == 100_000 and name == "plain grant":
                what = "policy check, growth from 10 to 100,000 grants"
                report.measured("authz", what, ratio / first[name], "times", target=1.5)
        if grants == 10_000:
            report.measured("authz", "load of 10,000 grants", load, "ms CPU", target=500)
        for name in ("plain grant", "two roles"):
            ratio = all_permissions(policy, questions()[name])
            print(f"{grants:>8} {'':>8}  all 40, {name:<30} {ratio:>6.2f}")
            if grants == 10 and name == "plain grant":
                report.against("authz", "40 permissions of one subject", ratio, "the closure's loop", target=3)


if __name__ == "__main__":
    main()
