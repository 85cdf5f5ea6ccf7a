"""What an open sign-in is at rest, and what a store of them decides."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

__all__ = ["LIFETIME", "LoginRow", "LoginStore"]

LIFETIME: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LoginRow:
    """One sign-in that a browser has begun and the provider has not answered yet.

    Who reads the table can answer for nobody: state, nonce and the browser's secret stand there as SHA-256, and the
    code verifier (RFC 7636) is sealed under the browser's secret.

    Args:
        key: SHA-256 of the state.
        browser: SHA-256 of the secret in the cookie of this very sign-in.
        nonce: SHA-256 of the nonce.
        verifier: the sealed code verifier.
        issuer, client_id, redirect_uri: whom the browser was sent to, and for whom.
        return_to: where it goes after the sign-in, a path of the host's own.
        names_issuer: whether the provider has announced that its answers name it (RFC 9207).
    """

    key: bytes
    browser: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    verifier: bytes = field(repr=False)
    issuer: str
    client_id: str
    redirect_uri: str
    return_to: str
    names_issuer: bool
    expires_at: datetime


class LoginStore(Protocol):
    """Keeps open sign-ins, and what may be used once. Every verb is atomic; the caller says what time it is."""

    @property
    def suspends(self) -> bool:
        """Whether the verbs suspend."""
        ...

    async def open(self, row: LoginRow, /) -> None:
        """Adds a sign-in."""
        ...

    async def read(self, key: bytes, /) -> LoginRow | None:
        """The sign-in of this key, unless it was consumed; it may have run out."""
        ...

    async def consume_if(self, row: LoginRow, /) -> bool:
        """Uses the sign-in up if it is still there unchanged; tells whether. One of many callers wins."""
        ...

    async def claim(self, key: bytes, /, *, now: datetime, until: datetime) -> bool:
        """Whether nobody has claimed this key since; it is claimed until then. One of many callers wins."""
        ...

    async def release(self, key: bytes, /) -> None:
        """Gives a claim up, because what it was for did not happen; one that is not there is as good."""
        ...

    async def sweep(self, now: datetime, /) -> int:
        """Forgets sign-ins and claims that have run out by `now`; returns how many."""
        ...
