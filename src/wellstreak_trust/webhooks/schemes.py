"""The providers, one line each.

Times are those of the provider's own library or documentation; where it checks none, ours are 300 s. A signature over
the body alone says nothing of freshness: keep a `ReplayGuard` behind those.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

from ..core.errors import UnsupportedScheme
from .scheme import Algorithm, Codec, Encoding, Mac, Pairs, Plain, Scheme, Source, Timestamp
from .special import SPECIAL

__all__ = ["custom", "lookup", "schemes"]

_WHOLE: Final = Plain()
_HEX: Final = Mac()
_BASE64: Final = Mac(encoding="base64")
_V1: Final = Mac(tag="v1")
_STRIPE_LIKE: Final = Pairs(timestamp="t")
_IN_BODY: Final = Source(body="id")
_TYPE_IN_BODY: Final = Source(body="type")
_BOTH_WAYS: Final = 300


def _hex(name: str, header: str, prefix: str = "", *, algorithm: Algorithm = "hmac-sha256", **more: Any) -> Scheme:
    return Scheme(name, (header,), Plain(prefix), mac=Mac(algorithm, codec=more.pop("codec", "utf8")), **more)


def _base64(name: str, *headers: str, prefix: str = "", codec: Codec = "utf8", **more: Any) -> Scheme:
    return Scheme(name, headers, Plain(prefix), mac=Mac("hmac-sha256", "base64", codec), **more)


def _token(name: str, header: str, prefix: str = "", encoding: Encoding = "text", **more: Any) -> Scheme:
    return Scheme(name, (header,), Plain(prefix), "", Mac("token", encoding), **more)


def _standard(name: str, family: str = "webhook", codec: Codec = "whsec", **more: Any) -> Scheme:
    """Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    return Scheme(
        name,
        (f"{family}-signature",),
        Pairs(" ", ","),
        "{id}.{timestamp}.{body}",
        Mac("hmac-sha256", "base64", codec, "v1"),
        also=(Mac("ed25519", "base64", "whpk", "v1a"),),
        timestamp=Timestamp(f"{family}-timestamp", past=_BOTH_WAYS, future=_BOTH_WAYS),
        id=Source(header=f"{family}-id"),
        type=_TYPE_IN_BODY,
        **more,
    )


