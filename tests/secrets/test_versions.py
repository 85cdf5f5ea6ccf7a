"""History: versions, revert, overlap; and typed values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, field_validator

from wellstreak_trust.core import FixedClock, Secret
from wellstreak_trust.core.errors import (
    SecretDisabled,
    SecretExpired,
    SecretNotFound,
    SecretShredded,
    SecretTampered,
    UsageError,
)
from wellstreak_trust.secrets import MemorySecretBackend, SecretBackend, SecretStore

NAME = "slack/bot"
MINUTE = timedelta(minutes=1)


def test_versions_tell_the_whole_history(store: SecretStore) -> None:
    store.put("t1", NAME, "one", labels={"a": "1"})
    store.rotate("t1", NAME, b"two")
    store.put("t1", NAME, "three")
    store.destroy("t1", NAME, version=1)
    store.disable("t1", NAME, version=2)
    found = store.versions("t1", NAME)
    assert [(each.version, each.state, each.kind, each.current) for each in found] == [
        (1, "destroyed", "text", False),
        (2, "disabled", "bytes", False),
        (3, "enabled", "text", True),
    ]
    assert {each.revision for each in found} == {5}
    assert dict(found[1].labels) == {"a": "1"}
    for missing in (("t1", "other"), ("t2", NAME)):
        with pytest.raises(SecretNotFound):
            store.versions(*missing)


def test_revert_makes_a_new_version(store: SecretStore, clock: FixedClock, sink: Any) -> None:
    store.put("t1", NAME, "one", labels={"a": "1"}, not_after=clock.now() + MINUTE)
    store.put("t1", NAME, b"two")
    sink.events.clear()
    assert store.revert("t1", NAME, 1, rotate_after=clock.now() + MINUTE).version == 3
    assert store.get("t1", NAME).reveal() == "one"
    found = store.describe("t1", NAME)
    assert (dict(found.labels), found.not_after, found.rotate_after) == ({"a": "1"}, None, clock.now() + MINUTE)
    assert sink.events[1].data["reverted_to"] == 1
    assert sink.seen()[:2] == [("secret.reverted", "attempted"), ("secret.reverted", "success")]
    clock.advance(MINUTE)
    with pytest.raises(SecretExpired):
        store.revert("t1", NAME, 1)
    store.disable("t1", NAME, version=2)
    with pytest.raises(SecretDisabled):
        store.revert("t1", NAME, 2)
    store.destroy("t1", NAME, version=2)
    with pytest.raises(SecretShredded):
        store.revert("t1", NAME, 2)
    for version in (0, 4, 2**70):
        with pytest.raises(SecretNotFound):
            store.revert("t1", NAME, version)
    assert store.describe("t1", NAME).version == 3


def test_the_version_before_is_served_for_the_overlap(store: SecretStore, clock: FixedClock) -> None:
    store.put("t1", NAME, "one")
    store.rotate("t1", NAME, "two", overlap=2 * MINUTE)
    assert store.get("t1", NAME, version=1).reveal() == "one"
    assert store.versions("t1", NAME)[0].not_after == clock.now() + 2 * MINUTE
    clock.advance(2 * MINUTE)
    with pytest.raises(SecretExpired):
        store.get("t1", NAME, version=1)
    assert store.get("t1", NAME).reveal() == "two"
    store.put("t1", NAME, "three", not_after=clock.now() + MINUTE)
    store.rotate("t1", NAME, "four", overlap=2 * MINUTE)
    assert store.describe("t1", NAME, version=3).not_after == clock.now() + MINUTE, "an overlap never lengthens"
    store.destroy("t1", NAME)
    store.rotate("t1", NAME, "five", overlap=timedelta())
    assert store.describe("t1", NAME, version=4).state == "destroyed"
    store.rotate("t1", NAME, "six", overlap=timedelta())
    with pytest.raises(SecretExpired):
        store.get("t1", NAME, version=5)
    with pytest.raises(UsageError):
        store.rotate("t1", NAME, "seven", overlap=-MINUTE)


# --- typed -----------------------------------------------------------------------------------------------------------

LEAK = "xoxb-leaking-value"


class Nested(BaseModel):
    scopes: tuple[str, ...] = ()
    token: Secret[str]


class OAuth(BaseModel):
    model_config = ConfigDict(extra="allow")

    access: Secret[str]
    refresh: SecretStr = Field(alias="refreshToken")
    at: AwareDatetime
    nested: Nested
    more: dict[str, SecretStr] = {}


@pytest.fixture
def quick(clock: FixedClock, kek: Any) -> SecretStore:
    from wellstreak_trust.secrets import KeyChain

    return SecretStore(MemorySecretBackend(), KeyChain([kek]), clock=clock)


def _oauth(clock: FixedClock, **extra: Any) -> OAuth:
    nested = {"scopes": ["chat"], "token": LEAK}
    return OAuth.model_validate(
        {"access": LEAK, "refreshToken": LEAK, "at": clock.now(), "nested": nested, "more": {"x": LEAK}, **extra}
    )


def test_a_model_comes_back_as_it_went_in(quick: SecretStore, clock: FixedClock) -> None:
    made = _oauth(clock, kept="extra")
    quick.put("t1", NAME, made)
    found = quick.get_as("t1", NAME, OAuth)
    assert found == made
    assert found.access.reveal() == found.refresh.get_secret_value() == found.nested.token.reveal() == LEAK
    assert LEAK not in f"{found!r}{found}{found.model_dump_json()}"
    assert quick.describe("t1", NAME).kind == "text"
    quick.rotate("t1", NAME, made)
    assert quick.get_as("t1", NAME, OAuth, version=1) == made


class Picky(BaseModel):
    access: Secret[str]
    number: int

    @field_validator("number")
    @classmethod
    def loud(cls, number: int) -> int:
        if number == 13:
            raise RuntimeError(LEAK)
        return number


class Blind(BaseModel):
    access: Secret[bytes]


class Alien(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    access: object


class Shrinks(BaseModel):
    access: str

    @field_validator("access")
    @classmethod
    def half(cls, text: str) -> str:
        return text[: len(text) // 2]


@pytest.mark.parametrize(
    "stored",
    [
        LEAK,
        LEAK.encode(),
        f'{{"access": "{LEAK}"}}',
        f'{{"{LEAK}": 1}}',
        f'{{"access": "a", "number": "{LEAK}"}}',
        f'{{"access": ["{LEAK}"], "number": 1}}',
        f'{{"access": "{LEAK}", "number": 13}}',
    ],
)
def test_what_does_not_fit_is_refused_without_the_value(quick: SecretStore, stored: Any) -> None:
    quick.put("t1", NAME, stored)
    with pytest.raises(UsageError) as caught:
        quick.get_as("t1", NAME, Picky)
    error: BaseException | None = caught.value
    while error is not None:
        assert LEAK not in f"{error} {error!r} {vars(error)}"
        trace = error.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            if "wellstreak_trust" in frame.f_code.co_filename:
                assert LEAK not in repr(frame.f_locals)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("which", ["bytes", "alien", "shrinks"])
def test_what_would_not_read_back_is_refused(quick: SecretStore, which: str) -> None:
    models: dict[str, BaseModel] = {
        "bytes": Blind(access=Secret(LEAK.encode())),
        "alien": Alien(access=object()),
        "shrinks": Shrinks(access=LEAK * 2),
    }
    with pytest.raises(UsageError) as caught:
        quick.put("t1", NAME, models[which])
    assert LEAK not in str(caught.value)
    with pytest.raises(SecretNotFound):
        quick.describe("t1", NAME)


def test_a_missing_version_is_seen(store: SecretStore, backend: SecretBackend) -> None:
    for value in ("one", "two", "three"):
        store.put("t1", NAME, value)
    whole = backend.whole

    async def short(tenant_id: str, name: str, /) -> Any:
        found = await whole(tenant_id, name)
        return found._replace(rows=found.rows[1:])

    backend.whole = short  # type: ignore[method-assign]  # somebody deleted a row
    with pytest.raises(SecretTampered):
        store.versions("t1", NAME)


def test_a_history_read_while_the_key_turns_is_whole(store: SecretStore, backend: SecretBackend) -> None:
    """The rows were read under the older key, which was retired before it could be opened."""
    store.put("t1", NAME, "one")
    store.put("t1", NAME, "two")
    real = backend.whole

    async def turning(*at: Any) -> Any:
        found = await real(*at)
        backend.whole = real  # type: ignore[method-assign]  # once
        await store.areencrypt("t1", retire=True)
        return found

    backend.whole = turning  # type: ignore[method-assign]  # between one statement and the next
    assert [found.version for found in store.versions("t1", NAME)] == [1, 2]
    assert [found.key_version for found in store.versions("t1", NAME)] == [2, 2]
