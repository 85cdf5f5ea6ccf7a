"""Checks of row level security itself: is it on, and do the policies that apply to this role let one tenant pass?

Permissive policies are joined by OR, so each of them must pin the tenant; restrictive ones by AND, so one that pins
covers for all permissive ones of its command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .case import Case
from .catalog import Policy, Relation
from .finding import Finding, found, sql
from .predicate import READER, is_guarded, is_once, pins

__all__ = ["check_policies", "check_security", "faces", "readers"]

_COMMANDS: Final[Mapping[str, str]] = {"*": "rawd"}


def check_security(case: Case) -> Iterator[Finding]:
    """Whether row level security is on, and binds everybody."""
    for table in case.tenants():
        policies = case.catalog.policies.get(table.oid, [])
        switches = case.policy(table)[:2]
        if table.partition and not table.secured:
            if case.catalog.touchable(table):
                holders = case.catalog.holders(table, "SELECT", "INSERT", "UPDATE", "DELETE")
                hint = case.revoked(table, "ALL", holders) if holders else sql(*case.policy(table))
                yield found("partition_exposed", table.label, hint)
            continue
        if not table.secured:
            yield found("rls_disabled", table.label, sql(*(switches if policies else case.policy(table))))
            continue
        if not table.forced:
            yield found("rls_not_forced", table.label, sql(switches[1]))
        if not any(each.permissive for each in policies):
            yield found("rls_no_policy", table.label, sql(*case.policy(table)[2:]))
    for table in case.tenants("f"):
        if case.catalog.touchable(table):
            holders = case.catalog.holders(table, "SELECT", "INSERT", "UPDATE", "DELETE")
            yield found("foreign_table", table.label, case.revoked(table, "ALL", holders))


def check_policies(case: Case) -> Iterator[Finding]:
    """Whether each policy compares the tenant, safely and once a statement."""
    for table in case.tenants():
        policies = case.catalog.policies.get(table.oid, [])
        judged = [_Judged.of(each, table, policies) for each in policies if each.permissive]
        sound = any(each.pins for each in judged)
        for each in judged:
            place = f"{table.label}: {each.policy.name}"
            drop = f"DROP POLICY {each.policy.name} ON {table.label}"
            instead = sql(drop, *case.policy(table)[2:])
            code = each.code(case.sealed)
            if code is not None:
                yield found(code, place, sql(drop) if sound and code == "policy_ignores_tenant" else instead)
            if each.pins and not all(is_once(pin, each.readers) for pin in each.pins):
                yield found("policy_not_initplan", place, instead)


def faces(policy: Policy, command: str) -> Iterator[str | None]:
    """The expressions that a row must pass under `command`."""
    if command != "a":
        yield policy.using
    if command in "aw":
        yield policy.check if policy.check is not None else policy.using


def readers(policy: Policy) -> tuple[str, ...]:
    """The functions through which a policy reads a setting."""
    return READER, *(name for name, body in policy.functions.items() if READER in body)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A permissive policy, and the comparisons that every row it lets pass has met; none where one does not."""

    policy: Policy
    pins: tuple[str, ...]
    readers: tuple[str, ...]
    bodies: Mapping[str, str]

    @classmethod
    def of(cls, policy: Policy, table: Relation, policies: list[Policy]) -> _Judged:
        covers = [each for each in policies if not each.permissive]
        met: set[str] = set()
        proved = True
        for command in _COMMANDS.get(policy.command, policy.command):
            around = [policy, *(each for each in covers if each.command in ("*", command))]
            for side in range(len(list(faces(policy, command)))):
                found = _first(around, table, command, side)
                proved = proved and bool(found)
                met.update(found)
        every = [policy, *covers]
        bodies = {name: body for each in every for name, body in each.functions.items()}
        known = tuple(dict.fromkeys(name for each in every for name in readers(each)))
        return cls(policy, tuple(sorted(met)) if proved else (), known, bodies)

    def code(self, sealed: bool) -> str | None:
        """The worst that is wrong with it."""
        if not self.pins:
            return "policy_ignores_tenant"
        called = [body for name, body in self.bodies.items() if any(f"{name}(" in pin for pin in self.pins)]
        if not all(map(is_guarded, self.pins)) or any("nullif" not in body.lower() for body in called):
            return "policy_without_nullif"
        return "policy_not_sealed" if sealed and any(f"{READER}(" in pin for pin in self.pins) else None


def _first(policies: list[Policy], table: Relation, command: str, side: int) -> tuple[str, ...]:
    """What the first of the policies that pins the tenant compares."""
    for each in policies:
        expression = list(faces(each, command))[side]
        proved = pins(expression, table.column or "", readers(each))
        if proved:
            return proved
    return ()