_BODY_HEX: Final = (
    _hex(
        "github",
        "X-Hub-Signature-256",
        "sha256=",
        id=Source(header="X-GitHub-Delivery"),
        type=Source(header="X-GitHub-Event"),
        confirmed="vector",
    ),
    _hex("meta", "X-Hub-Signature-256", "sha256=", type=Source(body="object"), challenge="meta"),
    _hex("bitbucket", "X-Hub-Signature", "sha256=", type=Source(header="X-Event-Key")),
    _hex("bitbucket_server", "X-Hub-Signature", "sha256=", type=Source(header="X-Event-Key"), confirmed="vector"),
    _hex("jira", "X-Hub-Signature", "sha256=", type=Source(body="webhookEvent")),
    _hex("intercom", "X-Hub-Signature", "sha1=", algorithm="hmac-sha1", id=_IN_BODY, type=Source(body="topic")),
    _hex("notion", "X-Notion-Signature", "sha256=", id=_IN_BODY, type=_TYPE_IN_BODY, challenge="notion"),
    _hex("cursor", "X-Webhook-Signature", "sha256="),
    _hex("doppler", "X-Doppler-Signature", "sha256=", type=_TYPE_IN_BODY),
    _hex("lemonsqueezy", "X-Signature", type=Source(body="meta.event_name")),
    _hex("razorpay", "X-Razorpay-Signature", id=Source(header="X-Razorpay-Event-Id"), type=Source(body="event")),
    _hex("viber", "X-Viber-Content-Signature", type=Source(body="event")),
    _hex("coinbase_commerce", "X-CC-Webhook-Signature", type=Source(body="event.type"), confirmed="vector"),
    _hex("attio", "X-Attio-Signature"),
    _hex("cal_com", "X-Cal-Signature-256", type=Source(body="triggerEvent")),
    _hex("checkr", "X-Checkr-Signature", id=_IN_BODY, type=_TYPE_IN_BODY),
    _hex("gitea", "X-Gitea-Signature", type=Source(header="X-Gitea-Event")),
    _hex("forgejo", "X-Forgejo-Signature", type=Source(header="X-Forgejo-Event"), confirmed="code"),
    _hex("gogs", "X-Gogs-Signature", type=Source(header="X-Gogs-Event"), confirmed="code"),
    _hex("dropbox", "X-Dropbox-Signature", challenge="dropbox"),
    _hex("asana", "X-Hook-Signature", challenge="asana"),
    _hex("sentry", "Sentry-Hook-Signature", type=Source(header="Sentry-Hook-Resource")),
    _hex(
        "linear",  # its linear-timestamp header is not signed; the body's time is
        "Linear-Signature",
        timestamp=Timestamp(body="webhookTimestamp", unit="ms", past=60, future=60),
        type=_TYPE_IN_BODY,
    ),
    _hex("grafana", "X-Grafana-Alerting-Signature"),
    _hex("vercel", "x-vercel-signature", algorithm="hmac-sha1", id=_IN_BODY, type=_TYPE_IN_BODY),
    _hex("paystack", "x-paystack-signature", algorithm="hmac-sha512", type=Source(body="event")),
    _hex("terraform_cloud", "X-TFE-Notification-Signature", algorithm="hmac-sha512"),
    _hex("convoy_simple", "X-Convoy-Signature", confirmed="vector"),
    _hex("gocardless", "Webhook-Signature", confirmed="code"),
    _hex("airtable", "X-Airtable-Content-MAC", "hmac-sha256=", codec="base64", confirmed="code"),
    Scheme("pagerduty", ("X-PagerDuty-Signature",), Pairs(), mac=_V1, id=Source(body="event.id")),
    Scheme("circleci", ("circleci-signature",), Pairs(), mac=_V1, id=_IN_BODY, type=_TYPE_IN_BODY),
    Scheme("outpost", ("x-outpost-signature",), Plain("v0=", ",")),
)

_BODY_BASE64: Final = (
    _base64(
        "shopify",
        "X-Shopify-Hmac-SHA256",
        id=Source(header="X-Shopify-Webhook-Id"),
        type=Source(header="X-Shopify-Topic"),
    ),
    _base64("woocommerce", "X-WC-Webhook-Signature", type=Source(header="X-WC-Webhook-Topic")),
    _base64("line", "X-Line-Signature", confirmed="vector"),
    _base64(
        "typeform", "Typeform-Signature", prefix="sha256=", id=Source(body="event_id"), type=Source(body="event_type")
    ),
    _base64("x", "x-twitter-webhooks-signature", prefix="sha256=", challenge="x"),
    _base64("xero", "x-xero-signature"),
    _base64("flutterwave_v4", "flutterwave-signature", type=_TYPE_IN_BODY, confirmed="code"),
    _base64("jobber", "X-Jobber-Hmac-SHA256"),
    _base64("heroku", "Heroku-Webhook-Hmac-SHA256", id=_IN_BODY),
    _base64("hookdeck", "X-Hookdeck-Signature", "X-Hookdeck-Signature-2"),
    _base64("docusign", *(f"X-DocuSign-Signature-{number}" for number in range(1, 9)), type=Source(body="event")),
    _base64("adyen_platform", "HmacSignature", codec="hex", type=_TYPE_IN_BODY, confirmed="vector"),
    Scheme("autotask", ("X-Hook-Signature",), Plain("sha1="), mac=Mac("hmac-sha1", "base64")),
    _base64("connectwise", "x-content-signature", codec="sha256"),
    _base64("teams", "Authorization", prefix="HMAC ", codec="base64", type=_TYPE_IN_BODY, confirmed="code"),
)

