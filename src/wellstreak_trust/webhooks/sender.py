"""`WebhookSender`: our own webhooks, by the Standard Webhooks specification.

::

    message ─► sign with every key of the recipient ─► resolve once, global addresses only ─► POST, no redirects
                                                                   │
       delivered ◄── 2xx ──┤── 410 ──► disabled                    │
                           └── anything else ──► retry by the plan, then failed

One call is one attempt, and its answer says when the next is due: the host's job queue keeps the message and calls
again. An attempt has a time of its own and the message's id, so a recipient can tell a retry from a replay.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import digest as hmac_digest
from typing import Any, Final, Literal

from ..core.clock import Clock, SystemClock, to_micros
from ..core.egress import Egress, EgressFailed, EgressResponse
from ..core.entropy import SYSTEM_ENTROPY, Entropy, random_hex
from ..core.errors import Unavailable, UsageError, WeakSecret, WebhookStoreUnavailable
from ..core.event import AuditEvent, EventSink
from ..core.sansio import suspends, synced
from .codecs import SecretText, key_octets
from .keys import KeyRing, SigningSecret, key_ring
from .parse import is_id
from .recipients import MemoryRecipientStore, RecipientHealth, RecipientStore

__all__ = ["PLAN", "Attempt", "Message", "Recipient", "WebhookSender", "standard_headers"]

PLAN: Final = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""When each attempt is due after the one before it."""

