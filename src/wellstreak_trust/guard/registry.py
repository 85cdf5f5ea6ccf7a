"""`Operations`: every governed action of a host, declared once.

A host that gives its `Trust` this registry can show reviewers all that it governs in one table, refuses to start with
an operation that could never be served, and serves no operation that was not declared here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import ConfigurationError
from ..core.principal import StepUp
from .grant import Operation
from .guard import Guard
from .vetting import gathered, unrecordable, unrecorded, unsold, weaker

if TYPE_CHECKING:
    from ..tenancy import Plan
    from ..trust import Trust

__all__ = ["Operations", "listed"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*")
_NAME_MOST: Final = 128
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Operations(Mapping[str, Operation]):
    """A read-only mapping of name to operation, in the order of declaration.

    Args:
        operations: all that the host governs; those that this package brings, such as `WORKSPACE_OPERATIONS`, too.

    Raises:
        ConfigurationError: with all faults at once: ``operation`` for what is none, ``operation_name`` for a name that
            is not lower-case words with dots between (at most 128 characters), ``operation_twice`` for a name that two
            of them have.
    """

    __slots__ = ("_declared",)

    def __init__(self, operations: Iterable[Operation]) -> None:
        given = tuple(operations)
        faults = list(_malformed(given))
        if faults:
            raise gathered(faults)
        self._declared: Mapping[str, Operation] = MappingProxyType({each.name: each for each in given})

    def __getitem__(self, name: str, /) -> Operation:
        return self._declared[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def __hash__(self) -> int:
        return hash(frozenset(self._declared.values()))

    def __repr__(self) -> str:
        return f"Operations({', '.join(self._declared)})"

    def faults(self, trust: Trust, plans: Iterable[Plan] = ()) -> list[ConfigurationError]:
        """Everything that this `Trust` could never serve or should not, in the order of declaration.

        Args:
            plans: what the host sells; with them, a feature that none includes is a fault.

        Returns:
            Errors to show, not raised: `Guard.faults` of each operation, and besides ``unsold_feature``, ``step_up``
            (weaker than the policy's own), ``audit_action`` (the trail would reject it) and ``audit_missing`` (a
            permission of high risk without `audit` or `recorded_by`). A part that the guard cannot ask is the only
            fault, because nothing else can be known.
        """
        try:
            guard = Guard(trust)
        except ConfigurationError as fault:
            return [fault]
        offered, permissions = tuple(plans), _permissions(trust.policy)
        found: list[ConfigurationError] = []
        for operation in self.values():
            declared = permissions.get(operation.permission, _NOTHING)
            besides = (
                unsold(operation, offered),
                weaker(operation, _step_up(declared)),
                unrecordable(operation, trust.audit),
                unrecorded(operation, declared.get("risk")),
            )
            found += [*guard.faults(operation), *(fault for fault in besides if fault is not None)]
        return found

    def vet(self, trust: Trust, plans: Iterable[Plan] = ()) -> None:
        """Refuses to go on while there is a fault.

        Raises:
            ConfigurationError: the one fault, or one error of reason ``faults`` that lists them all.
        """
        found = self.faults(trust, plans)
        if found:
            raise gathered(found)

    def unrouted(self, routes: Iterable[Operation | None]) -> tuple[Operation, ...]:
        """The operations that no route serves: forgotten, or run by jobs and commands.

        Args:
            routes: the operation of each route, None for one that is public.
        """
        served = set(routes)
        return tuple(operation for operation in self.values() if operation not in served)


def listed(operations: Iterable[Operation] | Mapping[str, Operation]) -> tuple[Operation, ...]:
    """The operations of a registry, or of any other collection."""
    return tuple(operations.values() if isinstance(operations, Mapping) else operations)


def _malformed(given: Iterable[object]) -> Iterator[ConfigurationError]:
    seen: set[str] = set()
    for each in given:
        if not isinstance(each, Operation):
            yield ConfigurationError(
                f"{type(each).__name__} is no Operation", hint="Operation(name, permission)", reason="operation"
            )
            continue
        if type(each.name) is not str or len(each.name) > _NAME_MOST or not _NAME.fullmatch(each.name):
            yield ConfigurationError(
                f"{str(each.name)[:_NAME_MOST]!r} cannot name an operation",
                hint="lower-case words with dots between, such as billing.change_plan",
                reason="operation_name",
            )
        elif each.name in seen:
            yield ConfigurationError(
                f"two operations are named {each.name!r}", hint="declare it once", reason="operation_twice"
            )
        else:
            seen.add(each.name)


def _permissions(policy: Any) -> Mapping[str, Mapping[str, Any]]:
    """The catalogue as the policy's document has it; a policy of the host's own may have none."""
    document = getattr(getattr(policy, "policy", policy), "document", None)
    return document.get("permissions", _NOTHING) if isinstance(document, Mapping) else _NOTHING


def _step_up(declared: Mapping[str, Any]) -> StepUp | None:
    wants = declared.get("step_up")
    return StepUp(wants.get("aal", 1), wants.get("max_age")) if wants else None
