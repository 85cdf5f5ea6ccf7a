"""Webhooks: is this delivery genuine, fresh, and not seen before?

::

    verifier("stripe", secrets) ──verify(headers, body)──► VerifiedWebhook ──guard.once(event)──► your handler, once

Providers are data (`Scheme`); one verifier reads them all.
"""

from ..core.errors import (
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
    WebhookError,
    WebhookStoreUnavailable,
)
from ..core.errors import WebhookKeyUnavailable as KeyUnavailable
from .body import aread_body, read_body
from .challenge import ChallengeResponse
from .endpoint_store import EndpointKey, EndpointRow, EndpointStore
from .endpoints import Endpoint, EndpointRegistry, EndpointSecrets, RegisteredEndpoint
from .event import VerifiedWebhook
from .explain import Explanation, explain
from .key_source import HttpsKeys, KeySource, NoKeys
from .keys import SigningSecret
from .memory import MemoryEndpointStore, MemoryReplayStore
from .observe import Observed, WebhookObserver
from .receive import Delivery, Incoming, Receiver
from .recipients import MemoryRecipientStore, RecipientHealth, RecipientStore
from .replay import Claim, ReplayGuard
from .replay_store import Held, ReplayStore
from .scheme import Mac, Pairs, Plain, Scheme, Source, Timestamp
from .schemes import custom, schemes
from .sender import PLAN, Attempt, Message, Recipient, WebhookSender
from .special.rfc9421 import rfc9421
from .verify import WebhookVerifier, verifier

__all__ = [
    "PLAN",
    "Attempt",
    "BodyTooLarge",
    "ChallengeResponse",
    "Claim",
    "Delivery",
    "DuplicateHeader",
    "Endpoint",
    "EndpointKey",
    "EndpointRegistry",
    "EndpointRow",
    "EndpointSecrets",
    "EndpointStore",
    "EndpointUnknown",
    "Explanation",
    "Held",
    "HttpsKeys",
    "InFlight",
    "Incoming",
    "KeySource",
    "KeyUnavailable",
    "Mac",
    "MalformedBody",
    "MalformedHeader",
    "MemoryEndpointStore",
    "MemoryRecipientStore",
    "MemoryReplayStore",
    "Message",
    "MissingSignature",
    "NoKeys",
    "Observed",
    "Pairs",
    "Plain",
    "RawBodyRequired",
    "Receiver",
    "Recipient",
    "RecipientHealth",
    "RecipientStore",
    "RegisteredEndpoint",
    "ReplayGuard",
    "ReplayStore",
    "Replayed",
    "Scheme",
    "SignatureMismatch",
    "SigningSecret",
    "Source",
    "Timestamp",
    "TimestampOutOfTolerance",
    "UnsupportedScheme",
    "UntrustedCertificate",
    "UrlRequired",
    "VerifiedWebhook",
    "WeakSecret",
    "WebhookError",
    "WebhookObserver",
    "WebhookSender",
    "WebhookStoreUnavailable",
    "WebhookVerifier",
    "aread_body",
    "custom",
    "explain",
    "read_body",
    "rfc9421",
    "schemes",
    "verifier",
]
