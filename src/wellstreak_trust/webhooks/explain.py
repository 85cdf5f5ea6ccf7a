"""`explain`: why a delivery does not verify, and what to change.

It does what a patient operator would: change one thing at a time and see whether the signature fits then. The first
change that does is the cause. For operators only: it tells more than a sender may know, but never a secret and never
an expected signature.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from typing import Any, Final
from urllib.parse import urlsplit

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
from .event import load_json
from .key_source import KeySource, NoKeys
from .parse import HeaderSource
from .scheme import Codec, Scheme
from .schemes import lookup, schemes
from .verify import verifier

__all__ = ["Explanation", "explain"]

_CAUSES: Final[tuple[tuple[type[WebhookError], str], ...]] = (
    (DuplicateHeader, "duplicate_header"),
    (BodyTooLarge, "body_too_large"),
    (MalformedBody, "malformed_body"),
    (RawBodyRequired, "body_reserialised"),
    (UrlRequired, "wrong_url"),
    (UntrustedCertificate, "untrusted_key"),
    (WebhookKeyUnavailable, "key_unavailable"),
    (UnsupportedScheme, "wrong_scheme"),
)
_LINES: Final = ((b"\r\n", b"\n"), (b"\n", b"\r\n"))
_LAYOUTS: Final[tuple[dict[str, Any], ...]] = (
    {"separators": (",", ":")},
    {},
    {"indent": 2},
    {"indent": 4},
)
_GO: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})  # how Go writes them
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
    secrets: tuple[SecretText, ...]
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
    secrets: Sequence[SecretText],
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
    ``malformed_body``, ``wrong_url``, ``wrong_secret_codec``, ``wrong_secret``, ``untrusted_key``,
    ``key_unavailable``.
    """
    given = (secrets,) if isinstance(secrets, str | bytes | Secret) else tuple(secrets or ())
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
    headers = delivery.scheme.headers
    if isinstance(error, MalformedBody) and headers and not any(header in delivery.headers for header in headers):
        return _missing(delivery, MissingSignature(f"no {headers[0]} header"))
    for kind, cause in _CAUSES:
        if isinstance(error, kind):
            return Explanation(cause, error.hint or error.detail)
    if isinstance(error, TimestampOutOfTolerance):
        return _skew(error)
    if isinstance(error, MissingSignature):
        return _missing(delivery, error)
    if isinstance(error, MalformedHeader):
        return _malformed(delivery, error)
    if isinstance(error, WeakSecret):
        return _codec(delivery) or Explanation("wrong_secret_codec", f"{error.detail}: {error.hint}")
    assert isinstance(error, SignatureMismatch)
    for hypothesis in (_newline, _reserialised, _url, _codec, _scheme):
        found = hypothesis(delivery)
        if found is not None:
            return found
    return Explanation(
        "wrong_secret", "no change of body, URL or secret form fits: compare the secret with the provider's"
    )


def _skew(error: TimestampOutOfTolerance) -> Explanation:
    if error.detail.endswith("ahead"):
        return Explanation("future", f"the sender's time is {error.detail}: is this machine's clock right?")
    return Explanation("stale", f"signed {error.detail}: an old delivery, a slow queue, or this machine's clock")


def _missing(delivery: _Delivery, error: MissingSignature) -> Explanation:
    sent = delivery.headers
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
    return Explanation("malformed_header", ": ".join(filter(None, (error.detail, error.hint))))


def _newline(delivery: _Delivery) -> Explanation | None:
    body = delivery.body
    bare = body.rstrip(b"\r\n")
    bodies = [
        bare,
        body.strip(),
        body + b"\n",
        body + b"\r\n",
        bare + b"\n",
        bare + b"\r\n",
        *(body.replace(*pair) for pair in _LINES),
    ]
    return _first(
        delivery, "body", bodies, "body_newline", "line ends were changed on the way: hand over the raw bytes untouched"
    )


def _reserialised(delivery: _Delivery) -> Explanation | None:
    return _first(
        delivery,
        "body",
        _spellings(delivery.body),
        "body_reserialised",
        "the JSON was parsed and written again: hand over the raw bytes, before any parser has seen them",
    )


def _spellings(body: bytes) -> Iterator[bytes]:
    """What the provider may have sent, if this is what became of it."""
    yield body.removeprefix(b"\xef\xbb\xbf")
    with suppress(UnicodeError):
        yield body.decode("utf-8").encode("latin-1")  # read as Latin-1 and written as UTF-8
    try:
        document = load_json(body)
        for layout, ascii_only, ordered in product(_LAYOUTS, (False, True), (False, True)):
            text = json.dumps(document, ensure_ascii=ascii_only, sort_keys=ordered, **layout)
            for spelled in (text, text.replace("/", "\\/"), text.translate(_GO)):
                yield spelled.encode("utf-8", "surrogatepass")
    except (MalformedBody, RecursionError):
        return


def _url(delivery: _Delivery) -> Explanation | None:
    if not delivery.scheme.needs_url or delivery.url is None:
        return None
    return _first(
        delivery,
        "url",
        _addresses(delivery.url, delivery.headers),
        "wrong_url",
        lambda found: f"the provider signs {found}: configure the URL exactly as entered there",
    )


def _addresses(url: str, headers: Headers) -> Iterator[str]:
    """The usual slips: scheme, port, slash, query, and the names that proxies hide (tried here, never trusted)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return
    hosts = [host, headers.get("x-forwarded-host") or host, headers.get("host") or host]
    forwarded = headers.get("x-forwarded-port") or ""
    ports = ["", f":{port}" if port else "", ":443", ":80", f":{forwarded}" if forwarded else ""]
    prefix = (headers.get("x-forwarded-prefix") or "").rstrip("/")
    paths = [parts.path, parts.path.rstrip("/"), parts.path + "/", prefix + parts.path]
    queries = ["", f"?{parts.query}" if parts.query else ""]
    for scheme, name, suffix, path, query in product(("https", "http"), hosts, ports, paths, queries):
        yield f"{scheme}://{name}{suffix}{path}{query}"


def _codec(delivery: _Delivery) -> Explanation | None:
    mac = delivery.scheme.mac
    if not mac.algorithm.startswith("hmac"):
        return None
    for codec in _CODECS:
        scheme = replace(delivery.scheme, mac=replace(mac, codec=codec), also=())
        for secret in delivery.secrets:
            for text, change in _texts(secret):
                if (codec, change) != (mac.codec, "") and delivery.fits(scheme=scheme, secrets=(text,)):
                    return Explanation(
                        "wrong_secret_codec", f"the secret fits read as {codec}{change}: see Mac(codec=)"
                    )
    return None


def _texts(secret: SecretText) -> Iterator[tuple[str, str]]:
    value = secret.reveal() if isinstance(secret, Secret) else secret
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    yield text, ""
    yield text.strip(), " without the whitespace around it"
    yield text.strip().removeprefix("whsec_"), " without its prefix"
    yield f"whsec_{text.strip()}", " with the prefix whsec_"


def _scheme(delivery: _Delivery) -> Explanation | None:
    for name in schemes():
        if name != delivery.scheme.name and delivery.fits(scheme=lookup(name)):
            return Explanation("wrong_scheme", f"it verifies as {name}")
    return None


def _first(
    delivery: _Delivery, field: str, values: Iterable[Any], cause: str, hint: str | Callable[[Any], str]
) -> Explanation | None:
    for value in dict.fromkeys(values):
        if value != getattr(delivery, field) and delivery.fits(**{field: value}):
            return Explanation(cause, hint if isinstance(hint, str) else hint(value))
    return None
