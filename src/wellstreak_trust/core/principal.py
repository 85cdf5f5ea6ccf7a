"""Who acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Literal

from .errors import ReauthRequired, UsageError

__all__ = ["GIVEN", "Principal", "PrincipalKind", "Standing", "StepUp"]

PrincipalKind = Literal["user", "service", "api_key", "agent", "system"]
_KINDS: Final = frozenset(("user", "service", "api_key", "agent", "system"))
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


class Standing(Enum):
    """What a subject's constructor proved once, so that no decision has to prove it again.

    Only the exact classes have one, with fields of exact types, and only where nobody's authority is borrowed.
    """

    DIRECT = "direct"
    """A principal that acts as itself, without a ceiling."""
    LIMITED = "limited"
    """A principal that acts as itself, within the scopes of its credential."""
    MEMBER = "member"
    """A context in which such a principal has a membership of this very tenant."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated party, immutable.

    Args:
        id: stable id inside the host; never an e-mail address.
        kind: user, service, api_key, agent or system.
        tenant_id: the tenant this credential is bound to, or None; membership is proved elsewhere.
        roles: role names held in `tenant_id` (or platform roles where there is none).
        scopes: ceiling of the credential; None is no ceiling, empty allows nothing.
        attributes: typed facts that policies may name; copied, read-only.
        issuer, subject: the provider's identity key (OpenID Connect `iss`, `sub`).
        session_id, credential_id: what authenticated this request.
        aal: authenticator assurance level, 1 to 3 (NIST SP 800-63B).
        amr: authentication methods (RFC 8176).
        auth_time: when the person last proved who they are.
        actor: who really acts when this principal is impersonated.
        reason: why an impersonation or a break-glass took place.

    Raises:
        UsageError: a field of the wrong type, so that no rule ever reads text letter by letter.
    """

    id: str
    kind: PrincipalKind = "user"
    tenant_id: str | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    attributes: Mapping[str, Any] = field(default_factory=lambda: _EMPTY, hash=False)
    issuer: str | None = None
    subject: str | None = None
    session_id: str | None = None
    credential_id: str | None = None
    aal: int = 1
    amr: tuple[str, ...] = ()
    auth_time: datetime | None = None
    actor: Principal | None = None
    reason: str | None = None
    standing: Standing | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if type(self.id) is not str or not self.id:
            raise UsageError("a principal needs a non-empty id")
        if type(self.kind) is not str:  # a member of an enumeration is its value, and nothing else is a kind
            object.__setattr__(self, "kind", str.__str__(self.kind) if isinstance(self.kind, str) else "")
        if self.kind not in _KINDS:
            raise UsageError("unknown principal kind", hint=f"one of {', '.join(sorted(_KINDS))}")
        if self.tenant_id is not None and (type(self.tenant_id) is not str or not self.tenant_id):
            raise UsageError("tenant_id is a non-empty str or None")
        if type(self.roles) is not frozenset:
            object.__setattr__(self, "roles", _names(self.roles, "roles"))
        if self.scopes is not None and type(self.scopes) is not frozenset:
            object.__setattr__(self, "scopes", _names(self.scopes, "scopes"))
        if self.attributes is not _EMPTY:
            object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))
        if type(self.amr) is not tuple:
            object.__setattr__(self, "amr", tuple(self.amr))
        if type(self) is Principal and self.actor is None and self.kind != "agent":
            object.__setattr__(self, "standing", Standing.DIRECT if self.scopes is None else Standing.LIMITED)

    def in_tenant(self, tenant_id: str) -> Principal:
        """This principal, bound to `tenant_id`; raises as the constructor does."""
        if type(self) is not Principal or type(tenant_id) is not str or not tenant_id:
            return replace(self, tenant_id=tenant_id)
        bound, put = object.__new__(Principal), object.__setattr__
        for name in _ALL:
            put(bound, name, getattr(self, name))
        put(bound, "tenant_id", tenant_id)
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view does not pickle, and a principal must cross executors.
        values = {name: getattr(self, name) for name in GIVEN}
        return _rebuild, ({**values, "attributes": dict(self.attributes)},)


GIVEN: Final = tuple(each.name for each in fields(Principal) if each.init)
"""The fields of a principal that are given to it, for those who store and rebuild one."""
_ALL: Final = tuple(each.name for each in fields(Principal))


@dataclass(frozen=True, slots=True)
class StepUp:
    """How strong and how fresh a sign-in must be (RFC 9470).

    Args:
        aal: authenticator assurance level at least, 1 to 3.
        max_age: seconds since `auth_time` at most; None asks nothing.
    """

    aal: int = 1
    max_age: int | None = None

    def met_by(self, principal: Principal, now: datetime) -> bool:
        """Whether `principal` satisfies it at `now`; an unknown or future `auth_time` is never fresh."""
        if principal.aal < self.aal:
            return False
        if self.max_age is None:
            return True
        since = principal.auth_time
        return since is not None and timedelta() <= now - since <= timedelta(seconds=self.max_age)

    def challenge(self) -> ReauthRequired:
        """The 401 that tells the client what to do."""
        return ReauthRequired(
            "the sign-in is too weak or too old for this", acr_values=f"aal{self.aal}", max_age=self.max_age
        )


def _rebuild(values: dict[str, Any]) -> Principal:
    return Principal(**values)


def _names(value: Iterable[str], field_name: str) -> frozenset[str]:
    if isinstance(value, str | bytes | Mapping) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{field_name} is a collection of names", hint=f"{field_name}=frozenset({{'member'}})")
    return frozenset(value)
