"""`Filter`: which rows of a resource type a subject may see, as a query that cannot differ from the check.

::

    session.scalars(select(Document).where(policy.filter(subject, "docs:read", "doc").to_sqlalchemy(Document)))
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ..core.clock import Clock
from ..core.errors import MissingExtra, UsageError
from .decision import Decision
from .judge import Actor, actor_of, names, read
from .logic import Attribute, Constant
from .model import Model, Rules
from .residual import ALWAYS, NEVER, Compared, Residual, conjunction, disjunction, holds, residue

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
            from .filter_sqlalchemy import translated
        except ImportError:
            raise MissingExtra("SQLAlchemy is not installed", hint="install wellstreak-trust[sqlalchemy]") from None
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
            from .filter_django import translated
        except ImportError:
            raise MissingExtra("Django is not installed", hint="install wellstreak-trust[django]") from None
        return translated(self)


def filtered(model: Model, rules: Rules, resource_type: str, asked: tuple[object, object], clock: Clock) -> Filter:
    """The filter of a subject; may raise what the subject's and the context's own code raises.

    Args:
        asked: the subject and the context.
    """
    subject, context = asked
    actor = actor_of(subject, rules.scope)
    if actor is None or not _within(rules, actor, clock):
        return Filter(rules.name, resource_type)
    facts = {name: read(context, name) for name in rules.wanted.context}
    held = {name: actor.attributes.get(name) for name in rules.wanted.principal}
    actor.attributes = held

    def lookup(attribute: Attribute) -> object:
        return actor.named(attribute.name) if attribute.root == "principal" else facts[attribute.name]

    allowed = disjunction(
        residue(rule.condition.node, True, lookup) if rule is not None else ALWAYS for rule in _grants(rules, actor)
    )
    passed = (residue(forbid.condition.node, False, lookup) for forbid in rules.forbids)
    residual = conjunction([*_tenant(rules, actor), *passed, allowed])
    declared = model.document.resources.get(resource_type)
    reads = frozenset((_TENANT.name, *rules.wanted.resource))
    known = frozenset(("id", "type", "tenant_id", *declared.attributes)) if declared is not None else reads
    return Filter(rules.name, resource_type, residual, reads, reads - known)


def _within(rules: Rules, actor: Actor, clock: Clock) -> bool:
    """Tenant, ceilings and step-up depend on no row; past them only rules are left."""
    if rules.scope == "tenant" and actor.tenant_id is None:
        return False
    if actor.scopes is not None and rules.name not in names(actor.scopes):
        return False
    return rules.step_up is None or rules.step_up.met_by(actor.principal, clock.now())


def _tenant(rules: Rules, actor: Actor) -> Iterator[Residual]:
    if rules.scope == "tenant":
        assert actor.tenant_id is not None
        yield Compared(_TENANT, "==", Constant(actor.tenant_id))


def _grants(rules: Rules, actor: Actor) -> Iterator[Any]:
    """What the roles hold: conditional rules, or None for a grant without condition."""
    for role in actor.roles:
        held = rules.grants.get(role, ())
        if isinstance(held, Decision):
            yield None
        else:
            yield from (rule for _, _, rule in held)
