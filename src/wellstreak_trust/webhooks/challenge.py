"""Handshakes: how a provider asks an endpoint whether it is the right one, before it sends anything.

Answering is an oracle, so a signed handshake is verified first, an unsigned one must present the configured token,
and what is echoed is short, plain and typed as text.
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

from ..core.errors import MalformedBody, MalformedHeader, SignatureMismatch, WeakSecret
from ..core.http import Target
from .event import VerifiedWebhook, dig
from .keys import SharedKey
from .parse import HeaderSource

if TYPE_CHECKING:
    from .verify import WebhookVerifier

__all__ = ["CHALLENGES", "ChallengeResponse", "Opening"]

_MAX_QUERY: Final = 4_096
_ECHOED: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{1,512}").fullmatch
_TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
_JSON: Final = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))
_PING: Final = re.compile(rb'"type"\s*:\s*1\b')


@dataclass(frozen=True, slots=True)
class ChallengeResponse:
    """What to answer, as it stands."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


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
}
