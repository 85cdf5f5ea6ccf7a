"""Why an operation could never be served, or should not be: one rule a function, which gives the fault or None.

`Guard.faults` asks those that hold of every operation; `Operations.faults` asks all of them. What the guard would
refuse while it serves is refused here in the same words, so that start-up, doctor and the log speak of one fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import AuditEventRejected, ConfigurationError
from .grant import Operation

if TYPE_CHECKING:
    from ..core.principal import StepUp

__all__ = [
    "gathered",
    "refuse",
    "ungated",
    "unknown_permission",
    "unmeetable",
    "unrecordable",
    "unrecorded",
    "unregistered",
    "unsold",
    "unsubscribed",
    "weaker",
]

_UNSAID: Final = object()
_STRONGEST: Final = 3  # NIST SP 800-63B knows three assurance levels


def refuse(fault: ConfigurationError | None) -> None:
    """Raises the fault, if there is one."""
    if fault is not None:
        raise fault


def gathered(faults: Sequence[ConfigurationError]) -> ConfigurationError:
    """One error for all of `faults`, which it keeps in `faults`; a single one stands for itself."""
    if len(faults) == 1:
        return faults[0]
    error = ConfigurationError(f"{len(faults)} faults{''.join(map(_line, faults))}", reason="faults")
    error.faults = tuple(faults)
    return error


def _line(fault: ConfigurationError) -> str:
    said = ". ".join(part.rstrip(".") for part in (fault.detail, fault.hint) if part)
    return f"\n  - {' '.join(said.split())} [{fault.reason}]"


# --- of every operation ----------------------------------------------------------------------------------------------


def unregistered(operation: Operation, operations: Mapping[str, Operation] | None) -> ConfigurationError | None:
    """An operation that is not in the host's registry, or stands there otherwise."""
    if operations is None:
        return None
    held = operations.get(operation.name)
    if held is operation or held == operation:
        return None
    return ConfigurationError(
        f"{operation.name} is not one of the registered operations"
        if held is None
        else f"{operation.name} is registered with other demands than it is used with",
        hint="declare it in Trust(operations=Operations([...])), once, and use that very object",
        reason="unregistered_operation",
    )


def unknown_permission(operation: Operation, policy: Any) -> ConfigurationError | None:
    """A permission outside the policy's catalogue: every request would be denied."""
    if not hasattr(policy, "scope_of") or policy.scope_of(operation.permission) is not None:
        return None
    return ConfigurationError(
        f"{operation.name} asks for {operation.permission!r}, which the policy does not know",
        hint=f'declare [permissions."{operation.permission}"], or correct the operation',
        reason="unknown_permission",
    )


def ungated(operation: Operation, connections: object, *, platform: bool) -> ConfigurationError | None:
    """A connection that nothing can open: there is no gate, or no tenant whose connection it would be."""
    if operation.connection is None or (connections is not None and not platform):
        return None
    return ConfigurationError(
        f"{operation.name} needs the connection {operation.connection!r}",
        hint="give Trust(connections=Connections(...)) and a tenant-scoped permission",
        reason="connections",
    )


def unsubscribed(operation: Operation, tenants: object, *, platform: bool) -> ConfigurationError | None:
    """A feature that nobody could be asked about; a resolver that does not tell of its entitlements is believed."""
    if operation.feature is None:
        return None
    if platform:
        return ConfigurationError(
            f"{operation.name} asks for the feature {operation.feature!r}, but platform permissions have no tenant",
            hint="a tenant-scoped permission, or no feature",
            reason="entitlements",
        )
    if getattr(tenants, "entitlements", _UNSAID) is not None:
        return None
    return ConfigurationError(
        f"{operation.name} asks for the feature {operation.feature!r}, but the resolver has no entitlements",
        hint="TenantResolver(sources, memberships, entitlements=Entitlements(source))",
        reason="entitlements",
    )


def unmeetable(operation: Operation) -> ConfigurationError | None:
    """A step-up that no sign-in meets."""
    wants = operation.step_up
    if wants is None or (1 <= wants.aal <= _STRONGEST and (wants.max_age is None or wants.max_age >= 1)):
        return None
    return ConfigurationError(
        f"{operation.name} wants a sign-in of aal {wants.aal} and age {wants.max_age}, which there cannot be",
        hint=f"StepUp(aal=1 to {_STRONGEST}, max_age=seconds, at least 1)",
        reason="step_up",
    )


# --- of registered operations, which somebody reviews ----------------------------------------------------------------


def unsold(operation: Operation, plans: Iterable[Any]) -> ConfigurationError | None:
    """A feature that none of the plans on offer includes; without plans nothing is said."""
    offered = tuple(plans)
    if operation.feature is None or not offered or any(operation.feature in plan.features for plan in offered):
        return None
    return ConfigurationError(
        f"{operation.name}: no plan includes {operation.feature!r}",
        hint="add the feature to a plan, or take it from the operation",
        reason="unsold_feature",
    )


def weaker(operation: Operation, declared: StepUp | None) -> ConfigurationError | None:
    """A step-up that the policy's own makes pointless: whoever reads the operation believes less than what is asked."""
    wants = operation.step_up
    if wants is None or declared is None or wants == declared or wants.aal > declared.aal:
        return None
    if wants.max_age is not None and (declared.max_age is None or wants.max_age < declared.max_age):
        return None
    return ConfigurationError(
        f"{operation.name} wants a weaker sign-in than the policy asks for {operation.permission!r} anyway",
        hint="take step_up from the operation, or ask for more than the policy",
        reason="step_up",
    )


def unrecordable(operation: Operation, audit: Any) -> ConfigurationError | None:
    """An audit action that the trail would reject: no attempt could be recorded, so nothing would ever run."""
    registry: Any = getattr(audit, "registry", None)
    if operation.audit is None or not callable(getattr(registry, "spec", None)):
        return None
    try:
        spec = registry.spec(operation.audit)
    except AuditEventRejected:
        return ConfigurationError(
            f"{operation.name} is recorded as {operation.audit!r}, which the trail does not know",
            hint=f"ActionRegistry([ActionSpec({operation.audit!r}, 'critical', '...')])",
            reason="audit_action",
        )
    if not spec.needs_reason:
        return None
    return ConfigurationError(
        f"{operation.name} is recorded as {operation.audit!r}, which wants a reason; the guard knows none",
        hint="an action without needs_reason, and record the other one in the operation itself",
        reason="audit_action",
    )


def unrecorded(operation: Operation, risk: str | None) -> ConfigurationError | None:
    """A permission that the policy calls risky, used without a trace."""
    if risk != "high" or operation.audit is not None or (operation.recorded_by or "").strip():
        return None
    return ConfigurationError(
        f"{operation.name} uses {operation.permission!r}, whose risk is high, and is not recorded",
        hint="audit='...', or recorded_by='what records it instead'",
        reason="audit_missing",
    )
