"""What a sign-in hands out: the token of a session and the cookie that carries it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ..core.errors import InvalidCredential
from ..core.secret import Secret
from .cookies import Cookie
from .presented import Presented, TokenFormat
from .session_store import SessionInfo, SessionRow

__all__ = ["COOKIE_NAME", "TOKENS", "OpenedSession", "key_or_none", "keyed"]

TOKENS: Final = TokenFormat("wss_")
COOKIE_NAME: Final = "ws_session"


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session with the token that opens it; the token is shown once and kept nowhere.

    Args:
        cookie: sets the token in the browser: ``response.headers["Set-Cookie"] = opened.cookie.header()``.
    """

    token: Secret[str]
    session: SessionInfo
    cookie: Cookie


def keyed(row: SessionRow) -> tuple[str, SessionRow]:
    """A fresh token and the row that it opens."""
    token = TOKENS.new()
    return token, replace(row, key=TOKENS.key_of(token))


def key_or_none(token: Presented | None) -> bytes | None:
    """The row key of whatever a browser sent before it signed in; None for what cannot be a token of ours."""
    try:
        return None if token is None else TOKENS.key(token)
    except InvalidCredential:
        return None
