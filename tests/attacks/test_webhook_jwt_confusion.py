"""JWT deliveries: algorithms that the token chooses, claims of the wrong kind, keys of somebody else."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock
from wellstreak_trust.testing import Signer, signer
from wellstreak_trust.webhooks import WebhookError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp())
BODY = b'{"webhook_type":"ITEM"}'
HEADER = {"plaid": "Plaid-Verification", "google_chat": "Authorization", "pubsub": "Authorization"}


def b64(data: Any) -> str:
    octets = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def deliver(ours: Signer, token: str, body: bytes = BODY, **options: Any) -> webhooks.VerifiedWebhook:
    name = ours.scheme.name
    prefix = "Bearer " if HEADER[name] == "Authorization" else ""
    return ours.verifier(clock=FixedClock(NOW), **options).verify({HEADER[name]: prefix + token}, body)


def claims(ours: Signer) -> dict[str, Any]:
    if ours.scheme.name == "plaid":
        return {"iat": STAMP, "request_body_sha256": sha256(BODY).hexdigest()}
    identity = ours.secret.partition("\n")[0]
    if ours.scheme.name == "google_chat":
        return {"iat": STAMP, "exp": STAMP + 60, "iss": "chat@system.gserviceaccount.com", "aud": identity}
    audience, account = identity.split(" ")
    return {
        **{"iat": STAMP, "exp": STAMP + 60, "iss": "https://accounts.google.com", "aud": audience},
        **{"email": account, "email_verified": True},
    }


def made(ours: Signer, changed: dict[str, Any] | None = None, **header: Any) -> str:
    algorithm = "ES256" if ours.scheme.name == "plaid" else "RS256"
    key = ours.secret[ours.secret.index("-----") :]
    payload = {k: v for k, v in (claims(ours) | (changed or {})).items() if v is not ...}
    return jwt.encode(payload, key, algorithm, headers={"kid": "test"} | header)


@cache
def party(name: str) -> Signer:
    """Making RSA keys is slow."""
    return signer(name)


@pytest.fixture(params=sorted(HEADER))
def ours(request: pytest.FixtureRequest) -> Signer:
    return party(request.param)


def test_a_genuine_token(ours: Signer) -> None:
    assert deliver(ours, made(ours)).body == BODY


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 7, ["ES256"]])
def test_no_algorithm_is_no_signature(ours: Signer, algorithm: Any) -> None:
    for signature in ("", "AAAA"):
        token = f"{b64({'alg': algorithm, 'kid': 'test'})}.{b64(claims(ours))}.{signature}"
        with pytest.raises(WebhookError):
            deliver(ours, token)


def test_a_public_key_is_never_a_shared_secret(ours: Signer) -> None:
    """CVE-2022-29217: the attacker signs with HMAC and the key that everybody knows."""
    material = ours.secrets[0][ours.secrets[0].index("{") :]
    jwk = json.loads(material)["keys"][0]
    pem = jwt.PyJWK(jwk).key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (material.encode(), json.dumps(jwk).encode(), pem, pem.strip()):
        signed = f"{b64({'alg': 'HS256', 'kid': 'test'})}.{b64(claims(ours))}"
        token = f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
        with pytest.raises(webhooks.UnsupportedScheme):
            deliver(ours, token)


def test_a_key_in_the_token_is_not_asked(ours: Signer) -> None:
    stranger = ours._stranger()
    jwk = json.loads(stranger.secrets[0][stranger.secrets[0].index("{") :])["keys"][0]
    for extra in (
        {"jwk": jwk},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/x"},
        {"kid": "other"},
    ):
        with pytest.raises(WebhookError):
            deliver(ours, made(stranger, **extra))


def test_critical_extensions_are_refused(ours: Signer) -> None:
    with pytest.raises(webhooks.MalformedHeader):
        deliver(ours, made(ours, crit=["b64"], b64=False))


@pytest.mark.parametrize("kid", ["../../etc/passwd", "x" * 129, "é", "", "a b", "other"])
def test_key_ids_are_text_of_one_form_and_known(ours: Signer, kid: str) -> None:
    with pytest.raises(WebhookError):
        deliver(ours, made(ours, kid=kid))


@pytest.mark.parametrize("value", [..., None, "", str(STAMP), STAMP + 0.5, -1, 0, 10**12, True, [STAMP], 1e300])
def test_the_time_is_a_whole_number(ours: Signer, value: Any) -> None:
    with pytest.raises(WebhookError):
        deliver(ours, made(ours, {"iat": value}))


def test_tokens_end(ours: Signer) -> None:
    with pytest.raises(webhooks.TimestampOutOfTolerance):
        deliver(ours, made(ours, {"exp": STAMP - 1}))
    assert deliver(ours, made(ours, {"exp": STAMP})).timestamp == NOW
    with pytest.raises(webhooks.TimestampOutOfTolerance):
        deliver(ours, made(ours, {"iat": STAMP + 61, "exp": ...}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("plaid", {"request_body_sha256": ...}),
        ("plaid", {"request_body_sha256": "0" * 64}),
        ("plaid", {"request_body_sha256": sha256(BODY).hexdigest().upper()}),
        ("plaid", {"request_body_sha256": ["x"]}),
        ("plaid", {"request_body_sha256": "\ud800"}),
        ("google_chat", {"aud": "999"}),
        ("google_chat", {"aud": ["123456789012"]}),
        ("google_chat", {"iss": "https://accounts.google.com"}),
        ("google_chat", {"iss": ...}),
        ("pubsub", {"aud": "https://other.example"}),
        ("pubsub", {"iss": "https://accounts.google.com.evil.example"}),
        ("pubsub", {"email": "other@trust.iam.gserviceaccount.com"}),
        ("pubsub", {"email_verified": False}),
        ("pubsub", {"email_verified": "true"}),
        ("pubsub", {"email_verified": ...}),
    ],
)
def test_every_claim_counts(name: str, change: dict[str, Any]) -> None:
    ours = party(name)
    with pytest.raises(WebhookError):
        deliver(ours, made(ours, change))


def test_another_body_is_another_delivery() -> None:
    ours = signer("plaid")
    with pytest.raises(webhooks.SignatureMismatch):
        deliver(ours, made(ours), BODY + b" ")


def test_a_token_has_one_spelling(ours: Signer) -> None:
    token = made(ours)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = token[:-1] + letters[letters.index(token[-1]) ^ 1]
    for spelled in (stray, token + "=", token + ".", "." + token, token.replace(".", "..", 1), token + " "):
        with pytest.raises(WebhookError):
            deliver(ours, spelled)


def test_a_bearer_token_says_nothing_of_the_body() -> None:
    """Google's tokens sign no request, and `signed` says so; a replay is known by its body."""
    ours = signer("pubsub")
    one, two = deliver(ours, made(ours)), deliver(ours, made(ours, {"iat": STAMP - 5}))
    assert one.signed == frozenset()
    assert one.replay_key == two.replay_key
    assert deliver(ours, made(ours), b"{}").replay_key != one.replay_key


def test_fusionauth_takes_the_algorithm_of_its_key() -> None:
    ours = signer("fusionauth")
    sent = ours.sign(BODY, at=NOW)
    secret = "s" * 32
    claim = {"iat": STAMP, "request_body_sha256": base64.b64encode(sha256(BODY).digest()).decode()}
    shared = jwt.encode(claim, secret, "HS256")
    header = "X-FusionAuth-Signature-JWT"
    verifier = webhooks.verifier("fusionauth", [f"hmac:{secret}"], clock=FixedClock(NOW))
    assert verifier.verify({header: shared}, BODY).signed == {"body", "timestamp"}
    for wrong, token in ((verifier, sent.headers[header]), (ours.verifier(clock=FixedClock(NOW)), shared)):
        with pytest.raises(WebhookError):
            wrong.verify({header: token}, BODY)
    late = FixedClock(NOW + timedelta(seconds=301))
    with pytest.raises(webhooks.TimestampOutOfTolerance):
        ours.verifier(clock=late).verify(sent.headers, BODY)
