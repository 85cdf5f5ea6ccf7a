"""The careful path of a decision: any subject, any resource, and the reason.

The order is fixed, and each step is reached only past the one before: authenticated, same tenant, no forbid, a grant,
within the ceilings, stepped up. The tenant comes before every rule, so that a stranger learns nothing from them.
Conditions see snapshots: each attribute is read once, and absent is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ..core.clock import Clock
from ..core.principal import Principal
from ..core.tenant import Membership, TenantContext
from .decision import Decision
from .model import Rule, Rules
from .schema import PRINCIPAL

__all__ = ["Actor", "actor_of", "judge"]

_COLLECTIONS: Final = frozenset((frozenset, set, list, tuple))


@dataclass(frozen=True, slots=True)
class Actor:
    """The subject of a question, with the names that conditions use.

    Args:
        tenant_id: where it acts; None outside every tenant.
        roles: those that count there.
        scopes: the credential's ceiling; None is no ceiling.
        attributes: the declared attributes that were asked for, None where absent.
    """

    principal: Principal
    id: str
    kind: str
    aal: int
    tenant_id: str | None
    roles: frozenset[str]
    scopes: frozenset[str] | None
    attributes: Mapping[str, Any]

    def named(self, name: str) -> object:
        """The value of ``principal.<name>``; built-in names first, so that no attribute can replace one."""
        return getattr(self, name) if name in PRINCIPAL else self.attributes[name]


def actor_of(subject: object, scope: str = "tenant", wanted: frozenset[str] = frozenset()) -> Actor | None:
    """Who acts, for a permission of `scope`; None for anything that is no authenticated subject.

    Inside a tenant the membership's roles count and the credential's do not. Platform permissions never come from a
    membership: there only the roles of a principal that is bound to no tenant count.
    """
    # type(), not isinstance: a mock that claims the class is nobody.
    if issubclass(type(subject), TenantContext):
        assert isinstance(subject, TenantContext)
        principal: object = subject.principal
    else:
        principal = subject
    if not issubclass(type(principal), Principal):
        return None
    assert isinstance(principal, Principal)
    if type(principal.id) is not str or not principal.id:
        return None
    tenant_id, roles = (
        _inside(subject, principal, scope)
        if isinstance(subject, TenantContext)
        else (principal.tenant_id, principal.roles)
    )
    return Actor(
        principal=principal,
        id=principal.id,
        kind=principal.kind,
        aal=principal.aal,
        tenant_id=tenant_id if type(tenant_id) is str and tenant_id else None,
        roles=_names(roles),
        scopes=None if principal.scopes is None else _names(principal.scopes),
        attributes={name: principal.attributes.get(name) for name in wanted},
    )


def _inside(context: TenantContext, principal: Principal, scope: str) -> tuple[str | None, object]:
    if scope == "platform":
        return context.tenant_id, principal.roles if principal.tenant_id is None else ()
    membership = context.membership
    if membership is None:
        return context.tenant_id, ()
    # A proof for another tenant proves nothing here.
    return (context.tenant_id, membership.roles) if _is_proof(membership, context) else (None, ())


def _is_proof(membership: Membership, context: TenantContext) -> bool:
    return type(membership.tenant_id) is str and membership.tenant_id == context.tenant_id


def _names(value: object) -> frozenset[str]:
    """Names out of a collection; text is no collection of names, and is never read letter by letter."""
    if type(value) not in _COLLECTIONS:
        return frozenset()
    return frozenset(name for name in value if isinstance(name, str))  # type: ignore[attr-defined]  # a collection


def judge(rules: Rules, subject: object, resource: object, context: object, clock: Clock) -> Decision:
    """The decision; may raise whatever the subject's, resource's or context's own code raises."""
    actor = actor_of(subject, rules.scope, rules.wanted.principal)
    if actor is None:
        return rules.denials["unauthenticated"]
    if rules.scope == "tenant" and not _same_tenant(actor, resource):
        return rules.denials["tenant_mismatch"]
    asked = _Question(
        rules, actor, _snapshot(resource, rules.wanted.resource), _snapshot(context, rules.wanted.context)
    )
    denied = asked.forbidden()
    return denied if denied is not None else asked.granted(clock)  # a denial is false, so `or` would open here


def _same_tenant(actor: Actor, resource: object) -> bool:
    if actor.tenant_id is None or resource is None:
        return actor.tenant_id is not None
    theirs = read(resource, "tenant_id")
    return type(theirs) is str and theirs == actor.tenant_id


def read(source: object, name: str) -> object:
    """An item of a mapping or an attribute of an object; None where it is absent."""
    # `get` does not make a defaultdict grow.
    return source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)


def _snapshot(source: object, names: frozenset[str]) -> dict[str, object]:
    return {name: None if source is None else read(source, name) for name in names}


@dataclass(frozen=True, slots=True)
class _Question:
    """One permission asked about one snapshot."""

    rules: Rules
    actor: Actor
    resource: Mapping[str, object]
    context: Mapping[str, object]

    def forbidden(self) -> Decision | None:
        """The denial by a forbid: TRUE decides before UNKNOWN, and only FALSE lets pass."""
        values = [(rule, self._value(rule)) for rule in self.rules.forbids]
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
        for role in sorted(self.actor.roles):
            found = self.rules.grants.get(role, ())
            if isinstance(found, Decision):
                return self._limited(found, clock)
            conditional.update(dict.fromkeys(found))
        unknown = []
        for rule in conditional:
            value = self._value(rule)
            if value is True:
                return self._limited(rule.decision, clock)
            if value is None:
                unknown.append(rule)
        if unknown:
            return replace(
                self.rules.denials["no_grant"],
                code="condition_unknown",
                rule_ids=tuple(rule.id for rule in unknown),
                missing=self._missing(unknown),
            )
        return self.rules.denials["condition_failed" if conditional else "no_grant"]

    def _limited(self, granted: Decision, clock: Clock) -> Decision:
        """Ceilings only ever take away; then the sign-in must be strong and fresh enough."""
        rules, scopes = self.rules, self.actor.scopes
        if scopes is not None and rules.name not in scopes:
            return rules.denials["ceiling"]
        if rules.step_up is not None and not rules.step_up.met_by(self.actor.principal, clock.now()):
            return rules.denials["step_up_required"]
        return granted

    def _value(self, rule: Rule) -> bool | None:
        return rule.condition.value(self.actor, self.resource, self.context)

    def _missing(self, rules: list[Rule]) -> tuple[str, ...]:
        found = (rule.condition.missing(self.actor, self.resource, self.context) for rule in rules)
        return tuple(sorted(set().union(*found)))
