"""Every check over one case."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.finding import Finding
from .case import Case, Check
from .catalogue import found
from .checks import CHECKS

__all__ = ["examined"]


def examined(case: Case) -> list[Finding]:
    """What every check finds, errors first. Each fault once a place, however many ways lead there."""
    wanted = [check for check in CHECKS if check.everywhere or case.production]
    every = {(each.code, each.object): each for check in wanted for each in _findings(check, case)}
    return sorted(every.values(), key=lambda each: each.rank)


def _findings(check: Check, case: Case) -> Iterator[Finding]:
    for hit in check.look(case):
        came_from = case.source(hit.setting) or (f"environment: {hit.variable}" if hit.variable else "")
        yield found(check.code, hit.place, what=hit.what, hint=hit.hint, came_from=came_from)
