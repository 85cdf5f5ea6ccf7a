"""What every recipient store must do; run it against your own.

Each check is a coroutine over a fresh store: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from ...webhooks.recipients import RecipientHealth, RecipientStore

__all__ = ["CHECKS"]

_AT: Final = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
_LATER: Final = _AT + timedelta(microseconds=1)


async def failures_are_counted_until_a_success(store: RecipientStore) -> None:
    """The first and the last of them are remembered, to the microsecond."""
    assert await store.load("r") == RecipientHealth()
    assert await store.failed("r", _AT) == RecipientHealth(1, _AT, _AT)
    assert await store.failed("r", _LATER) == RecipientHealth(2, _AT, _LATER)
    assert await store.load("r") == RecipientHealth(2, _AT, _LATER)
    assert await store.load("other") == RecipientHealth()
    await store.succeeded("r")
    assert await store.load("r") == RecipientHealth()
    assert await store.failed("r", _LATER) == RecipientHealth(1, _LATER, _LATER)


async def who_is_disabled_stays_so(store: RecipientStore) -> None:
    """Until it is enabled; the first reason stands, and one caller is told that it was the first."""
    assert await store.disable("r", "gone")
    assert not await store.disable("r", "again")
    assert (await store.load("r")).disabled == "gone"
    await store.succeeded("r")
    assert (await store.failed("r", _AT)).disabled == "gone"
    await store.enable("r")
    assert await store.load("r") == RecipientHealth()
    assert await store.disable("r", "later")


async def disabling_keeps_the_count(store: RecipientStore) -> None:
    """It tells why."""
    await store.failed("r", _AT)
    assert await store.disable("r", "failing")
    assert await store.load("r") == RecipientHealth(1, _AT, _AT, "failing")


CHECKS: Final = (failures_are_counted_until_a_success, who_is_disabled_stays_so, disabling_keeps_the_count)
