"""`SecurityHeaders`: response headers that switch off what a page does not need.

Everything is composed once; a request adds its nonce and nothing else. A header the response already has is kept as
it is: the handler knows more than the default.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..core.entropy import SYSTEM_ENTROPY
from ..core.errors import ConfigurationError, UsageError

__all__ = ["NONCE", "SecurityHeaders", "new_nonce"]

NONCE: Final = "'nonce'"
"""Stands in a directive where the request's nonce goes; nothing is sent there when a response has none."""

Pair = tuple[str, str]
Directive = tuple[str, tuple[str, ...]]

_CSP: Final = "Content-Security-Policy"
_NONCE_VALUE: Final = re.compile(r"[A-Za-z0-9+/_-]{16,256}={0,2}")  # base64-value of CSP 3, 2.3.1, at least 12 octets
_DIRECTIVE: Final = re.compile(r"[a-z0-9-]{1,64}")
_SOURCE: Final = re.compile(r"[!-+\--:<-~]{1,512}")  # visible ASCII without comma and semicolon
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")  # field-content (RFC 9110, 5.5): no CR, LF, NUL
_UNSAFE: Final = frozenset(("'unsafe-inline'", "'unsafe-eval'"))

_COMMON: Final[tuple[Pair, ...]] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"),
)
_SELF: Final = ("'self'",)
_NOTHING: Final = ("'none'",)
_CLOSED: Final[tuple[Directive, ...]] = (
    ("object-src", _NOTHING),
    ("base-uri", _NOTHING),
    ("form-action", _SELF),
    ("frame-ancestors", _NOTHING),
)
_API: Final[tuple[Directive, ...]] = (("default-src", _NOTHING), ("frame-ancestors", _NOTHING))
_APP: Final[tuple[Directive, ...]] = (
    ("default-src", _SELF),
    ("script-src", ("'self'", NONCE)),
    ("style-src", ("'self'", NONCE)),
    ("img-src", ("'self'", "data:")),
    *_CLOSED,
)
_STRICT: Final[tuple[Directive, ...]] = (
    ("default-src", _NOTHING),
    ("script-src", (NONCE, "'strict-dynamic'")),
    ("style-src", ("'self'", NONCE)),
    ("img-src", _SELF),
    ("connect-src", _SELF),
    *_CLOSED,
)


def new_nonce() -> str:
    """16 random bytes in base64, for one response."""
    return b64encode(SYSTEM_ENTROPY.octets(16)).decode("ascii")


@dataclass(frozen=True, slots=True)
class SecurityHeaders:
    """An immutable set of response headers; start from `api`, `app` or `strict`.

    Args:
        pairs: headers besides the content security policy.
        csp: its directives in order, each once.
        reporting: send the policy as ``Content-Security-Policy-Report-Only``.
    """

    pairs: tuple[Pair, ...] = _COMMON
    csp: tuple[Directive, ...] = _APP
    reporting: bool = False
    _names: tuple[tuple[str, Pair], ...] = field(init=False, repr=False, compare=False)
    _around_nonce: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pieces = "; ".join(" ".join((name, *sources)) for name, sources in self.csp).split(f" {NONCE}")
        policy = (self.policy_name, "".join(pieces))
        pairs = (*self.pairs, policy) if self.csp else self.pairs
        object.__setattr__(self, "_names", tuple((pair[0].lower(), pair) for pair in pairs))
        object.__setattr__(self, "_around_nonce", tuple(pieces))

    @classmethod
    def api(cls) -> SecurityHeaders:
        """For answers that no browser renders: nothing loads, nothing is cached."""
        return cls(pairs=(*_COMMON, ("Cache-Control", "no-store")), csp=_API)

    @classmethod
    def app(cls) -> SecurityHeaders:
        """For server-rendered pages with their own scripts and styles."""
        return cls()

    @classmethod
    def strict(cls) -> SecurityHeaders:
        """For pages whose every script carries a nonce."""
        return cls(csp=_STRICT).with_header("Referrer-Policy", "no-referrer")

    @staticmethod
    def new_nonce() -> str:
        """`new_nonce`, where only the class is at hand."""
        return new_nonce()

    @property
    def observes(self) -> bool:
        """Whether browsers only report what the policy would block."""
        return self.reporting

    @property
    def policy_name(self) -> str:
        """The header that carries the content security policy."""
        return f"{_CSP}-Report-Only" if self.reporting else _CSP

    def apply(self, headers: Mapping[str, str] | Iterable[Pair], nonce: str | None = None) -> list[Pair]:
        """The response's headers in their order, then what they lack.

        Args:
            headers: mapping or (name, value) pairs; repeated lines stay repeated.
            nonce: the value made for this response, at least 16 characters of base64 or base64url.

        Raises:
            UsageError: a nonce of another form; it would end the directive and start one of the attacker's.
        """
        source: Any = headers
        found: list[Pair] = list(source.items() if hasattr(source, "items") else source)
        held = {name.lower() for name, _ in found}
        found += [pair for name, pair in self._names if name not in held]
        if nonce is not None:
            value = self._with_nonce(nonce)
            if self.csp and self.policy_name.lower() not in held:
                found[-1] = (self.policy_name, value)
        return found

    def _with_nonce(self, nonce: str) -> str:
        if not isinstance(nonce, str) or not _NONCE_VALUE.fullmatch(nonce):
            raise UsageError("not a nonce: 16 or more characters of base64", hint="SecurityHeaders.new_nonce()")
        return f" 'nonce-{nonce}'".join(self._around_nonce)

    def with_csp(self, directive: str, *sources: str, unsafe: bool = False) -> SecurityHeaders:
        """The same headers with one directive replaced or added.

        Args:
            sources: source expressions; `NONCE` stands for the nonce of each response.
            unsafe: take ``'unsafe-inline'`` and ``'unsafe-eval'``, which give up what the policy is for.

        Raises:
            ConfigurationError: a source that is none, or is unsafe.
        """
        if not isinstance(directive, str) or not _DIRECTIVE.fullmatch(directive):
            raise _refuse("not a directive name", "lower case, such as 'img-src'")
        for source in sources:
            _admit_source(source, unsafe)
        given: Directive = (directive, tuple(dict.fromkeys(sources)))
        kept = tuple(given if name == directive else (name, held) for name, held in self.csp)
        return replace(self, csp=kept if given in kept else (*kept, given))

    def with_header(self, name: str, value: str) -> SecurityHeaders:
        """The same headers with one replaced or added.

        Raises:
            ConfigurationError: a name or value that no header may have, or the content security policy itself.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _refuse("not a header name", "letters, digits and hyphens")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise _refuse(f"the value of {name} holds what no header may hold", "one line of printable text")
        if name.lower().startswith(_CSP.lower()):
            raise _refuse(f"{name} is composed from its directives", "with_csp(directive, *sources)")
        kept = tuple(pair for pair in self.pairs if pair[0].lower() != name.lower())
        return replace(self, pairs=(*kept, (name, value)))

    def report_only(self) -> SecurityHeaders:
        """The same headers with a policy that only reports: to try a stricter one on live traffic."""
        return replace(self, reporting=True)


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="security_headers")


def _admit_source(source: str, unsafe: bool) -> None:
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        raise _refuse("not a source expression", "one source an argument: no spaces, commas or semicolons")
    if source.lower() in _UNSAFE and not unsafe:
        raise _refuse(f"{source} lets injected script run", "use NONCE or a hash, or say unsafe=True")
    if source.lower().startswith("'nonce-"):
        raise _refuse("a nonce in the configuration is the same for every response", "NONCE, and apply(..., nonce=)")
