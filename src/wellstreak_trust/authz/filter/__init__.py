"""`Filter`: which rows of a resource type a subject may see, as a query that cannot differ from the check.

::

    session.scalars(select(Document).where(policy.filter(subject, "docs:read", "doc").to_sqlalchemy(Document)))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ...core.clock import Clock
from ...core.errors import MissingExtra, UsageError
from ..breakglass import BreakGlass
from ..ceilings import delegator_of, mask_on
from ..decision import Decision
from ..judge import Actor, actor_of, names, read
from ..logic import Attribute, Constant, Lookup
from ..model import Model, Rules
from ..residual import ALWAYS, NEVER, Compared, Residual, conjunction, disjunction, holds, residue
from ..schema import PRINCIPAL, RESOURCE

if TYPE_CHECKING:
    from django.db.models import Q
    from sqlalchemy import ColumnElement

__all__ = ["Filter", "filtered"]

_TENANT: Final = Attribute("resource", "tenant_id", "string")


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows that one subject may have under one permission; made by `Policy.filter`.

    It holds what `Policy.check` would answer for each row, as long as the subject, the context and the policy are the
    same: make one for each query.

    Args:
        permission: what was asked about.
        resource_type: of which the rows are.
        reads: the attributes of a row that the rules of this permission read.
        undeclared: those among them that this resource type does not declare: a table may lack their columns.
    """

    permission: str
    resource_type: str
    residual: Residual = field(default=NEVER, repr=False)  # it holds the subject's attributes
    reads: frozenset[str] = field(default=frozenset(), repr=False)
    undeclared: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def is_always(self) -> bool:
        """Whether every row is allowed; never so for a permission of tenant scope."""
        return self.residual == ALWAYS

    @property
    def is_never(self) -> bool:
        """Whether no row is: nothing need be asked of the database."""
        return self.residual == NEVER

    def __bool__(self) -> NoReturn:
        raise UsageError("a Filter is no yes or no", hint="ask .is_always, .is_never or .matches(row)")

    def matches(self, row: object) -> bool:
        """The same question about one row in memory: a mapping or an object, as `Policy.check` takes it.

        False where the row's own code raises, as the check then denies.
        """
        try:
            snapshot = {name: read(row, name) for name in self.reads}
            return holds(self.residual, snapshot)
        except Exception:
            return False

    def to_sqlalchemy(self, model: Any) -> ColumnElement[bool]:
        """A condition for ``select(model).where(...)``, on SQLite or PostgreSQL; every value is a bound parameter.

        Args:
            model: a mapped class, an alias of one, or a `Table`; attributes are looked up by their names.

        Raises:
            NotFilterable: a column is missing or of another type, or the rule speaks about a list in the row.
            MissingExtra: SQLAlchemy is not installed.
        """
        try:
            from .sqlalchemy import translated
        except ImportError:
            raise MissingExtra("SQLAlchemy is not installed", hint="pip install 'wellstreak-trust[sql]'") from None
        return translated(self, model)

    def to_django_q(self) -> Q:
        """A condition for ``Model.objects.filter(...)``, on SQLite or PostgreSQL.

        Fields are looked up when Django builds the query; one that is missing, a relation, or of another type raises
        `NotFilterable` there.

        Raises:
            NotFilterable: the rule speaks about a list in the row, or about an attribute that the type lacks.
            MissingExtra: Django is not installed.
        """
        try:
            from .django import translated
        except ImportError:
            raise MissingExtra("Django is not installed", hint="install wellstreak-trust[django]") from None
        return translated(self)


def filtered(model: Model, rules: Rules, resource_type: str, asked: tuple[object, object], clock: Clock) -> Filter:
    """The filter of a subject; may raise what the subject's and the context's own code raises.

    Args:
        asked: the subject and the context.
    """
    subject, context = asked
    glass = subject if type(subject) is BreakGlass else None
    actor = actor_of(glass.context() if glass is not None else subject, rules.scope)
    if actor is None or (rules.scope == "tenant" and actor.tenant_id is None):
        return Filter(rules.name, resource_type)
    question = _Question(rules, {name: read(context, name) for name in rules.wanted.context}, clock)
    same = [Compared(_TENANT, "==", Constant(actor.tenant_id))] if rules.scope == "tenant" and actor.tenant_id else []
    residual = conjunction([*same, question.allowed(actor, glass)])
    declared = model.document.resources.get(resource_type)
    reads = frozenset((_TENANT.name, *rules.wanted.resource))
    known = frozenset((*RESOURCE, *declared.attributes)) if declared is not None else reads
    return Filter(rules.name, resource_type, residual, reads, reads - known)


@dataclass(frozen=True, slots=True)
class _Question:
    """One permission in one context: the steps of `judge`, asked about every row at once."""

    rules: Rules
    context: Mapping[str, object]
    clock: Clock

    def allowed(self, actor: Actor, glass: BreakGlass | None) -> Residual:
        """Where the rules allow it, and nowhere beyond a ceiling, a step-up or an approval."""
        rules, principal = self.rules, actor.principal
        mask = mask_on(principal)
        within = actor.scopes is None or rules.name in names(actor.scopes)
        if not within or rules.approval is not None or (mask is not None and mask not in rules.masks):
            return NEVER
        behind = delegator_of(principal, actor.tenant_id) if mask is not None else principal
        if behind is None:
            return NEVER
        if mask == "agent":
            delegator = actor_of(behind)
            lent = self.allowed(delegator, None) if delegator is not None else NEVER
            return conjunction([self._ruled(actor, glass), lent])
        if rules.step_up is not None and not rules.step_up.met_by(principal, self.clock.now()):
            return NEVER
        return self._ruled(actor, glass)

    def _ruled(self, actor: Actor, glass: BreakGlass | None) -> Residual:
        """Every forbid is FALSE, and some grant is TRUE."""
        held = {name: actor.attributes.get(name) for name in self.rules.wanted.principal}

        def lookup(attribute: Attribute) -> object:
            if attribute.root == "context":
                return self.context[attribute.name]
            return actor.named(attribute.name) if attribute.name in PRINCIPAL else held[attribute.name]

        passed = [residue(forbid.condition.node, False, lookup) for forbid in self.rules.forbids]
        return conjunction([*passed, self._granted(actor, glass, lookup)])

    def _granted(self, actor: Actor, glass: BreakGlass | None, lookup: Lookup) -> Residual:
        rules = self.rules
        if glass is not None:
            return ALWAYS if rules.scope == "tenant" and glass.gives(rules.name, self.clock.now()) else NEVER
        grants = [rules.grants.get(role, ()) for role in actor.roles]
        if any(isinstance(held, Decision) for held in grants):
            return ALWAYS
        conditional = dict.fromkeys(rule for held in grants if isinstance(held, tuple) for rule in held)
        return disjunction([residue(rule.condition.node, True, lookup) for rule in conditional])
