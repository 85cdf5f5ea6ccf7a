"""What `verify` and the replay guard raise, by the status that tells a provider whether to send again.

All are `WebhookError`; those that are not the sender's doing stand on the branch of whoever can act as well.
"""

from __future__ import annotations

from .base import HostError, Unavailable, WebhookError

__all__ = [
    "BodyTooLarge",
    "DuplicateHeader",
    "InFlight",
    "MalformedBody",
    "MalformedHeader",
    "MissingSignature",
    "RawBodyRequired",
    "Replayed",
    "SignatureMismatch",
    "TimestampOutOfTolerance",
    "UnsupportedScheme",
    "UntrustedCertificate",
    "UrlRequired",
    "WeakSecret",
    "WebhookKeyUnavailable",
    "WebhookStoreUnavailable",
    "WebhookUnauthenticated",
]


class WebhookUnauthenticated(
    WebhookError, code="unauthenticated", title="Authentication required", status=401, abstract=True
):
    """The 401s: one document for all of them, so that a prober learns nothing."""

    def headers(self) -> tuple[tuple[str, str], ...]:
        """`WWW-Authenticate`, as RFC 9110, 15.5.2 demands of a 401; the scheme says no more than "signed"."""
        return (("WWW-Authenticate", "Signature"),)


class MissingSignature(WebhookUnauthenticated):
    """No signature of a known version."""


class SignatureMismatch(WebhookUnauthenticated):
    """No configured secret made this signature."""


class TimestampOutOfTolerance(WebhookUnauthenticated):
    """Authentic, but too old or too far ahead."""


class UntrustedCertificate(WebhookUnauthenticated):
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


class UrlRequired(WebhookError, HostError, code="internal_error", title="Internal error", status=500):
    """The scheme signs the public URL and none is configured."""


class RawBodyRequired(WebhookError, HostError, code="internal_error", title="Internal error", status=500):
    """The body came decoded or parsed; signatures are over its raw bytes."""


class WeakSecret(WebhookError, HostError, code="internal_error", title="Internal error", status=500):
    """A signing secret too short, or not of the scheme's form."""


class WebhookKeyUnavailable(WebhookError, Unavailable, code="unavailable", title="Temporarily unavailable", status=503):
    """A signing certificate or key set cannot be had right now."""


class WebhookStoreUnavailable(
    WebhookError, Unavailable, code="unavailable", title="Temporarily unavailable", status=503
):
    """The replay store is down: 503, so that the provider retries."""
