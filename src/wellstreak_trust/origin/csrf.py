"""`OriginPolicy`: does this request come from a page of ours?

No tokens. Browsers say where a request comes from (Fetch Metadata, then Origin, then Referer), and what says nothing
carries no cookie or is refused. Websocket handshakes are GETs that no CORS rule covers, so they are judged like
writes. The order below is the whole policy; it follows Go's `http.CrossOriginProtection` and the OWASP sheet.

1. an exempt (method, route) passes;
2. a websocket handshake is unsafe whatever its method;
3. GET, HEAD, OPTIONS pass, unless resources are isolated;
4. Sec-Fetch-Site, where sent, decides, together with the list;
5. else Origin; 6. else Referer; 7. else the absence of cookies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ..core.errors import ConfigurationError
from .grammar import DEFAULT_PORTS, split
from .origin import OriginSet

if TYPE_CHECKING:
    from ..core.http import RequestFacts

__all__ = ["OriginPolicy", "OriginVerdict"]

_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))  # exact: methods are case-sensitive (RFC 9110, 9.1)
_OURS: Final = frozenset(("same-origin", "none"))
_WEBSOCKET: Final = ("ws://", "wss://")
_WEB: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


@dataclass(frozen=True, slots=True)
class OriginVerdict:
    """What was decided and why; its truth value is `allowed`. `reason` is for log and audit, never for the client."""

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed


_EXEMPT: Final = OriginVerdict(True, "exempt")
_SAFE_METHOD: Final = OriginVerdict(True, "safe_method")
_ISOLATED: Final = OriginVerdict(False, "isolated")
_ATTESTED: Final = OriginVerdict(True, "same_origin")
_TRUSTED: Final = OriginVerdict(True, "trusted_origin")
_CROSS_SITE: Final = OriginVerdict(False, "cross_site")
_OPAQUE: Final = OriginVerdict(False, "origin_opaque")
_MISMATCH: Final = OriginVerdict(False, "origin_mismatch")
_REFERER: Final = OriginVerdict(True, "same_referer")
_REFERER_MISMATCH: Final = OriginVerdict(False, "referer_mismatch")
_NO_COOKIE: Final = OriginVerdict(True, "no_cookie")
_NO_EVIDENCE: Final = {"strict": OriginVerdict(False, "no_evidence"), "compat": OriginVerdict(True, "no_evidence")}


class OriginPolicy:
    """Refuses requests that another site's page made with the user's cookies (CSRF, cross-site websockets).

    Args:
        trusted: origins whose pages may write here; sibling subdomains are strangers unless listed.
        mode: ``strict`` refuses a cookie without any evidence; ``compat`` lets browsers older than 2020 pass.
        isolate: guard reads as well (resource isolation): only navigations may come from elsewhere.
        exempt: (method, route name) pairs that have another proof, such as a webhook's signature. Names of matched
            routes, never paths: a path pattern also matches what will be redirected (CVE-2025-47910).
        allow_insecure: take ``http://`` of hosts that are not this machine in `trusted`.

    Raises:
        ConfigurationError: an unsafe or malformed argument.
    """

    __slots__ = ("_exempt", "_isolate", "_no_evidence", "_trusted")

    def __init__(
        self,
        trusted: Sequence[str] = (),
        mode: Literal["strict", "compat"] = "strict",
        *,
        isolate: bool = False,
        exempt: Iterable[Sequence[str]] = (),
        allow_insecure: bool = False,
    ) -> None:
        if mode not in _NO_EVIDENCE:
            raise ConfigurationError(f"unknown mode {mode!r}", hint="'strict' or 'compat'", reason="origin_mode")
        self._trusted: OriginSet = OriginSet(trusted, allow_insecure=allow_insecure)
        self._no_evidence: OriginVerdict = _NO_EVIDENCE[mode]
        self._isolate: bool = isolate
        self._exempt: frozenset[tuple[str, str | None]] = frozenset(map(_exemption, exempt))

    @property
    def trusted(self) -> tuple[str, ...]:
        """The origins and patterns whose pages may write here."""
        return self._trusted.patterns

    @property
    def mode(self) -> Literal["strict", "compat"]:
        """What a cookie without any evidence means."""
        return "compat" if self._no_evidence.allowed else "strict"

    def check(self, facts: RequestFacts) -> OriginVerdict:
        """The verdict on one request; never raises for what a request holds."""
        if self._exempt and (facts.method, facts.route) in self._exempt:
            return _EXEMPT
        websocket = _is_websocket(facts)
        if facts.method in _SAFE and not websocket:
            return self._isolated(facts) if self._isolate else _SAFE_METHOD
        sites = facts.headers.get_all("sec-fetch-site")
        if any(sites):
            if len(sites) == 1 and sites[0] in _OURS:
                return _ATTESTED
            return _TRUSTED if self._is_trusted(facts) else _CROSS_SITE
        origins = facts.headers.get_all("origin")
        if any(origins):
            return self._by_origin(facts, origins)
        return self._without_origin(facts, websocket)

    def _isolated(self, facts: RequestFacts) -> OriginVerdict:
        sites = facts.headers.get_all("sec-fetch-site")
        if not any(sites) or (len(sites) == 1 and sites[0] in _OURS) or self._is_trusted(facts):
            return _SAFE_METHOD
        navigates = (
            facts.method == "GET"
            and sites == ("cross-site",)
            and facts.headers.get_all("sec-fetch-mode") == ("navigate",)
            and facts.headers.get_all("sec-fetch-dest") == ("document",)
        )
        return _SAFE_METHOD if navigates else _ISOLATED

    def _is_trusted(self, facts: RequestFacts) -> bool:
        lines = facts.headers.get_all("origin")
        return len(lines) == 1 and lines[0] in self._trusted

    def _by_origin(self, facts: RequestFacts, lines: tuple[str, ...]) -> OriginVerdict:
        if len(lines) != 1 or lines[0] == "null":
            return _OPAQUE
        if lines[0] in self._trusted:
            return _TRUSTED
        return _ATTESTED if _is_own(lines[0], facts) else _MISMATCH

    def _without_origin(self, facts: RequestFacts, websocket: bool) -> OriginVerdict:
        cookie = "cookie" in facts.headers
        referers = () if websocket else facts.headers.get_all("referer")
        if any(referers):
            came_from = _origin_of(referers[0]) if len(referers) == 1 else ""
            if came_from in self._trusted or _is_own(came_from, facts):
                return _REFERER
            if cookie:
                return _REFERER_MISMATCH
        return self._no_evidence if cookie else _NO_COOKIE


def _exemption(pair: Sequence[str]) -> tuple[str, str | None]:
    if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(part, str) and part for part in pair):
        raise ConfigurationError(
            "exempt takes (method, route name) pairs",
            hint="exempt=[('POST', 'webhooks.receive')]; paths and patterns are not taken",
            reason="origin_exempt",
        )
    return pair[0], pair[1]


def _is_websocket(facts: RequestFacts) -> bool:
    if facts.url[:6].lower().startswith(_WEBSOCKET):
        return True
    lines = facts.headers.get_all("upgrade")
    return any(token.strip(" \t").lower() == "websocket" for line in lines for token in line.split(","))


def _origin_of(url: str) -> str:
    """The origin part of an absolute URL; compared as an origin, so a longer host never passes as a prefix."""
    scheme, mark, rest = url[:2048].partition("://")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return scheme + mark + rest[:end]


def _is_own(text: str, facts: RequestFacts) -> bool:
    parts = split(text)
    if parts is None:
        return False
    target = facts.target
    scheme = _WEB.get(target.scheme)
    if scheme is None or (scheme != parts[0] and (scheme != "http" or facts.scheme_is_trusted)):
        return False  # never the other way: an http page is not ours on an https site
    port = None if target.port in (DEFAULT_PORTS[scheme], DEFAULT_PORTS[parts[0]]) else target.port
    return parts[1:] == (target.host, port)
