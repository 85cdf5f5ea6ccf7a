"""`Receiver`: one webhook, from the request to the answer.

::

    request ─► endpoint ─► body, up to the cap ─► handshake ─► its answer
                                  │
                                  └─► verify ─► claim ─► your handler ─► commit ─► what the provider wants to read
                                                              │
                                                              └ fails ─► release, so that the provider's retry counts

It knows no framework. ``adapters.flask.webhook``, ``adapters.starlette.webhook`` (``adapters.fastapi.webhook``) and
``adapters.django.webhook`` hand over what came in and send what comes back. Every refusal is a `TrustError` with the
status that makes a provider do the right thing: 401 and 400 give up, 409 and 503 try again, 413 never read on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from ..core.errors import ConfigurationError, Replayed, TrustError, WebhookError
from ..core.event import AuditEvent, EventSink
from ..core.sansio import suspends, synced
from ..core.secret import Secret
from .challenge import ACKNOWLEDGED, ChallengeResponse
from .endpoints import Endpoint, EndpointRegistry
from .event import VerifiedWebhook
from .replay import Claim, ReplayGuard
from .verify import WebhookVerifier

__all__ = ["Delivery", "Incoming", "Receiver"]

R = TypeVar("R")
T = TypeVar("T")

_LOG: Final = logging.getLogger("wellstreak_trust.webhooks")
_PLATFORM: Final = "system"
_SENDER: Final = {"kind": "anonymous", "id": "anonymous"}
_REFUSED: Final = 400  # from this status on, a handler's answer says that the event was not processed


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request, as an adapter hands it over.

    Args:
        query: as sent, without the question mark.
        headers: all lines, in order.
        read: the raw body, at most so many bytes; raises `BodyTooLarge`.
        token: of the endpoint, from the path; for an `EndpointRegistry`.
    """

    method: str
    query: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    read: Callable[[int], Awaitable[bytes]] = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a handler is given.

    Args:
        endpoint: whose it is; without a registry, one without id and tenant.
        claim: what the replay guard holds while the handler runs.
    """

    event: VerifiedWebhook
    endpoint: Endpoint
    claim: Claim


Handler = Callable[[Delivery], Awaitable[R | None]]


class Receiver:
    """Takes webhooks of one provider, or of all endpoints of a registry.

    Args:
        source: a verifier, whose `url` is the public address where the provider signs it; or a registry, which is asked
            for the token of the path.
        guard: lets each event through once.
        handover: is told what a provider hands over in its handshake (see `ChallengeResponse`): Asana's secret,
            Notion's token, the address that confirms a subscription of SNS. Without one such a handshake is refused,
            because what it brings would be lost.
        audit: takes ``webhook.refused``, with the step that refused, for each delivery to a known endpoint. Whoever
            knows the address can make such events, so limit the route by client as well.
    """

    def __init__(
        self,
        source: WebhookVerifier | EndpointRegistry,
        guard: ReplayGuard,
        *,
        handover: Callable[[Endpoint, Secret[str]], object] | None = None,
        audit: EventSink | None = None,
    ) -> None:
        self._registry: EndpointRegistry | None = source if isinstance(source, EndpointRegistry) else None
        self._alone: Endpoint | None = _alone(source) if isinstance(source, WebhookVerifier) else None
        self._guard: ReplayGuard = guard
        self._handover: Callable[[Endpoint, Secret[str]], object] | None = handover
        self._audit: EventSink | None = audit
        self.suspends: bool = suspends(source, guard, audit)

    async def areceive(self, incoming: Incoming, handle: Handler[R]) -> R | ChallengeResponse:
        """The handler's answer, or ours where it has none.

        Args:
            handle: processes the event. It fails by raising, or by an answer whose `status_code` is 400 or more; then
                the next delivery of the event is processed anew.

        Raises:
            WebhookError: refused. ConfigurationError: a handshake brings something that nobody takes.
        """
        return await self._receive(incoming, handle, _beside)

    async def _blocking(self, incoming: Incoming, handle: Handler[R]) -> R | ChallengeResponse:
        """As `areceive`; `handle` must not wait for anything."""
        return await self._receive(incoming, handle, _here)

    receive: Final = synced(_blocking)

    async def _receive(
        self, incoming: Incoming, handle: Handler[R], run: _Run[ChallengeResponse | VerifiedWebhook]
    ) -> R | ChallengeResponse:
        endpoint = self._alone or await self._resolved(incoming.token)
        body = await incoming.read(endpoint.verifier.settings.max_body)
        try:
            found = await run(endpoint, lambda: _judged(endpoint, incoming, body))
        except WebhookError as error:
            await self._note(endpoint, f"refused: {error.step}")
            await self._refusal(endpoint, error)
            raise
        if isinstance(found, ChallengeResponse):
            return await self._introduced(endpoint, found)
        await self._note(endpoint, "accepted")
        try:
            async with self._guard.aonce(found) as claim:
                answer = await handle(Delivery(found, endpoint, claim))
                if getattr(answer, "status_code", 200) >= _REFUSED:
                    raise _Unprocessed(answer)
        except _Unprocessed as refused:
            answer = refused.answer
        except Replayed:
            if endpoint.provider not in ACKNOWLEDGED:
                raise
            answer = None
        return endpoint.verifier.acknowledgement if answer is None else answer

    async def _resolved(self, token: str) -> Endpoint:
        assert self._registry is not None
        return await self._registry.aresolve(token)

    async def _note(self, endpoint: Endpoint, outcome: str) -> None:
        if self._registry is not None:
            await self._registry.anote(endpoint.id, outcome)

    async def _refusal(self, endpoint: Endpoint, error: WebhookError) -> None:
        if self._audit is None:
            return
        target = {"type": "webhook_endpoint", "id": endpoint.id or endpoint.provider}
        tenant_id, data = endpoint.tenant_id or _PLATFORM, {"provider": endpoint.provider}
        event = AuditEvent("webhook.refused", "denied", tenant_id, _SENDER, (target,), reason=error.step, data=data)
        try:
            await self._audit.aemit(event)
        except TrustError as fault:  # the refusal under way is the answer, whatever the trail says
            _LOG.error("a refused webhook could not be recorded: %s", type(fault).__name__)

    async def _introduced(self, endpoint: Endpoint, answer: ChallengeResponse) -> ChallengeResponse:
        if answer.handover is not None:
            if self._handover is None:
                raise ConfigurationError(
                    f"{endpoint.provider} hands something over, and nobody takes it",
                    hint="Receiver(..., handover=lambda endpoint, secret: ...)",
                    reason="webhook_handover",
                )
            taken: Any = self._handover(endpoint, answer.handover)
            if isinstance(taken, Awaitable):
                await taken
        return answer


class _Unprocessed(Exception):
    """Carries the handler's own refusal past the replay guard, which releases the event."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer: Any = answer


def _judged(endpoint: Endpoint, incoming: Incoming, body: bytes) -> ChallengeResponse | VerifiedWebhook:
    """The answer to a handshake, or the verified event."""
    # Without repeated lines a dictionary says the same, and is read faster.
    plain = dict(incoming.headers)
    headers = plain if len(plain) == len(incoming.headers) else incoming.headers
    answer = endpoint.challenge(incoming.method, incoming.query, headers, body)
    if answer is not None:
        return answer
    return endpoint.verify(headers, body, method=incoming.method, query=incoming.query)


def _alone(verifier: WebhookVerifier) -> Endpoint:
    return Endpoint("", "", verifier.scheme.name, "active", verifier.settings.url or "", verifier)


# How a plain function is run that may have to fetch a key.
_Run = Callable[[Endpoint, Callable[[], T]], Awaitable[T]]


async def _here(endpoint: Endpoint, work: Callable[[], T]) -> T:
    return work()


async def _beside(endpoint: Endpoint, work: Callable[[], T]) -> T:
    if not endpoint.verifier.fetches:
        return work()
    from asyncio import to_thread

    return await to_thread(work)