_LONGEST_WAIT: Final = timedelta(hours=24)
_BREAKS_AFTER: Final = 5
_PAUSE: Final = timedelta(seconds=30)
_LONGEST_PAUSE: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_MAX_BODY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is sent to.

    Args:
        id: names its health in the store.
        secrets: ``whsec_…`` (v1) and ``whsk_…`` (v1a), newest first; while one is replaced both sign, and one that is a
            `SigningSecret` stops at its end.
    """

    id: str
    tenant_id: str
    url: str
    secrets: tuple[SecretText | SigningSecret, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent; the id stays the same over all attempts."""

    body: bytes = field(repr=False)
    id: str = field(default_factory=lambda: f"msg_{random_hex(12)}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt.

    Args:
        outcome: ``delivered``; ``retry`` at `due`; ``failed``: the plan is used up, or the address is not allowed;
            ``disabled``: the recipient is, now or before.
        code: ``ok``, ``status``, ``gone``, ``circuit_open``, ``disabled``, or as `EgressFailed` has it.
        status: of the answer; None where there was none.
        number: the attempt, from 1.
    """

    outcome: Literal["delivered", "retry", "failed", "disabled"]
    code: str
    number: int
    status: int | None = None
    due: datetime | None = None


_Exchange = Callable[[str, dict[str, str], bytes], Awaitable[EgressResponse]]


class WebhookSender:
    """Sends webhooks to addresses that customers chose.

    Args:
        store: what is known of recipients; by default in memory.
        way: how requests leave; the default resolves once, refuses every address that is not global, follows no
            redirect and takes 15 seconds.
        audit: told of recipients that were disabled and messages that could not be delivered.
        plan: when each attempt is due after the one before it; a tenth is added or taken at random.
        patience: a recipient that answered nothing well for so long is disabled.
    """

    def __init__(
        self,
        store: RecipientStore | None = None,
        *,
        way: Egress | None = None,
        audit: EventSink | None = None,
        clock: Clock = SystemClock(),
        entropy: Entropy = SYSTEM_ENTROPY,
        plan: Sequence[timedelta] = PLAN,
        patience: timedelta = timedelta(days=5),
        user_agent: str = "wellstreak-trust-webhooks",
    ) -> None:
        self._store: RecipientStore = store or MemoryRecipientStore()
        self.suspends: bool = suspends(self._store, audit)
        self._way: Egress = way or Egress(clock, timedelta(seconds=15))
        self._audit: EventSink | None = audit
        self._clock: Clock = clock
        self._entropy: Entropy = entropy
        self._plan: tuple[timedelta, ...] = tuple(plan)
        self._patience: timedelta = patience
        self._user_agent: str = user_agent

    async def asend(self, recipient: Recipient, message: Message, *, attempt: int = 1) -> Attempt:
        """One attempt; the request runs in a worker thread.

        Args:
            attempt: its number, from 1.

        Raises:
            WeakSecret: a secret that is no Standard Webhooks key. UsageError: a message that cannot be sent.
            WebhookStoreUnavailable: nothing is known of the recipient right now; nothing was sent.
        """
        from asyncio import to_thread

        async def exchange(url: str, headers: dict[str, str], body: bytes) -> EgressResponse:
            return await to_thread(self._way.send, "POST", url, headers, body)

        return await self._send(recipient, message, attempt, exchange)

    async def _blocking(self, recipient: Recipient, message: Message, *, attempt: int = 1) -> Attempt:
        """One attempt; see `asend`. Blocks for as long as the request takes."""

        async def exchange(url: str, headers: dict[str, str], body: bytes) -> EgressResponse:
            return self._way.send("POST", url, headers, body)

        return await self._send(recipient, message, attempt, exchange)

    async def aenable(self, recipient: Recipient) -> None:
        """Deliveries to a disabled recipient go out again."""
        await self._store.enable(recipient.id)

    send: Final = synced(_blocking)
    enable: Final = synced(aenable)

    # --- inside ------------------------------------------------------------------------------------------------------

    async def _send(self, recipient: Recipient, message: Message, number: int, exchange: _Exchange) -> Attempt:
        _check(message, number)
        now = self._clock.now()
        health = await self._known(recipient)
        if health.disabled:
            return Attempt("disabled", "disabled", number)
        closed_at = _closed_at(health)
        if closed_at is not None and now < closed_at:
            return Attempt("retry", "circuit_open", number, due=closed_at)
        headers = standard_headers(message, recipient.secrets, now)
        headers |= {"Content-Type": "application/json", "User-Agent": self._user_agent}
        try:
            response = await exchange(recipient.url, headers, message.body)
        except EgressFailed as failed:
            lasting = failed.code in ("blocked_address", "bad_url")
            return await self._unwell(
                recipient, message, Attempt("failed" if lasting else "retry", failed.code, number)
            )
        if 200 <= response.status < 300:
            with suppress(Unavailable):  # it is delivered; a count that stays too high heals with the next success
                await self._store.succeeded(recipient.id)
            return Attempt("delivered", "ok", number, response.status)
        if response.status == 410:
            await self._disable(recipient, "the recipient answered 410 Gone")
            return Attempt("disabled", "gone", number, 410)
        wait = _retry_after(response)
        return await self._unwell(recipient, message, Attempt("retry", "status", number, response.status), wait)

    async def _unwell(
        self, recipient: Recipient, message: Message, attempt: Attempt, wait: timedelta = timedelta()
    ) -> Attempt:
        """Counts the failure and decides what is next."""
        now = self._clock.now()
        health = RecipientHealth()
        with suppress(Unavailable):  # what cannot be counted is retried all the same
            health = await self._store.failed(recipient.id, now)
        if health.failing_since is not None and now - health.failing_since >= self._patience:
            await self._disable(recipient, "nothing was delivered for too long")
            return Attempt("disabled", attempt.code, attempt.number, attempt.status)
        if attempt.outcome == "failed" or attempt.number >= len(self._plan):
            await self._tell("webhook.undeliverable", recipient, message=message.id, code=attempt.code)
            return Attempt("failed", attempt.code, attempt.number, attempt.status)
        due = now + max(self._jittered(self._plan[attempt.number]), min(wait, _LONGEST_WAIT))
        return Attempt("retry", attempt.code, attempt.number, attempt.status, due)

    async def _known(self, recipient: Recipient) -> RecipientHealth:
        try:
            return await self._store.load(recipient.id)
        except Unavailable as error:
            raise WebhookStoreUnavailable(f"recipient store: {error.detail}", hint=error.hint) from None

    async def _disable(self, recipient: Recipient, reason: str) -> None:
        with suppress(Unavailable):  # the next attempt comes to the same conclusion
            if await self._store.disable(recipient.id, reason):
                await self._tell("webhook.recipient_disabled", recipient, reason=reason)

    async def _tell(self, action: str, recipient: Recipient, **data: Any) -> None:
        if self._audit is None:
            return
        actor = {"kind": "system", "id": "webhook-sender"}
        event = AuditEvent(
            action, "failure", recipient.tenant_id, actor, (recipient.id,), data=data, occurred_at=self._clock.now()
        )
        with suppress(Unavailable):  # a dead trail must not send a message twice
            await self._audit.aemit(event)

    def _jittered(self, wait: timedelta) -> timedelta:
        """Nine to eleven tenths, so that many messages do not come back at one moment."""
        share = int.from_bytes(self._entropy.octets(2), "big") / 0xFFFF
        return wait * (0.9 + 0.2 * share)


def standard_headers(message: Message, secrets: KeyRing, at: datetime) -> dict[str, str]:
    """The three headers of Standard Webhooks, with one signature for each secret that lives.

    Raises:
        WeakSecret: none, or not of the form ``whsec_`` or ``whsk_``.
    """
    now = to_micros(at)
    living = [text for text, end in key_ring("a recipient", secrets) if end is None or now < end]
    if not living:
        raise WeakSecret("all signing secrets of a recipient have ended", hint="secrets=('whsec_…',)")
    stamp = str(now // 1_000_000)
    content = f"{message.id}.{stamp}.".encode() + message.body
    signatures = " ".join(_signature(text, content) for text in living)
    return {"webhook-id": message.id, "webhook-timestamp": stamp, "webhook-signature": signatures}


def _signature(secret: str, content: bytes) -> str:
    if not secret.startswith("whsk_"):
        return f"v1,{b64encode(hmac_digest(key_octets(secret, 'whsec'), content, 'sha256')).decode()}"
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        octets = b64decode(secret.removeprefix("whsk_"), validate=True)
        key = Ed25519PrivateKey.from_private_bytes(octets[:32])
    except ValueError:
        octets, key = b"", None
    if key is None or octets[32:] not in (b"", key.public_key().public_bytes_raw()):
        raise WeakSecret("not a private key of the form whsk_", hint="whsk_ and base64 of the seed and its public key")
    return f"v1a,{b64encode(key.sign(content)).decode()}"


def _check(message: Message, number: int) -> None:
    if not is_id(message.id) or not isinstance(message.body, bytes) or len(message.body) > _MAX_BODY:
        raise UsageError("a message is bytes of at most 1 MiB under an id without dots", hint="Message(body)")
    if type(number) is not int or number < 1:
        raise UsageError("attempts are counted from 1")


def _closed_at(health: RecipientHealth) -> datetime | None:
    """Until when nothing is tried: 30 s after 5 failures in a row, doubled with each further one, at most an hour."""
    beyond = health.failures - _BREAKS_AFTER
    if beyond < 0 or health.failed_at is None:
        return None
    return health.failed_at + min(_PAUSE * (1 << min(beyond, 16)), _LONGEST_PAUSE)


def _retry_after(response: EgressResponse) -> timedelta:
    """Seconds only: a date would be judged by the recipient's clock."""
    text = response.headers.get("Retry-After") or ""
    fits = re.fullmatch(r"[0-9]{1,6}", text)
    return int(text) * _SECOND if fits else timedelta()
