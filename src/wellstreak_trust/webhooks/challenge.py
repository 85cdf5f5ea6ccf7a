"""Handshakes: how a provider asks an endpoint whether it is the right one, before it sends anything.

Answering is an oracle, so a signed handshake is verified first, an unsigned one must present the configured token,
and what is echoed is short, plain and typed as text. A secret that the provider hands over in its handshake is taken
only while the endpoint is pending, and goes to the operator: whoever posts first must not choose the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from ..core.errors import MalformedBody, MalformedHeader, SignatureMismatch, UntrustedCertificate, WeakSecret
from ..core.http import Target
from ..core.secret import Secret
from .event import VerifiedWebhook, dig, load_json
from .keys import SharedKey
from .parse import HeaderSource, gatherer
from .special import sns
from .special.parts import CHALLENGE

if TYPE_CHECKING:
    from .verify import WebhookVerifier

__all__ = ["ACKNOWLEDGED", "CHALLENGES", "ChallengeResponse", "Opening"]

_MAX_QUERY: Final = 4_096
_ECHOED: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{1,512}").fullmatch
_TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
_JSON: Final = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))
_PRINTED: Final = re.compile(r"[ -~]{1,512}").fullmatch
_PING: Final = re.compile(rb'"type"\s*:\s*1\b')


@dataclass(frozen=True, slots=True)
class ChallengeResponse:
    """What to answer, as it stands.

    Args:
        handover: what the provider handed over with its handshake: a signing secret (Asana), a token for its dashboard
            (Notion), the address that confirms a subscription (SNS, its host checked). Never sent back by itself.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    handover: Secret[str] | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A request that may be a handshake."""

    method: str
    url: str
    headers: HeaderSource
    body: bytes
    now: datetime | None


def _slack(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://docs.slack.dev/reference/events/url_verification."""
    event = _signed(verifier, opening, b"url_verification")
    if event is None or event.type != "url_verification":
        return None
    return ChallengeResponse(200, _TEXT, _echo(dig(event.json(), "challenge")))


