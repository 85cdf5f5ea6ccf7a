"""`WebhookObserver`: verification beside a handler that has lived without it.

What comes back has three states and no truth value, so that nobody can take "I looked" for "it is genuine". It claims
nothing from a replay guard and answers no handshake; a `Receiver` does both once the route is enforced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType
from typing import Literal, NoReturn, Protocol, Unpack

from ..core.errors import UsageError, WebhookError
from .event import VerifiedWebhook
from .parse import HeaderSource
from .verify import VerifyOptions, WebhookVerifier

__all__ = ["Observed", "WebhookObserver"]

Outcome = Literal["verified", "would_refuse", "failed"]


class _Counting(Protocol):
    def add(self, name: str, amount: int = 1, /, **labels: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Observed:
    """What verification would have said.

    Args:
        outcome: ``verified``; ``would_refuse``; or ``failed`` where it could not tell: a key that could not be fetched,
            a setting that is missing.
        step: where it would have been refused: ``headers``, ``parse``, ``signature``, ``clock``, ``key``, ``body``...;
            empty for a verified one.
        event: the verified delivery.
    """

    outcome: Outcome
    step: str = ""
    event: VerifiedWebhook | None = None

    def __bool__(self) -> NoReturn:
        raise UsageError("an observation has three states", hint="observed.outcome == 'verified'")


class WebhookObserver:
    """Verifies and reports, and refuses nothing.

    Args:
        verifier: the one that will enforce.
        metrics: counts ``wst.webhook.observed`` by provider, outcome and step.

    Attributes:
        observes: True, for ``Trust(webhooks=...).observing()``.
    """

    observes: bool = True

    def __init__(self, verifier: WebhookVerifier, *, metrics: _Counting | None = None) -> None:
        self.verifier: WebhookVerifier = verifier
        self._metrics: _Counting | None = metrics
        self._lock: Lock = Lock()
        self._found: Counter[tuple[str, str]] = Counter()

    def observe(self, headers: HeaderSource, body: bytes, **options: Unpack[VerifyOptions]) -> Observed:
        """As `WebhookVerifier.verify`, but what that raises is reported."""
        try:
            return self._told(Observed("verified", event=self.verifier.verify(headers, body, **options)))
        except Exception as error:  # whatever an observer meets, the handler that has always run goes on
            return self._told(_refused(error))

    async def aobserve(self, headers: HeaderSource, body: bytes, **options: Unpack[VerifyOptions]) -> Observed:
        """As `observe`; where a key may have to be fetched, in a worker thread."""
        try:
            return self._told(Observed("verified", event=await self.verifier.averify(headers, body, **options)))
        except Exception as error:  # as in `observe`
            return self._told(_refused(error))

    def report(self) -> Mapping[tuple[str, str], int]:
        """How often each (outcome, step) was seen in this process."""
        with self._lock:
            return MappingProxyType(dict(self._found.most_common()))

    def _told(self, seen: Observed) -> Observed:
        with self._lock:
            self._found[seen.outcome, seen.step] += 1
        if self._metrics is not None:
            provider = self.verifier.scheme.name
            self._metrics.add("wst.webhook.observed", provider=provider, outcome=seen.outcome, step=seen.step)
        return seen


def _refused(error: Exception) -> Observed:
    if isinstance(error, WebhookError) and error.status < 500:
        return Observed("would_refuse", error.step)
    return Observed("failed", error.step if isinstance(error, WebhookError) else type(error).__name__)
