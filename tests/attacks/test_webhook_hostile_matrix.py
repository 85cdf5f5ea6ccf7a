"""Everything that anybody can send, to every scheme: a documented refusal or the genuine delivery, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from wellstreak_trust import webhooks
from wellstreak_trust.core import FixedClock
from wellstreak_trust.testing import SignedRequest, Signer, signer
from wellstreak_trust.webhooks import NoKeys, WebhookError, WebhookVerifier
from wellstreak_trust.webhooks.schemes import lookup

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)
NAMES = webhooks.schemes()
DEEP = b"[" * 100_000
VALUES: list[Any] = [
    *("", " ", "\0", "\n", "\r\nX: y", "\ud800", "\u0660" * 10, "é" * 64, "a" * 9_000, "=" * 500, "," * 500, "." * 500),
    *(
        "t=,v1=",
        "v1," * 100,
        "null",
        "0",
        "-1",
        "9" * 5_000,
        "1e400",
        "nan",
        '"',
        "sig1=()",
        "sig1=::",
        "Bearer ",
        "a.b.c",
    ),
    *(
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        "%s%(x)s{0}",
        b"\xff",
        b"bytes",
        7,
        None,
        [],
        ["a"],
        {},
    ),
]
BODIES: list[Any] = [
    *(b"", b"\0", b"\xff\xfe", DEEP, b"{" * 100_000, b'{"a":' * 50_000, b"9" * 5_000, b"null", b"[]", b"{}", b'"x"'),
    *(
        b'{"a":"\\ud800"}',
        b'{"value":[{"clientState":"\\ud800"}]}',
        b"NaN",
        b'{"value":[]}',
        b'{"notificationItems":[]}',
    ),
    *(
        b'{"notificationItems":7}',
        b'{"notificationItems":[7]}',
        b'{"notificationItems":[{"NotificationRequestItem":7}]}',
    ),
    *(b'{"signature":7}', b'{"signature":{"timestamp":1,"token":[],"signature":{}}}', b'{"event":[]}', b'{"event":7}'),
    *(
        b'{"Type":"Notification"}',
        b'{"Type":["x"]}',
        b'{"Type":7}',
        b"bt_signature=&bt_payload=",
        b"a=%zz",
        b"a=%ff",
        b"=&=",
        b"&" * 2_000,
    ),
    *(
        b"bt_signature=a|b|c&bt_payload=x",
        b"bt_signature=" + b"a%7Cb%26" * 100 + b"&bt_payload=x",
        b"json=%7B",
        b"json=1&json=2",
    ),
    *(b'{"additionalData":{"hmacSignature":7}}', b'{"additionalData":[],"amount":[]}', b'{"amount":{"value":1e999}}'),
    *("text", None, 7, {}, [], bytearray(b"{}"), memoryview(b"{}")),
]
URLS: list[Any] = [
    *(
        "",
        "/",
        "http://",
        "https://[::1",
        "https://x:99999/",
        "https://x:y/",
        "https://\ud800/",
        "https://é/",
        "x" * 100_000,
    ),
    *(
        "https://h/?bodySHA256=",
        "https://h/?bodySHA256=é",
        "https://h/?bodySHA256=a&bodySHA256=b",
        "https://h/\n",
        7,
        b"x",
    ),
]
METHODS: list[Any] = ["", "post", "PO ST", "é", "\ud800", "x" * 10_000, None, 7]


@cache
def party(name: str) -> tuple[Signer, WebhookVerifier, SignedRequest]:
    ours = signer(name)
    return ours, ours.verifier(clock=CLOCK, keys=NoKeys()), ours.sign(at=NOW)


def refused(call: Callable[[], object]) -> bool:
    """False for a delivery that verified; anything but a `WebhookError` fails the test by itself."""
    try:
        call()
    except WebhookError as error:
        caught = error
    else:
        return False
    assert str(caught) == f"{caught.title} [{caught.code}]"
    assert caught.step
    return True


def headers_of(sent: SignedRequest, name: str) -> Iterator[str]:
    scheme = lookup(name)
    time = scheme.timestamp.header if scheme.timestamp else ""
    for header in {*scheme.headers, *scheme.reads, time, scheme.id.header if scheme.id else ""} - {""}:
        if header in sent.headers:
            yield header


@pytest.mark.parametrize("name", NAMES)
def test_hostile_headers(name: str) -> None:
    _, verifier, sent = party(name)
    proving = set(lookup(name).headers[:1])
    for header in headers_of(sent, name):
        for value in VALUES:
            hostile: Any = sent.headers | {header: value}
            out = refused(lambda hostile=hostile: verifier.verify(hostile, sent.body, url=sent.url))
            assert out or header not in proving
    for source in (None, 7, "text", [("a",)], [(1, 2)], {1: 2}, [None], object(), {"a": object()}):
        hostile = source
        out = refused(lambda hostile=hostile: verifier.verify(hostile, sent.body, url=sent.url))
        assert out or not lookup(name).headers


@pytest.mark.parametrize("name", NAMES)
def test_hostile_bodies(name: str) -> None:
    _, verifier, sent = party(name)
    signed = lookup(name).signed
    for body in BODIES:
        hostile: Any = body
        out = refused(lambda hostile=hostile: verifier.verify(sent.headers, hostile, url=sent.url))
        assert out or "body" not in signed
    assert refused(lambda: verifier.verify(sent.headers, b"x" * (1 << 20) + b"y", url=sent.url))


FIELDS: list[Any] = [None, True, 7, -1, 1.5, 10**30, "", "\ud800", "a\nb", "é", [], ["x"], {}, {"a": 1}]


def replaced(document: Any) -> Iterator[Any]:
    """The document with each of its values replaced by each hostile one, in turn."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        for hostile in FIELDS:
            document[key] = hostile
            yield document
        document[key] = value
        if isinstance(value, dict | list):
            for _ in replaced(value):
                yield document


