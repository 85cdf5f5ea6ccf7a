"""One row, changed under its version: load, apply a pure rule, swap, tell the trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from ..core.clock import Clock
from ..core.entropy import Entropy
from ..core.errors import Busy, NotFound
from ..core.event import AuditEvent, EventSink
from ..core.principal import Principal
from .record import Check, ConnectionRecord
from .schedule import planned
from .store import ConnectionStore
from .view import ConnectionStatus, status_of

__all__ = ["Ledger"]

_SWAPS: Final = 8
_NOBODY: Final = Principal("connections", "system")


class Ledger:
    """The rows of all connections.

    Args:
        changed: told the tenant and provider of every row that this process wrote.
    """

    __slots__ = ("_audit", "_changed", "_entropy", "clock", "store")

    def __init__(
        self,
        store: ConnectionStore,
        clock: Clock,
        audit: EventSink | None,
        entropy: Entropy,
        changed: Callable[[str, str], None],
    ) -> None:
        self.store: ConnectionStore = store
        self.clock: Clock = clock
        self._audit: EventSink | None = audit
        self._entropy: Entropy = entropy
        self._changed: Callable[[str, str], None] = changed

    @property
    def recorded(self) -> bool:
        """Whether there is somebody to tell."""
        return self._audit is not None

    async def load(self, tenant_id: str, provider: str) -> ConnectionRecord:
        """The row, or `NotFound`."""
        record = await self.store.load(tenant_id, provider)
        if record is None:
            raise NotFound("unknown connection")
        return record

    def planned(
        self, record: ConnectionRecord, now: datetime, retry_after: timedelta | None = None
    ) -> ConnectionRecord:
        """The row with its next check."""
        return planned(record, now, self._entropy.octets(1)[0], retry_after)

    async def change(
        self,
        tenant_id: str,
        provider: str,
        rule: Callable[[Any], ConnectionRecord],
        *,
        create: bool = False,
        check: Check | None = None,
        actor: Principal | None = None,
    ) -> ConnectionStatus:
        """Applies a rule until nobody was faster; a rule that returns what it was given changes nothing.

        Raises:
            NotFound: no row, and not to be created. Busy: eight times somebody was faster.
        """
        for _ in range(_SWAPS):
            held = await self.store.load(tenant_id, provider)
            if held is None and not create:
                raise NotFound("unknown connection")
            wanted = rule(held)
            if wanted is held:
                return status_of(wanted)
            if await self.store.swap_if(wanted, check):
                self._changed(tenant_id, provider)
                if held is None or (held.state, held.generation) != (wanted.state, wanted.generation):
                    await self._emit(held, wanted, actor or _NOBODY)
                return status_of(wanted)
        raise Busy("a connection changed under every attempt", hint="retry")

    async def _emit(self, held: ConnectionRecord | None, wanted: ConnectionRecord, actor: Principal) -> None:
        if self._audit is None:
            return
        change = {"field": "state", "from": held.state if held is not None else None, "to": wanted.state}
        data: dict[str, Any] = {"generation": wanted.generation}
        if wanted.secret_version is not None:
            data["secret_version"] = wanted.secret_version
        await self._audit.aemit(
            AuditEvent(
                "connection.state_changed",
                "success",
                wanted.tenant_id,
                actor,
                targets=(wanted.provider,),
                changes=(change,),
                reason=wanted.reason,
                data=data,
                occurred_at=self.clock.now(),
            )
        )
