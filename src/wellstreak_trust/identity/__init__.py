"""Who is asking: sessions, access tokens, keys, passwords and one-time links, and the one credential of a request."""

from ..core.errors import Busy, ConfigurationError, Denied, InvalidCredential, InvalidToken, ReauthRequired
from .authenticator import Authenticator, Credential, CredentialMember
from .cookies import Cookie
from .memory import MemorySessionStore
from .session_store import SessionInfo, SessionRow, SessionStore
from .sessions import OpenedSession, SessionManager

__all__ = [
    "Authenticator",
    "Busy",
    "ConfigurationError",
    "Cookie",
    "Credential",
    "CredentialMember",
    "Denied",
    "InvalidCredential",
    "InvalidToken",
    "MemorySessionStore",
    "OpenedSession",
    "ReauthRequired",
    "SessionInfo",
    "SessionManager",
    "SessionRow",
    "SessionStore",
]
