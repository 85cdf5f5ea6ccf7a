"""`explain`: why a delivery does not verify, and what to change.

It does what a patient operator would: change one thing at a time and see whether the signature fits then. The first
change that does is the cause. For operators only: it tells more than a sender may know, but never a secret and never
an expected signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ..core.clock import SystemClock
from ..core.errors import (
    BodyTooLarge,
    DuplicateHeader,
    MalformedBody,
    MalformedHeader,
    MissingSignature,
    RawBodyRequired,
    SignatureMismatch,
    TimestampOutOfTolerance,
    UnsupportedScheme,
    UntrustedCertificate,
    UrlRequired,
    UsageError,
    WeakSecret,
    WebhookError,
    WebhookKeyUnavailable,
)
from ..core.http import Headers
from ..core.secret import Secret
from .codecs import SecretText
from .guesses import addresses, line_ends, renamed, spellings, texts
from .key_source import KeySource, NoKeys
from .keys import KeyRing, SigningSecret
from .parse import HeaderSource
from .scheme import Codec, Scheme
from .schemes import lookup, schemes
from .verify import RETIRED, verifier

__all__ = ["Explanation", "explain"]

_CAUSES: Final[tuple[tuple[type[WebhookError], str], ...]] = (
    (DuplicateHeader, "duplicate_header"),
    (BodyTooLarge, "body_too_large"),
    (RawBodyRequired, "body_reserialised"),
    (UrlRequired, "wrong_url"),
    (UntrustedCertificate, "untrusted_key"),
    (WebhookKeyUnavailable, "key_unavailable"),
    (UnsupportedScheme, "wrong_scheme"),
)
_SHARED: Final = frozenset(("hmac-sha256", "hmac-sha1", "hmac-sha512", "sha256-concat", "token"))
_CODECS: Final[tuple[Codec, ...]] = ("utf8", "base64", "hex", "whsec")


@dataclass(frozen=True, slots=True)
class Explanation:
    """The cause as a stable code, and one line that says what to change."""

    cause: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Everything a hypothesis may change."""

    scheme: Scheme
    headers: Headers
    body: bytes
    secrets: tuple[SecretText | SigningSecret, ...]
    url: str | None
    method: str
    now: datetime
    keys: KeySource

    def verify(self) -> None:
        check = verifier(self.scheme, self.secrets, allow_weak=True, keys=self.keys)
        check.verify(self.headers, self.body, url=self.url, method=self.method, now=self.now)

    def fits(self, **changed: Any) -> bool:
        """Whether the signature is right after this change; the clock is judged later, so it does not count."""
        try:
            replace(self, **changed).verify()
        except TimestampOutOfTolerance:
            return True
        except WebhookError:
            return False
        return True


def explain(
    provider: str | Scheme,
    headers: HeaderSource,
    body: bytes,
    secrets: KeyRing,
    url: str | None = None,
    *,
    method: str = "POST",
    now: datetime | None = None,
    keys: KeySource | None = None,
) -> Explanation:
    """Why `verify` would refuse this delivery; never raises for what was sent.

    Args:
        keys: where published keys come from; by default nothing is fetched.

    Causes: ``ok``, ``missing_header``, ``malformed_header``, ``duplicate_header``, ``wrong_scheme``,
    ``timestamp_unit``, ``stale``, ``future``, ``body_newline``, ``body_reserialised``, ``body_too_large``,
    ``malformed_body``, ``wrong_url``, ``wrong_secret_codec``, ``retired_secret``, ``wrong_secret``, ``untrusted_key``,
    ``key_unavailable``.
    """
    given = (secrets,) if isinstance(secrets, str | bytes | Secret | SigningSecret) else tuple(secrets or ())
    try:
        scheme = lookup(provider)
        kept = Headers(headers)
    except UnsupportedScheme as error:
        return Explanation("wrong_scheme", error.hint)
    except (TypeError, ValueError, UsageError):
        return Explanation("malformed_header", "headers are a mapping of text, or (name, value) pairs")
    delivery = _Delivery(scheme, kept, body, given, url, method, now or SystemClock().now(), keys or NoKeys())
    try:
        delivery.verify()
    except WebhookError as error:
        return _diagnose(delivery, error)
    return Explanation("ok", "the delivery verifies")


def _diagnose(delivery: _Delivery, error: WebhookError) -> Explanation:
    for kind, cause in _CAUSES:
        if isinstance(error, kind):
            return Explanation(cause, error.hint or error.detail)
    return _JUDGES[type(error)](delivery, error)


def _mismatch(delivery: _Delivery, error: SignatureMismatch) -> Explanation:
    if error.detail == RETIRED:
        return Explanation("retired_secret", f"{error.detail}: {error.hint}")
    for hypothesis in (_newline, _reserialised, _url, _codec, _scheme, _lossy):
        found = hypothesis(delivery)
        if found is not None:
            return found
    return Explanation(
        "wrong_secret", "no change of body, URL or secret form fits: compare the secret with the provider's"
    )


