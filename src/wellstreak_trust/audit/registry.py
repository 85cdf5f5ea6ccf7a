"""What may be recorded: every action is declared once, this package's own included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ..core.errors import AuditEventRejected, ConfigurationError
from .actions import SDK_ACTIONS
from .spec import ActionSpec, Criticality, is_action_name

__all__ = ["SDK_ACTIONS", "ActionRegistry", "ActionSpec", "Criticality"]

_REMEMBERED: Final = 1_000


class ActionRegistry:
    """All actions of a host, and always those of this package.

    Args:
        specs: the host's own actions.
        strict: refuse actions that are not declared; else they count as `standard`.

    Raises:
        ConfigurationError: an action declared twice, or one of this package's own declared again.
    """

    __slots__ = ("_specs", "_undeclared", "strict")

    def __init__(self, specs: Iterable[ActionSpec] = (), *, strict: bool = True) -> None:
        self._specs: dict[str, ActionSpec] = {}
        self._undeclared: dict[str, ActionSpec] = {}
        self.strict: bool = strict
        for spec in (*SDK_ACTIONS, *specs):
            if spec.name in self._specs:
                raise ConfigurationError(f"action {spec.name} is declared twice", reason="audit_action")
            self._specs[spec.name] = spec

    def __iter__(self) -> Iterator[ActionSpec]:
        return iter(self._specs.values())

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def spec(self, name: str) -> ActionSpec:
        """The declaration of an action; raises `AuditEventRejected` for one that is not declared or is no name."""
        if type(name) is str:
            found = self._specs.get(name) or self._undeclared.get(name)
            if found is not None:
                return found
        if self.strict or not is_action_name(name):
            raise AuditEventRejected("the action is not declared", hint="add ActionSpec(name) to the ActionRegistry")
        spec = ActionSpec(name)
        if len(self._undeclared) < _REMEMBERED:
            self._undeclared[name] = spec
        return spec
