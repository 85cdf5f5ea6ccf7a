"""The one error tree: everything this package raises on purpose.

::

    TrustError                               abstract
    ├── HostError                            abstract
    │   ├── IsolationError                   abstract
    │   │   ├── NoTenant                     500 internal_error
    │   │   ├── TenantConflict               500 internal_error
    │   │   ├── UnscopedStatement            500 internal_error
    │   │   ├── CrossTenantRead              500 internal_error
    │   │   └── CrossTenantWrite             500 internal_error
    │   ├── ConfigurationError               500 internal_error
    │   │   ├── PolicyError                  500 internal_error
    │   │   ├── NotFilterable                500 internal_error
    │   │   └── MissingExtra                 500 internal_error
    │   └── UsageError                       500 internal_error
    │       └── AuditEventRejected           500 internal_error
    ├── RequestError                         abstract
    │   ├── WebhookError                     abstract
    │   │   ├── WebhookUnauthenticated       abstract
    │   │   │   ├── MissingSignature         401 unauthenticated
    │   │   │   ├── SignatureMismatch        401 unauthenticated
    │   │   │   ├── TimestampOutOfTolerance  401 unauthenticated
    │   │   │   └── UntrustedCertificate     401 unauthenticated
    │   │   ├── EndpointUnknown              404 not_found
    │   │   ├── MalformedHeader              400 webhook_refused
    │   │   ├── DuplicateHeader              400 webhook_refused
    │   │   ├── UnsupportedScheme            400 webhook_refused
    │   │   ├── MalformedBody                400 webhook_refused
    │   │   ├── BodyTooLarge                 413 too_large
    │   │   ├── Replayed                     200 replayed
    │   │   ├── InFlight                     409 in_flight
    │   │   ├── UrlRequired                  500 internal_error, also HostError
    │   │   ├── RawBodyRequired              500 internal_error, also HostError
    │   │   ├── WeakSecret                   500 internal_error, also HostError
    │   │   ├── WebhookKeyUnavailable        503 unavailable, also Unavailable
    │   │   └── WebhookStoreUnavailable      503 unavailable, also Unavailable
    │   ├── InvalidRequest                   400 invalid_request
    │   │   ├── AmbiguousTenant              400 ambiguous_tenant
    │   │   ├── AuditQueryInvalid            400 audit_query_invalid
    │   │   ├── DisclosureRejected           400 disclosure_rejected
    │   │   ├── EnvelopeInvalid              400 envelope_invalid
    │   │   └── SecurityTxtInvalid           400 security_txt_invalid
    │   │       └── SecurityTxtExpired       400 security_txt_expired
    │   ├── InvalidCredential                401 unauthenticated
    │   │   ├── InvalidToken                 401 unauthenticated
    │   │   └── ReauthRequired               401 reauth_required
    │   ├── EntitlementDenied                402 entitlement_denied
    │   ├── Denied                           403 denied
    │   │   ├── AccessDenied                 403 denied
    │   │   ├── ApprovalRequired             403 approval_required
    │   │   ├── OriginDenied                 403 origin_denied
    │   │   └── LinkRequired                 403 link_required
    │   ├── NotFound                         404 not_found
    │   │   ├── TenantNotFound               404 not_found
    │   │   ├── SecretNotFound               404 secret_not_found
    │   │   ├── InvitationInvalid            404 invitation_invalid
    │   │   └── ApprovalInvalid              404 approval_invalid
    │   ├── Conflict                         409 conflict
    │   │   ├── LastOwner                    409 last_owner
    │   │   ├── SeatLimit                    409 seat_limit
    │   │   ├── SecretConflict               409 secret_conflict
    │   │   ├── SecretExpired                409 secret_expired
    │   │   ├── SecretDisabled               409 secret_disabled
    │   │   ├── SecretShredded               410 secret_shredded
    │   │   ├── LeaseHeld                    409 lease_held
    │   │   ├── ConnectionNotActive          409 connection_not_active
    │   │   ├── AuditConflict                409 audit_conflict
    │   │   └── LegalHold                    409 legal_hold
    │   ├── TooLarge                         413 too_large
    │   │   ├── SecretTooLarge               413 too_large
    │   │   └── AuditEventTooLarge           413 too_large
    │   └── RateLimited                      429 rate_limited
    ├── IntegrityError                       abstract
    │   ├── SecretTampered                   500 integrity
    │   ├── SecretRollbackDetected           500 integrity
    │   ├── EnvelopeUnsupported              500 integrity
    │   ├── AuditForkDetected                500 integrity
    │   ├── CheckpointRegression             500 integrity
    │   └── NoteInvalid                      500 integrity
    └── Unavailable                          503 unavailable
        ├── StoreUnavailable                 503 unavailable
        ├── StoreMisconfigured               503 unavailable
        ├── ProviderUnavailable              503 unavailable
        ├── Busy                             503 busy
        ├── AuditUnavailable                 503 unavailable
        ├── KeyUnavailable                   503 unavailable
        ├── KeyDisabled                      503 unavailable
        └── KeyUnknown                       503 unavailable

Branches go by who can act: the host's developer (`HostError`), the other party (`RequestError`), the operator
(`IntegrityError`, `Unavailable`). Abstract branches refuse to be raised.

``code`` is stable and public. ``title`` and ``status`` are safe for clients. ``detail`` and ``hint`` are for
operators: they never enter a problem document, nor ``str()`` of an error that a request caused, because hosts do
send ``str(error)`` to clients. Causes that must not be told apart share code, title and status, so that their
problem documents are the same bytes.
"""