_TIMED: Final = (
    Scheme(
        "stripe",
        ("Stripe-Signature",),
        _STRIPE_LIKE,
        "{timestamp}.{body}",
        _V1,
        timestamp=Timestamp(),
        id=_IN_BODY,
        type=_TYPE_IN_BODY,
        confirmed="peer",
    ),
    _standard("standard_webhooks", confirmed="vector"),
    _standard("openai", confirmed="vector"),
    _standard("replicate", confirmed="vector"),
    _standard("gitlab", confirmed="vector"),
    _standard("polar", codec="utf8", confirmed="vector"),
    _standard("svix", "svix", confirmed="vector"),
    _standard("clerk", "svix", confirmed="vector"),
    _standard("resend", "svix", confirmed="vector"),
    Scheme(
        "slack",
        ("X-Slack-Signature",),
        Plain("v0="),
        "v0:{timestamp}:{body}",
        timestamp=Timestamp("X-Slack-Request-Timestamp", future=_BOTH_WAYS),
        id=Source(body="event_id"),
        type=_TYPE_IN_BODY,
        challenge="slack",
        confirmed="vector",
    ),
    Scheme(
        "zoom",
        ("x-zm-signature",),
        Plain("v0="),
        "v0:{timestamp}:{body}",
        timestamp=Timestamp("x-zm-request-timestamp"),
        type=Source(body="event"),
        challenge="zoom",
    ),
    Scheme(
        "paddle",
        ("Paddle-Signature",),
        Pairs(";", timestamp="ts"),
        "{timestamp}:{body}",
        Mac(tag="h1"),
        timestamp=Timestamp(past=5, future=5),
        id=Source(body="event_id"),
        type=Source(body="event_type"),
        confirmed="vector",
    ),
    Scheme(
        "calendly",
        ("Calendly-Webhook-Signature",),
        _STRIPE_LIKE,
        "{timestamp}.{body}",
        _V1,
        timestamp=Timestamp(past=180),
        type=Source(body="event"),
    ),
    Scheme(
        "workos",
        ("WorkOS-Signature",),
        Pairs(", ", timestamp="t"),
        "{timestamp}.{body}",
        _V1,
        timestamp=Timestamp(unit="ms", past=180, future=180),
        id=_IN_BODY,
        type=Source(body="event"),
        confirmed="peer",
    ),
    Scheme(
        "webflow",
        ("x-webflow-signature",),
        content="{timestamp}:{body}",
        timestamp=Timestamp("x-webflow-timestamp", unit="ms", future=_BOTH_WAYS),
        type=Source(body="triggerType"),
    ),
    Scheme(
        "hubspot",
        ("X-HubSpot-Signature-v3",),
        content="{method}{url}{body}{timestamp}",
        mac=_BASE64,
        timestamp=Timestamp("X-HubSpot-Request-Timestamp", unit="ms"),
        confirmed="vector",
    ),
    Scheme(
        "elevenlabs",
        ("ElevenLabs-Signature",),
        _STRIPE_LIKE,
        "{timestamp}.{body}",
        Mac(tag="v0"),
        timestamp=Timestamp(past=1800, future=1800),
        type=_TYPE_IN_BODY,
    ),
    Scheme(
        "sanity",
        ("sanity-webhook-signature",),
        _STRIPE_LIKE,
        "{timestamp}.{body}",
        Mac(encoding="base64url", tag="v1"),
        timestamp=Timestamp(unit="ms"),
        confirmed="vector",
    ),
    Scheme(
        "convoy",
        ("X-Convoy-Signature",),
        _STRIPE_LIKE,
        "{timestamp},{body}",
        _V1,
        timestamp=Timestamp(),
        confirmed="vector",
    ),
    Scheme(
        "buildkite",
        ("X-Buildkite-Signature",),
        Pairs(timestamp="timestamp"),
        "{timestamp}.{body}",
        Mac(tag="signature"),
        timestamp=Timestamp(),
        type=Source(body="event"),
    ),
    Scheme(
        "zendesk",
        ("X-Zendesk-Webhook-Signature",),
        content="{timestamp}{body}",
        mac=_BASE64,
        timestamp=Timestamp("X-Zendesk-Webhook-Signature-Timestamp", unit="iso"),
    ),
    Scheme(
        "box",
        ("BOX-SIGNATURE-PRIMARY", "BOX-SIGNATURE-SECONDARY"),
        content="{body}{timestamp}",
        mac=_BASE64,
        timestamp=Timestamp("BOX-DELIVERY-TIMESTAMP", unit="iso", past=600),
        id=_IN_BODY,
        type=Source(body="trigger"),
    ),
    Scheme(
        "discord",
        ("X-Signature-Ed25519",),
        content="{timestamp}{body}",
        mac=Mac("ed25519", "hex", "ed25519-hex"),
        timestamp=Timestamp("X-Signature-Timestamp"),
        id=_IN_BODY,
        challenge="discord",
        confirmed="peer",
    ),
    Scheme(
        "sendgrid",
        ("X-Twilio-Email-Event-Webhook-Signature",),
        content="{timestamp}{body}",
        mac=Mac("ecdsa-p256", "base64", "p256-spki"),
        timestamp=Timestamp("X-Twilio-Email-Event-Webhook-Timestamp", past=600),
        confirmed="vector",
    ),
)