@pytest.mark.parametrize("name", [name for name in NAMES if not lookup(name).headers and name != "braintree"])
def test_hostile_fields_of_a_signed_body(name: str) -> None:
    _, verifier, sent = party(name)
    document = json.loads(sent.body)
    tried = 0
    for changed in replaced(document):
        raw = json.dumps(changed).encode()
        refused(lambda raw=raw: verifier.verify(sent.headers, raw))
        tried += 1
    assert tried > 50


@pytest.mark.parametrize("name", [name for name in NAMES if lookup(name).needs_url])
def test_hostile_urls_and_methods(name: str) -> None:
    _, verifier, sent = party(name)
    for url in URLS:
        assert refused(lambda url=url: verifier.verify(sent.headers, sent.body, url=url))
    for method in METHODS:
        out = refused(lambda method=method: verifier.verify(sent.headers, sent.body, url=sent.url, method=method))
        assert out or name in ("square", "trello", "twilio", "twilio_sha256", "mandrill")


@pytest.mark.parametrize("name", NAMES)
def test_hostile_handshakes(name: str) -> None:
    _, verifier, sent = party(name)
    for query in (
        "",
        "?",
        "?crc_token=",
        "?crc_token=7",
        "?challenge=%0d%0aX",
        "?validationToken=%00",
        "?bt_challenge=zz",
        "?hub.mode=subscribe",
        "?a" * 100,
        "?challenge=<script>",
        "?crc_token=a&crc_token=b",
    ):
        for method in ("GET", "POST", "HEAD", ""):
            for body in (b"", sent.body, DEEP, b'{"type":"url_verification"}', b'{"verification_token":"x"}', None):
                raw: Any = body
                try:
                    answer = verifier.challenge(method, f"https://h.example/{query}", sent.headers, raw)
                except WebhookError:
                    continue
                assert answer is None or b"\r" not in answer.body


@pytest.mark.parametrize("name", NAMES)
def test_no_header_can_be_taken_away_or_doubled(name: str) -> None:
    _, verifier, sent = party(name)
    for header in set(headers_of(sent, name)) & set(lookup(name).headers):
        rest = {key: value for key, value in sent.headers.items() if key != header}
        assert refused(lambda rest=rest: verifier.verify(rest, sent.body, url=sent.url))
        twice = [*sent.headers.items(), (header.swapcase(), sent.headers[header])]
        assert refused(lambda twice=twice: verifier.verify(twice, sent.body, url=sent.url))


@pytest.mark.parametrize("name", NAMES)
def test_a_delivery_of_one_scheme_is_none_of_another(name: str) -> None:
    _, verifier, _ = party(name)
    same = {scheme for scheme in NAMES if lookup(scheme).headers == lookup(name).headers}
    for other in NAMES:
        if other not in same:
            foreign = party(other)[2]
            assert refused(lambda foreign=foreign: verifier.verify(foreign.headers, foreign.body, url=foreign.url)), (
                other
            )


@pytest.mark.parametrize("name", NAMES)
def test_every_bit_of_what_is_signed_counts(name: str) -> None:
    _, verifier, sent = party(name)
    for at in range(0, len(sent.body), max(1, len(sent.body) // 24)):
        octets = bytearray(sent.body)
        octets[at] ^= 1 << (at % 8)
        out = refused(lambda octets=octets: verifier.verify(sent.headers, bytes(octets), url=sent.url))
        assert out or "body" not in lookup(name).signed
    if "url" in lookup(name).signed:
        changed = replace(sent, url=sent.url.replace("hooks", "hookz"))
        assert refused(lambda: verifier.verify(changed.headers, changed.body, url=changed.url))
