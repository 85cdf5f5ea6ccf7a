"""Problem documents (RFC 9457): the one body every refusal has, whatever the framework.

A document holds ``type``, ``title``, ``status`` and ``code``, and where they apply ``instance``, ``trace_id`` and the
extension members of the error. Never a detail, a hint or an exception text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .errors import TrustError

MEDIA_TYPE: Final = "application/problem+json"
_TYPE_PREFIX: Final = "urn:wellstreak-trust:problem:"


def document(
    code: str, title: str, status: int, *, type_uri: str | None = None, instance: str | None = None, **members: object
) -> dict[str, Any]:
    """A problem document as a plain dictionary.

    Args:
        code: stable machine-readable code; also the last part of the default ``type``.
        title: short text, the same for every occurrence (RFC 9457, 3.1.3).
        status: the HTTP status code.
        type_uri: a registered problem type, where one exists.
        instance: URI reference of this occurrence.
        members: extension members (RFC 9457, 3.2).
    """
    found: dict[str, Any] = {"type": type_uri or _TYPE_PREFIX + code, "title": title, "status": status, "code": code}
    found.update(members)
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