_WITH_URL: Final = (
    Scheme(
        "square",
        ("x-square-hmacsha256-signature",),
        content="{url}{body}",
        mac=_BASE64,
        id=Source(body="event_id"),
        type=_TYPE_IN_BODY,
        confirmed="vector",
    ),
    Scheme("trello", ("X-Trello-Webhook",), content="{body}{url}", mac=Mac("hmac-sha1", "base64"), challenge="head"),
    # Not HMAC, so an old provider's choice by name and never a fallback of `hubspot`.
    Scheme(
        "hubspot_v2",
        ("X-HubSpot-Signature",),
        content="{method}{url}{body}",
        mac=Mac("sha256-concat"),
        confirmed="vector",
    ),
    Scheme("hubspot_v1", ("X-HubSpot-Signature",), mac=Mac("sha256-concat"), confirmed="vector"),
)

_RSA: Final = (
    Scheme("highlevel", ("x-wh-signature",), mac=Mac("rsa-sha256", "base64", "rsa-pem"), type=_TYPE_IN_BODY),
)

_TOKENS: Final = (
    _token("telegram", "X-Telegram-Bot-Api-Secret-Token", id=Source(body="update_id")),
    _token("gitlab_token", "X-Gitlab-Token", type=Source(header="X-Gitlab-Event")),
    _token("okta", "Authorization", challenge="okta"),
    _token("auth0", "Authorization"),
    _token("basic", "Authorization", "Basic ", "base64"),
    _token("chargebee", "Authorization", "Basic ", "base64", id=_IN_BODY, type=Source(body="event_type")),
    _token("postmark", "Authorization", "Basic ", "base64", type=Source(body="RecordType")),
    _token("deepgram", "dg-token"),
    _token("flutterwave", "verif-hash", type=Source(body="event"), confirmed="code"),
)

_ALL: Final = (*_BODY_HEX, *_BODY_BASE64, *_TIMED, *_WITH_URL, *_RSA, *_TOKENS, *SPECIAL)
_BY_NAME: Final = {scheme.name: scheme for scheme in _ALL}


def schemes() -> list[str]:
    """The names of all built-in schemes, sorted."""
    return sorted(_BY_NAME)


def lookup(name: str | Scheme) -> Scheme:
    """The scheme of that name, or the one given; `UnsupportedScheme` for a name that is not built in."""
    if isinstance(name, Scheme):
        return name
    found = _BY_NAME.get(name) if isinstance(name, str) else None
    if found is None:
        near = get_close_matches(name, _BY_NAME, 1) if isinstance(name, str) else []
        hint = f"did you mean {near[0]!r}?" if near else "see webhooks.schemes(), or describe it by webhooks.custom()"
        raise UnsupportedScheme("no such scheme", hint=hint)
    return found


def custom(
    name: str,
    headers: str | Sequence[str],
    *,
    parser: Plain | Pairs = _WHOLE,
    content: str = "{body}",
    mac: Mac = _HEX,
    also: Sequence[Mac] = (),
    timestamp: Timestamp | None = None,
    id: Source | None = None,
    type: Source | None = None,
    challenge: str = "",
) -> Scheme:
    """A scheme of your own, by the fields of `Scheme`; `headers` may be one name.

    ``custom("acme", "X-Acme-Signature", parser=Plain("sha256="))`` is the common case: HMAC-SHA-256 of the body, hex.

    Raises:
        ConfigurationError: fields that contradict each other.
    """
    names = (headers,) if isinstance(headers, str) else tuple(headers)
    return Scheme(name, names, parser, content, mac, tuple(also), timestamp, id, type, challenge)
