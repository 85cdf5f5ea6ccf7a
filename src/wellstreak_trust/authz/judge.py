"""The careful path of a decision: any subject, any resource, and the reason.

The order is fixed, and each step is reached only past the one before: authenticated, same tenant, no forbid, a grant,
within the ceilings, stepped up. The tenant comes before every rule, so that a stranger learns nothing from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, cast

from ..core.clock import Clock
from ..core.principal import Principal
from ..core.tenant import TenantContext
from .breakglass import BreakGlass
from .ceilings import delegator_of, lent, mask_on
from .decision import Decision, Delegation
from .model import Rule, Rules
from .schema import PRINCIPAL

__all__ = ["Actor", "actor_of", "judge", "names", "on_record"]

_COLLECTIONS: Final = frozenset((set, list, tuple))
_NOTHING: Final[frozenset[str]] = frozenset()


class Actor:
    """Who asks and where, with the names that conditions use. Made for one question.

    Args:
        tenant_id: where it acts; None outside every tenant.
        roles: those that count there.
    """

    __slots__ = ("aal", "actor", "attributes", "id", "kind", "principal", "roles", "scopes", "tenant_id")

    def __init__(self, principal: Principal, tenant_id: str | None, roles: frozenset[str]) -> None:
        self.principal: Principal = principal
        self.id: str = principal.id
        self.kind: str = principal.kind
        self.aal: int = principal.aal
        self.actor: Principal | None = principal.actor
        self.tenant_id: str | None = tenant_id
        self.roles: frozenset[str] = roles
        self.scopes: frozenset[str] | None = principal.scopes
        self.attributes: Mapping[str, Any] = principal.attributes

    def named(self, name: str) -> object:
        """The value of ``principal.<name>``; built-in names first, so that no attribute can replace one."""
        return getattr(self, name) if name in PRINCIPAL else self.attributes[name]


def actor_of(subject: object, scope: str = "tenant") -> Actor | None:
    """Who acts, for a permission of `scope`; None for anything that is no authenticated subject.

    Inside a tenant the membership's roles count and the credential's do not. Platform permissions never come from a
    membership: there only the roles of a principal that is bound to no tenant count.
    """
    kind = type(subject)  # not isinstance: a mock that claims the class is nobody
    if issubclass(kind, Principal):
        principal = cast("Principal", subject)
        tenant_id, roles = principal.tenant_id, principal.roles
    elif issubclass(kind, TenantContext):
        context = cast("TenantContext", subject)
        principal = context.principal
        if not issubclass(type(principal), Principal):
            return None
        tenant_id, roles = _inside(context, scope)
    else:
        return None
    if type(principal.id) is not str or not principal.id:
        return None
    return Actor(principal, tenant_id if type(tenant_id) is str and tenant_id else None, names(roles))


def _inside(context: TenantContext, scope: str) -> tuple[str | None, frozenset[str]]:
    if scope == "platform":
        return context.tenant_id, context.principal.roles if context.principal.tenant_id is None else _NOTHING
    membership = context.membership
    if membership is None:
        return context.tenant_id, _NOTHING
    if type(membership.tenant_id) is not str or membership.tenant_id != context.tenant_id:
        return None, _NOTHING  # a proof for another tenant proves nothing here
    return context.tenant_id, membership.roles


def names(value: object) -> frozenset[str]:
    """Names out of a collection; text is no collection of names, and is never read letter by letter."""
    if type(value) is frozenset:
        return value
    return frozenset(cast("Iterable[str]", value)) if type(value) in _COLLECTIONS else _NOTHING


def read(source: object, name: str) -> object:
    """An item of a mapping or an attribute of an object; None where it is absent."""
    if source is None:
        return None
    if type(source) is dict or isinstance(source, Mapping):
        return source.get(name)  # unlike [], it does not make a defaultdict grow
    return getattr(source, name, None)


def judge(rules: Rules, subject: object, resource: object, context: object, clock: Clock) -> Decision:
    """The decision; may raise whatever the subject's, resource's or context's own code raises."""
    glass = subject if type(subject) is BreakGlass else None
    actor = actor_of(glass.context() if glass is not None else subject, rules.scope)
    if actor is None:
        return rules.denials["unauthenticated"]
    if rules.scope == "tenant" and not _same_tenant(actor.tenant_id, resource):
        decision = rules.denials["tenant_mismatch"]
    else:
        decision = _Question(rules, actor, resource, context).answer(clock, glass)
    return on_record(decision, subject)


def on_record(decision: Decision, subject: object) -> Decision:
    """The decision with both parties of borrowed authority; itself for a subject that acts as itself. Total."""
    behind = None
    with suppress(Exception):  # a host's own kind of principal must not turn a denial into an exception
        if type(subject) is BreakGlass:
            behind = Delegation("break_glass", subject.actor.id, subject.actor.id, subject.record)
        else:
            inside = issubclass(type(subject), TenantContext)  # not isinstance, for the reason `actor_of` gives
            principal = cast("TenantContext", subject).principal if inside else subject
            behind = lent(cast("Principal", principal)) if issubclass(type(principal), Principal) else None
    return decision if behind is None else replace(decision, delegation=behind)


