"""Runs the probes of a connection: one after the other, or at once; a probe that fails to answer answered no."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from ..core.clock import aware
from ..core.redact import redact_text
from ..core.sansio import drive
from .probe import CODES, REJECTIONS, Probe, ProbeContext, ProbeResult

__all__ = ["Results", "Runner", "in_turn", "together"]

_RUN: Final = timedelta(seconds=15)

Results = list[tuple[Probe, ProbeResult]]
Runner = Callable[[Sequence[Probe], ProbeContext], Awaitable[Results]]


async def in_turn(probes: Sequence[Probe], context: ProbeContext) -> Results:
    """Each after the one before; they must not suspend."""
    found: Results = []
    for probe in probes:
        try:
            found.append((probe, _cleaned(drive(probe.run(context)))))
        except Exception as error:
            found.append((probe, _broken(error)))
    return found


async def together(probes: Sequence[Probe], context: ProbeContext) -> Results:
    """All at once, each under its own deadline, all under 15 seconds."""

    async def one(probe: Probe) -> tuple[Probe, ProbeResult]:
        try:
            async with asyncio.timeout(min(probe.timeout, _RUN).total_seconds()):
                if getattr(probe, "blocking", False):
                    result = await asyncio.to_thread(lambda: drive(probe.run(context)))
                else:
                    result = await probe.run(context)
            return probe, _cleaned(result)
        except TimeoutError:
            return probe, ProbeResult("fail", "timeout")
        except Exception as error:
            return probe, _broken(error)

    return list(await asyncio.gather(*(one(probe) for probe in probes)))


def _broken(error: Exception) -> ProbeResult:
    """An exception is never ok, and its text is never kept: error pages echo tokens."""
    return ProbeResult("fail", "timeout" if isinstance(error, TimeoutError) else "error", type(error).__name__)


def _cleaned(result: ProbeResult) -> ProbeResult:
    code = result.code if result.code in CODES else "error"
    outcome = result.outcome if result.outcome in ("ok", "fail", "skipped", "unknown") else "unknown"
    if outcome == "ok" and code in REJECTIONS:
        outcome = "fail"
    if result.observed_at is not None:
        aware(result.observed_at, "observed_at")
    if not isinstance(result.latency, timedelta) or not isinstance(result.retry_after, timedelta | None):
        raise TypeError("latency and retry_after are timedelta")
    return replace(result, outcome=outcome, code=code, detail=redact_text(str(result.detail))[:500])
