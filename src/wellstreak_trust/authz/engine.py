"""`Policy`: who may do what, decided in microseconds and always with a reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, Self, TypeVar

from ..core.clock import Clock, SystemClock
from ..core.errors import AccessDenied, PolicyError, UsageError
from .decision import Code, Decision
from .diff import PolicyDiff, diff
from .escalation import EscalationGraph, escalation
from .explain import Explanation, explained
from .filter import Filter, filtered
from .grants import Assignment, assign
from .judge import judge, on_record
from .lint import Finding, lint
from .loader import build
from .matrix import Matrix, matrix
from .model import Decide, Model, Rules
from .reader import plain, read
from .schema import resembling
from .trace import RuleFacts, Traced, rules, trace

__all__ = ["Counting", "Policy"]

S = TypeVar("S")

_LOG: Final = logging.getLogger("wellstreak_trust.authz")
_CLOCK: Final = SystemClock()
_PRESETS: Final = Path(__file__).with_name("presets")


class Counting(Protocol):
    """Counts what went wrong; `telemetry.Counters` is one."""

    def add(self, name: str, amount: int = 1, **labels: str) -> None:
        """Adds to one counter."""
        ...


class Policy:
    """A compiled policy document: immutable, safe to share between threads.

    Made by `load`, `preset`, `from_dict` or `build`. Nothing that a request holds makes a verb raise, and there is no
    ``a``-twin: deciding does no I/O.
    """

    __slots__ = ("_clock", "_counters", "_model", "_quick", "_table", "name", "version")

    name: str
    version: str
    _model: Model
    _table: Mapping[str, Rules]
    _quick: Mapping[str, Decide]
    _clock: Clock
    _counters: Counting | None

    def __init__(self, model: Model, *, clock: Clock = _CLOCK, counters: Counting | None = None) -> None:
        held = {"name": model.name, "version": model.version, "_model": model, "_table": model.table}
        quick: dict[str, Decide] = {name: rules.quick for name, rules in model.table.items()}
        for name, value in {**held, "_quick": quick, "_clock": clock, "_counters": counters}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Policy is immutable; load a new one and swap it in a PolicyHolder")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Policy is immutable")

    def __repr__(self) -> str:
        return f"Policy({self.name!r}, version={self.version[:12]!r})"

    # --- loading -----------------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | PathLike[str], *, clock: Clock = _CLOCK, counters: Counting | None = None) -> Self:
        """Reads a document from a ``.toml``, ``.json`` or ``.yaml`` file.

        Args:
            clock: tells the time to `step_up`.
            counters: counts ``wst.authz.evaluation_errors``.

        Raises:
            PolicyError: whatever is wrong with it; `detail` holds the path in the document, `hint` a suggestion.
            MissingExtra: YAML without ``wellstreak-trust[yaml]``.
        """
        return cls(_built(read(path)), clock=clock, counters=counters)

    @classmethod
    def preset(cls, name: str = "wellstreak", *, clock: Clock = _CLOCK, counters: Counting | None = None) -> Self:
        """One of the policies that come with the package.

        Raises:
            PolicyError: there is none of this name.
        """
        files = {file.stem: file for file in _PRESETS.glob("*.toml")}
        if not isinstance(name, str) or name not in files:
            raise PolicyError("there is no such preset", hint=resembling(str(name), files))
        return cls.load(files[name], clock=clock, counters=counters)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], *, clock: Clock = _CLOCK, counters: Counting | None = None) -> Self:
        """Compiles a document that is in memory; later edits of it change nothing.

        Raises:
            PolicyError: whatever is wrong with it.
        """
        return cls(_built(document), clock=clock, counters=counters)

    @classmethod
    def build(
        cls,
        *,
        permissions: Iterable[str] | Mapping[str, Mapping[str, Any]],
        roles: Mapping[str, Iterable[str | Mapping[str, Any]] | Mapping[str, Any]],
        clock: Clock = _CLOCK,
        counters: Counting | None = None,
        **sections: Any,
    ) -> Self:
        """A document in code, with two abbreviations.

        Args:
            permissions: names, or the tables of the document.
            roles: what each role allows, or the tables of the document.
            **sections: the other keys of the document as they are: `name`, `resources`, `forbid`, ...

        Raises:
            PolicyError: whatever is wrong with it.
        """
        try:
            tables = permissions if isinstance(permissions, Mapping) else {name: {} for name in permissions}
            named = dict(roles.items())
        except (TypeError, ValueError, AttributeError):
            raise PolicyError("permissions is names or a mapping, roles is a mapping") from None
        held = {name: role if isinstance(role, Mapping) else {"allow": _listed(role)} for name, role in named.items()}
        document = {**sections, "schema": 1, "permissions": tables, "roles": held}
        return cls.from_dict(document, clock=clock, counters=counters)

    # --- asking ------------------------------------------------------------------------------------------------------

    def check(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision:
        """Decides; never raises for what a request holds.

        Args:
            subject: a `Principal`, or a `TenantContext`, which is judged by its tenant and its membership's roles.
            permission: a name of the catalogue, never a pattern.
            resource: a mapping or object with `tenant_id` and the declared attributes; None asks about the tenant as
                a whole.
            context: a mapping or object with the declared facts about the request.
        """
        try:
            if type(permission) is str:  # a subclass may equal what it does not say
                decision = self._quick[permission](subject, resource, context)
                if decision is not None:
                    return decision
        except Exception:  # an absent key, an odd object: the careful path finds the answer and its reason
            return self._judge(subject, permission, resource, context)
        return self._judge(subject, permission, resource, context)

    def require(self, subject: object, permission: str, resource: object = None, context: object = None) -> Decision:
        """As `check`, but a denial is raised.

        Raises:
            AccessDenied: with the `decision`; 401 for nobody, 404 for another tenant's resource, else 403.
        """
        decision = self.check(subject, permission, resource, context)
        if not decision.allowed:
            raise AccessDenied(decision)
        return decision

    def check_many(
        self, subject: object, questions: Iterable[tuple[str, object]], context: object = None
    ) -> list[Decision]:
        """As a loop of `check` over (permission, resource).

        Raises:
            UsageError: a question that is no such pair.
        """
        try:
            pairs = [(permission, resource) for permission, resource in questions]
        except (TypeError, ValueError):
            raise UsageError("check_many takes pairs", hint='[("docs:read", document), ...]') from None
        return [self.check(subject, permission, resource, context) for permission, resource in pairs]

    def permissions_for(self, subject: object, resource: object = None, context: object = None) -> frozenset[str]:
        """The names of everything that `subject` may do."""
        check = self.check  # a list, and one lookup of the method: this is asked for whole catalogues at once
        return frozenset([name for name in self._table if check(subject, name, resource, context).allowed])

    def who_can(
        self, permission: str, subjects: Iterable[S], resource: object = None, context: object = None
    ) -> list[S]:
        """Those of `subjects` who may, in their order.

        Raises:
            UsageError: `subjects` is no collection.
        """
        if not isinstance(subjects, Iterable):
            raise UsageError("who_can takes a collection of subjects", hint="[principal, ...]")
        return [subject for subject in subjects if self.check(subject, permission, resource, context).allowed]

    def can_assign(self, subject: object, target: object, roles: Iterable[str]) -> Assignment:
        """Whether `subject` may leave `target` holding exactly `roles`; never raises for what a request holds.

        This decides *what* may be given. Whether the subject may give at all (``members:invite``) is asked besides.

        Args:
            target: a `Principal`, `TenantContext` or `Membership` with the roles held now.
        """
        try:
            return assign(self._model, subject, target, roles)
        except Exception as error:  # whatever a host's object raises, the answer is no
            self._report("", error)
            return Assignment(False, "evaluation_error")

    # --- analysis ----------------------------------------------------------------------------------------------------

    def matrix(self) -> Matrix:
        """Permissions by roles, for review."""
        return matrix(self._model)

    def diff(self, other: Policy) -> PolicyDiff:
        """What changes when `other` takes the place of this policy; false where both mean the same.

        Raises:
            UsageError: not a `Policy`.
        """
        if not isinstance(other, Policy):
            raise UsageError("diff compares with a Policy", hint="policy.diff(Policy.load(path))")
        return diff(self._model, other._model)

    def lint(self) -> list[Finding]:
        """Rules that load and yet are hardly meant."""
        return lint(self._model)

    def escalation(self) -> EscalationGraph:
        """Which role can make itself, or an accomplice, hold which other."""
        return escalation(self._model)

    def rules(self) -> tuple[RuleFacts, ...]:
        """Every rule as written, with the values that it can have."""
        return rules(self._model)

    def trace(
        self, subject: object, permission: str, resource: object = None, context: object = None
    ) -> tuple[Traced, ...]:
        """The value of every rule that `check` may look at for this question; may raise what a host's objects raise."""
        return trace(self._model, subject, permission, resource, context)

    def filter(self, subject: object, permission: str, resource_type: str, context: object = None) -> Filter:
        """Which rows of a resource type `subject` may have: the check of each row, as a query.

        Never raises for what a request holds; whatever denies every row (nobody, no tenant, an unknown permission, no
        role, a ceiling, a step-up that is not met) is a filter that `is_never`.

        Args:
            context: as for `check`; what it lacks is UNKNOWN.
        """
        rules = None
        try:
            rules = self._rules_of(permission)
            if rules is not None:
                return filtered(self._model, rules, resource_type, (subject, context), self._clock)
        except Exception as error:  # as in `check`: an error never opens
            self._report(rules.name if rules is not None else "", error)
        return Filter("" if rules is None else rules.name, resource_type)

    def explain(
        self,
        subject: object,
        permission: str,
        resource: object = None,
        context: object = None,
        *,
        values: bool = False,
    ) -> Explanation:
        """Why `check` answers what it answers: every forbid, every grant that came near, and what was missing.

        For operators, never for clients. Never raises for what a request holds.

        Args:
            values: show the values of attributes too, and not their types alone.
        """
        decision = self.check(subject, permission, resource, context)
        try:
            return explained(self._model, decision, (subject, resource, context), values=values)
        except Exception:  # `check` has met, and reported, whatever the question's own objects raise
            return Explanation(decision)

    def scope_of(self, permission: str) -> str | None:
        """``"tenant"``, ``"platform"``, or None for a permission that is not in the catalogue."""
        rules = self._rules_of(permission)
        return rules.scope if rules is not None else None

    @property
    def permissions(self) -> tuple[str, ...]:
        """The catalogue, sorted."""
        return tuple(sorted(self._table))

    @property
    def roles(self) -> tuple[str, ...]:
        """The declared roles, sorted."""
        return tuple(sorted(self._model.ranks))

    @property
    def document(self) -> dict[str, Any]:
        """A copy of the document it was made of; `from_dict` takes it back."""
        return self._model.document.model_dump(by_alias=True, exclude_unset=True)

    def with_clock(self, clock: Clock) -> Self:
        """The same policy under another clock: tests stop the time with `FixedClock`."""
        return type(self)(self._model, clock=clock, counters=self._counters)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _judge(self, subject: object, permission: object, resource: object, context: object) -> Decision:
        rules = None
        try:
            rules = self._rules_of(permission)
            if rules is None:
                return on_record(self._unruled("unknown_permission", permission), subject)
            return judge(rules, subject, resource, context, self._clock)
        except Exception as error:  # properties that raise, backends that are down: an error never opens
            self._report(rules.name if rules is not None else "", error)
            denied = self._unruled("evaluation_error", "") if rules is None else rules.denials["evaluation_error"]
            return on_record(denied, subject)

    def _rules_of(self, permission: object) -> Rules | None:
        """By the text itself: members of a StrEnum count as their value, whatever they say about equality."""
        if not issubclass(type(permission), str):
            return None
        assert isinstance(permission, str)
        return self._table.get(str.__str__(permission))

    def _unruled(self, code: Code, permission: object) -> Decision:
        shown = permission if type(permission) is str and len(permission) <= 128 and permission.isascii() else ""
        return Decision(False, code, shown, policy_version=self.version)

    def _report(self, permission: str, error: Exception) -> None:
        # The type alone: the message may hold whatever the host's object holds.
        with suppress(Exception):  # telemetry that is down must not turn a denial into an exception
            _LOG.warning("evaluation_error: %s while deciding %s", type(error).__name__, permission or "a question")
            if self._counters is not None:
                self._counters.add("wst.authz.evaluation_errors")


def _built(document: object) -> Model:
    try:
        return build(plain(document))
    except PolicyError:
        raise
    except Exception as error:  # a mapping that raises, a stack that ends: the caller is promised one class
        raise PolicyError(f"the document cannot be read: {type(error).__name__}") from None


def _listed(names: object) -> Any:
    """A list out of any collection; text stays text, so that the document's own check refuses it."""
    return list(names) if isinstance(names, Iterable) and not isinstance(names, str | bytes | Mapping) else names