def _same_tenant(tenant_id: str | None, resource: object) -> bool:
    if tenant_id is None or resource is None:
        return tenant_id is not None
    theirs = read(resource, "tenant_id")
    return type(theirs) is str and theirs == tenant_id


class _Question:
    """One permission, asked about snapshots: each attribute is read once, and absent is None."""

    __slots__ = ("_actor", "_context", "_resource", "_rules")

    def __init__(self, rules: Rules, actor: Actor, resource: object, context: object) -> None:
        wanted = rules.wanted
        self._rules: Rules = rules
        self._actor: Actor = actor
        held = actor.attributes
        actor.attributes = {name: held.get(name) for name in wanted.principal}
        self._resource: dict[str, object] = {name: read(resource, name) for name in wanted.resource}
        self._context: dict[str, object] = {name: read(context, name) for name in wanted.context}

    def answer(self, clock: Clock, glass: BreakGlass | None = None) -> Decision:
        """Forbids first; then what roles grant or, in their place, what a break-glass gives."""
        denied = self.forbidden()
        if denied is not None:
            return denied  # a denial is false, so `or` would open here
        return self.granted(clock) if glass is None else self.broken(glass, clock)

    def forbidden(self) -> Decision | None:
        """The denial by a forbid: TRUE decides before UNKNOWN, and only FALSE lets pass."""
        values = [(rule, self._value(rule)) for rule in self._rules.forbids]
        true = [rule for rule, value in values if value is True]
        if len(true) == 1:
            return true[0].decision
        if true:
            return replace(true[0].decision, rule_ids=tuple(rule.id for rule in true))
        unknown = [rule for rule, value in values if value is None]
        if not unknown:
            return None
        return replace(
            unknown[0].decision,
            code="forbid_unknown",
            rule_ids=tuple(rule.id for rule in unknown),
            missing=self._missing(unknown),
        )

    def granted(self, clock: Clock) -> Decision:
        """The first grant that is TRUE, within the ceilings; else why there is none."""
        conditional: dict[Rule, None] = {}
        for role in self._actor.roles:
            found = self._rules.grants.get(role, ())
            if isinstance(found, Decision):
                return self._limited(found, clock)
            conditional.update((rule, None) for rule in found)
        unknown = []
        for rule in conditional:
            value = self._value(rule)
            if value is True:
                return self._limited(rule.decision, clock)
            if value is None:
                unknown.append(rule)
        if unknown:
            return replace(
                self._rules.denials["no_grant"],
                code="condition_unknown",
                rule_ids=tuple(rule.id for rule in unknown),
                missing=self._missing(unknown),
            )
        return self._rules.denials["condition_failed" if conditional else "no_grant"]

    def broken(self, glass: BreakGlass, clock: Clock) -> Decision:
        """What a break-glass gives in place of roles: its permissions, in its tenant, while it lasts."""
        if self._rules.scope != "tenant" or not glass.gives(self._rules.name, clock.now()):
            return self._rules.denials["ceiling"]
        return self._limited(replace(self._rules.denials["no_grant"], allowed=True, code="allowed"), clock)

    def _limited(self, granted: Decision, clock: Clock) -> Decision:
        """Ceilings only ever take away; then the sign-in must be strong and fresh, and a human must agree."""
        rules, actor = self._rules, self._actor
        if actor.scopes is not None and rules.name not in names(actor.scopes):
            return rules.denials["ceiling"]
        mask = mask_on(actor.principal)
        if mask is not None and mask not in rules.masks:
            return rules.denials["ceiling"]
        behind = delegator_of(actor.principal, actor.tenant_id) if mask is not None else actor.principal
        if behind is None:
            return rules.denials["ceiling"]
        if mask == "agent":
            return self._lent_by(behind, granted, clock)
        if rules.step_up is not None and not rules.step_up.met_by(actor.principal, clock.now()):
            return rules.denials["step_up_required"]
        return rules.denials["approval_required"] if rules.approval is not None else granted

    def _lent_by(self, delegator: Principal, granted: Decision, clock: Clock) -> Decision:
        """What an agent may: what its delegator may at this moment, whose sign-in is also the one that counts."""
        actor = actor_of(delegator)
        if actor is None:
            return self._rules.denials["ceiling"]
        theirs = _Question(self._rules, actor, self._resource, self._context).answer(clock)
        if theirs.allowed:
            return granted
        # These two are asked last: everything else was granted.
        return theirs if theirs.code in ("step_up_required", "approval_required") else self._rules.denials["ceiling"]

    def _value(self, rule: Rule) -> bool | None:
        return rule.condition.value(self._actor, self._resource, self._context)

    def _missing(self, rules: list[Rule]) -> tuple[str, ...]:
        found = (rule.condition.missing(self._actor, self._resource, self._context) for rule in rules)
        return tuple(sorted(set().union(*found)))
