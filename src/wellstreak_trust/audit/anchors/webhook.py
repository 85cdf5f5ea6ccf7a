"""Checkpoints handed to whatever the host sends with: a webhook, a mail to the tenant, a queue."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from ...core.errors import AuditUnavailable
from ..checkpoint import Checkpoint
from .base import Anchor

__all__ = ["WebhookAnchor"]


class WebhookAnchor(Anchor):
    """Calls a function with the body of one message: JSON with `origin`, `size`, `root` (base64) and `note`.

    Args:
        send: delivers, or raises. An answer with an `outcome` other than ``delivered`` counts as a failure, so
            ``lambda body: sender.send(recipient, Message(body))`` over a `WebhookSender` is enough.
        suspends: whether `send` returns something to await.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[Any] | Any], *, suspends: bool = False) -> None:
        super().__init__()
        self.suspends: bool = suspends
        self._send: Callable[[bytes], Awaitable[Any] | Any] = send

    async def _keep(self, found: Checkpoint, note: str) -> None:
        root = b64encode(found.root).decode()
        body = {"type": "audit.checkpoint", "origin": found.origin, "size": found.size, "root": root, "note": note}
        answer = self._send(json.dumps(body, separators=(",", ":")).encode())
        if isawaitable(answer):
            answer = await answer
        if getattr(answer, "outcome", "delivered") != "delivered":
            raise AuditUnavailable(f"not delivered ({answer.outcome})")
