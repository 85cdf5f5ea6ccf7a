"""The RateLimit fields (draft-ietf-httpapi-ratelimit-headers-11), as Structured Fields (RFC 9651)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from .rules import LimitRule
from .store import Level

__all__ = ["concurrency_items", "limit_item", "policy_item", "seconds"]

_SECOND_NS: Final = 1_000_000_000
_SECOND: Final = timedelta(seconds=1)
_FIXED: Final = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}


def policy_item(rule: LimitRule) -> str:
    """One item of ``RateLimit-Policy``: quota, and the window where its length is fixed."""
    window = -(-rule.per // _SECOND) if isinstance(rule.per, timedelta) else _FIXED.get(rule.per)
    return f"{_string(rule.name)};q={rule.limit}" + (f";w={window}" if window else "")


def limit_item(rule: LimitRule, level: Level) -> str:
    """One item of ``RateLimit``: units left, rounded down, and seconds until full, rounded up."""
    return f"{_string(rule.name)};r={level.remaining};t={seconds(level.reset)}"


def concurrency_items(name: str, limit: int, left: int) -> dict[str, str]:
    """Both fields of a limit on requests under way: quota unit ``concurrent-requests``, no window."""
    return {
        "RateLimit-Policy": f'{_string(name)};q={limit};qu="concurrent-requests"',
        "RateLimit": f"{_string(name)};r={max(left, 0)}",
    }


def seconds(nanoseconds: int) -> int:
    """Whole seconds, rounded up."""
    return -(-nanoseconds // _SECOND_NS)


def joined(items: Iterable[str]) -> str:
    """A List (RFC 9651, 3.1)."""
    return ", ".join(items)


def _string(text: str) -> str:
    """A String (RFC 9651, 3.3.3); rule names are printable ASCII."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
