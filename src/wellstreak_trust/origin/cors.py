"""`CorsPolicy`: which pages may read our answers (WHATWG Fetch, 3.3).

CORS opens a door and guards nothing: a refused origin gets no grant, and the request still runs. Refusing requests is
`OriginPolicy`'s work. Nothing a request says is ever echoed except an origin that is listed byte for byte, or is one
well-formed label below a listed zone; methods and headers are granted from configuration only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..core.errors import ConfigurationError
from ..core.http import Headers
from .origin import OriginSet

if TYPE_CHECKING:
    from ..core.http import RequestFacts

__all__ = ["CorsDecision", "CorsPolicy"]

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HEADERS: Final = ("authorization", "content-type")
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ASKS_METHOD: Final = "access-control-request-method"
_ASKS_HEADERS: Final = "access-control-request-headers"
_MAX_NAMES: Final = 32
_MAX_OCTETS: Final = 1_024
_MAX_REMEMBERED: Final = 1_024
_VARY: Final = ("Vary", "Origin")  # also on refusals: a shared cache must not serve one origin's answer to another

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CorsDecision:
    """The cross-origin grant alone; a plain request that is not allowed is still a request of its own site, maybe.

    Args:
        headers: what to add to the response; merge `Vary` with the response's own.
    """

    allowed: bool
    headers: Headers

    def __bool__(self) -> bool:
        return self.allowed


class CorsPolicy:
    """Grants to listed origins.

    Args:
        origins: origins and ``https://*.zone`` patterns; see `Origin`.
        credentials: let those pages send cookies and read what comes back.
        methods: granted in preflights, upper case.
        headers: request header names granted in preflights.
        expose: response header names that pages may read.
        max_age: seconds a preflight may be remembered, 0 to 86,400.
        allow_insecure: take ``http://`` of hosts that are not this machine.

    Raises:
        ConfigurationError: an unsafe or malformed argument.
    """

    __slots__ = ("_expose", "_granted", "_grants", "_headers", "_methods", "_origins", "_public", "_refused")

    def __init__(
        self,
        origins: Sequence[str],
        credentials: bool = False,
        *,
        methods: Sequence[str] = METHODS,
        headers: Sequence[str] = HEADERS,
        expose: Sequence[str] = (),
        max_age: int = 600,
        allow_insecure: bool = False,
    ) -> None:
        listed = OriginSet(origins, allow_insecure=allow_insecure)
        self._configure(listed, bool(credentials), (methods, headers, expose), max_age)

    @classmethod
    def public(
        cls,
        *,
        methods: Sequence[str] = METHODS,
        headers: Sequence[str] = HEADERS,
        expose: Sequence[str] = (),
        max_age: int = 600,
    ) -> CorsPolicy:
        """Every page may read, none with credentials: for answers that hold nothing but what anybody may fetch."""
        policy = cls.__new__(cls)
        policy._configure(None, False, (methods, headers, expose), max_age)
        return policy

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins and patterns whose pages may read; empty where every page may."""
        return self._origins.patterns

    @property
    def is_public(self) -> bool:
        """Whether every page may read."""
        return self._public

    @property
    def credentials(self) -> bool:
        """Whether those pages may send cookies."""
        return self._granted[0][0] == "Access-Control-Allow-Credentials"

    def _configure(
        self,
        origins: OriginSet | None,
        credentials: bool,
        names: tuple[Sequence[str], Sequence[str], Sequence[str]],
        max_age: int,
    ) -> None:
        methods, headers, expose = map(_tokens, ("methods", "headers", "expose"), names)
        if any(method != method.upper() for method in methods):
            raise _refuse("methods holds lower case, and methods are case-sensitive", "write 'GET', 'POST'")
        if type(max_age) is not int or not 0 <= max_age <= 86_400:
            raise _refuse("max_age is not 0 to 86400 seconds", "leave it at 600")
        self._origins: OriginSet = origins if origins is not None else OriginSet(())
        self._public: bool = origins is None
        self._methods: frozenset[str] = frozenset(methods)
        self._headers: frozenset[str] = frozenset(name.lower() for name in headers)
        always: list[tuple[str, str]] = []
        if credentials:
            always.append(("Access-Control-Allow-Credentials", "true"))
        self._granted: Pairs = (*always, *_joined("Access-Control-Allow-Methods", methods),
                                *_joined("Access-Control-Allow-Headers", sorted(self._headers)),
                                ("Access-Control-Max-Age", str(max_age)))  # fmt: skip
        self._expose: Pairs = (*always, *_joined("Access-Control-Expose-Headers", expose))
        self._refused: CorsDecision = CorsDecision(False, Headers(() if self._public else (_VARY,)))
        # Exact origins are the common case: their answers are made once.
        known = ("*",) if self._public else self._origins.exact
        self._grants: dict[str, tuple[CorsDecision, CorsDecision]] = {text: self._answers(text) for text in known}

    def _answers(self, origin: str) -> tuple[CorsDecision, CorsDecision]:
        """What an admitted origin gets: on a plain request, and on a preflight."""
        first: Pairs = (("Access-Control-Allow-Origin", origin),)
        last: Pairs = () if self._public else (_VARY,)
        plain = CorsDecision(True, Headers(first + self._expose + last))
        return plain, CorsDecision(True, Headers(first + self._granted + last))

    def decide(self, facts: RequestFacts) -> CorsDecision:
        """The grant for one request; never raises for what a request holds."""
        answers = self._grants["*"] if self._public else self._admitted(facts.headers.get_all("origin"))
        if answers is None:
            return self._refused
        if facts.method != "OPTIONS" or _ASKS_METHOD not in facts.headers:
            return answers[0]
        return answers[1] if self._grants_asked(facts) else self._refused

    def _admitted(self, lines: tuple[str, ...]) -> tuple[CorsDecision, CorsDecision] | None:
        if len(lines) != 1:
            return None
        known = self._grants.get(lines[0])
        if known is not None:
            return known
        if lines[0] not in self._origins:
            return None
        answers = self._answers(lines[0])
        if len(self._grants) < _MAX_REMEMBERED:  # bounded: any label below a listed zone gets here
            self._grants[lines[0]] = answers
        return answers

    def _grants_asked(self, facts: RequestFacts) -> bool:
        methods = facts.headers.get_all(_ASKS_METHOD)
        asked = ",".join(facts.headers.get_all(_ASKS_HEADERS))
        if len(methods) != 1 or methods[0] not in self._methods or len(asked) > _MAX_OCTETS:
            return False
        names = [name.strip(" \t").lower() for name in asked.split(",", _MAX_NAMES)]
        return all(not name or name in self._headers for name in names)


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="cors")


def _tokens(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str | bytes) or not all(isinstance(name, str) for name in names):
        raise _refuse(f"{what} is not a sequence of texts", f"{what}=('...',)")
    for name in names:
        if name == "*":
            raise _refuse(f"{what} holds '*'", "name what the pages need; a wildcard grants what is added later, too")
        if not name or not _TOKEN.issuperset(name):
            raise _refuse(f"{what} holds {name[:40]!r}, which is no token (RFC 9110, 5.6.2)", "plain names only")
    return tuple(dict.fromkeys(names))


def _joined(name: str, values: Sequence[str]) -> Pairs:
    return ((name, ", ".join(values)),) if values else ()
