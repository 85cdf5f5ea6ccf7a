"""`DisclosureIntake`: takes reports, keeps them sealed, moves them on, and tells the trail of each step and no more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol, get_args

from ..core.clock import Clock, SystemClock
from ..core.entropy import random_hex, random_token
from ..core.errors import ConfigurationError, Conflict, NotFound, RateLimited, UsageError
from ..core.event import AuditEvent, EventSink
from ..core.principal import Principal
from ..core.sansio import suspends, synced
from .report import DisclosureReport, validated
from .store import ReportRow, ReportStore
from .ticket import STEPS, DisclosurePolicy, ReportState, Ticket, working_days

__all__ = ["DisclosureIntake"]

_NOBODY: Final[Mapping[str, Any]] = {"kind": "anonymous", "id": "anonymous"}
_PIECE: Final = 16_000  # characters, of up to four bytes each: below the largest secret
_ID: Final = re.compile(r"[A-Za-z0-9_-]{22}|[0-9a-f]{64}")
_NOTE_MOST: Final = 5_000
_SEALED: Final = "sealed:"  # and where in the secret store the note of a sealed report lies
_SEALED_NOTE: Final = re.compile(_SEALED + r"([0-9a-f]{16})")


class SealedStore(Protocol):
    """What is needed of a secret store."""

    async def aput(self, tenant_id: str, name: str, value: Any, /) -> Any:
        """Stores a value."""
        ...

    async def aget(self, tenant_id: str, name: str, /) -> Any:
        """A `Secret` with the value."""
        ...


class Limiter(Protocol):
    """What is needed of a limiter: a verdict with `allowed`."""

    async def acheck(self, keys: Mapping[str, str], cost: int = 1) -> Any:
        """Counts one report."""
        ...


class DisclosureIntake:
    """The desk where vulnerability reports are handed in.

    Args:
        store: `MemoryReportStore` or ``storage.sql.SqlReportStore``.
        audit: takes ``disclosure.<state>`` with the ticket's id: never the title, the steps or who reported.
        limiter: asked with the key ``client``; its rules count by it.
        secrets: keeps what reports say, sealed; without it the store holds it in clear, which is for tests.
        tenant_id: whose trail and secrets, the platform's by default.
        policy: what reporters are promised.
    """

    def __init__(
        self,
        store: ReportStore,
        audit: EventSink | None = None,
        limiter: Limiter | None = None,
        secrets: SealedStore | None = None,
        tenant_id: str = "system",
        *,
        clock: Clock | None = None,
        policy: DisclosurePolicy | None = None,
    ) -> None:
        self._store: ReportStore = store
        self._audit: EventSink | None = audit
        self._limiter: Limiter | None = limiter
        self._secrets: SealedStore | None = secrets
        self._tenant_id: str = tenant_id
        self._clock: Clock = clock or SystemClock()
        self.policy: DisclosurePolicy = policy or DisclosurePolicy()
        self.suspends: bool = suspends(store, audit, limiter, secrets)

    async def asubmit(self, report: DisclosureReport | Mapping[str, Any], *, client: str | None = None) -> Ticket:
        """Takes a report.

        Args:
            client: whom the limiter counts, as `ClientAddress.key`.

        Returns:
            The ticket. Its id is the reporter's key to ask for the state, and is kept nowhere: only its digest is.

        Raises:
            DisclosureRejected: names fields and rules. RateLimited: too many from there.
        """
        if self._limiter is not None:
            verdict = await self._limiter.acheck({"client": client or "unknown"})
            if verdict.allowed is not True:
                raise RateLimited(verdict)
        found = validated(report, self._clock)
        now, ticket_id = self._clock.now(), random_token(16)
        key, content = _digest(ticket_id), found.model_dump_json()
        embargo = min(found.embargo_until or now + self.policy.embargo, now + self.policy.embargo)
        parts = await self._seal(key, content)
        row = ReportRow(
            key, "received", now, now, found.impact, found.severity, found.weakness, embargo, parts,
            None if parts else content,
        )  # fmt: skip
        await self._store.add(row)
        await self._told("received", ticket_id, _NOBODY, None)
        return self._ticket(row, ticket_id)

    submit: Final = synced(asubmit)

    async def aadvance(
        self, ticket_id: str, state: ReportState, *, actor: Principal, reason: str | None = None
    ) -> Ticket:
        """Moves a report on.

        Raises:
            UsageError: no such state. Conflict: no step leads there from where it stands, or somebody was faster.
            NotFound: no such ticket.
        """
        if state not in get_args(ReportState):
            raise UsageError("no state of a report", hint="one of " + ", ".join(get_args(ReportState)))
        row = await self._row(ticket_id)
        now = self._clock.now()
        if state not in STEPS[row.state] or not await self._store.swap_if(row.key, row.state, state, now):
            raise Conflict(f"no step leads from {row.state} to {state}", hint="get() tells where it stands")
        await self._told(state, ticket_id, actor, reason)
        return self._ticket(await self._row(ticket_id), ticket_id)

    advance: Final = synced(aadvance)

    async def aget(self, ticket_id: str) -> Ticket:
        """Where a report stands; for its reporter as well. Raises `NotFound`."""
        return self._ticket(await self._row(ticket_id), ticket_id)

    get: Final = synced(aget)

    async def aread(self, ticket_id: str) -> DisclosureReport:
        """What a report says: for those who work on it. Raises `NotFound`."""
        row = await self._row(ticket_id)
        content = row.content
        if content is None:
            vault = self._vault()
            pieces = [await vault.aget(self._tenant_id, _name(row.key, at)) for at in range(row.parts)]
            content = "".join(str(piece.reveal()) for piece in pieces)
        return DisclosureReport.model_validate_json(content)

    read: Final = synced(aread)

    async def aadd_note(self, ticket_id: str, text: str) -> Ticket:
        """Adds a note of those who work on it, sealed where the report is: it says as much of the hole.

        Raises:
            NotFound: no such ticket. UsageError: no text, or more than 5,000 characters. ConfigurationError: the report
                is sealed, and there is no store to seal the note with.
        """
        if not isinstance(text, str) or not 0 < len(text) <= _NOTE_MOST:
            raise UsageError("a note is text of 1 to 5,000 characters", hint="split it")
        row = await self._row(ticket_id)
        if row.parts:
            sealed = random_hex(8)
            await self._vault().aput(self._tenant_id, _note_name(row.key, sealed), text)
            text = f"{_SEALED}{sealed}"
        await self._store.note(row.key, text, self._clock.now())
        return self._ticket(await self._row(ticket_id), ticket_id)

    add_note: Final = synced(aadd_note)

    async def anotes(self, ticket_id: str) -> tuple[str, ...]:
        """The notes, in their order. Raises `NotFound`."""
        row = await self._row(ticket_id)
        return tuple([await self._opened(row, note) for note in row.notes])

    notes: Final = synced(anotes)

    async def alist(self, state: ReportState | None = None, limit: int = 100) -> list[Ticket]:
        """Tickets, the oldest first, by the digests of their ids."""
        return [self._ticket(row, row.key) for row in await self._store.list(state, limit)]

    list: Final = synced(alist)

    async def _row(self, ticket_id: str) -> ReportRow:
        if not isinstance(ticket_id, str) or not _ID.fullmatch(ticket_id):
            raise NotFound("unknown ticket")
        row = await self._store.get(ticket_id if len(ticket_id) == 64 else _digest(ticket_id))
        if row is None:
            raise NotFound("unknown ticket")
        return row

    async def _seal(self, key: str, content: str) -> int:
        if self._secrets is None:
            return 0
        pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
        for at, piece in enumerate(pieces):
            await self._secrets.aput(self._tenant_id, _name(key, at), piece)
        return len(pieces)

    async def _opened(self, row: ReportRow, note: str) -> str:
        found = _SEALED_NOTE.fullmatch(note) if row.parts else None
        if found is None:
            return note  # of a report in clear
        held = await self._vault().aget(self._tenant_id, _note_name(row.key, found[1]))
        return str(held.reveal())

    def _vault(self) -> SealedStore:
        if self._secrets is None:
            raise ConfigurationError("the report is sealed", hint="DisclosureIntake(secrets=...)", reason="sealed")
        return self._secrets

    async def _told(self, state: str, ticket_id: str, actor: Principal | Mapping[str, Any], reason: str | None) -> None:
        if self._audit is not None:
            at = self._clock.now()
            action = f"disclosure.{state}"
            event = AuditEvent(
                action, "success", self._tenant_id, actor, targets=(ticket_id,), reason=reason, occurred_at=at
            )
            await self._audit.aemit(event)

    def _ticket(self, row: ReportRow, ticket_id: str) -> Ticket:
        first: datetime | None = None
        later: datetime | None = None
        if row.state == "received":
            first = working_days(row.received_at, self.policy.acknowledge)
        elif STEPS[row.state]:
            later = row.updated_at + self.policy.status
        return Ticket(
            ticket_id, row.state, row.received_at, row.updated_at, row.impact, row.severity, row.weakness,
            row.embargo_until, first, later, len(row.notes),
        )  # fmt: skip


def _digest(ticket_id: str) -> str:
    return sha256(ticket_id.encode()).hexdigest()


def _name(key: str, at: int) -> str:
    return f"disclosure/{key}/{at}"


def _note_name(key: str, sealed: str) -> str:
    return f"disclosure/{key}/note/{sealed}"
