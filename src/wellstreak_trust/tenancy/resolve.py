"""Which tenant a request is about, and the proof that its principal belongs there.

Sources read *candidates* out of a request; they prove nothing. Every source that yields one must agree, then the
membership is proved once. An unknown tenant and one the principal does not belong to end in the same error, after the
same single lookup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from ..core.address import ClientAddress
from ..core.errors import AmbiguousTenant, ConfigurationError, TenantNotFound
from ..core.http import RequestFacts
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from ..core.tenant import Membership, TenantContext
from .ids import is_tenant_id

__all__ = [
    "ApiKeySource",
    "ClaimSource",
    "HeaderSource",
    "PathSource",
    "Prover",
    "SubdomainSource",
    "TenantResolver",
    "TenantSource",
]

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FIELD: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_SLOT: Final = "{tenant}"


class TenantSource(Protocol):
    """Reads tenant ids out of a request. Total: what is malformed yields nothing."""

    def candidates(self, facts: RequestFacts, principal: Principal, /) -> Iterable[str]:
        """The ids this source names, usually none or one."""
        ...


class Prover(Protocol):
    """Proves memberships; `Memberships` is one."""

    async def aprove(self, principal: Principal, tenant_id: str, /) -> Membership | None:
        """The membership, or None for an unknown tenant and a stranger alike."""
        ...


class SubdomainSource:
    """The one label in front of `base` in the Host field: ``acme.example.com`` names ``acme``.

    Look-alike suffixes, several or empty labels, punycode and everything that is no label yield nothing.

    Args:
        base: the domain above the tenants, such as ``example.com``.
        proxies: whose ``X-Forwarded-Host`` replaces the Host field, for proxies that set it on every request. From
            anybody else, and without `proxies`, that field is not read: everybody can send it.
    """

    __slots__ = ("_host", "_proxies")

    def __init__(self, base: str, *, proxies: ClientAddress | None = None) -> None:
        self._proxies: ClientAddress | None = proxies
        domain = base.lower()
        if not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", domain, re.ASCII):
            raise ConfigurationError(
                "base is not a domain", hint="SubdomainSource('example.com')", reason="tenant_source"
            )
        # ASCII: without it IGNORECASE lets the Kelvin sign stand for "k".
        self._host: re.Pattern[str] = re.compile(
            rf"(?!xn--)({_LABEL})\.{re.escape(domain)}\.?(?::[0-9]{{1,5}})?", re.ASCII | re.IGNORECASE
        )

    def candidates(self, facts: RequestFacts, principal: Principal) -> Sequence[str]:
        """The label in lower case; nothing for an absent or repeated field."""
        hosts = facts.headers.get_all("host")
        if self._proxies is not None and self._proxies.trusts(facts.peer):
            hosts = facts.headers.get_all("x-forwarded-host") or hosts
        found = self._host.fullmatch(hosts[0]) if len(hosts) == 1 else None
        return (found[1].lower(),) if found else ()


class PathSource:
    """A path segment: ``PathSource("/w/{tenant}/")`` names ``acme`` for ``/w/acme/billing``.

    The path is read as sent: an encoded segment yields nothing, because the router might decode it to another one.
    """

    __slots__ = ("_path",)

    def __init__(self, pattern: str) -> None:
        before, slot, after = pattern.partition(_SLOT)
        if not slot or not before.startswith("/") or not before.endswith("/") or after not in ("", "/"):
            raise ConfigurationError(
                "the pattern is a prefix with one whole segment",
                hint="PathSource('/w/{tenant}/')",
                reason="tenant_source",
            )
        self._path: re.Pattern[str] = re.compile(rf"{re.escape(before)}([^/%]+)(?:/.*)?", re.DOTALL)

    def candidates(self, facts: RequestFacts, principal: Principal) -> Sequence[str]:
        """The segment."""
        found = self._path.fullmatch(facts.target.path)
        return (found[1],) if found else ()


class HeaderSource:
    """A header field. Every value of every line counts: WSGI servers join repeated fields with a comma."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        if not _FIELD.fullmatch(name):
            raise ConfigurationError("not a header name", hint="HeaderSource('X-Workspace')", reason="tenant_source")
        self._name: str = name

    def candidates(self, facts: RequestFacts, principal: Principal) -> Sequence[str]:
        """All values that are not blank."""
        parts = (part.strip(" \t") for line in facts.headers.get_all(self._name) for part in line.split(","))
        return tuple(part for part in parts if part)


class ClaimSource:
    """A typed fact about the principal, such as a claim of its token."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name: str = name

    def candidates(self, facts: RequestFacts, principal: Principal) -> Sequence[str]:
        """The claim, if it is text."""
        claim = principal.attributes.get(self._name)
        return (claim,) if isinstance(claim, str) and claim else ()


class ApiKeySource:
    """The tenant an API key is bound to."""

    __slots__ = ()

    def candidates(self, facts: RequestFacts, principal: Principal) -> Sequence[str]:
        """The binding of an API key; nothing for other kinds."""
        return (principal.tenant_id,) if principal.kind == "api_key" and principal.tenant_id is not None else ()


class TenantResolver:
    """Resolves and proves a request's tenant.

    Args:
        sources: all that name a tenant must name the same one.
        memberships: proves; `Memberships`, or `CachedMemberships` around it.
        entitlements: put into every context, to answer for the subscription.
    """

    def __init__(self, sources: Sequence[TenantSource], memberships: Prover, entitlements: Any = None) -> None:
        if not sources:
            raise ConfigurationError(
                "a resolver needs a source", hint="TenantResolver([SubdomainSource('example.com')], memberships)",
                reason="tenant_source",
            )  # fmt: skip
        self.suspends: bool = suspends(memberships, entitlements)
        self._sources: tuple[TenantSource, ...] = tuple(sources)
        self._memberships: Prover = memberships
        self._entitlements: Any = entitlements

    @property
    def sources(self) -> tuple[TenantSource, ...]:
        """What names the tenant."""
        return self._sources

    @property
    def entitlements(self) -> Any:
        """What answers for the subscription; None where nothing does."""
        return self._entitlements

    async def aresolve(self, facts: RequestFacts, principal: Principal) -> TenantContext:
        """The proved context; its principal is bound to the tenant.

        Raises:
            AmbiguousTenant: sources disagree.
            TenantNotFound: no source names a tenant, it is unknown, the principal is no member, or its credential is
                bound to another tenant. All with the same problem document.
        """
        tenant_id = self._named(facts, principal)
        if principal.tenant_id is not None and principal.tenant_id != tenant_id:
            raise TenantNotFound("the credential is bound to another tenant")
        membership = await self._memberships.aprove(principal, tenant_id)
        if membership is None or membership.tenant_id != tenant_id or membership.principal_id != principal.id:
            raise TenantNotFound("no such tenant, or the principal is no member")
        return TenantContext(tenant_id, principal.in_tenant(tenant_id), membership, entitlements=self._entitlements)

    resolve: Final = synced(aresolve)

    def _named(self, facts: RequestFacts, principal: Principal) -> str:
        named = {name for source in self._sources for name in source.candidates(facts, principal)}
        if len(named) > 1:
            raise AmbiguousTenant("sources of the tenant disagree", hint="send one tenant, in one place")
        for name in named:
            if is_tenant_id(name):
                return name
        raise TenantNotFound("the request names no tenant")