from __future__ import annotations

from .base import (
    HostError,
    IntegrityError,
    IsolationError,
    RequestError,
    TrustError,
    Unavailable,
    WebhookError,
)
from .host import (
    AuditEventRejected,
    ConfigurationError,
    CrossTenantRead,
    CrossTenantWrite,
    MissingExtra,
    NoTenant,
    NotFilterable,
    PolicyError,
    TenantConflict,
    UnscopedStatement,
    UsageError,
)
from .integrity import (
    AuditForkDetected,
    CheckpointRegression,
    EnvelopeUnsupported,
    NoteInvalid,
    SecretRollbackDetected,
    SecretTampered,
)
from .request import (
    AccessDenied,
    AmbiguousTenant,
    ApprovalInvalid,
    ApprovalRequired,
    AuditConflict,
    AuditEventTooLarge,
    AuditQueryInvalid,
    Conflict,
    ConnectionNotActive,
    Denied,
    DisclosureRejected,
    EntitlementDenied,
    EnvelopeInvalid,
    InvalidCredential,
    InvalidRequest,
    InvalidToken,
    InvitationInvalid,
    LastOwner,
    LeaseHeld,
    LegalHold,
    LinkRequired,
    NotFound,
    OriginDenied,
    RateLimited,
    ReauthRequired,
    SeatLimit,
    SecretConflict,
    SecretDisabled,
    SecretExpired,
    SecretNotFound,
    SecretShredded,
    SecretTooLarge,
    SecurityTxtExpired,
    SecurityTxtInvalid,
    TenantNotFound,
    TooLarge,
)
from .unavailable import (
    AuditUnavailable,
    Busy,
    KeyDisabled,
    KeyUnavailable,
    KeyUnknown,
    ProviderUnavailable,
    StoreMisconfigured,
    StoreUnavailable,
)
from .webhook import (
    BodyTooLarge,
    DuplicateHeader,
    EndpointUnknown,
    InFlight,
    MalformedBody,
    MalformedHeader,
    MissingSignature,
    RawBodyRequired,
    Replayed,
    SignatureMismatch,
    TimestampOutOfTolerance,
    UnsupportedScheme,
    UntrustedCertificate,
    UrlRequired,
    WeakSecret,
    WebhookKeyUnavailable,
    WebhookStoreUnavailable,
    WebhookUnauthenticated,
)

__all__ = [
    "AccessDenied",
    "AmbiguousTenant",
    "ApprovalInvalid",
    "ApprovalRequired",
    "AuditConflict",
    "AuditEventRejected",
    "AuditEventTooLarge",
    "AuditForkDetected",
    "AuditQueryInvalid",
    "AuditUnavailable",
    "BodyTooLarge",
    "Busy",
    "CheckpointRegression",
    "ConfigurationError",
    "Conflict",
    "ConnectionNotActive",
    "CrossTenantRead",
    "CrossTenantWrite",
    "Denied",
    "DisclosureRejected",
    "DuplicateHeader",
    "EndpointUnknown",
    "EntitlementDenied",
    "EnvelopeInvalid",
    "EnvelopeUnsupported",
    "HostError",
    "InFlight",
    "IntegrityError",
    "InvalidCredential",
    "InvalidRequest",
    "InvalidToken",
    "InvitationInvalid",
    "IsolationError",
    "KeyDisabled",
    "KeyUnavailable",
    "KeyUnknown",
    "LastOwner",
    "LeaseHeld",
    "LegalHold",
    "LinkRequired",
    "MalformedBody",
    "MalformedHeader",
    "MissingExtra",
    "MissingSignature",
    "NoTenant",
    "NotFilterable",
    "NotFound",
    "NoteInvalid",
    "OriginDenied",
    "PolicyError",
    "ProviderUnavailable",
    "RateLimited",
    "RawBodyRequired",
    "ReauthRequired",
    "Replayed",
    "RequestError",
    "SeatLimit",
    "SecretConflict",
    "SecretDisabled",
    "SecretExpired",
    "SecretNotFound",
    "SecretRollbackDetected",
    "SecretShredded",
    "SecretTampered",
    "SecretTooLarge",
    "SecurityTxtExpired",
    "SecurityTxtInvalid",
    "SignatureMismatch",
    "StoreMisconfigured",
    "StoreUnavailable",
    "TenantConflict",
    "TenantNotFound",
    "TimestampOutOfTolerance",
    "TooLarge",
    "TrustError",
    "Unavailable",
    "UnscopedStatement",
    "UnsupportedScheme",
    "UntrustedCertificate",
    "UrlRequired",
    "UsageError",
    "WeakSecret",
    "WebhookError",
    "WebhookKeyUnavailable",
    "WebhookStoreUnavailable",
    "WebhookUnauthenticated",
]
