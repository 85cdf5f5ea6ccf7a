"""Verifying a Stripe delivery, against a check written by hand over `hmac.digest` and against the peers at hand.

Interleaved in one run; the figures are ratios of medians to the hand-written check::

    python bench/webhooks.py
"""

from __future__ import annotations

import hmac
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any

import report

from wellstreak_trust import webhooks
from wellstreak_trust.testing import signer

SECRET = "whsec_" + "5f" * 24
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOISE = {
    "Host": "hooks.example.com",
    "User-Agent": "Stripe/1.0",
    "Accept": "*/*",
    "Content-Length": "300",
    "Content-Type": "application/json",
    "Cache-Control": "no-cache",
    "X-Request-Id": "0123456789abcdef",
}


def by_hand(headers: dict[str, str], body: bytes) -> bool:
    stamp, presented = "", []
    for part in headers["Stripe-Signature"].split(","):
        key, _, value = part.partition("=")
        if key == "t":
            stamp = value
        elif key == "v1":
            presented.append(value)
    expected = hmac.digest(SECRET.encode(), stamp.encode() + b"." + body, "sha256").hex()
    if abs(time.time() - int(stamp)) > 300:
        return False
    return any(hmac.compare_digest(expected, value) for value in presented)


def body_of(size: int) -> bytes:
    document = {"id": "evt_1", "type": "invoice.paid", "padding": ""}
    document["padding"] = "x" * (size - len(json.dumps(document)))
    return json.dumps(document).encode()


def contenders(size: int) -> dict[str, Callable[[], Any]]:
    body = body_of(size)
    stripe = NOISE | signer("stripe", SECRET).sign(body).headers
    standard = NOISE | signer("standard_webhooks", STANDARD).sign(body).headers
    ours = webhooks.verifier("stripe", [SECRET])
    second = webhooks.verifier("stripe", ["whsec_" + "77" * 24, SECRET])
    theirs = webhooks.verifier("standard_webhooks", [STANDARD])
    crowded = NOISE | {"Stripe-Signature": stripe["Stripe-Signature"] + f",v1={'a' * 64}" * 20_000}
    found: dict[str, Callable[[], Any]] = {
        "written by hand": lambda: by_hand(stripe, body),
        "ours, stripe": lambda: ours.verify(stripe, body),
        "ours, stripe, second secret": lambda: second.verify(stripe, body),
        "ours, standard_webhooks": lambda: theirs.verify(standard, body),
        "ours, 20,000 signatures refused": lambda: refused(ours, crowded, body),
    }
    peers = (
        ("stripe", _stripe),
        ("stripe.Webhook.construct_event", _construct_event),
        ("standardwebhooks", _standardwebhooks),
        ("svix", _svix),
        ("slack_sdk.signature", _slack),
    )
    for name, build in peers:
        try:
            found[f"{name} (peer)"] = build(import_module(name.partition(".Webhook")[0]), stripe, standard, body)
        except ImportError:
            print(f"  {name} is not installed", file=sys.stderr)
    return found


def refused(verifier: webhooks.WebhookVerifier, headers: dict[str, str], body: bytes) -> None:
    try:
        verifier.verify(headers, body)
    except webhooks.MalformedHeader:
        return
    raise AssertionError("20,000 signatures were read")


def _stripe(stripe: Any, headers: dict[str, str], _: dict[str, str], body: bytes) -> Callable[[], Any]:
    check, sent = stripe.WebhookSignature.verify_header, headers["Stripe-Signature"]
    return lambda: check(body.decode(), sent, SECRET, 300)


def _standardwebhooks(module: Any, _: dict[str, str], headers: dict[str, str], body: bytes) -> Callable[[], Any]:
    hook = module.Webhook(STANDARD)
    return lambda: hook.verify(body, headers)


def _construct_event(stripe: Any, headers: dict[str, str], _: dict[str, str], body: bytes) -> Callable[[], Any]:
    check, sent = stripe.Webhook.construct_event, headers["Stripe-Signature"]
    return lambda: check(body, sent, SECRET)


def _svix(module: Any, _: dict[str, str], headers: dict[str, str], body: bytes) -> Callable[[], Any]:
    hook = module.Webhook(STANDARD)
    renamed = {name.replace("webhook-", "svix-"): value for name, value in headers.items()}
    return lambda: hook.verify(body, renamed)


def _slack(module: Any, _: dict[str, str], __: dict[str, str], body: bytes) -> Callable[[], Any]:
    sent = NOISE | signer("slack", SECRET).sign(body).headers
    check = module.SignatureVerifier(SECRET).is_valid_request
    return lambda: check(body, sent)


def measure(found: dict[str, Callable[[], Any]], rounds: int, each: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, run in found.items():
            start = time.process_time_ns()
            for _ in range(each):
                run()
            times[name].append((time.process_time_ns() - start) / each)
    return {name: median(values) for name, values in times.items()}


def judge(title: str, medians: dict[str, float]) -> None:
    ours, hand, small = medians["ours, stripe"], medians["written by hand"], title.endswith(" B")
    report.against("webhooks", f"Stripe delivery, {title}", ours / hand, "a check by hand", target=0.85 if small else 1)
    flood = medians["ours, 20,000 signatures refused"] / hand
    report.against("webhooks", f"20,000 signatures refused, {title}", flood, "a check by hand")
    peers = {
        "stripe.Webhook.construct_event (peer)": ("ours, stripe", "stripe's construct_event", 2.5),
        "stripe (peer)": ("ours, stripe", "stripe's verify_header", 2.5),
        "standardwebhooks (peer)": ("ours, standard_webhooks", "standardwebhooks", None),
        "svix (peer)": ("ours, standard_webhooks", "svix", None),
    }
    for name, (mine, peer, target) in peers.items():
        if small and name in medians:
            what = "Stripe delivery" if mine == "ours, stripe" else "Standard Webhooks delivery"
            speed = medians[name] / medians[mine]
            report.against("webhooks", f"{what}, {title}", speed, peer, peer=True, better="higher", target=target)


def main() -> None:
    for size, each in ((300, 400), (65_536, 25)):
        medians = measure(contenders(size), rounds=report.rounds(41), each=each)
        print(f"{size:,} bytes (written by hand: {medians['written by hand'] / 1000:.2f} µs)")
        for name, value in medians.items():
            print(f"  {value / medians['written by hand']:6.2f}  {name}")
        judge(f"{size // 1024} KiB" if size >= 1024 else f"{size} B", medians)


if __name__ == "__main__":
    main()
