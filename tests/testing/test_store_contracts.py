"""The contract suites as a third party runs them: two lines a store, and a clear word where a store breaks one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from wellstreak_trust.audit import MemoryWitnessStore
from wellstreak_trust.authz import MemoryApprovalStore
from wellstreak_trust.core import UsageError
from wellstreak_trust.secrets import LocalKeyProvider
from wellstreak_trust.storage import memory
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlReplayStore
from wellstreak_trust.storage.sql.usage import SqlEntitlements
from wellstreak_trust.testing.stores import CONTRACTS, contract
from wellstreak_trust.webhooks import MemoryRecipientStore
from wellstreak_trust.webhooks.replay_store import Held


class OnDictionary:
    """A third party's replay store."""

    suspends = False

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, bool, datetime]] = {}

    def living(self, key: str, now: datetime) -> tuple[str, bool, datetime] | None:
        found = self.rows.get(key)
        return found if found is not None and found[2] > now else None

    async def claim(self, key: str, owner: str, *, now: datetime, until: datetime) -> Held:
        found = self.living(key, now)
        if found is not None:
            return Held.DONE if found[1] else Held.ANOTHER
        self.rows[key] = (owner, False, until)
        return Held.MINE

    def mine(self, key: str, owner: str, now: datetime) -> bool:
        found = self.living(key, now)
        return found is not None and found[:2] == (owner, False)

    async def commit(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        if not self.mine(key, owner, now):
            return False
        self.rows[key] = (owner, True, until)
        return True

    async def release(self, key: str, owner: str, *, now: datetime) -> bool:
        return self.mine(key, owner, now) and self.rows.pop(key) is not None

    async def sweep(self, now: datetime) -> int:
        ended = [key for key in self.rows if self.living(key, now) is None]
        for key in ended:
            del self.rows[key]
        return len(ended)


@asynccontextmanager
async def awaited() -> AsyncIterator[SqlReplayStore]:
    with TemporaryDirectory() as folder:
        engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/store.db")
        database = AsyncDatabase(engine)
        await database.acreate_all()
        yield SqlReplayStore(database)
        await engine.dispose()


@contextmanager
def on_sqlite(kind: Callable[[Database], Any]) -> Iterator[Any]:
    with TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{folder}/store.db")
        database = Database(engine)
        database.create_all()
        yield kind(database)
        engine.dispose()


async def made() -> OnDictionary:
    return OnDictionary()


test_a_third_partys_store = contract("replay").tests(OnDictionary)
test_an_asynchronous_one = contract("replay").tests(awaited)
test_one_behind_a_coroutine = contract("replay").tests(made)
test_one_over_a_database = contract("replay").tests(lambda: on_sqlite(SqlReplayStore))


SOUND: dict[str, Callable[[], Any]] = {
    "api_keys": memory.MemoryApiKeyStore,
    "approvals": MemoryApprovalStore,
    "attempts": lambda: memory.MemoryLimitStore().attempts(),
    "audit": memory.MemoryAuditStore,
    "connections": memory.MemoryConnectionStore,
    "dpop": memory.MemoryDpopStore,
    "endpoints": memory.MemoryEndpointStore,
    "key_provider": lambda: _key_provider(),
    "leases": lambda: memory.MemoryLimitStore().leases(),
    "limits": memory.MemoryLimitStore,
    "logins": memory.MemoryLoginStore,
    "memberships": memory.MemoryMembershipStore,
    "one_time_tokens": memory.MemoryOneTimeTokenStore,
    "passkeys": memory.MemoryPasskeyStore,
    "recipients": MemoryRecipientStore,
    "recovery_codes": memory.MemoryRecoveryCodeStore,
    "refresh_tokens": memory.MemoryRefreshStore,
    "replay": memory.MemoryReplayStore,
    "secrets": memory.MemorySecretBackend,
    "sessions": memory.MemorySessionStore,
    "subscriptions": lambda: on_sqlite(SqlEntitlements),
    "totp": memory.MemoryTotpStore,
    "usage": memory.MemoryUsageStore,
    "witness": MemoryWitnessStore,
}


@contextmanager
def _key_provider() -> Iterator[LocalKeyProvider]:
    with TemporaryDirectory() as folder:
        yield LocalKeyProvider.generate(Path(folder) / "kek.json")


class Faulty:
    """A sound store with one verb of another kind."""

    def __init__(self, inner: Any, verb: str, answer: Any) -> None:
        self.inner, self.verb, self.answer = inner, verb, answer

    def __getattr__(self, name: str) -> Any:
        if name != self.verb:
            return getattr(self.inner, name)
        if callable(self.answer):
            return lambda *args, **kwargs: self.answer(self.inner, *args, **kwargs)

        async def wrong(*args: Any, **kwargs: Any) -> Any:
            return self.answer

        return wrong


async def _claims_again(store: Any, *args: Any, **kwargs: Any) -> bool:
    await store.claim(*args, **kwargs)
    return True


async def _takes_any_name(store: Any, candidate: str, created_at: int) -> str:
    return candidate


# The verb that is broken, what it answers instead, and the check that says so.
BROKEN: dict[str, tuple[str, Any, str]] = {
    "api_keys": ("revoke", None, "a_revoked_one_is_gone"),
    "approvals": ("consume_if", True, "it_is_used_once"),
    "attempts": ("clear", None, "success_gives_the_free_ones_back"),
    "audit": ("append_batch", [], "a_tree_grows_leaf_by_leaf"),
    "connections": ("swap_if", True, "rows_come_back_whole"),
    "dpop": ("claim", True, "a_key_is_taken_once"),
    "endpoints": ("by_token", None, "rows_come_back_whole"),
    "key_provider": ("unwrap", lambda store, blob, context: bytes(32), "keys_come_back"),
    "leases": ("leave", None, "places_are_bounded"),
    "limits": ("settle", None, "what_is_given_back_comes_once_and_no_more"),
    "logins": ("consume_if", True, "a_sign_in_is_used_once"),
    "memberships": ("claim", _claims_again, "a_tenant_id_is_claimed_once"),
    "one_time_tokens": ("consume_if", True, "it_is_used_once"),
    "passkeys": ("advance_if", True, "a_count_only_grows"),
    "recipients": ("load", None, "failures_are_counted_until_a_success"),
    "recovery_codes": ("consume_if", 1, "a_code_is_used_once"),
    "refresh_tokens": ("end", None, "a_family_is_ended_by_its_owner"),
    "replay": ("claim", Held.MINE, "a_key_has_one_owner"),
    "secrets": ("claim_store", _takes_any_name, "the_store_is_named_once"),
    "sessions": ("end_all", None, "an_end_is_final"),
    "subscriptions": ("snapshot", None, "a_subscription_comes_back_whole"),
    "totp": ("advance_if", True, "a_step_is_good_once"),
    "usage": ("commit", True, "a_hold_is_closed_once"),
    "witness": ("swap_if", True, "of_two_who_saw_the_same_one_wins"),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_sound_store_keeps_its_contract(name: str) -> None:
    assert contract(name).assert_kept(SOUND[name]) is None


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_broken_store_is_told_what_it_breaks(name: str) -> None:
    verb, answer, check = BROKEN[name]

    @contextmanager
    def faulty() -> Iterator[Faulty]:
        made = SOUND[name]()
        if hasattr(made, "__enter__"):
            with made as store:
                yield Faulty(store, verb, answer)
        else:
            yield Faulty(made, verb, answer)

    with pytest.raises(AssertionError) as caught:
        contract(name).assert_kept(faulty)
    told = str(caught.value)
    assert told.startswith(f"The store breaks the contract {name!r} ({CONTRACTS[name].protocol}), ")
    assert f"{check}: " in told
    assert "\n  at: " in told


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_contract_names_a_protocol_and_has_checks(name: str) -> None:
    room, _, protocol = CONTRACTS[name].protocol.rpartition(".")
    assert getattr(getattr(import_module(f"wellstreak_trust.{room}"), protocol), "_is_protocol", False)
    checks = CONTRACTS[name].checks
    assert len(checks) >= 2
    assert all(check.__doc__ for check in checks)


def test_a_store_without_verbs_is_told_which() -> None:
    class Empty:
        suspends = False

    with pytest.raises(AssertionError, match=r"'claim'(?s:.*)has every verb of webhooks.ReplayStore"):
        contract("replay").assert_kept(Empty)

    class Silent(OnDictionary):
        def __getattribute__(self, name: str) -> Any:
            if name == "suspends":
                raise AttributeError(name)
            return super().__getattribute__(name)

    with pytest.raises(AssertionError, match="says whether it waits: suspends = False"):
        contract("replay").assert_kept(Silent)


def test_an_unknown_contract_is_refused() -> None:
    with pytest.raises(UsageError, match="no contract 'cache'"):
        contract("cache")


def test_checks_that_cannot_fail_are_refused() -> None:
    script = (
        "from wellstreak_trust.testing.stores import contract\n"
        "from wellstreak_trust.webhooks import MemoryReplayStore\n"
        "contract('replay').assert_kept(MemoryReplayStore)\n"
    )
    run = subprocess.run([sys.executable, "-O", "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert "no check could fail" in run.stderr
