"""The one error tree: everything this package raises on purpose.

::

    TrustError                        abstract; code, title, detail, hint, status
    ├── HostError                     abstract; the host's own bug, found at start-up or in a call
    │   ├── ConfigurationError        the parts do not fit, or would be unsafe: start-up refuses
    │   │   └── PolicyError           a policy document that does not load
    │   ├── UsageError                an argument this call cannot take
    │   └── IsolationError            abstract; code that tried to cross a tenant boundary: nothing was run
    ├── RequestError                  abstract; the other party's doing, safe to answer as it stands
    │   ├── InvalidRequest            400  AmbiguousTenant, EnvelopeInvalid, DisclosureRejected, SecurityTxtInvalid
    │   ├── InvalidCredential         401  InvalidToken · ReauthRequired
    │   ├── EntitlementDenied         402
    │   ├── Denied                    403  AccessDenied, OriginDenied, LinkRequired
    │   ├── NotFound                  404  TenantNotFound, SecretNotFound, InvitationInvalid
    │   ├── Conflict                  409  LastOwner, SeatLimit, SecretConflict, LeaseHeld, ...
    │   ├── TooLarge                  413  SecretTooLarge, AuditEventTooLarge
    │   ├── RateLimited               429
    │   └── WebhookError              abstract; the one base of the webhook verdicts
    ├── IntegrityError                abstract; stored bytes are not what was written: 500
    └── Unavailable                   503  a dependency is down or busy; the declared policy said "refuse"

``code`` is stable and public. ``title`` and ``status`` are safe for clients. ``detail`` and ``hint`` are for
operators: they never enter a problem document, nor ``str()`` of an error that a request caused, because hosts do
send ``str(error)`` to clients. Causes that must not be told apart share code, title and status, so that their
problem documents are the same bytes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .problem import document

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_SECOND: Final = timedelta(seconds=1)
_QUOTA: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_REDUCED: Final = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


class TrustError(Exception):
    """Base of every error this package raises.

    Args:
        detail: what happened, for operators. Never a secret, token, e-mail address or body.
        hint: the one thing that fixes it, for operators.
    """

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Error"
    status: ClassVar[int] = 500
    type_uri: ClassVar[str | None] = None
    abstract: ClassVar[bool] = True

    detail: str
    hint: str
    retry_after: timedelta | None = None

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        if type(self).__dict__.get("abstract", False):
            raise TypeError(f"{type(self).__name__} is a branch of the error tree; raise one of its leaves")
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __init_subclass__(
        cls, code: str | None = None, title: str | None = None, status: int | None = None, *, abstract: bool = False
    ) -> None:
        super().__init_subclass__()
        cls.abstract = abstract
        cls.code = code or cls.code
        cls.title = title or cls.title
        cls.status = status or cls.status

    def __str__(self) -> str:
        return f"{self.title} [{self.code}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders (executors, task queues); the default would replay __init__ positionally.
        return _restore, (type(self), dict(self.__dict__))

    def members(self) -> Mapping[str, object]:
        """Extension members of the problem document (RFC 9457, 3.2); public, so nothing that identifies."""
        return {}

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Response headers that belong to this answer, such as ``Retry-After`` in whole seconds, at least 1."""
        if self.retry_after is None:
            return ()
        return (("Retry-After", str(max(1, -(-self.retry_after // _SECOND)))),)

    def problem(self, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 problem document: type, title, status, code, members, and `instance` when given."""
        return document(self.code, self.title, self.status, type_uri=self.type_uri, instance=instance, **self.members())


def _restore(cls: type[TrustError], state: dict[str, Any]) -> TrustError:
    error = cls.__new__(cls, state.get("detail", ""))
    error.__dict__.update(state)
    return error


# --- the host's own bugs: `str()` explains, because it is read by the developer who must fix it ----------------------


class HostError(TrustError, code="internal_error", title="Internal error", status=500, abstract=True):
    """A bug of the host: shown in full to developers, as a bare 500 to clients."""

    def __str__(self) -> str:
        return ". ".join(part.rstrip(".") for part in (self.detail or self.title, self.hint) if part)


class ConfigurationError(HostError):
    """Parts that do not fit or would be unsafe; raised when constructed, before anything is served.

    `reason` is the stable code of the fault that doctor, start-up and the documentation share.
    """

    reason: str

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "configuration") -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason


class PolicyError(ConfigurationError):
    """A policy that does not load; `detail` holds the path in the document (``roles.member.allow[1].when``)."""

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "policy") -> None:
        super().__init__(detail, hint=hint, reason=reason)


class NotFilterable(ConfigurationError):
    """A rule that cannot be translated to a query on this model; never dropped in silence."""


class UsageError(HostError):
    """An argument that this call cannot take."""


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed; `hint` names the extra."""


# --- the other party's doing -----------------------------------------------------------------------------------------


class RequestError(TrustError, code="invalid_request", title="Invalid request", status=400, abstract=True):
    """Something the request did, or is not allowed to do."""


class InvalidRequest(RequestError):
    """The request is malformed."""


class AmbiguousTenant(InvalidRequest, code="ambiguous_tenant", title="The request names more than one tenant"):
    """Two sources of the tenant disagree."""


class DisclosureRejected(InvalidRequest, code="disclosure_rejected", title="The report was not accepted"):
    """A vulnerability report that breaks the intake rules; `fields` are names and rule codes, never the input."""

    fields: tuple[tuple[str, str], ...]

    def __init__(self, detail: str = "", *, hint: str = "", fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail, hint=hint)
        self.fields = fields


class EnvelopeInvalid(InvalidRequest, code="envelope_invalid", title="Invalid job envelope"):
    """A job envelope that is forged, stale or malformed."""


class SecurityTxtInvalid(InvalidRequest, code="security_txt_invalid", title="security.txt is not valid"):
    """A security.txt that RFC 9116 forbids; `line` is 1-based, None when no single line is at fault."""

    line: int | None

    def __init__(self, detail: str = "", *, hint: str = "", line: int | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.line = line


class SecurityTxtExpired(SecurityTxtInvalid, code="security_txt_expired"):
    """The file is past its Expires field."""


class InvalidCredential(RequestError, code="unauthenticated", title="Authentication required", status=401):
    """No credential, or one that does not count. `reason` is for the audit trail only: all causes look alike."""

    reason: str
    challenge: str

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "invalid") -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason
        self.challenge = "Bearer"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """`WWW-Authenticate` as RFC 9110 demands of a 401."""
        return (("WWW-Authenticate", self.challenge),)


class InvalidToken(InvalidCredential):
    """A token that fails verification; `reason` is from a closed set (shape, header, typ, alg, key, signature, ...)."""


class ReauthRequired(InvalidCredential, code="reauth_required", title="A fresh sign-in is required"):
    """The session is good but too old or too weak for this (RFC 9470).

    Args:
        acr_values: assurance level asked for; `max_age`: seconds since the last sign-in that are still accepted.
    """

    challenge: str

    def __init__(self, detail: str = "", *, hint: str = "", acr_values: str = "", max_age: int | None = None) -> None:
        super().__init__(detail, hint=hint, reason="step_up")
        wants = [f'acr_values="{acr_values}"'] if acr_values else []
        wants += [f'max_age="{max_age}"'] if max_age is not None else []
        self.challenge = ", ".join(['Bearer error="insufficient_user_authentication"', *wants])


class EntitlementDenied(
    RequestError, code="entitlement_denied", title="Not included in the current subscription", status=402
):
    """The subscription does not allow it. `reason` is one of the entitlement codes, such as ``limit_reached``."""

    reason: str
    limit: int | None
    used: int | None
    resets_at: datetime | None

    def __init__(
        self,
        reason: str = "denied",
        *,
        limit: int | None = None,
        used: int | None = None,
        resets_at: datetime | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(reason, hint=hint)
        self.reason = reason
        self.limit = limit
        self.used = used
        self.resets_at = resets_at


class Denied(RequestError, code="denied", title="Forbidden", status=403):
    """Known, and not allowed."""


class AccessDenied(Denied):
    """The policy said no; `decision` explains to the audit trail, the problem document does not.

    The answer follows the decision: 401 for nobody, 401 with a challenge for a step-up, 404 (the body of a plain
    "not found") where the denial must be concealed, else 403.
    """

    decision: Any

    def __init__(self, decision: Any, *, detail: str = "", hint: str = "") -> None:
        super().__init__(detail or str(getattr(decision, "code", "")), hint=hint)
        self.decision = decision
        answer: type[TrustError] = Denied
        if getattr(decision, "conceal", False):
            answer = NotFound
        elif decision.code == "unauthenticated":
            answer = InvalidCredential
        # Instance attributes shadow the class: one exception type, four public faces.
        self.__dict__.update(code=answer.code, title=answer.title, status=answer.status)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """A 401 carries its challenge."""
        return InvalidCredential().headers() if self.status == InvalidCredential.status else ()


class OriginDenied(Denied, code="origin_denied", title="Cross-origin request refused"):
    """A request a foreign page made; `reason` goes to log and audit."""

    reason: str

    def __init__(self, reason: str = "origin_mismatch", *, hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.reason = reason


class LinkRequired(Denied, code="link_required", title="Sign in first to link this account"):
    """A provider identity that must not be attached to an account by its e-mail address alone."""


class NotFound(RequestError, code="not_found", title="Not found", status=404):
    """Missing, or not for this caller to know."""


class TenantNotFound(NotFound):
    """Unknown tenant and not a member of it alike; also a request that names none."""


class SecretNotFound(NotFound, code="secret_not_found"):
    """No such secret, version, or it is another tenant's."""


class InvitationInvalid(NotFound, code="invitation_invalid", title="This invitation is not valid"):
    """One public answer for every cause; `reason` goes to the audit trail."""

    reason: str

    def __init__(self, reason: str = "invalid", *, hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.reason = reason


class Conflict(RequestError, code="conflict", title="Conflict with the current state", status=409):
    """The state does not allow it now."""


class LastOwner(Conflict, code="last_owner", title="A workspace keeps at least one owner"):
    """The change would leave the workspace without an active owner."""


class SeatLimit(Conflict, code="seat_limit", title="No seat is left"):
    """Members and open invitations fill all seats."""


class SecretConflict(Conflict, code="secret_conflict"):
    """Compare-and-set lost: the secret is at version `actual`, not `expected`."""

    expected: int | None
    actual: int | None

    def __init__(self, expected: int | None = None, actual: int | None = None, *, detail: str = "") -> None:
        super().__init__(detail or f"expected version {expected}, found {actual}", hint="read again, then retry")
        self.expected = expected
        self.actual = actual


class SecretExpired(Conflict, code="secret_expired", title="The credential has expired"):
    """Past its `not_after`."""


class SecretDisabled(Conflict, code="secret_disabled", title="The credential is disabled"):
    """Switched off by an operator."""


class SecretShredded(Conflict, code="secret_shredded", title="The credential was destroyed", status=410):
    """The tenant's keys are gone; nothing can open it again."""


class LeaseHeld(Conflict, code="lease_held"):
    """Somebody else is refreshing this; retry shortly."""


class ConnectionNotActive(Conflict, code="connection_not_active", title="The connection is not active"):
    """The gate of an integration is closed: 409 where the tenant must act, 503 where waiting helps."""

    state: str
    reason: str

    def __init__(
        self, state: str = "draft", reason: str = "", *, hint: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(f"{state}: {reason}", hint=hint)
        self.state = state
        self.reason = reason
        self.retry_after = retry_after
        if retry_after is not None:
            self.__dict__["status"] = 503


class AuditConflict(Conflict, code="audit_conflict"):
    """An event id that stands already, with other content."""


class TooLarge(RequestError, code="too_large", title="Content too large", status=413):
    """More bytes than the declared limit."""


class SecretTooLarge(TooLarge):
    """A secret of more than 64 KiB."""


class AuditEventTooLarge(TooLarge):
    """An event whose leaf would pass 65,535 bytes (tlog-tiles entry bundles)."""


class RateLimited(RequestError, code="rate_limited", title="Too many requests", status=429):
    """A limit refused; `verdict` tells which and for how long.

    Where the limit could not be asked and is declared closed, the answer is that of an `Unavailable`: the caller did
    nothing wrong.
    """

    type_uri: ClassVar[str | None] = _QUOTA
    verdict: Any
    retry_after: timedelta | None

    def __init__(self, verdict: Any, *, hint: str = "") -> None:
        super().__init__("limit reached", hint=hint)
        self.verdict = verdict
        self.retry_after = verdict.retry_after
        if getattr(verdict, "outage", False):
            self.__dict__.update(
                code=Unavailable.code, title=Unavailable.title, status=Unavailable.status, type_uri=_REDUCED
            )

    def members(self) -> Mapping[str, object]:
        """`violated-policies` of draft-ietf-httpapi-ratelimit-headers."""
        return {"violated-policies": list(self.verdict.violated)}

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The RateLimit fields and Retry-After of the verdict."""
        return tuple(dict(self.verdict.headers()).items())


# --- webhooks --------------------------------------------------------------------------------------------------------


class WebhookError(RequestError, code="webhook_refused", title="Webhook refused", status=400, abstract=True):
    """Base of all that `verify` and the replay guard raise; all 401s look alike to the network."""


class _Unsigned(WebhookError, code="unauthenticated", title="Authentication required", status=401, abstract=True):
    """The 401 face."""


class MissingSignature(_Unsigned):
    """No signature of a known version."""


class SignatureMismatch(_Unsigned):
    """No configured secret made this signature."""


class TimestampOutOfTolerance(_Unsigned):
    """Authentic, but too old or too far ahead."""


class UntrustedCertificate(_Unsigned):
    """The certificate or key is not one this provider may sign with."""


class MalformedHeader(WebhookError):
    """A signature header that does not parse strictly."""


class DuplicateHeader(WebhookError):
    """A header that authenticates came twice."""


class UnsupportedScheme(WebhookError):
    """A scheme, version or algorithm this verifier does not take."""


class MalformedBody(WebhookError):
    """A body that is not the JSON its provider documents."""


class BodyTooLarge(WebhookError, code="too_large", title="Content too large", status=413):
    """The body is over the cap; nothing was computed."""


class Replayed(WebhookError, code="replayed", title="Already processed", status=200):
    """A finished delivery came again: acknowledge and do nothing."""


class InFlight(WebhookError, code="in_flight", title="Being processed", status=409):
    """The same delivery is being processed right now."""


class UrlRequired(WebhookError, code="internal_error", title="Internal error", status=500):
    """The scheme signs the public URL and none is configured."""


class RawBodyRequired(WebhookError, code="internal_error", title="Internal error", status=500):
    """The body came decoded or parsed; signatures are over its raw bytes."""


class WeakSecret(WebhookError, code="internal_error", title="Internal error", status=500):
    """A signing secret too short, or not of the scheme's form."""


# --- boundaries ------------------------------------------------------------------------------------------------------


class IsolationError(HostError, abstract=True):
    """Code tried to leave its tenant; nothing was executed."""


class NoTenant(IsolationError):
    """Tenant data was asked for outside every tenant scope."""


class TenantConflict(IsolationError):
    """A scope of another tenant inside a scope."""


class UnscopedStatement(IsolationError):
    """A statement on tenant tables that no guard has scoped."""


class CrossTenantRead(IsolationError):
    """A row of another tenant came back."""


class CrossTenantWrite(IsolationError):
    """A row would land in, move to or point at another tenant."""


# --- integrity -------------------------------------------------------------------------------------------------------


class IntegrityError(TrustError, code="integrity", title="Stored data failed verification", status=500, abstract=True):
    """What is stored is not what was written."""


class SecretTampered(IntegrityError):
    """A code, tag, padding or row does not verify."""


class SecretRollbackDetected(IntegrityError):
    """An older state of a secret came back."""


class EnvelopeUnsupported(IntegrityError):
    """Not an envelope of a known format and suite."""


class AuditForkDetected(IntegrityError):
    """Two histories of one log."""


class CheckpointRegression(IntegrityError):
    """Signing would contradict a checkpoint signed before."""


class NoteInvalid(IntegrityError):
    """A signed note or checkpoint that is malformed or not signed by a known key; `reason` tells which."""

    reason: str

    def __init__(self, detail: str = "", *, hint: str = "", reason: str = "malformed") -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason


# --- dependencies ----------------------------------------------------------------------------------------------------


class Unavailable(TrustError, code="unavailable", title="Temporarily unavailable", status=503):
    """A dependency is down and its declared policy is to refuse."""


class StoreUnavailable(Unavailable):
    """A store did not answer."""


class StoreMisconfigured(Unavailable):
    """A store answered that it will never do this (permissions, types, scripts)."""


class ProviderUnavailable(Unavailable):
    """An identity provider did not answer."""


class Busy(Unavailable, code="busy", title="Busy, try again shortly"):
    """A bounded resource is used up for the moment."""


class AuditUnavailable(Unavailable):
    """The trail cannot take the event, so the action must not happen."""


class KeyUnavailable(Unavailable):
    """A key service did not answer; `retryable` tells whether waiting may help."""

    retryable: bool

    def __init__(self, detail: str = "", *, hint: str = "", retryable: bool = True) -> None:
        super().__init__(detail, hint=hint)
        self.retryable = retryable


class KeyDisabled(Unavailable):
    """The key exists and may not be used."""


class KeyUnknown(Unavailable):
    """No configured provider has this key."""


class WebhookKeyUnavailable(WebhookError, code="unavailable", title="Temporarily unavailable", status=503):
    """A signing certificate or key set cannot be had right now."""


class WebhookStoreUnavailable(WebhookError, code="unavailable", title="Temporarily unavailable", status=503):
    """The replay store is down: 503, so that the provider retries."""


class AuditEventRejected(UsageError):
    """An event outside the registry or the canonical domain; the message never repeats the value."""
