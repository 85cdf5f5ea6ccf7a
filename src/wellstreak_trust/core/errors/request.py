"""The other party's doing, by HTTP status (RFC 9110, 15.5)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .base import RequestError, TrustError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "AccessDenied",
    "AmbiguousTenant",
    "ApprovalInvalid",
    "ApprovalRequired",
    "AuditConflict",
    "AuditEventTooLarge",
    "Conflict",
    "ConnectionNotActive",
    "Denied",
    "DisclosureRejected",
    "DpopNonceRequired",
    "EntitlementDenied",
    "EnvelopeInvalid",
    "InvalidCredential",
    "InvalidRequest",
    "InvalidToken",
    "InvitationInvalid",
    "LastOwner",
    "LeaseHeld",
    "LinkRequired",
    "NotFound",
    "OriginDenied",
    "RateLimited",
    "ReauthRequired",
    "SeatLimit",
    "SecretConflict",
    "SecretDisabled",
    "SecretExpired",
    "SecretNotFound",
    "SecretShredded",
    "SecretTooLarge",
    "SecurityTxtExpired",
    "SecurityTxtInvalid",
    "TenantNotFound",
    "TooLarge",
]

_QUOTA: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_REDUCED: Final = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


class InvalidRequest(RequestError):
    """The request is malformed."""


class AmbiguousTenant(InvalidRequest, code="ambiguous_tenant", title="The request names more than one tenant"):
    """Two sources of the tenant disagree."""


class DisclosureRejected(InvalidRequest, code="disclosure_rejected", title="The report was not accepted"):
    """A vulnerability report that breaks the intake rules; `fields` are names and rule codes, never the input."""

    fields: tuple[tuple[str, str], ...]

    def __init__(self, detail: str = "", *, hint: str = "", fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail or ", ".join(f"{name or 'document'}: {rule}" for name, rule in fields), hint=hint)
        self.fields = fields

    def members(self) -> Mapping[str, object]:
        """``fields``: which of them, and the rule each one breaks."""
        return {"fields": [{"field": name, "rule": rule} for name, rule in self.fields]}


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


class DpopNonceRequired(InvalidToken):
    """A good proof of possession without the nonce that is asked for (RFC 9449, 8 and 9): the client tries again."""

    nonce: str

    def __init__(self, nonce: str, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail or "a proof without a current nonce", hint=hint, reason="nonce")
        self.nonce = nonce
        self.challenge = 'DPoP error="use_dpop_nonce"'

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The challenge, and the nonce to put into the next proof."""
        return (*super().headers(), ("DPoP-Nonce", self.nonce))


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

    The answer follows the decision: 401 for nobody, 404 (the body of a plain "not found") where the denial must be
    concealed, else 403, with a code of its own where only an approval is missing. Whoever answers a step-up sends its
    obligation's `ReauthRequired` instead.
    """

    decision: Any

    def __init__(self, decision: Any, *, detail: str = "", hint: str = "") -> None:
        super().__init__(detail or decision.code, hint=hint)
        self.decision = decision
        answer: type[TrustError] = Denied
        if getattr(decision, "conceal", False):
            answer = NotFound
        elif decision.code == "unauthenticated":
            answer = InvalidCredential
        elif decision.code == "approval_required":
            answer = ApprovalRequired
        # Instance attributes shadow the class: one exception type, five public faces.
        self.__dict__.update(code=answer.code, title=answer.title, status=answer.status)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """A 401 carries its challenge."""
        return InvalidCredential().headers() if self.status == InvalidCredential.status else ()


class ApprovalRequired(Denied, code="approval_required", title="Another person has to approve this first"):
    """Allowed, once a person who may confirms this very operation (see `authz.Approvals`)."""


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


class ApprovalInvalid(NotFound, code="approval_invalid", title="This approval is not valid"):
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

    retryable: Final = True
    retry_after: timedelta | None = timedelta(seconds=1)


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
