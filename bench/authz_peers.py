"""A decision against its peers in one run: the hand-written closure, cedarpy with parsed handles, and pycasbin.

The workload of `bench/authz.py`; CPU time, interleaved rounds, medians of per-round ratios. A peer whose load or call
would take minutes is left out at that size and shown as "-".

    python bench/authz_peers.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from statistics import median
from time import process_time_ns
from typing import Any

import casbin
import cedarpy
import report

from authz import NAMES, closure, document
from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Principal

ROUNDS = report.rounds(9)
MEMBER = Principal("u1", tenant_id="t1", roles=frozenset(("member",)))
RESOURCE = {"type": "doc", "id": "d1", "tenant_id": "t1", "owner_id": "u1", "suspended": False}
QUESTIONS = {"plain grant": "docs:read", "own resource": "docs:update", "denied": "docs:action_37"}
MODEL = """
[request_definition]
r = sub, obj, act
[policy_definition]
p = role, act, cond, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.sub.tenant == r.obj.tenant && (p.role == "any" || g(r.sub.role, p.role)) && (p.act == "any" || r.act == p.act) \
&& (p.cond == "none" || (p.cond == "owner" && r.obj.owner == r.sub.id) || (p.cond == "suspended" && r.obj.suspended))
"""

Check = Callable[[str], bool]
Side = tuple[Callable[..., object], tuple[Any, ...], int]
"""What is called, with what, and how often in a round."""


class Thing:
    """What pycasbin reads attributes of."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def rules(source: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """(role, permission, only the owner) of every grant, wildcards expanded."""
    found = []
    for role, details in source["roles"].items():
        for grant in details["allow"]:
            name, owned = (grant, False) if isinstance(grant, str) else (grant["permission"], True)
            found += [(role, each, owned) for each in (NAMES if name == "docs:*" else [name])]
    return found


def cedar(source: dict[str, Any]) -> Check:
    """One policy a role for what stands without condition, one for each condition."""
    plain: dict[str, list[str]] = {}
    lines = ["forbid(principal, action, resource) when { resource.suspended };"]
    lines += ["forbid(principal, action, resource) unless { principal.tenant_id == resource.tenant_id };"]
    for role, name, owned in rules(source):
        if owned:
            lines.append(
                f'permit(principal in Role::"{role}", action == Action::"{name}", resource) '
                "when { resource.owner_id == principal.id };"
            )
        else:
            plain.setdefault(role, []).append(f'Action::"{name}"')
    for role, names in plain.items():
        lines.append(f'permit(principal in Role::"{role}", action in [{", ".join(names)}], resource);')
    parents = {role: details.get("inherits", []) for role, details in source["roles"].items()}
    entities = [
        {
            "uid": {"type": "Role", "id": role},
            "attrs": {},
            "parents": [{"type": "Role", "id": parent} for parent in above],
        }
        for role, above in parents.items()
    ]
    entities += [
        {
            "uid": {"type": "User", "id": "u1"},
            "attrs": {"id": "u1", "tenant_id": "t1"},
            "parents": [{"type": "Role", "id": "member"}],
        },
        {
            "uid": {"type": "Doc", "id": "d1"},
            "attrs": {key: RESOURCE[key] for key in ("tenant_id", "owner_id", "suspended")},
            "parents": [],
        },
    ]
    policies = cedarpy.PolicySet.from_str("\n".join(lines))
    graph = cedarpy.Entities.from_json_str(json.dumps(entities))

    def check(name: str) -> bool:
        action = {"type": "Action", "id": name}
        request = {
            "principal": {"type": "User", "id": "u1"},
            "action": action,
            "resource": {"type": "Doc", "id": "d1"},
            "context": {},
        }
        return cedarpy.is_authorized(request, policies, graph).allowed

    return check


def pycasbin(source: dict[str, Any]) -> Check:
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    enforcer.add_policies([[role, name, "owner" if owned else "none", "allow"] for role, name, owned in rules(source)])
    enforcer.add_policy("any", "any", "suspended", "deny")
    for role, details in source["roles"].items():
        for parent in details.get("inherits", []):
            enforcer.add_grouping_policy(role, parent)
    subject = Thing(id="u1", tenant="t1", role="member")
    thing = Thing(tenant="t1", owner="u1", suspended=False)
    return lambda name: enforcer.enforce(subject, thing, name)


def nanoseconds(action: Callable[..., object], arguments: tuple[Any, ...], calls: int) -> float:
    started = process_time_ns()
    for _ in range(calls):
        action(*arguments)
    return (process_time_ns() - started) / calls


def compared(sides: dict[str, Side], base: str) -> dict[str, float]:
    """How much longer each side takes than `base`, in turns."""
    rounds = [{name: nanoseconds(*side) for name, side in sides.items()} for _ in range(ROUNDS)]
    return {name: median(each[name] / each[base] for each in rounds) for name in sides}


def one_size(grants: int) -> None:
    source, limit = document(grants), closure()
    started = process_time_ns()
    policy = Policy.from_dict(source)
    load = (process_time_ns() - started) / 1e6
    peers: dict[str, tuple[Check, int]] = {}
    if grants <= 10_000:
        peers["cedarpy"] = cedar(source), max(1, 4_000 // grants)
    if grants <= 1_000:
        peers["pycasbin"] = pycasbin(source), max(1, 200 // grants)
    for title, name in QUESTIONS.items():
        sides: dict[str, Side] = {
            "closure": (limit, (MEMBER, name, RESOURCE), 4_000),
            "ours": (policy.check, (MEMBER, name, RESOURCE), 4_000),
        }
        for peer, (check, calls) in peers.items():
            assert check(name) is policy.check(MEMBER, name, RESOURCE).allowed, (peer, name)
            sides[peer] = check, (name,), calls
        over, times = compared(sides, "closure"), compared(sides, "ours")
        shown = " ".join(f"{times[n]:>10,.0f}" if n in times else f"{'-':>10}" for n in ("cedarpy", "pycasbin"))
        print(f"{grants:>8,} {load:>8.1f}  {title:<13} {over['ours']:>8.2f} {shown}", flush=True)
        for peer, target in (("cedarpy", 100), ("pycasbin", 1_000)):
            if title == "plain grant" and grants in (10, 1_000) and peer in times:
                what = f"policy check, {grants:,} grants"
                report.against("authz", what, times[peer], peer, peer=True, better="higher", target=target)


def forty() -> None:
    """All 40 permissions of one subject, which is what a settings page asks."""
    limit, policy = closure(), Policy.from_dict(document(10))
    found = compared(
        {
            "closure": (lambda: {name for name in NAMES if limit(MEMBER, name, RESOURCE)}, (), 200),
            "loop of check": (lambda: {n for n in NAMES if policy.check(MEMBER, n, RESOURCE).allowed}, (), 200),
            "permissions_for": (lambda: policy.permissions_for(MEMBER, RESOURCE), (), 200),
        },
        "closure",
    )
    print("40 permissions:", ", ".join(f"{name} x{ratio:.2f}" for name, ratio in found.items()))


def main() -> None:
    Policy.from_dict(document(10))  # the first load imports what validates documents
    print(f"{'grants':>8} {'load ms':>8}  {'question':<13} {'/closure':>8} {'cedarpy/us':>10} {'casbin/us':>10}")
    for grants in (10, 1_000) if report.QUICK else (10, 1_000, 10_000, 100_000):
        one_size(grants)
    forty()


if __name__ == "__main__":
    main()