def _weak(delivery: _Delivery, error: WeakSecret) -> Explanation:
    return _codec(delivery) or Explanation("wrong_secret_codec", f"{error.detail}: {error.hint}")


def _unfit(delivery: _Delivery, error: MalformedBody) -> Explanation:
    headers = delivery.scheme.headers
    if headers and not any(header in delivery.headers for header in headers):
        return _missing(delivery, MissingSignature(f"no {headers[0]} header"))
    return _reserialised(delivery) or Explanation("malformed_body", error.hint or error.detail)


def _skew(delivery: _Delivery, error: TimestampOutOfTolerance) -> Explanation:
    if error.detail.endswith("ahead"):
        return Explanation("future", f"the sender's time is {error.detail}: is this machine's clock right?")
    return Explanation("stale", f"signed {error.detail}: an old delivery, a slow queue, or this machine's clock")


def _missing(delivery: _Delivery, error: MissingSignature) -> Explanation:
    sent = delivery.headers
    for name, _ in sent.items():
        header = renamed(name, delivery.scheme.headers)
        if header:
            return Explanation("missing_header", f"{header} stands under {name}: pass the request's headers, by name")
    if not any(header in sent for header in delivery.scheme.headers):
        for name in schemes():
            if any(header in sent for header in lookup(name).headers):
                return Explanation("wrong_scheme", f"these are headers as {name} sends them")
    return Explanation("missing_header", f"{error.detail}: does a proxy drop it, or is this another sender?")


def _malformed(delivery: _Delivery, error: MalformedHeader) -> Explanation:
    time = delivery.scheme.timestamp
    if time is not None and time.unit != "iso":
        other = replace(time, unit="ms" if time.unit == "s" else "s")
        if delivery.fits(scheme=replace(delivery.scheme, timestamp=other)):
            return Explanation("timestamp_unit", f"the timestamp is in {'milli' * (time.unit == 's')}seconds")
    for header in delivery.scheme.headers:
        first, mark, second = (delivery.headers.get(header) or "").partition(",")
        if mark and first.strip() == second.strip():
            return Explanation(
                "duplicate_header", f"{header} came twice and was joined by a comma: does a proxy repeat it?"
            )
    return Explanation("malformed_header", ": ".join(filter(None, (error.detail, error.hint))))


def _newline(delivery: _Delivery) -> Explanation | None:
    return _first(
        delivery,
        "body",
        line_ends(delivery.body),
        "body_newline",
        "line ends were changed on the way: hand over the raw bytes untouched",
    )


def _reserialised(delivery: _Delivery) -> Explanation | None:
    return _first(
        delivery,
        "body",
        spellings(delivery.body),
        "body_reserialised",
        "the body was decoded and written again: hand over the raw bytes, before any parser has seen them",
    )


def _url(delivery: _Delivery) -> Explanation | None:
    if not delivery.scheme.needs_url or delivery.url is None:
        return None
    return _first(
        delivery,
        "url",
        addresses(delivery.url, delivery.headers),
        "wrong_url",
        lambda found: f"the provider signs {found}: configure the URL exactly as entered there",
    )


def _codec(delivery: _Delivery) -> Explanation | None:
    mac = delivery.scheme.mac
    if mac.algorithm not in _SHARED:
        return None
    for codec in dict.fromkeys((mac.codec, *_CODECS) if mac.algorithm != "token" else (mac.codec,)):
        scheme = replace(delivery.scheme, mac=replace(mac, codec=codec), also=())
        for secret in delivery.secrets:
            for text, change in texts(secret):
                if (codec, change) != (mac.codec, "") and delivery.fits(scheme=scheme, secrets=(text,)):
                    return Explanation(
                        "wrong_secret_codec", f"the secret fits read as {codec}{change}: see Mac(codec=)"
                    )
    return None


def _scheme(delivery: _Delivery) -> Explanation | None:
    for name in schemes():
        if name != delivery.scheme.name and delivery.fits(scheme=lookup(name)):
            return Explanation("wrong_scheme", f"it verifies as {name}")
    return None


def _lossy(delivery: _Delivery) -> Explanation | None:
    """What nobody can undo, so that no change fits: the mark that decoders leave where they gave up."""
    if b"\xef\xbf\xbd" not in delivery.body or "body" not in delivery.scheme.signed:
        return None
    return Explanation(
        "body_reserialised", "the body was decoded with errors replaced (U+FFFD stands in it): hand over the raw bytes"
    )


def _first(
    delivery: _Delivery, field: str, values: Iterable[Any], cause: str, hint: str | Callable[[Any], str]
) -> Explanation | None:
    for value in dict.fromkeys(values):
        if value != getattr(delivery, field) and delivery.fits(**{field: value}):
            return Explanation(cause, hint if isinstance(hint, str) else hint(value))
    return None


_JUDGES: Final[dict[type[WebhookError], Callable[[_Delivery, Any], Explanation]]] = {
    SignatureMismatch: _mismatch,
    MalformedBody: _unfit,
    TimestampOutOfTolerance: _skew,
    MissingSignature: _missing,
    MalformedHeader: _malformed,
    WeakSecret: _weak,
}
