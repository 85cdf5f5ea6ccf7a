"""Cookies: writing the one that holds a session, and reading every copy of it that a request carries.

The ``__Host-`` prefix makes a browser refuse the cookie without Secure, with a Domain, or on a Path other than ``/``,
so that no sibling host and no plain-text response can plant one (RFC 6265bis, 4.1.3.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from ..core.errors import UsageError
from ..core.http import RequestFacts

__all__ = ["Cookie", "SameSite", "host_cookie", "offered_cookies"]

SameSite = Literal["Lax", "Strict", "None"]

_HOST_PREFIX: Final = "__Host-"
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token, RFC 9110, 5.6.2
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")  # cookie-octet, RFC 6265, 4.1.1
_PATH: Final = re.compile(r"/[!-:<-~]*")
_SECOND: Final = timedelta(seconds=1)
_LIMIT: Final = 4_096  # of name and value; browsers drop longer ones in silence (RFC 6265bis, 5.6)


@dataclass(frozen=True, slots=True)
class Cookie:
    """One Set-Cookie field; no Domain attribute, ever.

    Args:
        max_age: how long the browser keeps it; None ends with the browser, zero removes it now.

    Raises:
        UsageError: a name, value or path that would break out of its place, or a ``__Host-`` name without its terms.
    """

    name: str
    value: str = field(repr=False)
    max_age: timedelta | None = None
    path: str = "/"
    secure: bool = True
    http_only: bool = True
    same_site: SameSite = "Lax"

    def __post_init__(self) -> None:
        if not all(isinstance(part, str) for part in (self.name, self.value, self.path)):
            raise UsageError("a cookie's name, value and path are text")
        if not (_NAME.fullmatch(self.name) and _VALUE.fullmatch(self.value) and _PATH.fullmatch(self.path)):
            raise UsageError("a cookie's name, value or path holds a character that would end it")
        if len(self.name) + len(self.value) > _LIMIT:
            raise UsageError(f"a cookie's name and value are at most {_LIMIT} octets", hint="keep state on the server")
        if self.name.startswith(_HOST_PREFIX) and not (self.secure and self.path == "/"):
            raise UsageError("a __Host- cookie is Secure and has Path=/", hint="drop the prefix on plain http only")
        if self.same_site == "None" and not self.secure:
            raise UsageError("SameSite=None needs Secure")

    def header(self) -> str:
        """The value of the Set-Cookie field."""
        parts = [f"{self.name}={self.value}", f"Path={self.path}"]
        if self.max_age is not None:
            parts.append(f"Max-Age={max(0, self.max_age // _SECOND)}")
        parts += ["Secure"] * self.secure + ["HttpOnly"] * self.http_only + [f"SameSite={self.same_site}"]
        return "; ".join(parts)


def host_cookie(name: str, value: str, max_age: timedelta | None, *, insecure_loopback: bool = False) -> Cookie:
    """A cookie of this host alone: ``__Host-`` and `name`, or plain `name` for demos on http://127.0.0.1."""
    whole = name if insecure_loopback else _HOST_PREFIX + name
    return Cookie(whole, value, max_age=max_age, secure=not insecure_loopback)


def offered_cookies(facts: RequestFacts, name: str) -> tuple[str, ...]:
    """The values of every cookie called `name`, in order; names are compared exactly.

    Commas separate too: a WSGI server joins repeated Cookie lines by one (PEP 3333), and a second copy must not hide
    inside the value before it.
    """
    found: list[str] = []
    for line in facts.headers.get_all("cookie"):
        if name in line:
            pairs = (pair.strip(" \t").partition("=") for pair in line.replace(",", ";").split(";"))
            found += [value for key, mark, value in pairs if mark and key == name]
    return tuple(found)
