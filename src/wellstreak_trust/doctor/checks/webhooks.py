"""Deliveries from outside, and the way in for who finds a hole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from ...disclosure import SecurityTxt
from ...webhooks import ReplayGuard, WebhookVerifier
from ..case import Case, Check, Hit

__all__ = ["CHECKS"]

_LONGEST: Final = timedelta(minutes=30)
_RETRIES: Final = timedelta(hours=72)
_SOON: Final = timedelta(days=30)


def _weak(case: Case) -> Iterator[Hit]:
    for place, verifier in case.of_kind(WebhookVerifier):
        if verifier.settings.allow_weak:
            yield Hit(place, f"the verifier of {verifier.scheme.name} takes secrets that can be guessed")


def _shared(case: Case) -> Iterator[Hit]:
    first: dict[str, tuple[str, WebhookVerifier]] = {}
    for place, verifier in case.of_kind(WebhookVerifier):
        for key in verifier.keys:
            known, other = first.setdefault(getattr(key, "id", place), (place, verifier))
            if known != place and (other.scheme.name, other.settings.endpoint) != _names(verifier):
                yield Hit(place, f"{place} has a secret of {known}")


def _names(verifier: WebhookVerifier) -> tuple[str, str]:
    return verifier.scheme.name, verifier.settings.endpoint


def _window(case: Case) -> Iterator[Hit]:
    for place, verifier in case.of_kind(WebhookVerifier):
        told = verifier.settings.tolerance
        if told is not None and verifier.window > _LONGEST:
            yield Hit(place, f"a delivery is taken {verifier.window} after it was signed")


def _short(case: Case) -> Iterator[Hit]:
    for place, guard in case.of_kind(ReplayGuard):
        if guard.ttl < _RETRIES:
            yield Hit(place, f"a finished delivery is forgotten after {guard.ttl}")


def _accepts(case: Case) -> Iterator[Hit]:
    yield from (Hit(place) for place, guard in case.of_kind(ReplayGuard) if guard.accepts_outage)


def _expired(case: Case) -> Iterator[Hit]:
    for place, file in case.of_kind(SecurityTxt):
        if file.ends_at <= case.now:
            yield Hit(place, f"it expired on {file.ends_at:%Y-%m-%d}")


def _expiring(case: Case) -> Iterator[Hit]:
    for place, file in case.of_kind(SecurityTxt):
        if case.now < file.ends_at <= case.now + _SOON:
            yield Hit(place, f"it expires on {file.ends_at:%Y-%m-%d}")


CHECKS: Final = (
    Check("webhook_weak_secret", _weak),
    Check("webhook_secret_shared", _shared),
    Check("webhook_window_long", _window),
    Check("replay_short", _short),
    Check("replay_accepts", _accepts),
    Check("security_txt_expired", _expired),
    Check("security_txt_expiring", _expiring),
)
