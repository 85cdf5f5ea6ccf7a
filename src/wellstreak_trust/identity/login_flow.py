"""The half of a sign-in that meets the browser: how it begins, and how its answer is taken back.

::

    begin ──► open ──(callback of the same browser, in time)──► consumed
                └──(10 minutes)──► gone

An answer is judged before anything is asked of the network, in this order; the first rule that fails decides
`InvalidCredential.reason`:

1. ``parameters``: one query, no parameter twice (RFC 6749, 3.1).
2. ``state``: there, of an open sign-in, not used and not run out.
3. ``mix_up``: begun with this very provider, client and redirect URI (RFC 9700, 4.4).
4. ``browser``: the cookie of this very sign-in. Without it, an attacker finishes his own sign-in in the victim's
   browser (CVE-2025-68481, CVE-2025-68158).
5. ``issuer``: `iss` equals the provider's, and is there if it was announced (RFC 9207), also when the answer is an
   error.
6. ``replayed``: used up now, by one of however many callers.
7. the error that the provider names (``access_denied``, ...), or ``code``: neither error nor code.

Only the sixth step changes anything, so nobody without the cookie can use up somebody else's sign-in.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qsl

from ..core.clock import Clock
from ..core.entropy import random_token
from ..core.errors import InvalidCredential, SecretTampered
from .cookies import Cookie
from .login_store import LIFETIME, LoginRow, LoginStore
from .sealing import seal, unseal

__all__ = ["Answered", "LoginFlow", "LoginStart", "Opened", "Party", "query_of"]

OPEN_AT_ONCE: Final = 5
COOKIE_PREFIX: Final = "ws_login_"
MAX_QUERY: Final = 16_384
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_COOKIE_NAME: Final = re.compile(r"(?:__Host-)?ws_login_[0-9a-f]{8}")
_VERIFIER: Final = "login verifier"
# What RFC 6749 (4.1.2.1) and OpenID Connect Core (3.1.2.6) define; anything else stays out of the trail.
_ERRORS: Final = frozenset(
    "access_denied invalid_request unauthorized_client unsupported_response_type invalid_scope server_error "
    "temporarily_unavailable interaction_required login_required account_selection_required consent_required "
    "invalid_request_uri invalid_request_object request_not_supported request_uri_not_supported".split()
)


@dataclass(frozen=True, slots=True)
class Party:
    """Whom a sign-in is with: a callback counts only for the one that it was begun with."""

    issuer: str
    client_id: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class LoginStart:
    """Where to send the browser, and what it must keep until it comes back.

    Args:
        url: of the provider: answer 302 or 303 with it.
        cookie: to be set with that answer.
        dropped: removals of the oldest sign-ins of this browser, where `begin` was given its cookies and too many
            were open.
    """

    url: str = field(repr=False)
    cookie: Cookie
    dropped: tuple[Cookie, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """An open sign-in: what the provider is told, in clear."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    challenge: str
    cookie: Cookie


