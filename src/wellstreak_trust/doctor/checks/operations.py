"""The governed actions of the host, against the policy, the plans and the parts that must serve them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from ...authz import Policy
from ...connections import Connections, HttpProbe
from ...core.errors import ConfigurationError
from ...guard import Guard, Operation, Operations
from ...tenancy import StaticPlans
from ...trust import Trust
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_OWN_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


def _refusals(case: Case) -> Iterator[tuple[str, ConfigurationError]]:
    """What start-up refuses of each operation, also of those that no route has yet."""
    if case.trust is None:
        return
    try:
        Guard(case.trust)
    except ConfigurationError as error:
        yield "guard", error
        return
    plans = [plans for _, plans in case.of_kind(StaticPlans)]
    for operation in case.operations:
        yield from ((f"operations: {operation.name}", fault) for fault in _faults(operation, case.trust, plans))


def _faults(operation: Operation, trust: Trust, plans: Iterable[Any]) -> Iterable[ConfigurationError]:
    try:
        return Operations((operation,)).faults(trust, plans)
    except ConfigurationError as malformed:
        return (malformed,)


def _vetted(reason: str) -> Check:
    def look(case: Case) -> Iterator[Hit]:
        return (Hit(place, error.detail, error.hint) for place, error in _refusals(case) if error.reason == reason)

    return Check(reason, look, everywhere=True)


def _policy(case: Case) -> Policy | None:
    policy = case.trust.policy if case.trust is not None else None
    return policy if isinstance(policy, Policy) else None


def _declared(case: Case) -> dict[str, dict[str, Any]]:
    policy = _policy(case)
    found: dict[str, dict[str, Any]] = policy.document["permissions"] if policy is not None else {}
    return found


def _risky(case: Case) -> Iterator[tuple[Operation, dict[str, Any]]]:
    permissions = _declared(case)
    for operation in case.operations:
        declared = permissions.get(operation.permission, {})
        if declared.get("risk") == "high":
            yield operation, declared


def _no_step_up(case: Case) -> Iterator[Hit]:
    for operation, declared in _risky(case):
        if operation.step_up is None and not declared.get("step_up") and not declared.get("approval"):
            what = f"{operation.name} needs {operation.permission}, of high risk, and any session will do"
            yield Hit(f"operations: {operation.name}", what)


def _twice(case: Case) -> Iterator[Hit]:
    names = [operation.name for operation in case.operations]
    yield from (Hit(f"operations: {name}") for name in sorted(set(names)) if names.count(name) > 1)


def _unused(case: Case) -> Iterator[Hit]:
    asked = {operation.permission for operation in case.operations}
    if asked:
        for name in _declared(case):
            if name not in asked:
                yield Hit(f"policy: {name}", f"no operation asks for {name}")


def _connection(case: Case) -> Iterator[Hit]:
    gate = case.trust.connections if case.trust is not None else None
    if isinstance(gate, Connections):
        for operation in case.operations:
            if operation.connection is not None and operation.connection not in gate.probes:
                what = f"{operation.name} needs {operation.connection!r}, for which there are no probes"
                yield Hit(f"operations: {operation.name}", what)


def _plain_probe(case: Case) -> Iterator[Hit]:
    for place, connections in case.of_kind(Connections):
        for provider, probes in connections.probes.items():
            for probe in probes:
                if isinstance(probe, HttpProbe) and _is_plain(probe.url):
                    yield Hit(f"{place}: {provider}.{probe.name}", f"{probe.url} is plain http")


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _OWN_MACHINE


CHECKS: Final = (
    _vetted("part"),
    _vetted("unknown_permission"),
    _vetted("limits"),
    _vetted("connections"),
    _vetted("entitlements"),
    _vetted("operation_name"),
    _vetted("unregistered_operation"),
    _vetted("step_up"),
    _vetted("unsold_feature"),
    _vetted("audit_action"),
    _vetted("audit_missing"),
    Check("operation_without_step_up", _no_step_up),
    Check("operation_twice", _twice, everywhere=True),
    Check("permission_unused", _unused, everywhere=True),
    Check("connection_unknown", _connection, everywhere=True),
    Check("probe_insecure", _plain_probe),
)
