"""A policy of Casbin as a policy document, and who holds which of its roles.

Translated are role-based models, with or without domains, with or without ``deny``: what a person may do in a domain
is the same before and after. A domain becomes a tenant, an object and an action become a permission, a ``p`` subject
becomes a role, a ``g`` line of a person becomes a membership's role. Everything else is refused, never approximated.

Three things are different by design, and `CasbinPolicy.notes` says where they matter. What is named nowhere is no
permission, so ``*`` stands for the objects and actions that the policy names. A role is no person: who asks in the name
of a role gets nothing. And a role with other rights in each domain becomes one role a domain, ``role@domain``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .casbin_files import ANY, CasbinLink, CasbinModel, CasbinRule, read_model, read_policy, refused
from .spelling import literal

__all__ = ["CasbinPolicy", "RoleHeld", "from_casbin"]

_WORD: Final = re.compile(r"[a-z][a-z0-9_.-]*")
_DEEPEST: Final = 9  # links from a person upwards that Casbin's role manager follows


class RoleHeld(NamedTuple):
    """One role of one person; `tenant_id` is empty where the policy has no domains."""

    person: str
    role: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class CasbinPolicy:
    """What a translation gives.

    Args:
        document: for `Policy.from_dict`, or as JSON for `Policy.load`.
        holds: who holds which role where; give these to your memberships.
        notes: what a reviewer has to know, a sentence each.
    """

    document: dict[str, Any]
    holds: tuple[RoleHeld, ...]
    notes: tuple[str, ...]


def from_casbin(
    model: str, policy: str, *, rename: Mapping[str, str] | None = None, name: str = "from-casbin"
) -> CasbinPolicy:
    """Translates the text of a model and of a policy.

    Args:
        rename: new names of objects and actions that are no ``resource:action`` words, such as ``{"/bills": "bills"}``.
        name: of the document.

    Raises:
        PolicyError: what cannot be translated, with its place and a hint; `reason` is ``casbin``.
    """
    read = read_model(model)
    rules, links = read_policy(policy, read)
    return _Translation(read, rules, links if read.roles else [], _Words(rename or {})).result(name)


class _Words:
    """Objects and actions under the names that permissions have."""

    def __init__(self, rename: Mapping[str, str]) -> None:
        self._rename: Mapping[str, str] = rename
        self._from: dict[str, str] = {}

    def __call__(self, said: str) -> str:
        word = self._rename.get(said, said)
        if not _WORD.fullmatch(word):
            raise refused(
                f"the name {said[:80]!r}", f"rename it: --rename '{said[:80]}=...', lower case, letters first"
            )
        if self._from.setdefault(word, said) != said:
            raise refused(f"{said[:80]!r} and {self._from[word][:80]!r} would be one word", "rename one of them")
        return word


class _Translation:
    """One policy: its names, what each role holds in each domain, and how that is written."""

    def __init__(self, model: CasbinModel, rules: list[CasbinRule], links: list[CasbinLink], words: _Words) -> None:
        self._model: CasbinModel = model
        self._rules: list[CasbinRule] = rules
        self._links: list[CasbinLink] = links
        self._words: _Words = words
        named = {rule.domain for rule in rules} | {link.domain for link in links}
        self._domains: list[str] = sorted(named - {""}) or [""]
        targets = {link.role for link in links}
        self._roles: list[str] = sorted({rule.subject for rule in rules} | targets)
        self._persons: set[str] = ({link.member for link in links} | {rule.subject for rule in rules}) - targets
        self._catalogue: frozenset[str] = self._named_pairs()
        self._own: dict[tuple[str, str, bool], frozenset[str]] = {}
        for role in self._roles:
            for domain in self._domains:
                for deny in (False, True):
                    self._own[role, domain, deny] = self._granted(role, domain, deny=deny)
        self._refuse_loops()
        self._uniform: frozenset[str] = self._alike_everywhere()

    def result(self, name: str) -> CasbinPolicy:
        """The whole translation."""
        roles: dict[str, Any] = {}
        for role, domain in self._variants():
            written = self._name(role, domain)
            above = sorted({self._name(parent, domain) for parent in self._parents(role, domain)})
            roles[written] = {"inherits": above, "allow": sorted(self._own[role, domain, False])}
        document = {
            "schema": 1,
            "name": name,
            "permissions": {pair: {} for pair in sorted(self._catalogue)},
            "roles": roles,
            "forbid": list(self._forbids()),
        }
        return CasbinPolicy(document, tuple(sorted(set(self._held()))), tuple(self._notes()))

    # --- what the policy says ----------------------------------------------------------------------------------------

    def _named_pairs(self) -> frozenset[str]:
        """Every permission that a rule grants or denies; a wild place stands for all that the policy names there."""
        objects = {rule.object for rule in self._rules if not self._wild("obj", rule.object)}
        actions = {rule.action for rule in self._rules if not self._wild("act", rule.action)}
        self._objects: list[str] = sorted(map(self._words, objects))
        self._actions: list[str] = sorted(map(self._words, actions))
        if not self._rules:
            raise refused("a policy without a p line", "there is nothing to allow")
        found = frozenset(pair for rule in self._rules for pair in self._pairs(rule))
        if not found:
            raise refused("a policy whose every rule is for *", "name the objects and actions that there are")
        return found

    def _pairs(self, rule: CasbinRule) -> Iterable[str]:
        objects = self._objects if self._wild("obj", rule.object) else [self._words(rule.object)]
        actions = self._actions if self._wild("act", rule.action) else [self._words(rule.action)]
        return (f"{each}:{action}" for each in objects for action in actions)

    def _wild(self, field: str, value: str) -> bool:
        return value == ANY and field in self._model.wild

    def _granted(self, role: str, domain: str, *, deny: bool) -> frozenset[str]:
        mine = (rule for rule in self._rules if (rule.subject, rule.domain, rule.deny) == (role, domain, deny))
        return frozenset(pair for rule in mine for pair in self._pairs(rule))

    def _parents(self, role: str, domain: str) -> frozenset[str]:
        """What a role inherits; a person's links are memberships, also where rules name the person."""
        if role in self._persons:
            return frozenset()
        return frozenset(link.role for link in self._links if link.member == role and link.domain in ("", domain))

    def _refuse_loops(self) -> None:
        for domain in self._domains:
            for role in self._roles:
                level, depth = {role}, 1  # a person holds the first of them by a link
                while level := {above for each in level for above in self._parents(each, domain)}:
                    depth += 1
                    if role in level:
                        raise refused(f"the role {role[:80]!r} inherits itself", "break the circle of g lines")
                    if depth > _DEEPEST:
                        raise refused(
                            f"more than {_DEEPEST} links above {role[:80]!r}", "Casbin ends there; shorten it"
                        )

    def _alike_everywhere(self) -> frozenset[str]:
        """Roles that mean the same in every domain, themselves and by all that they inherit."""

        def same(role: str) -> bool:
            seen = {
                (self._own[role, domain, False], self._own[role, domain, True], self._parents(role, domain))
                for domain in self._domains
            }
            return len(seen) == 1

        alike = frozenset(filter(same, self._roles))
        while True:
            kept = frozenset(role for role in alike if self._parents(role, self._domains[0]) <= alike)
            if kept == alike:
                return alike
            alike = kept

    # --- how it is written -------------------------------------------------------------------------------------------

    def _name(self, role: str, domain: str) -> str:
        if role in self._uniform:
            return role
        written = f"{role}@{domain}"
        if written in self._roles:
            raise refused(f"there is a role {written[:80]!r} already", "rename it in the policy")
        return written

    def _variants(self) -> Iterable[tuple[str, str]]:
        given = {(link.role, link.domain) for link in self._links}
        for role in self._roles:
            for domain in self._domains[:1] if role in self._uniform else self._domains:
                means = self._own[role, domain, False] or self._own[role, domain, True] or self._parents(role, domain)
                if role in self._uniform or means or {(role, domain), (role, "")} & given:
                    yield role, domain

    def _forbids(self) -> Iterable[dict[str, Any]]:
        """A deny of a role is one of everybody who holds it, directly or by what inherits it."""
        if not self._model.denies:
            return
        for role, domain in self._variants():
            denied = self._own[role, domain, True]
            if denied:
                places = self._domains if role in self._uniform else [domain]
                holders = sorted({self._name(each, at) for at in places for each in self._below(role, at)})
                condition = " || ".join(f"{literal(holder)} in principal.roles" for holder in holders)
                yield {"id": f"deny-{self._name(role, domain)}", "permissions": sorted(denied), "when": condition}

    def _below(self, role: str, domain: str) -> set[str]:
        found, fresh = {role}, {role}
        while fresh:
            fresh = {each for each in self._roles if self._parents(each, domain) & fresh} - found
            found |= fresh
        return found

    def _held(self) -> Iterable[RoleHeld]:
        """A person holds what a link says, and a role of the own name where rules name the person."""
        for domain in self._domains:
            for link in self._links:
                if link.member in self._persons and link.domain in ("", domain):
                    yield RoleHeld(link.member, self._name(link.role, domain), domain)
            for role in self._persons & set(self._roles):
                if self._own[role, domain, False] or self._own[role, domain, True]:
                    yield RoleHeld(role, self._name(role, domain), domain)

    def _notes(self) -> Iterable[str]:
        direct = sorted(self._persons & set(self._roles))
        if direct:
            yield f"named by rules and given by no g line: {', '.join(direct)}; each became a role held by that name"
        if any(self._wild("obj", rule.object) or self._wild("act", rule.action) for rule in self._rules):
            yield "* stands for what the policy names; declare what comes later, or it is denied"
        if any(rule.deny for rule in self._rules) and not self._model.denies:
            yield "deny lines have no effect under this [policy_effect], and were left out"
        split = sorted(set(self._roles) - self._uniform)
        if split:
            yield f"different from domain to domain, and therefore one role a domain: {', '.join(split)}"
