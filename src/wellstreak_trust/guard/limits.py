"""Which rules of the limiter count at which stage, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..core.errors import ConfigurationError, RateLimited
from .faults import Dependency

if TYPE_CHECKING:
    from ..core.address import ClientAddress
    from ..core.http import RequestFacts
    from ..trust import Limiter
    from .grant import Grant, Operation

__all__ = ["Limits"]

_ANONYMOUS: Final = frozenset(("client", "route"))
_OFFERED: Final = frozenset(("client", "route", "principal", "tenant", "api_key"))
_LIMITER: Final = Dependency("limiter")


class Limits:
    """The limiter in two stages: what counts by client alone is asked before any credential is looked at.

    Charges of the first stage are never given back: they bound floods, and a flood of failures is one.
    """

    def __init__(self, limiter: Limiter | None, address: ClientAddress) -> None:
        self._limiter: Limiter | None = limiter
        self._address: ClientAddress = address
        self._views: dict[tuple[tuple[Any, ...], frozenset[str]], Any] = {}
        first = limiter.select(_is_anonymous) if limiter is not None else None
        self._first: Any = first if _rules(first) else None
        self._by_client: bool = _name_client(_rules(limiter))

    def keys(self, facts: RequestFacts, route: str, limits: tuple[Any, ...] = ()) -> dict[str, str]:
        """What a request is counted by before anybody is known.

        The address is asked for only where a rule counts by it, so that hosts without such a rule need none.
        """
        keys = {"route": facts.route or route}
        if self._by_client or (limits and _name_client(limits)):
            keys["client"] = self._address.key(facts)
        return keys

    async def afirst(self, keys: Mapping[str, str]) -> Any:
        """Asks the rules that need no credential. Raises `RateLimited`."""
        if self._first is None:
            return None
        with _LIMITER:
            return _admitted(await self._first.acheck(keys))

    async def asecond(self, grant: Grant, keys: dict[str, str]) -> Any:
        """Asks all other rules that this request has the keys for. Raises `RateLimited`."""
        if self._limiter is None:
            self.vet(grant.operation)
            return None
        principal = grant.principal
        if principal is not None:
            keys["principal"] = principal.id
            if principal.kind == "api_key" and principal.credential_id:
                keys["api_key"] = principal.credential_id
        if grant.tenant is not None:
            keys["tenant"] = grant.tenant.tenant_id
        limiter = self._view(grant.operation, frozenset(keys))
        with _LIMITER:
            return _admitted(await limiter.acheck(keys))

    def fault(self, operation: Operation) -> ConfigurationError | None:
        """Why the limits of an operation could not be enforced, or None."""
        try:
            self.vet(operation)
        except ConfigurationError as fault:
            return fault
        return None

    def vet(self, operation: Operation) -> None:
        """Refuses an operation whose limits could not be enforced."""
        if self._limiter is not None:
            self._view(operation, _OFFERED)
        elif operation.limits:
            raise ConfigurationError(
                f"{operation.name} has limits, but nothing counts them",
                hint="Trust(limiter=RateLimiter([...], store=...))",
                reason="limits",
            )

    def _view(self, operation: Operation, offered: frozenset[str]) -> Any:
        found = self._views.get((operation.limits, offered))
        if found is None:
            found = self._views.setdefault((operation.limits, offered), self._made(operation, offered))
        return found

    def _made(self, operation: Operation, offered: frozenset[str]) -> Any:
        assert self._limiter is not None
        limits = operation.limits
        own = tuple(rule for rule in limits if not isinstance(rule, str))
        unknown = {name for name in limits if isinstance(name, str)} - {rule.name for rule in _rules(self._limiter)}
        if unknown:
            raise ConfigurationError(
                f"{operation.name}: no limit rule is named {', '.join(sorted(map(repr, unknown)))}",
                hint="name a rule of Trust(limiter=...), or give a LimitRule",
                reason="limits",
            )
        wider = self._limiter.with_rules(own) if own else self._limiter
        # An operation's own rules count here whatever their keys: the first stage does not know them.
        return wider.select(lambda rule: (rule in own or not _is_anonymous(rule)) and _required(rule) <= offered)


def _rules(limiter: Any) -> tuple[Any, ...]:
    return tuple(getattr(limiter, "rules", ()))


def _name_client(rules: Iterable[Any]) -> bool:
    return any("client" in (key.removesuffix("?") for key in rule.by) for rule in rules if not isinstance(rule, str))


def _is_anonymous(rule: Any) -> bool:
    return _required(rule) <= _ANONYMOUS and not any(key.endswith("?") for key in rule.by)


def _required(rule: Any) -> frozenset[str]:
    return frozenset(key for key in rule.by if not key.endswith("?"))


def _admitted(verdict: Any) -> Any:
    if verdict.allowed is not True:
        raise RateLimited(verdict)
    return verdict
