"""What operators are shown on a command line, the same under Flask and Django: the declared routes, and the doctor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..doctor import run
from .shared import Declaration

__all__ = ["DeclaredRoute", "declared", "examined", "in_columns", "in_json"]


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """One line: a route, and what it says of itself.

    Args:
        methods: separated by commas; empty where the framework's routes do not see them.
        public: why it is open.
    """

    path: str
    methods: str = ""
    operation: str = ""
    permission: str = ""
    audit: str = ""
    public: str = ""

    @property
    def is_declared(self) -> bool:
        """Whether it says anything."""
        return bool(self.operation or self.public)

    @property
    def says(self) -> str:
        """For people."""
        if self.operation:
            return f"{self.operation} ({self.permission})" + (f", audited as {self.audit}" if self.audit else "")
        return f"open: {self.public}" if self.public else "UNDECLARED"


def declared(
    routes: Iterable[tuple[str, str, Declaration | None]], public: Mapping[str, str] | None = None
) -> list[DeclaredRoute]:
    """(path, methods, declaration) of every route, as lines, in the order of their paths.

    Args:
        public: path to reason, for routes that cannot say it themselves.
    """
    reasons = public or {}
    found = {_route(path, methods, said, reasons.get(path, "").strip()) for path, methods, said in routes}
    return sorted(found, key=lambda route: (route.path, route.methods, route.operation))


def _route(path: str, methods: str, said: Declaration | None, reason: str) -> DeclaredRoute:
    operation = said.operation if said is not None else None
    if operation is not None:
        return DeclaredRoute(path, methods, operation.name, operation.permission, operation.audit or "")
    return DeclaredRoute(path, methods, public=(said.reason or "") if said is not None else reason)


def in_columns(routes: Iterable[DeclaredRoute]) -> str:
    """For people."""
    rows = [(route.path, route.methods, route.says) for route in routes]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return "\n".join(f"{path:{widths[0]}}  {verbs:{widths[1]}}  {says}" for path, verbs, says in rows)


def in_json(routes: Iterable[DeclaredRoute]) -> str:
    """For programs: a list of objects."""
    return json.dumps([asdict(route) for route in routes], indent=2)


def examined(
    target: Any, *, app: Any = None, as_json: bool = False, fail_on: Literal["error", "warning"] = "error"
) -> tuple[str, bool]:
    """What the doctor has to say of a host, and whether it fails.

    Args:
        target: a `Trust`, or an application that has one.
        app: the framework's application or settings, where the target is neither.
    """
    report = run(target, app=app)
    return report.to_json() if as_json else report.to_text(), report.fails(fail_on)
