"""From a validated document to a `Model`; every name is looked up, and one that leads nowhere is refused."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ..core.canonical import canonical_json
from ..core.errors import PolicyError, UsageError
from ..core.principal import StepUp
from .ceilings import MASKS, Mask, admits
from .decide import deciding, look_closely
from .decision import Approval, Code, Decision
from .expression import parse
from .implication import normal
from .model import ALWAYS, Condition, Held, Model, Rule, Rules, Wanted
from .reader import Plain, spell
from .schema import PRINCIPAL, RESOURCE, Schema, declare, merge, resembling
from .spelling import spelled

if TYPE_CHECKING:
    from .document import GrantDocument, PermissionDocument, PolicyDocument

__all__ = ["build"]

MAX_RULES: Final = 2_000_000  # after expansion: a chain of roles that each inherit everything grows quadratically

_PERMISSION: Final = re.compile(r"[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*")
_MAX_NAME: Final = 128
_DENIALS: Final[tuple[Code, ...]] = (
    "unauthenticated",
    "tenant_mismatch",
    "no_grant",
    "condition_failed",
    "ceiling",
    "evaluation_error",
)

_Held = Mapping[str, Sequence[Rule]]  # by permission
_Read = Mapping[str, Condition]  # a rule by its id: what it says of each permission that it names


def build(source: Plain) -> Model:
    """The policy that a plain document describes.

    Raises:
        PolicyError: at the first thing that is wrong, with its path.
    """
    from .document import validate  # pydantic costs more to import than everything else here together

    document = validate(source)
    return _Loader(document).model()


def _normal_form(conditions: _Read) -> list[str]:
    """One text for all the ways to write a condition; several only where its names have several types."""
    return sorted({spelled(normal(condition.node)) for condition in dict.fromkeys(conditions.values())})


class _Loader:
    """One document on its way to a model."""

    def __init__(self, document: PolicyDocument) -> None:
        self._document: PolicyDocument = document
        self._version: str = ""
        self._schemas: dict[str, Schema] = {}
        self._conditions: dict[tuple[str, str], Condition] = {}
        self._ids: set[str] = set()
        self._forbids: list[tuple[str, _Read]] = []
        self._grants: dict[str, list[tuple[str, _Read]]] = {}  # parents before children
        self._written: dict[str, Mapping[str, tuple[Rule, ...]]] = {}
        self._expanded: int = 0
        self._named: dict[str, list[str]] = defaultdict(list)  # by resource of the name: ``docs`` -> ``docs:read``

    def model(self) -> Model:
        document = self._document
        for name in document.permissions:
            self._declare_permission(name)
        self._declare_attributes()
        masks = self._masks()
        self._read_rules()
        self._version = self._digest()
        forbids = self._forbidden()
        grants: dict[str, dict[str, Held]] = {name: {} for name in document.permissions}
        for role, held in self._closures():
            for permission, rules in held.items():
                ready = next((rule.decision for rule in rules if rule.condition.always), None)
                grants[permission][role] = ready if ready is not None else tuple(rules)
        table = {
            name: self._rules(name, details, tuple(forbids[name]), grants[name], masks=masks[name])
            for name, details in document.permissions.items()
        }
        return Model(
            name=document.name,
            version=self._version,
            table=table,
            ranks={name: role.rank for name, role in document.roles.items()},
            document=document,
            written=self._written,
        )

    # --- names -------------------------------------------------------------------------------------------------------

    def _declare_permission(self, name: str) -> None:
        if len(name) > _MAX_NAME or not _PERMISSION.fullmatch(name):
            raise PolicyError(
                f"{spell(('permissions', name))}: not the name of a permission",
                hint='write "resource:action" in lower case; wildcards belong into roles and forbids',
            )
        wanted = self._document.permissions[name].resource
        if wanted and wanted not in self._document.resources:
            raise PolicyError(
                f"{spell(('permissions', name, 'resource'))}: no such resource type",
                hint=resembling(wanted, self._document.resources),
            )
        self._named[name.partition(":")[0]].append(name)

    def _masks(self) -> Mapping[str, frozenset[Mask]]:
        """The ceilings on borrowed authority that admit each permission."""
        admitted = {mask: self._admitted(mask) for mask in MASKS}
        return {
            name: frozenset(mask for mask in MASKS if name in admitted[mask]) for name in self._document.permissions
        }

    def _admitted(self, mask: Mask) -> Container[str]:
        catalogue = self._document.permissions
        ceiling = getattr(self._document.ceilings, mask)
        if ceiling is None:
            return {name for name, details in catalogue.items() if admits(mask, name, details.scope)}
        found: set[str] = set()
        for index, name in enumerate(ceiling.allow):
            place = spell(("ceilings", mask, "allow", index))
            found.update(self._expand(name, place, tenant_only=True))
            if name in catalogue and catalogue[name].scope != "tenant":
                raise PolicyError(f"{place}: {name} is a platform permission, which nobody borrows")
        return found

    def _declare_attributes(self) -> None:
        document = self._document
        principal = declare(document.principal.attributes, PRINCIPAL, "principal.attributes")
        context = declare(document.context.attributes, {}, "context.attributes")
        types = {
            name: declare(kind.attributes, RESOURCE, spell(("resources", name, "attributes")))
            for name, kind in document.resources.items()
        }
        self._schemas = {name: Schema(principal, declared, context) for name, declared in types.items()}
        self._schemas[""] = Schema(principal, merge(types.values()), context)

    def _expand(self, name: str, place: str, *, tenant_only: bool) -> list[str]:
        """The permissions that a name or wildcard stands for; roles get no platform permission by wildcard."""
        catalogue = self._document.permissions
        if name in catalogue:
            return [name]
        group, _, action = name.partition(":")
        if name == "*" or (action == "*" and group in self._named):
            matching = list(catalogue) if name == "*" else self._named[group]
            found = [each for each in matching if not tenant_only or catalogue[each].scope == "tenant"]
            if found:
                self._count(len(found))
                return found
            hint = "platform permissions are named one by one" if matching else "the catalogue is empty"
            raise PolicyError(f"{place}: {name!r} matches nothing", hint=hint)
        known = {*catalogue, *(f"{each}:*" for each in self._named)}
        raise PolicyError(f"{place}: {name[:_MAX_NAME]!r} is not in the catalogue", hint=resembling(name, known))

    def _count(self, rules: int) -> None:
        self._expanded += rules
        if self._expanded > MAX_RULES:
            raise PolicyError(f"more than {MAX_RULES} rules once wildcards and inheritance are expanded")

    def _claim(self, identifier: str, place: str) -> str:
        if identifier in self._ids:
            raise PolicyError(f"{place}: the id {identifier!r} stands twice", hint="ids name one rule each")
        self._ids.add(identifier)
        return identifier

    # --- rules -------------------------------------------------------------------------------------------------------

    def _condition(self, text: str, permission: str, place: str) -> Condition:
        if not text:
            return ALWAYS
        resource = self._document.permissions[permission].resource
        known = self._conditions.get((text, resource))
        if known is None:
            known = Condition.of(text, parse(text, self._schemas[resource], place))
            self._conditions[text, resource] = known
        return known

    def _read_rules(self) -> None:
        """Every rule, its names looked up and its conditions read."""
        for index, forbid in enumerate(self._document.forbid):
            place = f"forbid[{index}]"
            self._claim(forbid.id, f"{place}.id")
            names = [
                each
                for number, name in enumerate(forbid.permissions)
                for each in self._expand(name, f"{place}.permissions[{number}]", tenant_only=False)
            ]
            self._forbids.append((forbid.id, self._conditional(forbid.when, names, place)))
        for role in self._in_order():
            self._grants[role] = [
                self._grant(grant, f"{role}.allow[{index}]", spell(("roles", role, "allow", index)))
                for index, grant in enumerate(self._document.roles[role].allow)
            ]

    def _grant(self, grant: GrantDocument, identifier: str, place: str) -> tuple[str, _Read]:
        identifier = self._claim(grant.id or identifier, place)
        names = self._expand(grant.permission, f"{place}.permission", tenant_only=True)
        return identifier, self._conditional(grant.when, names, place)

    def _conditional(self, when: str, names: Iterable[str], place: str) -> _Read:
        return {name: self._condition(when, name, f"{place}.when") for name in names}

    def _forbidden(self) -> Mapping[str, list[Rule]]:
        found: dict[str, list[Rule]] = {name: [] for name in self._document.permissions}
        for identifier, conditions in self._forbids:
            for name, condition in conditions.items():
                decision = self._decision("forbidden_by_rule", name, identifier)
                found[name].append(Rule(identifier, condition, decision))
        return found

    def _closures(self) -> Iterator[tuple[str, _Held]]:
        """Each role with all it holds, parents before children."""
        roles = self._document.roles
        parents = {parent for role in roles.values() for parent in role.inherits}
        closed: dict[str, _Held] = {}
        for name, grants in self._grants.items():
            held = self._own(grants)
            self._written[name] = {permission: tuple(rules) for permission, rules in held.items()}
            for parent in roles[name].inherits:
                for permission, rules in closed[parent].items():
                    held[permission] = list(dict.fromkeys((*held[permission], *rules)))
                    self._count(len(rules))
            if name in parents:
                closed[name] = held
            yield name, held

    def _in_order(self) -> list[str]:
        roles = self._document.roles
        for name, role in roles.items():
            if not name or len(name) > _MAX_NAME or not name.isprintable() or name != name.strip():
                raise PolicyError(f"{spell(('roles', name))}: not the name of a role")
            for index, parent in enumerate(role.inherits):
                if parent not in roles:
                    place = spell(("roles", name, "inherits", index))
                    raise PolicyError(f"{place}: no such role", hint=resembling(parent, roles))
        try:
            return list(TopologicalSorter({name: role.inherits for name, role in roles.items()}).static_order())
        except CycleError as error:
            ring = " -> ".join(error.args[1][:8])
            raise PolicyError(f"roles: inheritance runs in a circle: {ring}") from None

    def _own(self, grants: Iterable[tuple[str, _Read]]) -> defaultdict[str, list[Rule]]:
        held: defaultdict[str, list[Rule]] = defaultdict(list)
        for identifier, conditions in grants:
            for permission, condition in conditions.items():
                held[permission].append(Rule(identifier, condition, self._decision("allowed", permission, identifier)))
        return held

    def _digest(self) -> str:
        """SHA-256 of the document in canonical JSON, each condition in its normal form: of what it means."""
        plain = self._document.model_dump(by_alias=True)
        for forbid, (_, conditions) in zip(plain["forbid"], self._forbids, strict=True):
            forbid["when"] = _normal_form(conditions) if forbid["when"] else []
        for role, grants in self._grants.items():
            for grant, (_, conditions) in zip(plain["roles"][role]["allow"], grants, strict=True):
                grant["when"] = _normal_form(conditions) if grant["when"] else []
        try:
            return sha256(canonical_json(plain, any_key=True)).hexdigest()
        except UsageError as error:
            raise PolicyError(error.detail) from None

    # --- decisions ---------------------------------------------------------------------------------------------------

    def _decision(
        self, code: Code, permission: str, *rule_ids: str, obligation: StepUp | Approval | None = None
    ) -> Decision:
        return Decision(
            allowed=code == "allowed",
            code=code,
            permission=permission,
            rule_ids=rule_ids,
            obligations=(obligation,) if obligation is not None else (),
            policy_version=self._version,
            conceal=code == "tenant_mismatch",
        )

    def _rules(
        self,
        name: str,
        details: PermissionDocument,
        forbids: tuple[Rule, ...],
        grants: Mapping[str, Held],
        *,
        masks: frozenset[Mask],
    ) -> Rules:
        approval = self._approval(name, details)
        asked = details.step_up
        step_up = StepUp(asked.aal, asked.max_age) if asked is not None else None
        denials: dict[Code, Decision] = {code: self._decision(code, name) for code in _DENIALS}
        denials["step_up_required"] = self._decision("step_up_required", name, obligation=step_up)
        denials["approval_required"] = self._decision("approval_required", name, obligation=approval)
        conditional = [rule for held in grants.values() if isinstance(held, tuple) for rule in held]
        nodes = [condition.node for condition in dict.fromkeys(rule.condition for rule in (*forbids, *conditional))]
        ages = step_up is not None or approval is not None
        in_tenant = details.scope == "tenant"
        return Rules(
            name=name,
            scope=details.scope,
            step_up=step_up,
            forbids=forbids,
            grants=grants,
            wanted=Wanted.by(nodes),
            quick=look_closely if ages else deciding(name, forbids, grants, denials, in_tenant=in_tenant),
            denials=denials,
            masks=masks,
            approval=approval,
        )

    def _approval(self, name: str, details: PermissionDocument) -> Approval | None:
        """The obligation; who confirms must hold a permission that can be held without a confirmation of its own."""
        if details.approval is None:
            return None
        by, catalogue = details.approval.by, self._document.permissions
        place = spell(("permissions", name, "approval", "by"))
        if by not in catalogue:
            raise PolicyError(f"{place}: {by[:_MAX_NAME]!r} is not in the catalogue", hint=resembling(by, catalogue))
        if catalogue[by].approval is not None:
            raise PolicyError(f"{place}: {by} needs an approval itself", hint="declare a permission for approvers")
        if catalogue[by].scope != details.scope:
            raise PolicyError(f"{place}: {by} has another scope than {name}", hint="approvers act where it happens")
        return Approval(name, by)
