"""What hosts hand to a `SessionManager`, checked and put into the one form that every store gives back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..core.errors import InvalidRequest, UsageError
from .given import names_in, plain_data

__all__ = [
    "assurance_level",
    "impersonation_reason",
    "methods",
    "plain_attributes",
    "platform_roles",
    "provider_facts",
    "shown_label",
]

_LABEL_LIMIT: Final = 200
_REASON_LIMIT: Final = 500
_SCALARS: Final = (str, int, bool, type(None))


def assurance_level(aal: int) -> int:
    """1, 2 or 3 (NIST SP 800-63B, 2); `UsageError` for anything else."""
    if type(aal) is not int or not 1 <= aal <= 3:
        raise UsageError("an authenticator assurance level is 1, 2 or 3")
    return aal


def methods(amr: Iterable[str]) -> tuple[str, ...]:
    """Authentication methods (RFC 8176); `UsageError` for one text, which would be read letter by letter."""
    return names_in(amr, "amr")


def shown_label(label: str | None) -> str | None:
    """Cut and cleaned, not refused: many are made of a User-Agent, and a strange browser may still sign in."""
    if label is None:
        return None
    if not isinstance(label, str):
        raise UsageError("a label is text")
    return "".join(char if char.isprintable() else " " for char in label[:_LABEL_LIMIT]).strip() or None


def impersonation_reason(text: object) -> str:
    """The reason, trimmed; `InvalidRequest` for one that says nothing or would break a log line: forms send it."""
    found = text.strip() if isinstance(text, str) else ""
    if not 0 < len(found) <= _REASON_LIMIT or not found.isprintable():
        raise InvalidRequest(f"a reason is 1 to {_REASON_LIMIT} printable characters on one line")
    return found


def platform_roles(roles: Iterable[str], tenant_id: str | None) -> frozenset[str]:
    """Roles outside tenants; `UsageError` beside a tenant, where only the membership counts."""
    found = frozenset(names_in(roles, "roles"))
    if found and tenant_id is not None:
        raise UsageError("roles in a tenant come from its membership", hint="leave out roles= or tenant_id=")
    return found


def plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that every store gives back equal, and that nobody can change in a row shared by requests."""
    given = plain_data(attributes)  # refuses what one store would keep and another would not: names, lone surrogates
    found = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    if not all(type(item) in _SCALARS for value in found.values() for item in (value if _is_list(value) else (value,))):
        raise UsageError("session attributes are text, integers, booleans and lists of them")
    return found


def provider_facts(
    issuer: str | None, subject: str | None, sid: str | None
) -> tuple[str | None, str | None, str | None]:
    """Issuer, subject and session id of a provider; `UsageError` for a part that names nothing without the others."""
    given = [part for part in (issuer, subject, sid) if part is not None]
    if given and (issuer is None or subject is None or not all(map(_names, given))):
        raise UsageError("a provider's sign-in is issuer= and subject=, and sid= if it gave one: printable text")
    return issuer, subject, sid


def _names(part: object) -> bool:
    return type(part) is str and part != "" and part.isprintable()  # no store keeps every control character


def _is_list(value: object) -> bool:
    return type(value) is tuple
