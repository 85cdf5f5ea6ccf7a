"""The trail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ...audit import AuditLog
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_NOBODYS: Final = ("localhost/audit", "example.com/audit")


def _unsigned(case: Case) -> Iterator[Hit]:
    yield from (Hit(place, setting="audit_key_file") for place, log in case.of_kind(AuditLog) if not log.signs)


def _origin(case: Case) -> Iterator[Hit]:
    for place, log in case.of_kind(AuditLog):
        if log.origin in _NOBODYS:
            yield Hit(place, f"the trail is called {log.origin}", setting="audit_origin")


def _unkeyed(case: Case) -> Iterator[Hit]:
    for place, log in case.of_kind(AuditLog):
        if not log.people.keyed:
            yield Hit(place, setting="audit_personal_key_file")


def _named(case: Case) -> list[str]:
    return sorted({operation.audit for operation in case.operations if operation.audit is not None})


def _lax(case: Case) -> Iterator[Hit]:
    for place, log in case.of_kind(AuditLog):
        if _named(case) and not log.registry.strict:
            yield Hit(place)


CHECKS: Final = (
    Check("audit_unsigned", _unsigned),
    Check("audit_origin_default", _origin),
    Check("audit_personal_unkeyed", _unkeyed),
    Check("audit_not_strict", _lax),
)
