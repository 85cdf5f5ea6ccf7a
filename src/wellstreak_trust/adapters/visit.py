"""One request or connection on its way through an application, wherever a framework keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..core.errors import ConfigurationError
from ..core.event import Outcome
from ..core.http import RequestFacts
from ..guard import Grant, outcome_of
from ..origin import new_nonce
from .shared import Edge, outcome_of_status

__all__ = ["KEY", "Visit"]

KEY: Final = "wellstreak_trust.visit"  # in an ASGI scope, and in a WSGI environment, which wants the dot (PEP 3333)


class Visit:
    """What is known of one request: where it came in, what it asks, and how far its answer got.

    Attributes:
        status: of the answer, 0 before it starts. A socket that its application closed has the status that says the
            same.
        ended: the answer is out, to its last byte.
        left: the client hung up while it was sent, or a socket's client closed it.
    """

    __slots__ = ("edge", "ended", "facts", "grant", "left", "nonce", "status")

    def __init__(self, edge: Edge, facts: RequestFacts) -> None:
        self.edge: Edge = edge
        self.facts: RequestFacts = facts
        self.grant: Grant | None = None
        self.nonce: str | None = None  # of its content security policy, once a page asked for one
        self.status: int = 0
        self.ended: bool = False
        self.left: bool = False

    def csp_nonce(self) -> str:
        """The nonce of this answer's content security policy; the same at every call."""
        self.nonce = self.nonce or new_nonce()
        return self.nonce

    def granted(self) -> Grant:
        """The grant of this request.

        Raises:
            ConfigurationError: nothing guarded it.
        """
        if self.grant is None:
            raise ConfigurationError("no grant here", hint="guard the route with an operation", reason="no_grant")
        return self.grant

    def outcome(
        self, error: BaseException | None = None, judge: Callable[[BaseException], Outcome] = outcome_of
    ) -> Outcome:
        """How the operation is recorded.

        By its status, once the answer is out (what fails later is a background task) or when its client left in the
        middle: who has been served may not have the limits back by hanging up.
        """
        stopped = self.left or not isinstance(error, Exception)
        if error is None or self.ended or (self.status and stopped):
            return outcome_of_status(self.status)
        return judge(error)
