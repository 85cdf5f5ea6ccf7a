"""Limits and their store; keys and secrets by when they are due. No value of a secret is read here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ..core.errors import TrustError
from ..core.markup import Child, Markup, address, joined, tag
from ..ratelimit import LimitRule
from ..secrets import KeyStatus, SecretInfo
from .asked import Asked
from .parts import Parts, View
from .widgets import Field, card, chip, empty, facts, filters, listing, moment, pager, span_of

__all__ = ["TENANTS", "due", "show_limits", "show_secrets"]

TENANTS: Final = 25
_MOST: Final = 1_000
_WITHIN: Final = {"0": "due already", "7": "within 7 days", "30": "within 30 days", "90": "within 90 days"}
_MONTH: Final = timedelta(days=30)
_OUTAGE: Final = {"local": "counts in each process", "open": "lets everybody through", "closed": "refuses everybody"}


async def show_limits(parts: Parts, asked: Asked, view: View) -> Markup:
    """Every rule of the limiter, and whether its store answers."""
    assert parts.limiter is not None
    down = parts.limiter.degraded
    state = facts(
        (
            ("Store", type(parts.limiter.store).__name__),
            ("Answers", chip("unavailable" if down else "ready")),
            ("Meanwhile", "each rule decides by its outage policy" if down else "all rules decide by the store"),
        )
    )
    rows = [_rule(rule) for rule in parts.limiter.rules]
    header = ("rule", "limit", "counted by", "burst", "algorithm", "mode", "in an outage")
    held = listing(f"{len(rows)} in all", header, rows) if rows else empty("There are no rules.")
    note = tag("p", "Rules that single operations add are listed with those operations.", class_="hint")
    return joined((card("Store", state), card("Rules", held, note)))


def _rule(rule: LimitRule) -> list[Child]:
    period = f"per {rule.per}" if isinstance(rule.per, str) else f"in {span_of(rule.per)}"
    mode = chip("shadow", "quiet") if rule.mode == "shadow" else chip("enforced", "good")
    burst = f"{rule.burst:,}" if rule.burst is not None else "the limit"
    return [rule.name, f"{rule.limit:,} {period}", ", ".join(rule.by), burst, rule.algorithm, mode,
            _OUTAGE[rule.on_outage]]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Due:
    """A secret by its next date, or a tenant whose secrets cannot be listed."""

    tenant_id: str
    name: str
    version: int
    state: str
    at: datetime | None
    told: str


async def due(
    parts: Parts, view: View, after: str, tenants: int, *, within: timedelta = _MONTH, only: str = ""
) -> tuple[list[Due], str | None]:
    """Secrets due within a time, the longest due first, of a page of tenants; and where the next page begins."""
    assert parts.secrets is not None
    listed = (only,) if only else await parts.secrets.atenants(after=after, limit=tenants)
    found: list[Due] = []
    for tenant in listed:
        try:
            found += [held for info in await _all(parts, tenant) if (held := _held(info, view.now, within)) is not None]
        except TrustError as error:  # one tenant's damaged rows must not hide what is due elsewhere
            found.append(Due(tenant, "", 0, "unavailable", None, f"cannot be listed: {error.code}"))
    found.sort(key=lambda each: (each.at is not None, each.at or view.now, each.tenant_id, each.name))
    return found, listed[-1] if not only and len(listed) == tenants else None


async def _all(parts: Parts, tenant: str) -> list[SecretInfo]:
    assert parts.secrets is not None
    found: list[SecretInfo] = []
    while page := await parts.secrets.alist(tenant, after=found[-1].name if found else "", limit=_MOST):
        found += page
        if len(page) < _MOST:
            break
    return found


def _held(info: SecretInfo, now: datetime, within: timedelta) -> Due | None:
    """Its next date: an end outranks a rotation that is due later."""
    dates = [
        (at, told) for at, told in ((info.not_after, "expires"), (info.rotate_after, "rotate it")) if at is not None
    ]
    if info.state != "enabled" or not dates:
        return None
    at, told = min(dates)
    if at > now + within:
        return None
    late = at <= now
    gone = late and info.not_after is not None and info.not_after <= now
    state = "expired" if gone else "overdue" if late else "due"
    return Due(info.tenant_id, info.name, info.version, state, at, "no longer served" if gone else told)


async def show_secrets(parts: Parts, asked: Asked, view: View) -> Markup:
    """Providers of keys with their state, then secrets by date."""
    tenant, after = asked.text("tenant"), asked.text("after")
    within = asked.choice("within", _WITHIN, "30")
    found, rest = await due(parts, view, after, TENANTS, within=timedelta(days=int(within)), only=tenant)
    form = filters("secrets", (Field("tenant", "Workspace", tenant), Field("within", "Due", within, _WITHIN)))
    rows: list[list[Child]] = [
        [each.name or "all secrets", each.tenant_id, chip(each.state, "warn" if each.state == "due" else None),
         moment(each.at, view.now, "now"), each.told, f"{each.version}" if each.version else "none"]
        for each in found
    ]  # fmt: skip
    header = ("secret", "workspace", "state", "date", "what", "version")
    held = listing(f"{len(rows):,} dates, the longest due first", header, rows) if rows else None
    later = address("secrets", within=within, after=rest) if rest is not None else None
    first = address("secrets", within=within) if after else None
    turn = pager(first, later, f"Next {TENANTS} workspaces")
    dates = card("Secrets", held or empty("Nothing is due in that time."), turn)
    return joined((form, await _providers(parts), dates))


async def _providers(parts: Parts) -> Markup | None:
    """The key-encryption keys. A provider may wait for a network, so that an asynchronous host asks in a thread."""
    if parts.keys is None or parts.secrets is None:
        return None
    asked: tuple[KeyStatus, ...]
    asked = await asyncio.to_thread(parts.keys.status) if parts.secrets.suspends else parts.keys.status()
    rows: list[list[Child]] = [
        [tag("code", each.uri), chip(each.state), "wraps" if place == 0 else "unwraps only", each.detail or "none"]
        for place, each in enumerate(asked)
    ]
    header = ("key", "state", "use", "detail")
    return card("Keys", listing("Key-encryption keys, the active one first", header, rows))
