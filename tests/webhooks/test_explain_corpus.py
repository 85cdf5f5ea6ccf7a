"""A corpus of faults, made for every scheme: how often `explain` names the cause that was planted."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.testing import SignedRequest, Signer, signer
from wellstreak_trust.webhooks import Plain
from wellstreak_trust.webhooks.schemes import lookup

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY = {"id": "evt_1", "type": "invoice.paid", "name": "Zoë / Łódź", "amount": 1250, "lines": [{"sku": "a"}]}
LAYOUTS: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {"ensure_ascii": False, "separators": (",", ":")},
    {"indent": 2},
    {"sort_keys": True},
]
SECRETS = (("base64", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), ("hex", "5f" * 24), ("utf8", "whsec_" + "MfKQ" * 8))
# All schemes with WST_EXPLAIN_CORPUS=all; else those with a rule, and every sixth of the others.
NAMES = [
    name
    for number, name in enumerate(webhooks.schemes())
    if number % 6 == 0 or lookup(name).rule is not None or os.environ.get("WST_EXPLAIN_CORPUS") == "all"
]
URL = "https://hooks.example.com/in/stripe?tenant=7"
Fault = tuple[str, SignedRequest, list[Any], str | None]


@cache
def party(name: str) -> Signer:
    return signer(name)


def body_of(scheme: webhooks.Scheme, **layout: Any) -> bytes:
    document = dict(BODY)
    if scheme.timestamp and scheme.timestamp.body and scheme.rule is None:
        document[scheme.timestamp.body] = int(NOW.timestamp() * 1000)
    return json.dumps(document, **layout).encode()


def faults(name: str) -> Iterator[Fault]:
    """Planted cause, delivery, secrets, configured URL."""
    ours, scheme = party(name), lookup(name)
    binds = "body" in scheme.signed
    url = URL if scheme.needs_url else None
    given = body_of(scheme, ensure_ascii=False) if binds and name not in FORMS else None
    sent = ours.sign(given, at=NOW, url=URL)
    keys: list[Any] = list(ours.secrets)
    url = sent.url if scheme.needs_url else None
    yield "ok", sent, keys, url
    if scheme.headers:
        header = scheme.headers[0]
        yield "missing_header", replace(sent, headers=without(sent, header)), keys, url
        yield "duplicate_header", ours.duplicated(sent), keys, url
        if scheme.mac.algorithm != "token":
            yield "malformed_header", ours.truncated(sent), keys, url
        yield from relayed(ours, sent, keys, url)
    yield "wrong_secret", sent, list(stranger(name).secrets), url
    yield "wrong_secret", sent, [*stranger(name).secrets, *stranger(name, 2).secrets], url  # test and live mixed up
    ended = [webhooks.SigningSecret(each, until=NOW - timedelta(days=1)) for each in keys]
    yield "retired_secret", sent, ended, url
    if scheme.timestamp:
        late = timedelta(seconds=scheme.timestamp.past + 3_700)
        early = timedelta(seconds=scheme.timestamp.future + 3_700)
        aged = {} if scheme.rule is not None or not scheme.timestamp.body else {"body": None}
        for cause, at in (("stale", NOW - late), ("future", NOW + early)):
            yield cause, ours.sign(aged.get("body", given), at=at, url=URL), keys, url
    if binds and name not in FORMS:
        yield from bodies(ours, scheme, sent, url)
        yield from recoded(ours, scheme)
    if scheme.rule is None:
        yield from misread(scheme, given, url)
    yield from elsewhere(scheme, sent, keys, url)
    if scheme.needs_url:
        yield from urls(ours, given, keys)


def bodies(ours: Signer, scheme: webhooks.Scheme, sent: SignedRequest, url: str | None) -> Iterator[Fault]:
    keys: list[Any] = list(ours.secrets)
    yield "body_newline", replace(sent, body=sent.body + b"\n"), keys, url
    lost = ours.sign(body_of(scheme) + b"\n", at=NOW, url=URL)
    address = lost.url if scheme.needs_url else None
    yield "body_newline", replace(lost, body=lost.body.rstrip()), keys, address
    crlf = ours.sign(body_of(scheme, indent=2).replace(b"\n", b"\r\n"), at=NOW, url=URL)
    address = crlf.url if scheme.needs_url else None
    yield "body_newline", replace(crlf, body=crlf.body.replace(b"\r\n", b"\n")), keys, address
    for made in LAYOUTS:
        whole = ours.sign(body_of(scheme, **made), at=NOW, url=URL)
        address = whole.url if scheme.needs_url else None
        for seen in ({"indent": 4}, {"separators": (", ", ": ")}):
            again = json.dumps(json.loads(whole.body), **seen).encode()
            if again != whole.body:
                yield "body_reserialised", replace(whole, body=again), keys, address


def relayed(ours: Signer, sent: SignedRequest, keys: list[Any], url: str | None) -> Iterator[Fault]:
    """What gateways and environments do to header fields."""
    header = ours.scheme.headers[0]
    value = sent.headers[header]
    rest = without(sent, header)
    for name in (f"HTTP_{header.upper().replace('-', '_')}", header.replace("-", "_"), f"X-Original-{header}"):
        if name != header and name.lower() not in {other.lower() for other in ours.scheme.headers}:
            yield "missing_header", replace(sent, headers=rest | {name: value}), keys, url
    if ours.scheme.mac.algorithm != "token" and ours.scheme.rule is None and _is_one(ours.scheme.parser):
        yield "duplicate_header", replace(sent, headers=rest | {header: f"{value}, {value}"}), keys, url


def _is_one(parser: Plain | webhooks.Pairs) -> bool:
    return isinstance(parser, Plain) and not parser.separator


def recoded(ours: Signer, scheme: webhooks.Scheme) -> Iterator[Fault]:
    """Charset, compression, byte order mark, and a body that was written as a text of JSON."""
    keys: list[Any] = list(ours.secrets)
    whole = ours.sign(body_of(scheme, ensure_ascii=False, separators=(",", ":")), at=NOW, url=URL)
    plain = whole.body.decode()
    url = whole.url if scheme.needs_url else None
    for body in (
        plain.encode("utf-16"),
        whole.body.decode("latin-1").encode(),
        gzip.compress(whole.body),
        zlib.compress(whole.body),
        b"\xef\xbb\xbf" + whole.body,
        json.dumps(plain).encode(),
        plain.encode("ascii", "replace").replace(b"?", b"\xef\xbf\xbd"),
    ):
        yield "body_reserialised", replace(whole, body=body), keys, url
    form = ours.sign(b"a=1&b=x+y%2Fz&c=%C3%A9", at=NOW, url=URL) if not scheme.opening and scheme.rule is None else None
    if form is not None and not (scheme.timestamp and scheme.timestamp.body):
        for body in (b"a=1&b=x%20y%2Fz&c=%C3%A9", b"a=1&b=x+y/z&c=%C3%A9", b"a=1&b=x+y%2fz&c=%c3%a9"):
            yield "body_reserialised", replace(form, body=body), keys, form.url if scheme.needs_url else None


def misread(scheme: webhooks.Scheme, given: bytes | None, url: str | None) -> Iterator[Fault]:
    """The secret in another form than the provider reads it, and times in the other unit."""
    secret = party(scheme.name).secret
    for text in (f"{secret}\n", f" {secret}", f'"{secret}"', f"'{secret}'", f"SECRET={secret}", f"\ufeff{secret}"):
        if "-----" not in secret and scheme.mac.codec not in PUBLIC:
            yield "wrong_secret_codec", party(scheme.name).sign(given, at=NOW, url=URL), [text], url
    if scheme.mac.algorithm.startswith("hmac"):
        for codec, text in SECRETS:
            if codec == scheme.mac.codec or (scheme.mac.codec == "sha256" and codec == "utf8"):
                continue
            if scheme.mac.codec == "hex" and codec == "base64":
                continue  # no operator could configure it: the verifier refuses the text at start
            mac: Any = {"codec": codec}
            theirs = replace(scheme, mac=replace(scheme.mac, **mac), also=())
            if codec == "base64" and scheme.mac.codec == "whsec":
                continue  # the same bytes
            yield "wrong_secret_codec", signer(theirs, text).sign(given, at=NOW, url=URL), [text], url
    time = scheme.timestamp
    if time is not None and time.unit != "iso" and (given is None or not time.body):
        other = replace(scheme, timestamp=replace(time, unit="ms" if time.unit == "s" else "s"))
        yield (
            "timestamp_unit",
            signer(other, secret).sign(given, at=NOW, url=URL),
            list(party(scheme.name).secrets),
            url,
        )


def elsewhere(scheme: webhooks.Scheme, sent: SignedRequest, keys: list[Any], url: str | None) -> Iterator[Fault]:
    """A delivery of another provider."""
    if not scheme.headers:
        return
    for other in ("stripe", "slack", "shopify", "discord", "twilio"):
        foreign = party(other).sign(at=NOW)
        if lookup(other).headers != scheme.headers and not set(foreign.headers) & set(scheme.headers):
            yield "wrong_scheme", foreign, keys, url


def urls(ours: Signer, given: bytes | None, keys: list[Any]) -> Iterator[Fault]:
    sent = ours.sign(given, at=NOW, url=URL)
    for wrong in (
        sent.url.replace("https", "http"),
        sent.url.replace("/stripe", "/stripe/"),
        sent.url.replace("example.com", "example.com:8443"),
        sent.url.replace("tenant=7", "tenant=8"),
        sent.url.replace("hooks.example.com", "internal.local:8000"),
        sent.url.replace("https://hooks.example.com", "http://10.0.0.7:8080"),
        sent.url.replace("/in/stripe", "/stripe"),
        sent.url.replace("hooks.example.com", "www.hooks.example.com"),
        sent.url.replace("https", "http").replace("example.com", "example.com:80"),
    ):
        headers = sent.headers | {"Forwarded": 'for=192.0.2.1;proto=https;host="hooks.example.com"'}
        headers |= {"X-Original-URI": sent.url.partition(".com")[2]}
        if wrong.count("tenant=8"):
            continue
        if ours.scheme.name in ("twilio", "twilio_sha256") and ":8443" in wrong:
            continue  # these providers' signatures are tried with and without a port
        yield "wrong_url", replace(sent, headers=headers), keys, wrong


def without(sent: SignedRequest, header: str) -> dict[str, str]:
    return {name: value for name, value in sent.headers.items() if name != header}


@cache
def stranger(name: str, number: int = 1) -> Signer:
    return party(name)._stranger()


FORMS = {"twilio", "twilio_sha256", "mandrill", "braintree"}
PUBLIC = {"whpk", "ed25519-hex", "p256-spki", "rsa-pem"}


@pytest.fixture(scope="module")
def judged() -> list[tuple[str, str, str]]:
    found = []
    for name in NAMES:
        for cause, sent, secrets, url in faults(name):
            told = webhooks.explain(name, sent.headers, sent.body, secrets, url, method=sent.method, now=NOW)
            text = f"{told.cause} {told.hint}"
            assert not any(str(secret) in text for secret in (*secrets, party(name).secret))
            found.append((name, cause, told.cause))
    return found


def test_the_planted_cause_is_named(judged: list[tuple[str, str, str]]) -> None:
    missed = [each for each in judged if each[1] != each[2]]
    assert len(judged) > 800
    assert len(missed) / len(judged) <= 0.05, (len(missed), Counter((cause, told) for _, cause, told in missed))


def test_no_cause_is_hopeless(judged: list[tuple[str, str, str]]) -> None:
    planted, named = Counter(cause for _, cause, _ in judged), Counter(c for _, c, told in judged if c == told)
    assert {cause for cause in planted if named[cause] < 0.9 * planted[cause]} == set()
