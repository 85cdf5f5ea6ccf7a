"""The two files of Casbin, read as far as they can be translated: a model's definitions and a policy's lines.

Nothing is skipped in silence. What a line says either has a meaning here, or is refused with its place, because a rule
that is lost on the way is a right that somebody lost or gained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..core.errors import PolicyError

__all__ = ["ANY", "CasbinLink", "CasbinModel", "CasbinRule", "read_model", "read_policy", "refused"]

ANY: Final = "*"

_ALLOW: Final = "some(where(p.eft==allow))"
_ALLOW_UNLESS_DENIED: Final = f"{_ALLOW}&&!some(where(p.eft==deny))"
_FIELDS: Final = frozenset(("sub", "obj", "act"))
_SIDES: Final = {"r.sub==p.sub": "sub", "r.dom==p.dom": "dom", "r.obj==p.obj": "obj", "r.act==p.act": "act"}
_SECTIONS: Final = ("request_definition", "policy_definition", "role_definition", "policy_effect", "matchers")


@dataclass(frozen=True, slots=True)
class CasbinModel:
    """What a model's definitions say.

    Args:
        fields: names of a policy line's values, in its order.
        domains: requests and rules name a domain.
        roles: the matcher asks for roles; `roles_by_domain`: a role is held in a domain.
        wild: of ``obj`` and ``act``, those in which ``*`` stands for anything.
        denies: a matching ``deny`` wins; else such lines have no effect.
    """

    fields: tuple[str, ...]
    domains: bool
    roles: bool
    roles_by_domain: bool
    wild: frozenset[str]
    denies: bool


class CasbinRule(NamedTuple):
    """A ``p`` line; `domain` is empty where the model has none."""

    subject: str
    domain: str
    object: str
    action: str
    deny: bool


class CasbinLink(NamedTuple):
    """A ``g`` line; an empty `domain` is every domain."""

    member: str
    role: str
    domain: str


def read_model(text: str) -> CasbinModel:
    """The definitions of a model.

    Raises:
        PolicyError: a definition, effect or part of a matcher that has no meaning here.
    """
    found = dict(_definitions(text))
    for key in ("r", "p", "e", "m"):
        if key not in found:
            raise refused(f"the model lacks {key!r}", "a model has r, p, e and m")
    unknown = sorted(set(found) - {"r", "p", "g", "e", "m"})
    if unknown:
        raise refused(f"the model defines {unknown[0]!r}", "one definition of each kind, and no roles of resources")
    asked, fields = _names(found["r"]), _names(found["p"])
    domains = "dom" in asked
    wanted = _FIELDS | ({"dom"} if domains else set())
    if set(asked) != wanted or set(fields) - {"eft"} != wanted:
        raise refused("[request_definition] and [policy_definition]: other fields", "sub, obj, act, and dom for both")
    arity = len(_names(found["g"])) if "g" in found else 0
    if arity > 2 + domains or arity == 1:
        raise refused("[role_definition] g", "_, _ or, with domains, _, _, _")
    roles, wild = _matched(found["m"], domains=domains, arity=arity)
    effect = _tight(found["e"])
    if effect not in (_ALLOW, _ALLOW_UNLESS_DENIED):
        raise refused(f"[policy_effect] {found['e']}", "what no rule allows is denied here, and a forbid wins")
    return CasbinModel(fields, domains, roles, roles and arity == 3, wild, effect != _ALLOW)


def read_policy(text: str, model: CasbinModel) -> tuple[list[CasbinRule], list[CasbinLink]]:
    """The lines of a policy.

    Raises:
        PolicyError: a line that is neither ``p`` nor ``g``, or has another number of values than the model says.
    """
    rules: list[CasbinRule] = []
    links: list[CasbinLink] = []
    for number, line in enumerate(text.splitlines(), 1):
        kind, *values = (value.strip() for value in line.strip().split(","))
        if not kind or kind.startswith("#"):
            continue
        if kind == "p":
            rules.append(_rule(values, model, f"policy line {number}"))
        elif kind == "g":
            links.append(_link(values, model, f"policy line {number}"))
        else:
            raise refused(f"policy line {number}: {kind!r}", "p and g are translated")
    return rules, links


def _rule(values: list[str], model: CasbinModel, place: str) -> CasbinRule:
    if len(values) != len(model.fields) or not all(values):
        raise refused(f"{place}: {len(values)} values", f"p, {', '.join(model.fields)}")
    said: Mapping[str, str] = dict(zip(model.fields, values, strict=True))
    effect = said.get("eft", "allow")
    if effect not in ("allow", "deny"):
        raise refused(f"{place}: the effect {effect!r}", "allow or deny")
    return CasbinRule(said["sub"], said.get("dom", ""), said["obj"], said["act"], effect == "deny")


def _link(values: list[str], model: CasbinModel, place: str) -> CasbinLink:
    wanted = 3 if model.roles_by_domain else 2
    if model.roles and (len(values) != wanted or not all(values)):
        raise refused(f"{place}: {len(values)} values", "g, member, role" + (", domain" if wanted == 3 else ""))
    return CasbinLink(values[0], values[1], values[2] if wanted == 3 else "") if model.roles else CasbinLink("", "", "")


def _definitions(text: str) -> Iterator[tuple[str, str]]:
    """Key and value of each definition; a line that ends with a backslash goes on in the next."""
    held = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[" and line[-1] == "]":
            if line[1:-1] not in _SECTIONS:
                raise refused(f"the model's section {line}", f"known: {', '.join(_SECTIONS)}")
            continue
        held += f"{line.removesuffix(chr(92)).strip()} "
        if not line.endswith("\\"):
            key, _, value = held.partition("=")
            yield key.strip(), value.strip()
            held = ""


def _matched(matcher: str, *, domains: bool, arity: int) -> tuple[bool, frozenset[str]]:
    """Whether roles are asked for, and where ``*`` stands for anything."""
    asks_role = {2: "g(r.sub,p.sub)", 3: "g(r.sub,p.sub,r.dom)"}.get(arity)
    left = {"sub", "obj", "act"} | ({"dom"} if domains else set())
    roles, wild = False, set[str]()
    for part in _tight(matcher).split("&&"):
        side, is_wild = _side(part)
        if part == asks_role:
            side, roles = "sub", True
        if side not in left:
            raise refused(
                f"[matchers] {part[:80]}",
                "r.x == p.x joined by &&, g(...) for sub, (r.x == p.x || p.x == '*') for obj and act",
            )
        left.remove(side)
        wild |= {side} if is_wild else set()
    if left:
        raise refused(f"[matchers] does not compare {', '.join(sorted(left))}", "each field of a request is compared")
    return roles, frozenset(wild)


def _side(part: str) -> tuple[str, bool]:
    """The field that a part compares, or none, and whether ``*`` matches any value."""
    if part[:1] == "(" and part[-1:] == ")":
        either = part[1:-1].replace('"', "'").split("||")
        side = next((_SIDES[_ordered(each)] for each in either if _ordered(each) in _SIDES), "")
        same = sorted(map(_ordered, either)) == sorted((f"r.{side}==p.{side}", f"p.{side}=='*'"))
        return (side, True) if same and side in ("obj", "act") else ("", False)
    return _SIDES.get(_ordered(part), ""), False


def _ordered(part: str) -> str:
    """An equality with the request on its left, and with a literal on its right."""
    left, sign, right = part.partition("==")
    return f"{right}{sign}{left}" if sign and (right[:2] == "r." or left[:1] == "'") else part


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _tight(text: str) -> str:
    return "".join(text.split())


def refused(what: str, hint: str) -> PolicyError:
    """The error that says what has no meaning here, and what has."""
    return PolicyError(f"cannot be translated: {what}", hint=hint, reason="casbin")
