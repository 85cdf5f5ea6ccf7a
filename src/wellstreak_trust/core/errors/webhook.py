"""What `verify` and the replay guard raise, by the status that tells a provider whether to send again.

All are `WebhookError`; those that are not the sender's doing stand on the branch of whoever can act as well.
"""

from __future__ import annotations

from .base import HostError, Unavailable, WebhookError

__all__ = [
    "BodyTooLarge",
    "DuplicateHeader",
    "EndpointUnknown",
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

    step = "headers"


class SignatureMismatch(WebhookUnauthenticated):
    """No configured secret made this signature."""

    step = "signature"


class TimestampOutOfTolerance(WebhookUnauthenticated):
    """Authentic, but too old or too far ahead."""

    step = "clock"


class UntrustedCertificate(WebhookUnauthenticated):
    """The certificate or key is not one this provider may sign with."""

    step = "key"


class EndpointUnknown(WebhookError, code="not_found", title="Not found", status=404):
    """No endpoint has this token, or it is disabled."""

    step = "endpoint"


class MalformedHeader(WebhookError):
    """A signature header that does not parse strictly."""


class DuplicateHeader(WebhookError):
    """A header that authenticates came twice."""

    step = "headers"


class UnsupportedScheme(WebhookError):
    """A scheme, version or algorithm this verifier does not take."""

    step = "configuration"


class MalformedBody(WebhookError):
    """A body that is not the JSON its provider documents."""


class BodyTooLarge(WebhookError, code="too_large", title="Content too large", status=413):
    """The body is over the cap; nothing was computed."""

    step = "size"


class Replayed(WebhookError, code="replayed", title="Already processed", status=200):
    """A finished delivery came again: acknowledge and do nothing."""

    step = "replay"


class InFlight(WebhookError, code="in_flight", title="Being processed", status=409):
    """The same delivery is being processed right now."""

    step = "replay"


class UrlRequired(WebhookError, HostError, code="internal_error", title="Internal error", status=500):
    """The scheme signs the public URL and none is configured."""

    step = "configuration"


class RawBodyRequired(WebhookError, HostError, code="internal_error", title="Internal error", status=500):
    """The body came decoded or parsed; signatures are over its raw bytes."""

    step = "configuration"


class WeakSecret(WebhookError, HostError, code="internal_error", title="Internal error", status=500):
    """A signing secret too short, or not of the scheme's form."""

    step = "configuration"


class WebhookKeyUnavailable(WebhookError, Unavailable, code="unavailable", title="Temporarily unavailable", status=503):
    """A signing certificate or key set cannot be had right now."""

    step = "key"


class WebhookStoreUnavailable(
    WebhookError, Unavailable, code="unavailable", title="Temporarily unavailable", status=503
):
    """The replay store is down: 503, so that the provider retries."""

    step = "replay"
