"""Who is asking: sessions, access tokens, keys, passwords and one-time links, and the one credential of a request."""

from ..core.errors import (
    Busy,
    ConfigurationError,
    Denied,
    DpopNonceRequired,
    InvalidCredential,
    InvalidRequest,
    InvalidToken,
    NotFound,
    ReauthRequired,
    UsageError,
)
from .agent_parents import AgentParent, AgentParents, LiveParents
from .agent_verifier import AgentVerifier
from .agents import AgentIssuer, AgentToken
from .apikey_store import ApiKeyInfo, ApiKeyRow, ApiKeyStore
from .apikeys import API_KEY_PATTERN, ApiKeys, CreatedApiKey
from .authenticator import Authenticator, Credential, CredentialMember, RequestMember
from .cookies import Cookie
from .dpop import Dpop, DpopNonces, DpopProof
from .dpop_client import DpopSigner
from .dpop_store import DpopStore, MemoryDpopStore
from .dpop_tokens import BindableTokens, DpopTokens
from .email import EmailAddresses, EmailVerification, VerifiedEmail
from .issuer import JwtIssuer, SigningKey
from .jws import Jws, verify_jws
from .jwt import Claims, JwtVerifier
from .keys import KeyFinder, KeySet, VerifyKey
from .memory import MemoryApiKeyStore, MemoryOneTimeTokenStore, MemorySessionStore
from .passwords import PasswordHasher, PasswordVerdict, Pepper
from .profiles import TokenProfile
from .session_store import SessionInfo, SessionRow, SessionStore
from .sessions import OpenedSession, SessionManager
from .token_store import OneTimeTokenRow, OneTimeTokenStore
from .tokens import IssuedToken, OneTimeTokens, TokenInfo

__all__ = [
    "API_KEY_PATTERN",
    "AgentIssuer",
    "AgentParent",
    "AgentParents",
    "AgentToken",
    "AgentVerifier",
    "ApiKeyInfo",
    "ApiKeyRow",
    "ApiKeyStore",
    "ApiKeys",
    "Authenticator",
    "BindableTokens",
    "Busy",
    "Claims",
    "ConfigurationError",
    "Cookie",
    "CreatedApiKey",
    "Credential",
    "CredentialMember",
    "Denied",
    "Dpop",
    "DpopNonceRequired",
    "DpopNonces",
    "DpopProof",
    "DpopSigner",
    "DpopStore",
    "DpopTokens",
    "EmailAddresses",
    "EmailVerification",
    "InvalidCredential",
    "InvalidRequest",
    "InvalidToken",
    "IssuedToken",
    "Jws",
    "JwtIssuer",
    "JwtVerifier",
    "KeyFinder",
    "KeySet",
    "LiveParents",
    "MemoryApiKeyStore",
    "MemoryDpopStore",
    "MemoryOneTimeTokenStore",
    "MemorySessionStore",
    "NotFound",
    "OneTimeTokenRow",
    "OneTimeTokenStore",
    "OneTimeTokens",
    "OpenedSession",
    "PasswordHasher",
    "PasswordVerdict",
    "Pepper",
    "ReauthRequired",
    "RequestMember",
    "SessionInfo",
    "SessionManager",
    "SessionRow",
    "SessionStore",
    "SigningKey",
    "TokenInfo",
    "TokenProfile",
    "UsageError",
    "VerifiedEmail",
    "VerifyKey",
    "verify_jws",
]
