"""Problem documents (RFC 9457): the one body every refusal has, whatever the framework.

A document holds ``type``, ``title``, ``status`` and ``code``, and where they apply ``instance``, ``trace_id`` and the
extension members of the error. Never a detail, a hint or an exception text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .errors import TrustError

__all__ = ["MEDIA_TYPE", "ProblemResponse", "document", "respond"]

MEDIA_TYPE: Final = "application/problem+json"
_TYPE_PREFIX: Final = "urn:wellstreak-trust:problem:"
_NONE: Final[Mapping[str, object]] = MappingProxyType({})
_OURS: Final = frozenset(("type", "title", "status", "code", "instance", "trace_id", "detail", "hint"))


def document(
    code: str,
    title: str,
    status: int,
    *,
    type_uri: str | None = None,
    instance: str | None = None,
    members: Mapping[str, object] = _NONE,
) -> dict[str, Any]:
    """A problem document as a plain dictionary.

    Args:
        code: stable machine-readable code; also the last part of the default ``type``.
        title: short text, the same for every occurrence (RFC 9457, 3.1.3).
        status: the HTTP status code (RFC 9457, 3.1.2).
        type_uri: a registered problem type, where one exists (RFC 9457, 3.1.1 and 4.2).
        instance: URI reference of this occurrence (RFC 9457, 3.1.5).
        members: extension members (RFC 9457, 3.2). Those that would replace a member of ours, or bring in the
            private `detail` or `hint`, are left out.
    """
    found: dict[str, Any] = {"type": type_uri or _TYPE_PREFIX + code, "title": title, "status": status, "code": code}
    found.update((name, value) for name, value in members.items() if name not in _OURS)
    if instance is not None:
        found["instance"] = instance
    return found


@dataclass(frozen=True, slots=True)
class ProblemResponse:
    """A refusal ready to be sent: the same bytes and headers under every framework."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def respond(error: TrustError, *, instance: str | None = None, trace_id: str | None = None) -> ProblemResponse:
    """Renders an error. ``Cache-Control: no-store`` because a refusal is about this caller, now (RFC 9111, 5.2.2.5)."""
    found = error.problem(instance)
    if trace_id is not None:
        found["trace_id"] = trace_id
    # Replayed is the one refusal that providers must read as success.
    media = MEDIA_TYPE if error.status >= 400 else "application/json"
    headers = (("Content-Type", media), ("Cache-Control", "no-store"), *error.headers())
    body = json.dumps(found, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    return ProblemResponse(error.status, headers, body)
