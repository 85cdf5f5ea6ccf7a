"""`Trust`: the frozen composition root. It holds the parts and refuses unsafe combinations; it contains no rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from .core.address import ClientAddress
from .core.clock import Clock, FixedClock, SystemClock
from .core.errors import ConfigurationError
from .core.event import EventSink
from .tenancy import install_elevation_sink

if TYPE_CHECKING:
    from .core.http import RequestFacts
    from .core.principal import Principal
    from .core.tenant import TenantContext
    from .guard import Operations
    from .settings import TrustSettings

__all__ = [
    "ApprovalDesk",
    "ConnectionGate",
    "Counting",
    "CredentialReader",
    "Limiter",
    "OriginRule",
    "PolicyRule",
    "Profile",
    "TenantSource",
    "Trust",
]

Profile = Literal["production", "development", "test"]


class CredentialReader(Protocol):
    """Turns a request into a principal, or raises `InvalidCredential`."""

    async def aauthenticate(self, facts: RequestFacts, /) -> Principal:
        """The one principal this request proves."""
        ...


class TenantSource(Protocol):
    """Turns a request and a principal into a proved tenant context, or raises `TenantNotFound`."""

    async def aresolve(self, facts: RequestFacts, principal: Principal, /) -> TenantContext:
        """The context, with its membership."""
        ...


class PolicyRule(Protocol):
    """Decides; never raises for what a request holds."""

    def check(self, subject: Any, permission: str, resource: Any = None, context: Any = None) -> Any:
        """A decision whose `allowed` is the answer."""
        ...

    def scope_of(self, permission: str, /) -> str | None:
        """``"tenant"``, ``"platform"``, or None for a permission that is not in the catalogue."""
        ...


class Limiter(Protocol):
    """Counts; a verdict's `allowed` is the answer."""

    async def acheck(self, keys: Mapping[str, str], cost: int = 1) -> Any:
        """One verdict over all rules."""
        ...

    def select(self, wanted: Callable[[Any], bool], /) -> Any:
        """The same limiter with fewer rules, over the same store."""
        ...

    def with_rules(self, rules: tuple[Any, ...], /) -> Any:
        """The same limiter with further rules, over the same store."""
        ...


class OriginRule(Protocol):
    """Tells whether a request comes from a page of ours."""

    def check(self, facts: RequestFacts, /) -> Any:
        """A verdict with `allowed` and `reason`."""
        ...


class ConnectionGate(Protocol):
    """Opens only for a connection with fresh proof, else raises `ConnectionNotActive`."""

    async def arequire_active(self, tenant_id: str, provider: str, /) -> Any:
        """What was proved."""
        ...


class ApprovalDesk(Protocol):
    """Spends an approval that somebody confirmed; the answer is a decision."""

    async def aconsume(
        self, id: str, subject: Any, permission: str, resource: Any = None, arguments: Any = None, /
    ) -> Any:
        """Allowed once, and only for what was confirmed."""
        ...


class Counting(Protocol):
    """Counts decisions; labels come from closed sets."""

    def add(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Adds to one counter."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Everything one host needs, checked once.

    Args:
        profile: ``production`` (the default) refuses what loses data or stands still: memory stores, fixed clocks.
        authenticator, tenants, policy, limiter, origin, audit: the parts of the guarded way, in its order.
        connections: the gate for operations that name a connection.
        approvals: lets operations through that a second person confirmed; without it they stay denied.
        secrets, webhooks: kept for the host's handlers.
        cors, security_headers: applied by the adapters.
        client_address: whom per-address limits count; trusts no proxy unless told to.
        counters: told what was decided.
        operations: every governed action, where the host declares them in one place; no other is then served.

    Raises:
        ConfigurationError: with the reason and the line that fixes it.
    """

    profile: Profile = "production"
    authenticator: CredentialReader
    tenants: TenantSource
    policy: PolicyRule
    limiter: Limiter | None = None
    origin: OriginRule
    audit: EventSink
    clock: Clock = field(default_factory=SystemClock)
    secrets: Any = None
    connections: ConnectionGate | None = None
    approvals: ApprovalDesk | None = None
    webhooks: Any = None
    cors: Any = None
    security_headers: Any = None
    client_address: ClientAddress | None = None
    counters: Counting | None = None
    operations: Operations | None = None

    def __post_init__(self) -> None:
        if self.profile not in _PROFILES:
            raise ConfigurationError(
                f"unknown profile {self.profile!r}", hint=f"one of {', '.join(_PROFILES)}", reason="profile"
            )
        if self.profile == "production":
            for place, part in _parts(self):
                _refuse_unsafe(place, part)
        if not hasattr(self.audit, "aemit"):
            raise ConfigurationError("audit has no aemit", hint="audit=AuditLog(store)", reason="audit")
        if self.operations is not None and not hasattr(self.operations, "unrouted"):
            raise ConfigurationError(
                "operations is no registry", hint="operations=Operations([...])", reason="operations"
            )
        install_elevation_sink(self.audit)

    def observing(self) -> list[tuple[str, str]]:
        """(place, part) of every part that only watches where it could refuse, such as a limit rule in shadow mode.

        Empty is the state to reach: a part that observes protects nobody. A guard of an ORM is not part of a `Trust`.
        """
        return [(place, type(part).__name__) for place, part in _parts(self) if getattr(part, "observes", None) is True]

    @classmethod
    def from_settings(cls, settings: TrustSettings, *, operations: Operations | None = None) -> Trust:
        """Builds every part from settings; the stores are SQL, over the database the settings name.

        Args:
            operations: the host's registry, which no setting can hold.

        Raises:
            ConfigurationError: settings that are missing or unsafe in their profile.
        """
        from .settings import compose

        return compose(settings, operations)


_PROFILES: Final = ("production", "development", "test")
_DEPTH: Final = 5


def _refuse_unsafe(place: str, part: object) -> None:
    if getattr(part, "volatile", False) is True:
        raise ConfigurationError(
            f"{place} is {type(part).__name__}: it forgets everything with the process, and each worker has its own",
            hint="use a SQL or Redis store, or say allow_memory=True where that loss is acceptable",
            reason="memory_store",
        )
    if isinstance(part, FixedClock):
        raise ConfigurationError(
            f"{place} is a FixedClock: nothing would ever expire", hint="clock=SystemClock()", reason="fixed_clock"
        )


def _parts(trust: Trust) -> Iterator[tuple[str, object]]:
    """Every object of this package (or marked volatile) that the parts hold, with the path to it."""
    seen: set[int] = set()
    waiting = [(f.name, getattr(trust, f.name), 0) for f in fields(trust)]
    while waiting:
        place, part, depth = waiting.pop()
        if part is None or id(part) in seen or isinstance(part, type | str | bytes | int | float):
            continue
        seen.add(id(part))
        yield place, part
        if depth < _DEPTH:
            waiting += [(f"{place}.{name}", value, depth + 1) for name, value in _held(part)]


def _held(part: object) -> Iterator[tuple[str, object]]:
    if isinstance(part, list | tuple):
        yield from ((str(index), item) for index, item in enumerate(part))
    elif type(part).__module__.partition(".")[0] == __name__.partition(".")[0]:
        names = {*getattr(part, "__dict__", ()), *(n for c in type(part).__mro__ for n in getattr(c, "__slots__", ()))}
        yield from ((name.lstrip("_"), getattr(part, name, None)) for name in sorted(names))
