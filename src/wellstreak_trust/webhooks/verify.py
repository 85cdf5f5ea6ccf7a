"""The verifier: one strict order for every provider.

::

    size ─► gather headers ─► ASCII, lengths, counts ─► strict parse ─► MAC over raw bytes ─► clock ─► VerifiedWebhook

Cheap refusals come first, so that garbage costs no hashing. The clock comes after the MAC: only an authentic sender
learns about skew. Nothing but a `WebhookError` leaves `verify`, whatever bytes come in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NoReturn

from ..core.clock import Clock, SystemClock, aware, to_micros
from ..core.errors import (
    BodyTooLarge,
    ConfigurationError,
    MalformedBody,
    MalformedHeader,
    MissingSignature,
    RawBodyRequired,
    SignatureMismatch,
    TimestampOutOfTolerance,
    UrlRequired,
)
from ..core.http import Target
from .challenge import CHALLENGES, ChallengeResponse, Opening
from .codecs import SecretText, secret_text, shape
from .event import Origin, VerifiedWebhook, dig, load_json
from .keys import Key, build_keys
from .parse import Fields, HeaderSource, Signatures, gatherer, is_id, reader, time_reader
from .scheme import Content, Scheme, Timestamp
from .schemes import lookup

__all__ = ["MAX_BODY", "WebhookVerifier", "verifier"]

MAX_BODY: Final = 1 << 20
_SECOND: Final = 1_000_000  # in microseconds
_MICROSECOND: Final = timedelta(microseconds=1)
# Where URL and body stand side by side, the body must begin as no URL goes on (RFC 3986, 2): else bytes could move
# from a query that the sender chooses to the body, under the same signature.
_OPENS: Final = frozenset(b'{["\r\n\t ')


class WebhookVerifier:
    """Verifies one provider's deliveries with up to four secrets; immutable, shared by threads. Made by `verifier`."""

    def __init__(
        self,
        scheme: Scheme,
        keys: tuple[Key, ...],
        *,
        tolerance: timedelta | None,
        clock: Clock,
        url: str | None,
        endpoint: str,
        verify_token: str | None,
        max_body: int,
    ) -> None:
        self.scheme: Scheme = scheme
        self.keys: tuple[Key, ...] = keys
        self.verify_token: str | None = verify_token
        self._clock: Clock = clock
        self._url: str | None = url
        self._needs_url: bool = scheme.needs_url
        self._joins_url: bool = "{url}{body}" in scheme.content
        self._max_body: int = max_body
        self._content: Content = Content.parse(scheme.content)[0]
        self._reads: Callable[[str, Signatures, Fields], None] = reader(
            scheme.parser, frozenset(key.mac.tag for key in keys)
        )
        self._shapes: dict[str, Callable[[str], object]] = {mac.tag: shape(mac) for mac in scheme.macs}
        self._signature_headers: tuple[str, ...] = tuple(header.lower() for header in scheme.headers)
        self._time: Timestamp | None = scheme.timestamp
        self._read_time: Callable[[str], int] = time_reader(scheme.timestamp.unit if scheme.timestamp else "s")
        self._time_header: str = scheme.timestamp.header.lower() if scheme.timestamp else ""
        self._id_header: str = scheme.id.header.lower() if scheme.id and "{id}" in scheme.content else ""
        self._gather: Callable[[HeaderSource], Fields] = _gatherer(scheme, self._time_header, self._id_header)
        self._past, self._future = _window(scheme.timestamp, tolerance)
        self._origin: Origin = Origin(
            scheme.name,
            endpoint,
            scheme.signed,
            scheme.id,
            scheme.type,
            timedelta(microseconds=self._past + self._future) if self._time else timedelta(),
        )

    def verify(
        self,
        headers: HeaderSource,
        body: bytes,
        *,
        url: str | None = None,
        method: str = "POST",
        now: datetime | None = None,
    ) -> VerifiedWebhook:
        """The delivery, if one of the secrets signed exactly these bytes and the time is right.

        Args:
            headers: a mapping or (name, value) pairs, in any case.
            body: the raw bytes as received.
            url: the public URL, for schemes that sign it; configured, never built from ``Host`` or ``X-Forwarded-*``.
            now: the time to judge by, in place of the clock.

        Raises:
            WebhookError: refused; the leaf tells why, its public face does not.
        """
        octets = body if type(body) is bytes else _octets(body)
        if len(octets) > self._max_body:
            raise BodyTooLarge(f"over {self._max_body} bytes", hint="max_body=, if the provider really sends more")
        found = self._gather(headers)
        signatures, fields = self._presented(found)
        if self._needs_url:
            fields |= self._address(url, method, octets)
        at = self._read_time(fields["timestamp"]) if "timestamp" in fields else None
        content = self._content
        before = (content.before % fields).encode()
        after = (content.after % fields).encode() if content.after else b""
        key = self._matching(before, octets if content.has_body else b"", after, signatures)
        if self._time is not None:
            at = self._body_time(octets) if at is None else at
            self._check_clock(at, now)
        return VerifiedWebhook(self._origin, octets, key.id, before=before, after=after, at=at, headers=found)

    def challenge(
        self, method: str, url: str, headers: HeaderSource, body: bytes, *, now: datetime | None = None
    ) -> ChallengeResponse | None:
        """The answer to the provider's endpoint handshake, or None for an ordinary delivery.

        A handshake that carries a signature is verified first.

        Raises:
            WebhookError: a handshake that does not verify.
        """
        answer = CHALLENGES.get(self.scheme.challenge)
        return answer(self, Opening(method, url, headers, body, now)) if answer is not None else None

    def _presented(self, found: Fields) -> tuple[Signatures, Fields]:
        signatures: Signatures = {}
        fields: Fields = {}
        for header in self._signature_headers:
            value = found.get(header)
            if value is not None:
                self._reads(value, signatures, fields)
        if not signatures:
            raise MissingSignature(f"no known signature in {' or '.join(self.scheme.headers)}")
        if self._time_header:
            fields["timestamp"] = _required(found, self._time_header)
        if self._id_header:
            fields["id"] = _required(found, self._id_header)
            if not is_id(fields["id"]):
                raise MalformedHeader(f"{self._id_header} is not of [A-Za-z0-9_:-]")
        return signatures, fields

    def _address(self, url: str | None, method: str, body: bytes) -> Fields:
        if not (isinstance(method, str) and method.isascii()):
            raise MalformedHeader("the method is not ASCII")
        found = url if url is not None else self._url
        if not isinstance(found, str) or not _is_public(found):
            raise UrlRequired(
                f"{self.scheme.name} signs the public URL",
                hint="verify(..., url='https://…'), as the provider calls it",
            )
        if self._joins_url and not _has_border(found, body):
            raise MalformedBody("the border between URL and body is not clear", hint="such bodies are JSON or empty")
        return {"url": found, "method": method}

    def _matching(self, before: bytes, body: bytes, after: bytes, signatures: Signatures) -> Key:
        for key in self.keys:
            texts = signatures.get(key.mac.tag)
            if texts is not None and key.matches(before, body, after, texts):
                return key
        for tag, texts in signatures.items():
            if any(map(self._shapes[tag], texts)):
                raise SignatureMismatch(
                    f"none of {len(self.keys)} secrets made this signature", hint="webhooks.explain() names the cause"
                )
        raise MalformedHeader("no entry has the form of a signature", hint="hex is lower case, base64 canonical")

    def _body_time(self, body: bytes) -> int:
        assert self._time is not None
        return self._read_time(dig(load_json(body), self._time.body))

    def _check_clock(self, at: int, now: datetime | None) -> None:
        age = to_micros(self._clock.now() if now is None else aware(now, "now")) - at
        if age > self._past or -age > self._future:
            raise TimestampOutOfTolerance(
                f"{abs(age) // _SECOND} s {'old' if age > 0 else 'ahead'}", hint="check this machine's clock"
            )

    def __repr__(self) -> str:
        return f"WebhookVerifier({self.scheme.name!r}, {len(self.keys)} keys)"

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError("a verifier holds keys and cannot be pickled", hint="build one on the other side")


