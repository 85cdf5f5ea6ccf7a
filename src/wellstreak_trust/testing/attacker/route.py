"""A route of the host, as an attacker sees it: a method, a template, and what guards it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from ...guard import Operation

__all__ = ["SAFE", "Route"]

SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
_PARAMETER: Final = re.compile(r"\{(\w+)(?::(\w+))?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Args:
        method: ``GET``, ``POST``, ...; ``WEBSOCKET`` for a socket.
        path: ``/w/{tenant}/notes/{note}``; ``{note:int}`` and ``{note:uuid}`` tell what an id looks like.
        operation: what guards it, where this package does.
        public: why it is open; empty for a guarded route.
        declared: False for a route that says neither.
        roles: who may, where no policy says so; None for anybody of the tenant.
        body: a JSON value that the route would accept, or raw bytes.
        benign: whether it may be sent for real, more than once, by those who may. Attacks that need an accepted
            write are made on such routes only; safe methods are benign.
    """

    method: str
    path: str
    operation: Operation | None = None
    public: str = ""
    declared: bool = True
    roles: Collection[str] | None = None
    body: Any = field(default=None, repr=False)
    benign: bool = False

    @property
    def place(self) -> str:
        """What reports and settings call it."""
        return f"{self.method} {self.path}"

    @property
    def guarded(self) -> bool:
        """Whether a credential is wanted."""
        return not self.public

    @property
    def safe(self) -> bool:
        """Whether its method is read-only by definition (RFC 9110, 9.2.1)."""
        return self.method in SAFE

    @property
    def socket(self) -> bool:
        """Whether it is a websocket."""
        return self.method == "WEBSOCKET"

    @property
    def parameters(self) -> dict[str, str]:
        """Name to kind (``str`` where the template says none) of what the path leaves open."""
        return {name: kind or "str" for name, kind in _PARAMETER.findall(self.path)}

    def fill(self, values: Mapping[str, str], *, raw: Collection[str] = ()) -> str:
        """The path with its parameters replaced.

        Args:
            raw: parameters whose values go in as they are; others are percent-encoded.
        """

        def put(match: re.Match[str]) -> str:
            value = values[match[1]]
            return value if match[1] in raw else quote(value, safe="")

        return _PARAMETER.sub(put, self.path)

    @property
    def octets(self) -> bytes:
        """The sample body; an empty object for a method that usually has one."""
        if isinstance(self.body, bytes):
            return self.body
        if self.body is None:
            return b"" if self.safe or self.socket or self.method == "DELETE" else b"{}"
        return json.dumps(self.body).encode()
