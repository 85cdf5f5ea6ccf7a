"""What goes over the wire and what comes back: bytes and header lines, with nothing tidied up on the way."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

__all__ = ["CRASHED", "Answer", "Exchange", "Lines", "Request", "pairs"]

Lines = tuple[tuple[str, str | bytes], ...]
CRASHED: Final = 500  # what a server sends when the application raises


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Args:
        target: path and query exactly as sent, so percent signs, dots and slashes are the attacker's own.
        host: the Host field and what stands behind ``://``; None for the target's own.
        headers: lines in their order; a name may come twice, a value may be bytes.
    """

    method: str
    target: str
    headers: Lines = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    host: str | None = None

    def plus(self, *lines: tuple[str, str | bytes]) -> Request:
        """The same with further header lines."""
        return replace(self, headers=(*self.headers, *lines))

    def without(self, *names: str) -> Request:
        """The same without the lines of these names."""
        dropped = {name.lower() for name in names}
        return replace(self, headers=tuple(line for line in self.headers if line[0].lower() not in dropped))


@dataclass(frozen=True, slots=True)
class Answer:
    """One response.

    Args:
        crashed: the type of the exception that the application let out, or why there was no answer in time; such an
            answer has the status 500 that a server makes of it.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    crashed: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a success (2xx); 101 is one too, it opens a websocket."""
        return 200 <= self.status < 300 or self.status == 101

    def header(self, name: str) -> str | None:
        """The first line of that name."""
        return next(iter(self.every(name)), None)

    def every(self, name: str) -> list[str]:
        """All lines of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def text(self) -> str:
        """The body, whatever bytes it holds."""
        return self.body.decode("utf-8", "replace")

    @property
    def json(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer."""

    request: Request
    answer: Answer


def pairs(source: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """ASGI's header lines as text."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in source)
