"""What is recorded, and what does not happen when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellstreak_trust.core import Membership, Principal, TenantContext
from wellstreak_trust.core.errors import AuditUnavailable, SecretConflict, SecretDisabled, SecretNotFound
from wellstreak_trust.secrets import MemorySecretBackend, SecretBackend, SecretStore

NAME = "slack/bot"


@pytest.fixture
def backend() -> SecretBackend:
    """What is recorded does not depend on where rows live."""
    return MemorySecretBackend()


@pytest.mark.asvs("13.3.2")
def test_every_action_is_recorded_without_its_value(store: SecretStore, sink: Any) -> None:
    store.put("t1", NAME, "xoxb-demo", labels={"team": "billing"})
    store.get("t1", NAME)
    store.rotate("t1", NAME, "xoxb-other")
    with store.use("t1", NAME, version=1):
        pass
    store.disable("t1", NAME)
    store.enable("t1", NAME)
    store.destroy("t1", NAME, version=1)
    store.describe("t1", NAME)
    store.list("t1")
    store.rewrap()
    store.shred("t1", confirm="t1")
    twice = ("attempted", "success")
    assert sink.seen() == [
        *(("secret.written", outcome) for outcome in twice),
        ("secret.read", "success"),
        *(("secret.rotated", outcome) for outcome in twice),
        ("secret.read", "success"),
        ("secret.disabled", "success"),
        *(("secret.enabled", outcome) for outcome in twice),
        *(("secret.destroyed", outcome) for outcome in twice),
        *(("secrets.rewrapped", outcome) for outcome in twice),
        *(("secret.shredded", outcome) for outcome in twice),
    ]
    assert "xoxb" not in repr(sink.events)
    done = [event for event in sink.events if event.outcome == "success"]
    assert [event.data.get("version") for event in done] == [1, 1, 2, 1, 2, 2, 1, None, None]
    assert [event.data.get("revision") for event in done] == [1, None, 2, None, 3, 4, 5, None, None]
    assert {event.targets for event in done[:7]} == {(NAME,)}
    assert {event.tenant_id for event in sink.events} == {"t1", "system"}
    assert {str(event.actor) for event in sink.events} == {str({"kind": "system", "id": "secret-store"})}


CRITICAL: tuple[tuple[str, Callable[[SecretStore], object]], ...] = (
    ("secret.written", lambda store: store.put("t1", NAME, "new")),
    ("secret.rotated", lambda store: store.rotate("t1", NAME, "new")),
    ("secret.enabled", lambda store: store.enable("t1", NAME, version=1)),
    ("secret.destroyed", lambda store: store.destroy("t1", NAME)),
    ("secret.shredded", lambda store: store.shred("t1", confirm="t1")),
    ("secret.read", lambda store: store.get("t1", NAME)),
    ("secret.read", lambda store: store.use("t1", NAME).__enter__()),
)


@pytest.mark.parametrize(
    ("action", "call"), CRITICAL, ids=[f"{number}-{row[0]}" for number, row in enumerate(CRITICAL)]
)
def test_a_dead_trail_stops_what_is_critical(
    store: SecretStore, sink: Any, action: str, call: Callable[[SecretStore], object]
) -> None:
    store.put("t1", NAME, "one")
    store.put("t1", NAME, "two")
    store.disable("t1", NAME, version=1)
    sink.down.add(action)
    with pytest.raises(AuditUnavailable):
        call(store)
    sink.down.clear()
    assert store.get("t1", NAME).reveal() == "two"
    assert store.describe("t1", NAME, version=1).state == "disabled"


def test_a_dead_trail_does_not_keep_a_stolen_credential_alive(store: SecretStore, sink: Any) -> None:
    store.put("t1", NAME, "one")
    sink.down.add("secret.disabled")
    with pytest.raises(AuditUnavailable):
        store.disable("t1", NAME)
    with pytest.raises(SecretDisabled):
        store.get("t1", NAME)


def test_a_trail_that_dies_in_between_leaves_the_attempt(store: SecretStore, sink: Any) -> None:
    emit = sink.aemit

    async def dies(event: Any, /) -> None:
        await emit(event)
        sink.down.add("secret.written")

    sink.aemit = dies
    assert store.put("t1", NAME, "one").version == 1
    assert sink.seen() == [("secret.written", "attempted")]


def test_failures_are_recorded_as_such(store: SecretStore, sink: Any) -> None:
    store.put("t1", NAME, "one")
    sink.events.clear()
    with pytest.raises(SecretConflict):
        store.put("t1", NAME, "two", expected_version=0)
    with pytest.raises(SecretNotFound):
        store.get("t1", "other")
    assert sink.seen() == [("secret.written", "attempted"), ("secret.written", "failure")]


def test_a_handle_acts_in_the_name_of_its_principal(store: SecretStore, sink: Any) -> None:
    principal = Principal("u1", tenant_id="t1")
    ctx = TenantContext("t1", principal, Membership("t1", "u1", frozenset(("admin",))), request_id="r-7")
    mine = store.for_tenant(ctx)
    assert mine.put(NAME, "one", expected_version=0, labels={"a": "b"}).tenant_id == "t1"
    assert mine.rotate(NAME, "two").version == 2
    assert mine.get(NAME).reveal() == "two"
    with mine.use(NAME, version=1) as octets:
        assert bytes(octets) == b"one"
    assert mine.disable(NAME).state == "disabled"
    assert mine.enable(NAME).state == "enabled"
    assert mine.destroy(NAME, version=1).state == "destroyed"
    assert mine.describe(NAME).version == 2
    assert [found.name for found in mine.list()] == [NAME]
    assert {event.actor for event in sink.events} == {principal}
    assert {str(event.request) for event in sink.events} == {"{'id': 'r-7'}"}
    assert mine.shred(confirm="t1").secrets == 1
    sink.events.clear()
    store.put("t2", NAME, "one")
    assert sink.events[0].request is None, "the store itself is nobody's"