@dataclass(frozen=True, slots=True)
class Answered:
    """A callback that passed: the code, with what proves that it is ours."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    nonce: bytes = field(repr=False)
    return_to: str
    removal: Cookie


class LoginFlow:
    """Opens sign-ins with one party and takes their answers."""

    def __init__(self, store: LoginStore, party: Party, clock: Clock) -> None:
        self._store: LoginStore = store
        self._party: Party = party
        self._clock: Clock = clock
        self._secure: bool = party.redirect_uri.startswith("https:")

    async def open(self, return_to: str, *, names_issuer: bool = False) -> Opened:
        """Begins a sign-in.

        Args:
            return_to: checked by `login_paths`.
        """
        state, nonce, verifier, browser = (random_token() for _ in range(4))
        key = _hash(state)
        await self._store.open(
            LoginRow(
                key,
                _hash(browser),
                _hash(nonce),
                seal(browser, _VERIFIER, verifier),
                *(self._party.issuer, self._party.client_id, self._party.redirect_uri),
                return_to,
                names_issuer,
                self._clock.now() + LIFETIME,
            )
        )
        challenge = urlsafe_b64encode(_hash(verifier)).rstrip(b"=").decode("ascii")
        return Opened(state, nonce, challenge, self._cookie(self.name(key), browser, LIFETIME))

    async def answered(self, url_or_query: str, cookies: Mapping[str, str]) -> Answered:
        """Takes a callback.

        Raises:
            InvalidCredential: by the rules of this module, in their order.
        """
        query = query_of(url_or_query)
        row = await self._row(query.get("state"))
        browser = self._browser(row, cookies)
        named = query.get("iss")
        if named != row.issuer and (named is not None or row.names_issuer):
            raise InvalidCredential("the answer names another issuer, or none", reason="issuer")
        try:
            verifier = unseal(browser, _VERIFIER, row.verifier)
        except SecretTampered:
            raise InvalidCredential("the sign-in's record does not open", reason="tampered") from None
        if not await self._store.consume_if(row):
            raise InvalidCredential("the sign-in was used already", reason="replayed")
        error, code = query.get("error"), query.get("code")
        if error is not None:
            reason = error if error in _ERRORS else "provider_error"
            raise InvalidCredential("the provider answered with an error", reason=reason)
        if not code:
            raise InvalidCredential("the provider answered without a code", reason="code")
        removal = self._cookie(self.name(row.key), "", timedelta())
        return Answered(code, verifier, row.nonce, row.return_to, removal)

    def dropped(self, cookies: Mapping[str, str] | None) -> tuple[Cookie, ...]:
        """Removals of what a browser has open beyond the limit; it sends its oldest cookies first (RFC 6265, 5.4)."""
        held = [name for name in cookies or () if _COOKIE_NAME.fullmatch(name)]
        return tuple(self._cookie(name, "", timedelta()) for name in held[: max(0, len(held) + 1 - OPEN_AT_ONCE)])

    def name(self, key: bytes) -> str:
        """The cookie's name of a sign-in: several may be open in one browser."""
        return ("__Host-" if self._secure else "") + COOKIE_PREFIX + key.hex()[:8]

    def _cookie(self, name: str, value: str, max_age: timedelta) -> Cookie:
        return Cookie(name, value, max_age, secure=self._secure)

    async def _row(self, state: str | None) -> LoginRow:
        row = await self._store.read(_hash(state)) if state is not None and _TOKEN.fullmatch(state) else None
        if row is None or row.expires_at <= self._clock.now():
            raise InvalidCredential("no open sign-in of this state", reason="state")
        if Party(row.issuer, row.client_id, row.redirect_uri) != self._party:
            raise InvalidCredential("begun with another provider", reason="mix_up")
        return row

    def _browser(self, row: LoginRow, cookies: Mapping[str, str]) -> str:
        found = cookies.get(self.name(row.key)) if isinstance(cookies, Mapping) else None
        text = found if isinstance(found, str) and _TOKEN.fullmatch(found) else ""
        if not compare_digest(_hash(text), row.browser):
            raise InvalidCredential("not the browser that began this sign-in", reason="browser")
        return text


def query_of(url_or_query: str) -> Mapping[str, str]:
    """The parameters of a callback: of a URL, a path with a query, or a bare query.

    Raises:
        InvalidCredential: no text of at most 16,384 characters, or a parameter twice (``parameters``).
    """
    text = url_or_query if isinstance(url_or_query, str) else ""
    if not 0 < len(text) <= MAX_QUERY:
        raise InvalidCredential("no callback, or one beyond all bounds", reason="parameters")
    if text.startswith(("/", "https:", "http:", "?")):
        text = text.partition("#")[0].partition("?")[2]
    try:
        text.encode("utf-8")  # a lone surrogate would fail later, on its way to the provider
        pairs: Sequence[tuple[str, str]] = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=100, separator="&"
        )
    except ValueError:
        raise InvalidCredential("not a query in UTF-8", reason="parameters") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidCredential("a parameter twice", reason="parameters")
    return found


def _hash(text: str) -> bytes:
    return sha256(text.encode("ascii")).digest()
