"""The verifier: one strict order for every provider.

::

    size ─► gather headers ─► ASCII, lengths, counts ─► strict parse ─► MAC over raw bytes ─► clock ─► VerifiedWebhook

Cheap refusals come first, so that garbage costs no hashing. The clock comes after the MAC: only an authentic sender
learns about skew. Nothing but a `WebhookError` leaves `verify`, whatever bytes come in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, NoReturn, TypedDict, Unpack

from ..core.clock import Clock, SystemClock, aware, micros, to_micros
from ..core.errors import (
    BodyTooLarge,
    ConfigurationError,
    MalformedBody,
    MalformedHeader,
    RawBodyRequired,
    SignatureMismatch,
    TimestampOutOfTolerance,
    UrlRequired,
)
from ..core.http import Target
from .body import MAX_BODY
from .challenge import ACKNOWLEDGED, CHALLENGES, ChallengeResponse, Opening
from .codecs import SecretText, secret_text
from .event import Origin, VerifiedWebhook, dig, load_json
from .key_source import HttpsKeys, KeySource
from .keys import KeyRing, build_keys, key_ring
from .parse import Fields, HeaderSource, gatherer, time_reader
from .prove import Prover
from .quick import Quick, quick
from .rule import Arrived
from .scheme import Scheme, Timestamp
from .schemes import lookup

__all__ = ["MAX_BODY", "WebhookVerifier", "verifier"]

_SECOND: Final = 1_000_000  # in microseconds
_MICROSECOND: Final = timedelta(microseconds=1)
RETIRED: Final = "the secret that made this signature has ended"
# Where URL and body stand side by side, the body must begin as no URL goes on (RFC 3986, 2): else bytes could move
# from a query that the sender chooses to the body, under the same signature.
_OPENS: Final = frozenset(b'{["\r\n\t ')


@dataclass(frozen=True, slots=True)
class Settings:
    """What a verifier is told beside its secrets; see `verifier`."""

    tolerance: timedelta | None
    clock: Clock
    url: str | None
    endpoint: str
    verify_token: str | None
    max_body: int
    pending: bool
    ends: tuple[int | None, ...] = ()
    allow_weak: bool = False


class VerifyOptions(TypedDict, total=False):
    """The keyword arguments of `WebhookVerifier.verify`."""

    url: str | None
    method: str
    now: datetime | None


class WebhookVerifier:
    """Verifies one provider's deliveries with up to four secrets; immutable, shared by threads. Made by `verifier`.

    Attributes:
        scheme: what it verifies by.
        keys: the secrets, prepared.
        settings: what it was told beside them.
    """

    def __init__(self, scheme: Scheme, keys: tuple[Any, ...], settings: Settings) -> None:
        self.scheme: Scheme = scheme
        self.keys: tuple[Any, ...] = keys
        self.settings: Settings = settings
        self._ends: dict[str, int] = {
            key.id: end for key, end in zip(keys, settings.ends, strict=False) if end is not None
        }
        self._clock: Callable[[], int] = micros(settings.clock)
        self._max_body: int = settings.max_body
        self._needs_url: bool = scheme.needs_url
        self._opening: bytes = scheme.opening
        self._joins_url: bool = scheme.rule is None and "{url}{body}" in scheme.content
        self._prover: Prover | None = Prover(scheme, keys) if scheme.rule is None else None
        self._gather: Callable[[HeaderSource], Fields] = _gatherer(scheme)
        time = scheme.timestamp
        self._body_time: str = time.body if time is not None and scheme.rule is None else ""
        self._read_time: Callable[[str], int] = time_reader(time.unit if time else "s")
        self._past, self._future = _window(time, settings.tolerance)
        self._origin: Origin = Origin(
            scheme.name,
            settings.endpoint,
            scheme.signed,
            scheme.id,
            scheme.type,
            timedelta(microseconds=self._past + self._future) if time else timedelta(),
        )
        limits = settings.max_body, self._past, self._future
        self._quick: Quick = quick(scheme, keys, self._origin, limits=limits, clock=self._clock) or _never
        if self._ends:
            self._quick = _never  # for the days of an overlap, one way that looks at ends is enough

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
        event = self._quick(headers, body, now)
        return event if event is not None else self._strict(headers, body, url, method, now=now)

    async def averify(self, headers: HeaderSource, body: bytes, **options: Unpack[VerifyOptions]) -> VerifiedWebhook:
        """As `verify`; where a key may have to be fetched, in a worker thread."""
        if not self.fetches:
            return self.verify(headers, body, **options)
        from asyncio import to_thread

        return await to_thread(self.verify, headers, body, **options)

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

    def _strict(
        self, headers: HeaderSource, body: object, url: str | None, method: str, *, now: datetime | None
    ) -> VerifiedWebhook:
        """The order of this module, step by step."""
        octets = body if type(body) is bytes else _octets(body)
        if len(octets) > self._max_body:
            raise BodyTooLarge(f"over {self._max_body} bytes", hint="max_body=, if the provider really sends more")
        if not octets.startswith(self._opening):
            raise MalformedBody("the body does not begin as this provider's do")
        found = self._gather(headers)
        if self._prover is None:
            return self._by_rule(found, octets, url, method, now=now)
        key_id, at, before, after = self._prover.prove(found, octets, self._address(url, method, octets))
        if self._body_time:
            at = self._read_time(dig(load_json(octets), self._body_time))
        if at is not None or self._ends:
            moment = self._clock() if now is None else to_micros(aware(now, "now"))
            self._check_living(key_id, moment)
            if at is not None and (moment - at > self._past or at - moment > self._future):
                raise _late(moment - at)
        return VerifiedWebhook(self._origin, octets, (key_id, at, before, after, found, None))

    @property
    def window(self) -> timedelta:
        """How old a delivery may be; zero where no time is signed."""
        return timedelta(microseconds=self._past) if self.scheme.timestamp is not None else timedelta()

    @property
    def fetches(self) -> bool:
        """Whether a key may have to be fetched, so that verifying may block."""
        return self.scheme.rule is not None and self.scheme.rule.fetches

    @property
    def acknowledgement(self) -> ChallengeResponse:
        """What the provider wants to read once a delivery is processed; it retries otherwise."""
        return ACKNOWLEDGED.get(self.scheme.name, ChallengeResponse(200, (), b""))

    def _by_rule(
        self, found: Fields, body: bytes, url: str | None, method: str, *, now: datetime | None
    ) -> VerifiedWebhook:
        """For schemes with a rule: what it finds is judged by the same clock."""
        rule = self.scheme.rule
        assert rule is not None
        moment = self._clock() if now is None else to_micros(aware(now, "now"))
        address = self._address(url, method, body)
        proof = rule.prove(self.keys, Arrived(found, body, address.get("url", ""), method, moment))
        self._check_living(proof.key_id, moment)
        if proof.at is not None and (moment - proof.at > self._past or proof.at - moment > self._future):
            raise _late(moment - proof.at)
        if proof.until is not None and moment > proof.until:
            raise _late(moment - proof.until)
        return VerifiedWebhook(self._origin, body, (proof.key_id, proof.at, b"", b"", found, proof))

    def _check_living(self, key_id: str, moment: int) -> None:
        if moment >= self._ends.get(key_id, moment + 1):
            raise SignatureMismatch(RETIRED, hint="does the provider still sign with the old secret?")

    def _address(self, url: str | None, method: str, body: bytes) -> Fields:
        """What the signature takes from the request line."""
        if not self._needs_url:
            return {}
        if not (isinstance(method, str) and method.isascii()):
            raise MalformedHeader("the method is not ASCII")
        found = url if url is not None else self.settings.url
        if not isinstance(found, str) or not _is_public(found):
            raise UrlRequired(
                f"{self.scheme.name} signs the public URL",
                hint="verify(..., url='https://…'), as the provider calls it",
            )
        if self._joins_url and not _has_border(found, body):
            raise MalformedBody("the border between URL and body is not clear", hint="such bodies are JSON or empty")
        return {"url": found, "method": method}

    def __repr__(self) -> str:
        return f"WebhookVerifier({self.scheme.name!r}, {len(self.keys)} keys)"

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError("a verifier holds keys and cannot be pickled", hint="build one on the other side")


def verifier(
    name: str | Scheme,
    secrets: KeyRing,
    tolerance: timedelta | None = None,
    *,
    clock: Clock = SystemClock(),
    allow_weak: bool = False,
    url: str | None = None,
    endpoint: str = "",
    verify_token: SecretText | None = None,
    max_body: int = MAX_BODY,
    keys: KeySource | None = None,
    pending: bool = False,
) -> WebhookVerifier:
    """A verifier of one provider.

    Args:
        name: one of `schemes()`, or a scheme made by `custom`.
        secrets: 1 to 4, newest first; all are accepted, which is how a rotation goes. One that is to end by itself
            is a `SigningSecret`.
        tolerance: how old a delivery may be, in place of the scheme's own; zero means zero. The future follows where
            the scheme treats both alike, and never exceeds it. Without effect where no time is signed.
        allow_weak: take secrets under 16 bytes, for published examples.
        url: the public URL of the endpoint, for schemes that sign it.
        endpoint: names this endpoint in replay keys. Give one to each endpoint or tenant that shares a replay store:
            otherwise one tenant's genuine delivery could take the id that another tenant's is about to use.
        verify_token: what the endpoint handshake of ``meta`` must present.
        max_body: bytes; larger bodies are refused unhashed.
        keys: where certificates and key sets come from, for providers that publish theirs; by default over https, with
            one cache for all verifiers of this process.
        pending: the endpoint was registered at the provider just now, and its handshake may hand over a secret.

    Raises:
        UnsupportedScheme: no such name.
        WeakSecret: no secret, too many, too short, or not of the scheme's form.
    """
    scheme = lookup(name)
    if scheme.challenge and scheme.challenge not in CHALLENGES:
        raise ConfigurationError(
            "an unknown handshake", hint=f"one of {', '.join(CHALLENGES)}", reason="webhook_scheme"
        )
    token = secret_text(verify_token) if verify_token is not None else None
    texts, ends = zip(*key_ring(scheme.name, secrets), strict=True)
    built: tuple[Any, ...] = (
        build_keys(scheme, texts, allow_weak=allow_weak)
        if scheme.rule is None
        else scheme.rule.build(scheme, texts, allow_weak=allow_weak, source=keys or _shared_source())
    )
    told = Settings(tolerance, clock, url, endpoint, token, max_body, pending, ends, allow_weak)
    return WebhookVerifier(scheme, built, told)


@cache
def _shared_source() -> KeySource:
    return HttpsKeys()


def _gatherer(scheme: Scheme) -> Callable[[HeaderSource], Fields]:
    time_header = scheme.timestamp.header if scheme.timestamp else ""
    signed_id = scheme.id.header if scheme.id and "id" in scheme.signed else ""
    proving = {*scheme.headers, *scheme.reads, time_header, signed_id} - {""}
    telling = {source.header for source in (scheme.id, scheme.type) if source and source.header} - proving
    return gatherer(proving, telling, every=scheme.rule is not None and scheme.rule.every_header)


def _never(headers: object, body: object, now: datetime | None) -> None:
    """The quick way of schemes that have none."""
    return None


def _late(age: int) -> TimestampOutOfTolerance:
    return TimestampOutOfTolerance(
        f"{abs(age) // _SECOND} s {'old' if age > 0 else 'ahead'}", hint="check this machine's clock"
    )


def _window(time: Timestamp | None, tolerance: timedelta | None) -> tuple[int, int]:
    """Microseconds accepted in the past and in the future."""
    if tolerance is not None and tolerance < timedelta():
        raise ConfigurationError("a negative tolerance", hint="timedelta(0) is the strictest", reason="webhook_scheme")
    if time is None:
        return 0, 0
    past = time.past * _SECOND if tolerance is None else tolerance // _MICROSECOND
    return past, past if time.future == time.past else min(time.future * _SECOND, past)


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