def _zoom(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://developers.zoom.us/docs/api/webhooks (validate your webhook endpoint)."""
    event = _signed(verifier, opening, b"endpoint.url_validation")
    if event is None or event.type != "endpoint.url_validation":
        return None
    token = _echo(dig(event.json(), "payload.plainToken"))
    key = next(key for key in verifier.keys if key.id == event.key_id)
    assert isinstance(key, SharedKey)
    return _json({"plainToken": token.decode("ascii"), "encryptedToken": key.code(b"", token, b"")})


def _discord(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://discord.com/developers/docs/interactions/overview: a PING, also signed badly to see a 401."""
    if not isinstance(opening.body, bytes) or not _PING.search(opening.body):
        return None
    event = _signed(verifier, opening, b'"type"')
    if event is None or dig(event.json(), "type") != "1":
        return None
    return _json({"type": 1})


def _meta(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://developers.facebook.com/docs/graph-api/webhooks/getting-started (verification requests)."""
    if opening.method != "GET":
        return None
    query = _query(opening.url)
    if query.get("hub.mode") != ["subscribe"]:
        return None
    if not verifier.settings.verify_token:
        raise WeakSecret(
            "no verify_token is configured", hint="verifier(..., verify_token='as entered at the provider')"
        )
    presented = query.get("hub.verify_token", [])
    expected = verifier.settings.verify_token.encode("utf-8")
    if len(presented) != 1 or not compare_digest(presented[0].encode("utf-8", "surrogatepass"), expected):
        raise SignatureMismatch("the handshake presents another verify_token")
    challenge = query.get("hub.challenge", [])
    return ChallengeResponse(200, _TEXT, _echo(challenge[0] if len(challenge) == 1 else ""))


def _okta(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://developer.okta.com/docs/concepts/event-hooks/#one-time-verification-request."""
    text = _field(opening, "x-okta-verification-challenge") if opening.method == "GET" else None
    return None if text is None else _json({"verification": _echo(text).decode("ascii")})


def _dropbox(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://www.dropbox.com/developers/reference/webhooks#documentation (verification request)."""
    text = _asked(opening, "GET", "challenge")
    return None if text is None else ChallengeResponse(200, _TEXT, _echo(text))


def _msgraph(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks (endpoint validation)."""
    text = _asked(opening, "POST", "validationToken")
    if text is None:
        return None
    if not _PRINTED(text):
        raise MalformedBody("the handshake carries nothing that could be echoed")
    return ChallengeResponse(200, _TEXT, text.encode("ascii"))


def _x(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://docs.x.com/x-api/webhooks/introduction (challenge-response checks), asked again every hour.

    The answer is a signature over a text that anybody chooses. What can be echoed never begins as a delivery of X does
    (`Scheme.opening`), so that no answer passes for one.
    """
    text = _asked(opening, "GET", "crc_token")
    if text is None:
        return None
    return _json({"response_token": f"sha256={verifier.keys[0].code(b'', _echo(text), b'')}"})


def _braintree(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://developer.paypal.com/braintree/docs/guides/webhooks/create (verify)."""
    text = _asked(opening, "GET", "bt_challenge")
    if text is None:
        return None
    if not CHALLENGE.fullmatch(text):
        raise MalformedBody("the challenge is not 20 to 32 hex digits")
    key = verifier.keys[0]
    return ChallengeResponse(200, _TEXT, f"{key.public}|{key.code(text.encode(), b'', b'')}".encode())


def _head(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """Mandrill and Trello look whether anything is there."""
    return ChallengeResponse(200, (), b"") if opening.method == "HEAD" else None


def _asana(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://developers.asana.com/docs/webhooks-guide#the-webhook-handshake: the secret comes with it, once."""
    text = _field(opening, "x-hook-secret")
    if text is None:
        return None
    _check_pending(verifier)
    secret = _echo(text).decode("ascii")
    return ChallengeResponse(200, (("X-Hook-Secret", secret),), b"", Secret(secret))


def _notion(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://developers.notion.com/reference/webhooks#step-2-verifying-your-subscription."""
    if opening.method != "POST" or not isinstance(opening.body, bytes) or len(opening.body) > _MAX_QUERY:
        return None
    if b"verification_token" not in opening.body or _field(opening, "x-notion-signature") is not None:
        return None
    document = load_json(opening.body, once=True)
    if not isinstance(document, dict) or set(document) != {"verification_token"}:
        return None
    _check_pending(verifier)
    return ChallengeResponse(200, (), b"", Secret(_echo(dig(document, "verification_token")).decode("ascii")))


def _sns(verifier: WebhookVerifier, opening: Opening) -> ChallengeResponse | None:
    """https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.confirm.html; the host decides whether to confirm."""
    event = _signed(verifier, opening, b"SubscriptionConfirmation")
    if event is None or event.type != "SubscriptionConfirmation":
        return None
    url = dig(event.json(), "SubscribeURL")
    target = Target.parse(url)
    if target.scheme != "https" or target.port is not None or not sns.HOST.fullmatch(target.host):
        raise UntrustedCertificate("the subscription is not confirmed at that address")
    return ChallengeResponse(200, (), b"", Secret(url))


def _check_pending(verifier: WebhookVerifier) -> None:
    if not verifier.settings.pending:
        raise SignatureMismatch(
            "a secret is handed over, but the endpoint is not pending", hint="verifier(..., pending=True) once"
        )


def _asked(opening: Opening, method: str, name: str) -> str | None:
    """The query's one value of that name."""
    if opening.method != method:
        return None
    values = _query(opening.url).get(name)
    if values is None:
        return None
    return values[0] if len(values) == 1 else ""


def _field(opening: Opening, name: str) -> str | None:
    """The one header of that name."""
    return gatherer((name,), ())(opening.headers).get(name)


def _signed(verifier: WebhookVerifier, opening: Opening, mark: bytes) -> VerifiedWebhook | None:
    """The verified request, if it can be a handshake at all: ordinary deliveries are not verified twice."""
    if opening.method != "POST" or not isinstance(opening.body, bytes) or mark not in opening.body:
        return None
    return verifier.verify(opening.headers, opening.body, url=opening.url, method=opening.method, now=opening.now)


def _query(url: str) -> dict[str, list[str]]:
    query = Target.parse(url).query
    try:
        return parse_qs(query, max_num_fields=16, strict_parsing=True) if query and len(query) <= _MAX_QUERY else {}
    except ValueError:
        raise MalformedHeader("the handshake's query does not parse") from None


def _echo(text: str) -> bytes:
    if not _ECHOED(text):
        raise MalformedBody("the handshake carries nothing that could be echoed")
    return text.encode("ascii")


def _json(document: Any) -> ChallengeResponse:
    return ChallengeResponse(200, _JSON, json.dumps(document, separators=(",", ":")).encode("ascii"))


CHALLENGES: Final[dict[str, Callable[[WebhookVerifier, Opening], ChallengeResponse | None]]] = {
    "slack": _slack,
    "zoom": _zoom,
    "meta": _meta,
    "discord": _discord,
    "okta": _okta,
    "dropbox": _dropbox,
    "msgraph": _msgraph,
    "x": _x,
    "braintree": _braintree,
    "head": _head,
    "asana": _asana,
    "notion": _notion,
    "sns": _sns,
}

ACKNOWLEDGED: Final = {
    "adyen_payments": ChallengeResponse(200, _TEXT, b"[accepted]"),
    "dropbox_sign": ChallengeResponse(200, _TEXT, b"Hello API Event Received"),
    "msgraph": ChallengeResponse(202, (), b""),
}
