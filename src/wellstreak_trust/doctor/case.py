"""What is examined, read once: the composition, its settings, the operations, the process around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ..core.clock import SystemClock
from ..trust import Trust, held_parts

if TYPE_CHECKING:
    from ..guard import Operation
    from ..settings import TrustSettings

__all__ = ["Case", "Check", "Hit"]

T = TypeVar("T")

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Hit(NamedTuple):
    """Where a check found its fault.

    Args:
        place: the part, file or setting.
        what: what is wrong here; the fault's own title if empty.
        hint: what fixes it here; the fault's own line if empty.
        setting: the setting that the value comes from, where the composition was made of settings.
        variable: of the environment, that the value comes from where no setting says it.
    """

    place: str
    what: str = ""
    hint: str = ""
    setting: str = ""
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One host.

    Args:
        trust: the composition; None where it could not be made.
        parts: every part with the path to it, the host's own roots included.
        settings: what the composition was made of, or None.
        surmised: whether it was made of them is not known: they are those of the process.
        operations: the host's governed actions, or none if they are not known.
        environment: of the process.
        app: the application of a framework, or its settings, or None.
        reach: ask the database and Redis themselves.
        deploying: judge it as production or not, whatever its profile says; None for what it says.
    """

    trust: Trust | None = None
    parts: tuple[tuple[str, object], ...] = ()
    settings: TrustSettings | None = None
    operations: tuple[Operation, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    app: Any = None
    reach: bool = False
    deploying: bool | None = None
    surmised: bool = False

    @classmethod
    def of(
        cls,
        trust: Trust | None,
        *,
        parts: Mapping[str, object] = _EMPTY,
        operations: Iterable[Operation] | Mapping[str, Operation] | None = None,
        **more: Any,
    ) -> Case:
        """The case of a composition and of what the host keeps beside it.

        Args:
            parts: further parts by name, such as a `SecurityTxt` or an `OidcLogin`.
            operations: those of the `Trust` where it knows them, if None.
        """
        named = [(f.name, getattr(trust, f.name)) for f in fields(trust)] if trust is not None else []
        listed = operations if operations is not None else getattr(trust, "operations", None) or ()
        known = tuple(listed.values() if isinstance(listed, Mapping) else listed)
        return cls(trust, tuple(held_parts([*_opened(named), *_opened(parts.items())])), operations=known, **more)

    @property
    def production(self) -> bool:
        """Whether it serves, or will serve, other people."""
        return self.profile == "production" if self.deploying is None else self.deploying

    @property
    def profile(self) -> str:
        """What the settings, or else the composition, call themselves."""
        held = self.settings if self.settings is not None else self.trust
        return "production" if held is None else held.profile

    @property
    def now(self) -> datetime:
        """The time to judge ages by: the host's."""
        return SystemClock().now() if self.trust is None else self.trust.clock.now()

    def of_kind(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """The parts of a class, its subclasses included."""
        return ((place, part) for place, part in self.parts if isinstance(part, kind))

    def source(self, setting: str) -> str:
        """Where a setting's value was given; empty where the composition was not made of settings."""
        if self.settings is None or not setting:
            return ""
        from ..settings import PREFIX

        origin = {name: origin for name, _, origin in self.settings.explain()}[setting]
        if origin == "environment":
            return f"environment: {PREFIX}{setting.upper()}"
        return "" if self.surmised else f"{origin} of {setting}"


@dataclass(frozen=True, slots=True)
class Check:
    """Looks for one fault.

    Args:
        code: of the catalogue.
        look: gives a `Hit` for each place where the fault is.
        everywhere: also in profiles that are not production.
    """

    code: str
    look: Callable[[Case], Iterable[Hit]]
    everywhere: bool = False


def _opened(named: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    """Roots; a host's mapping of parts, such as its receivers by provider, is a root for each."""
    for name, part in named:
        if type(part) is dict:
            yield from ((f"{name}.{key}", value) for key, value in part.items())
        else:
            yield name, part