def verifier(
    name: str | Scheme,
    secrets: Sequence[SecretText],
    tolerance: timedelta | None = None,
    *,
    clock: Clock = SystemClock(),
    allow_weak: bool = False,
    url: str | None = None,
    endpoint: str = "",
    verify_token: SecretText | None = None,
    max_body: int = MAX_BODY,
) -> WebhookVerifier:
    """A verifier of one provider.

    Args:
        name: one of `schemes()`, or a scheme made by `custom`.
        secrets: 1 to 4, newest first; all are accepted, which is how a rotation goes.
        tolerance: how old a delivery may be, in place of the scheme's own; zero means zero. The future follows where
            the scheme treats both alike, and never exceeds it. Without effect where no time is signed.
        allow_weak: take secrets under 16 bytes, for published examples.
        url: the public URL of the endpoint, for schemes that sign it.
        endpoint: names this endpoint in replay keys. Give one to each endpoint or tenant that shares a replay store:
            otherwise one tenant's genuine delivery could take the id that another tenant's is about to use.
        verify_token: what the endpoint handshake of ``meta`` must present.
        max_body: bytes; larger bodies are refused unhashed.

    Raises:
        UnsupportedScheme: no such name.
        WeakSecret: no secret, too many, too short, or not of the scheme's form.
    """
    scheme = lookup(name)
    if scheme.challenge and scheme.challenge not in CHALLENGES:
        raise ConfigurationError(
            "an unknown handshake", hint=f"one of {', '.join(CHALLENGES)}", reason="webhook_scheme"
        )
    return WebhookVerifier(
        scheme,
        build_keys(scheme, secrets, allow_weak=allow_weak),
        tolerance=tolerance,
        clock=clock,
        url=url,
        endpoint=endpoint,
        verify_token=secret_text(verify_token) if verify_token is not None else None,
        max_body=max_body,
    )


def _gatherer(scheme: Scheme, time_header: str, id_header: str) -> Callable[[HeaderSource], Fields]:
    proving = {*scheme.headers, time_header, id_header} - {""}
    telling = {source.header for source in (scheme.id, scheme.type) if source and source.header} - proving
    return gatherer(proving, telling)


def _window(time: Timestamp | None, tolerance: timedelta | None) -> tuple[int, int]:
    """Microseconds accepted in the past and in the future."""
    if tolerance is not None and tolerance < timedelta():
        raise ConfigurationError("a negative tolerance", hint="timedelta(0) is the strictest", reason="webhook_scheme")
    if time is None:
        return 0, 0
    past = time.past * _SECOND if tolerance is None else tolerance // _MICROSECOND
    return past, past if time.future == time.past else min(time.future * _SECOND, past)


def _required(found: Fields, header: str) -> str:
    value = found.get(header)
    if value is None:
        raise MissingSignature(f"no {header} header")
    return value


def _is_public(url: str) -> bool:
    target = Target.parse(url)
    return target.scheme in ("https", "http") and bool(target.host) and target.port != -1 and url.isprintable()


def _has_border(url: str, body: bytes) -> bool:
    return (not body or body[0] in _OPENS) and not _OPENS.intersection(url.partition("://")[2].encode())


def _octets(body: object) -> bytes:
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    raise RawBodyRequired(
        f"the body is {type(body).__name__}, not bytes", hint="request.get_data(), request.body, await request.body()"
    )
