"""Who is asking: sessions, access tokens, keys, passwords and one-time links, and the one credential of a request."""

from ..core.errors import (
    Busy,
    ConfigurationError,
    Denied,
    InvalidCredential,
    InvalidRequest,
    InvalidToken,
    LinkRequired,
    NotFound,
    ProviderUnavailable,
    ReauthRequired,
    UsageError,
)
from . import presets
from .apikey_store import ApiKeyInfo, ApiKeyRow, ApiKeyStore
from .apikeys import API_KEY_PATTERN, ApiKeys, CreatedApiKey
from .authenticator import Authenticator, Credential, CredentialMember
from .cookies import Cookie
from .email import EmailAddresses, EmailVerification, VerifiedEmail
from .github import GitHubLogin
from .jwks import JwksSource
from .jws import Jws, verify_jws
from .jwt import Claims, JwtVerifier
from .keys import KeyFinder, KeySet, VerifyKey
from .linking import ANY_DOMAIN, Account, AccountLinking, LinkedAccounts, SignedIn
from .linking_memory import MemoryAccounts
from .login import Identity, LogoutNotice, LogoutStart, RefreshedTokens
from .login_flow import LoginStart
from .login_memory import MemoryLoginStore
from .login_store import LoginRow, LoginStore
from .memory import MemoryApiKeyStore, MemoryOneTimeTokenStore, MemorySessionStore
from .oidc import OidcProvider, Quirks
from .oidc_client import ClientKey
from .oidc_login import OidcLogin
from .passwords import PasswordHasher, PasswordVerdict, Pepper
from .session_store import SessionInfo, SessionRow, SessionStore
from .sessions import OpenedSession, SessionManager
from .token_store import OneTimeTokenRow, OneTimeTokenStore
from .tokens import IssuedToken, OneTimeTokens, TokenInfo

__all__ = [
    "ANY_DOMAIN",
    "API_KEY_PATTERN",
    "Account",
    "AccountLinking",
    "ApiKeyInfo",
    "ApiKeyRow",
    "ApiKeyStore",
    "ApiKeys",
    "Authenticator",
    "Busy",
    "Claims",
    "ClientKey",
    "ConfigurationError",
    "Cookie",
    "CreatedApiKey",
    "Credential",
    "CredentialMember",
    "Denied",
    "EmailAddresses",
    "EmailVerification",
    "GitHubLogin",
    "Identity",
    "InvalidCredential",
    "InvalidRequest",
    "InvalidToken",
    "IssuedToken",
    "JwksSource",
    "Jws",
    "JwtVerifier",
    "KeyFinder",
    "KeySet",
    "LinkRequired",
    "LinkedAccounts",
    "LoginRow",
    "LoginStart",
    "LoginStore",
    "LogoutNotice",
    "LogoutStart",
    "MemoryAccounts",
    "MemoryApiKeyStore",
    "MemoryLoginStore",
    "MemoryOneTimeTokenStore",
    "MemorySessionStore",
    "NotFound",
    "OidcLogin",
    "OidcProvider",
    "OneTimeTokenRow",
    "OneTimeTokenStore",
    "OneTimeTokens",
    "OpenedSession",
    "PasswordHasher",
    "PasswordVerdict",
    "Pepper",
    "ProviderUnavailable",
    "Quirks",
    "ReauthRequired",
    "RefreshedTokens",
    "SessionInfo",
    "SessionManager",
    "SessionRow",
    "SessionStore",
    "SignedIn",
    "TokenInfo",
    "UsageError",
    "VerifiedEmail",
    "VerifyKey",
    "presets",
    "verify_jws",
]
