"""Who is asking: sessions, access tokens, keys, passwords, links, codes, second factors and passkeys, and the one
credential of a request."""

from ..core.errors import (
    Busy,
    ConfigurationError,
    Denied,
    DpopNonceRequired,
    InvalidCredential,
    InvalidRequest,
    InvalidToken,
    LinkRequired,
    NotFound,
    PasswordRejected,
    ProviderUnavailable,
    ReauthRequired,
    UsageError,
)
from . import presets
from .account_passwords import Passwords
from .agent_parents import AgentParent, AgentParents, LiveParents
from .agent_verifier import AgentVerifier
from .agents import AgentIssuer, AgentToken
from .apikey_store import ApiKeyInfo, ApiKeyRow, ApiKeyStore
from .apikeys import API_KEY_PATTERN, ApiKeys, CreatedApiKey
from .authenticator import Authenticator, Credential, CredentialMember, RequestMember
from .blocklists import Blocklist, RangeBlocklist, WordBlocklist
from .codes import IssuedCode, OneTimeCodes
from .cookies import Cookie
from .dpop import Dpop, DpopNonces, DpopProof
from .dpop_client import DpopSigner
from .dpop_store import DpopStore, MemoryDpopStore
from .dpop_tokens import BindableTokens, DpopTokens
from .email import EmailChange, EmailVerification, VerifiedEmail
from .factor_memory import MemoryPasskeyStore, MemoryRecoveryCodeStore, MemoryTotpStore
from .factor_store import PasskeyRow, PasskeyStore, RecoveryCodeStore, TotpRow, TotpStore
from .github import GitHubLogin
from .issuer import JwtIssuer, SigningKey
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
from .mail import EmailAddresses, Mail, Mailer, PasswordAccounts, Revocable
from .memory import MemoryApiKeyStore, MemoryOneTimeTokenStore, MemorySessionStore
from .oidc import OidcProvider, Quirks
from .oidc_client import ClientKey
from .oidc_login import OidcLogin
from .opened import OpenedSession
from .passkeys import PasskeyChallenge, PasskeyInfo, PasskeyProof, PasskeyRegistration, Passkeys
from .password_policy import PasswordFeedback, PasswordPolicy
from .passwordless import EmailCodes, MagicLinks
from .passwords import PasswordHasher, PasswordVerdict, Pepper
from .profiles import TokenProfile
from .recovery_codes import RecoveryCodes
from .refresh import RefreshFamilies, RefreshFamilyInfo, RefreshGrant
from .refresh_memory import MemoryRefreshStore
from .refresh_store import FamilyRow, RefreshStore, Rotation, Taken
from .session_store import SessionInfo, SessionRow, SessionStore
from .sessions import SessionManager
from .token_store import OneTimeTokenRow, OneTimeTokenStore
from .tokens import IssuedToken, OneTimeTokens, TokenInfo
from .totp import SeedVault, Totp, TotpEnrolment

__all__ = [
    "ANY_DOMAIN",
    "API_KEY_PATTERN",
    "Account",
    "AccountLinking",
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
    "Blocklist",
    "Busy",
    "Claims",
    "ClientKey",
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
    "EmailChange",
    "EmailCodes",
    "EmailVerification",
    "FamilyRow",
    "GitHubLogin",
    "Identity",
    "InvalidCredential",
    "InvalidRequest",
    "InvalidToken",
    "IssuedCode",
    "IssuedToken",
    "JwksSource",
    "Jws",
    "JwtIssuer",
    "JwtVerifier",
    "KeyFinder",
    "KeySet",
    "LinkRequired",
    "LinkedAccounts",
    "LiveParents",
    "LoginRow",
    "LoginStart",
    "LoginStore",
    "LogoutNotice",
    "LogoutStart",
    "MagicLinks",
    "Mail",
    "Mailer",
    "MemoryAccounts",
    "MemoryApiKeyStore",
    "MemoryDpopStore",
    "MemoryLoginStore",
    "MemoryOneTimeTokenStore",
    "MemoryPasskeyStore",
    "MemoryRecoveryCodeStore",
    "MemoryRefreshStore",
    "MemorySessionStore",
    "MemoryTotpStore",
    "NotFound",
    "OidcLogin",
    "OidcProvider",
    "OneTimeCodes",
    "OneTimeTokenRow",
    "OneTimeTokenStore",
    "OneTimeTokens",
    "OpenedSession",
    "PasskeyChallenge",
    "PasskeyInfo",
    "PasskeyProof",
    "PasskeyRegistration",
    "PasskeyRow",
    "PasskeyStore",
    "Passkeys",
    "PasswordAccounts",
    "PasswordFeedback",
    "PasswordHasher",
    "PasswordPolicy",
    "PasswordRejected",
    "PasswordVerdict",
    "Passwords",
    "Pepper",
    "ProviderUnavailable",
    "Quirks",
    "RangeBlocklist",
    "ReauthRequired",
    "RecoveryCodeStore",
    "RecoveryCodes",
    "RefreshFamilies",
    "RefreshFamilyInfo",
    "RefreshGrant",
    "RefreshStore",
    "RefreshedTokens",
    "RequestMember",
    "Revocable",
    "Rotation",
    "SeedVault",
    "SessionInfo",
    "SessionManager",
    "SessionRow",
    "SessionStore",
    "SignedIn",
    "SigningKey",
    "Taken",
    "TokenInfo",
    "TokenProfile",
    "Totp",
    "TotpEnrolment",
    "TotpRow",
    "TotpStore",
    "UsageError",
    "VerifiedEmail",
    "VerifyKey",
    "WordBlocklist",
    "presets",
    "verify_jws",
]
