"""Webhooks at the edge: a refusal is an answer here, the same under every framework."""

from __future__ import annotations

import logging
from typing import Final, TypeVar

from ..core.errors import TrustError, WebhookError
from ..core.problem import ProblemResponse, respond
from ..webhooks import ChallengeResponse, Incoming, Receiver
from ..webhooks.receive import Handler

__all__ = ["Answer", "areceived", "received"]

R = TypeVar("R")

Answer = ChallengeResponse | ProblemResponse

_LOG: Final = logging.getLogger("wellstreak_trust.webhooks")


async def areceived(receiver: Receiver, incoming: Incoming, handle: Handler[R]) -> R | Answer:
    """As `Receiver.areceive`; refusals are answered, and told to the log with their step and hint."""
    try:
        return await receiver.areceive(incoming, handle)
    except TrustError as error:
        return _refusal(error)


def received(receiver: Receiver, incoming: Incoming, handle: Handler[R]) -> R | Answer:
    """As `areceived`, over blocking stores; `handle` waits for nothing."""
    try:
        return receiver.receive(incoming, handle)
    except TrustError as error:
        return _refusal(error)


def _refusal(error: TrustError) -> ProblemResponse:
    level = logging.ERROR if error.status >= 500 else logging.INFO
    step = error.step if isinstance(error, WebhookError) else "handler"
    _LOG.log(level, "webhook: %s at %s: %s (%s)", error.code, step, error.detail, error.hint)
    return respond(error)
