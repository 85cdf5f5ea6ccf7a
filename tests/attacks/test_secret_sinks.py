"""Where a stored value could come to light: errors, frames, logs, trails, files, objects. It stands in none of them.

`Secret` itself has its own suite (``tests/core``). Here are the sinks around the store: each gets a store that holds
the value, does what an accident does, and gives back everything that came to be seen.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import shutil
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ValidationError
from sqlalchemy import create_engine

from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.core import FixedClock, Membership, Principal, Secret, TenantContext, TrustError, drive
from wellstreak_trust.core.errors import AuditUnavailable, KeyUnavailable, StoreUnavailable
from wellstreak_trust.secrets import (
    EnvelopeContext,
    EnvelopeKey,
    EnvKeyProvider,
    KeyChain,
    LocalKeyProvider,
    PassphraseKeyProvider,
    Refreshed,
    SealedKeyProvider,
    SecretStore,
    envelope,
)
from wellstreak_trust.secrets.rules import Written, text_of
from wellstreak_trust.storage.sql import Database, SqlSecretBackend

VALUE = "xoxb-9c41-stored-value"
OTHER = VALUE.replace("stored", "second")
NAME = "slack/bot"
MATERIAL = bytes(range(128, 192))
MATERIAL_KEY = EnvelopeKey(MATERIAL)
OPENERS = (envelope.open, envelope.open_into)
TENANT_KEYS: list[bytes] = []


class Oauth(BaseModel):
    access: Secret[str]
    count: int = 0


class World:
    """A store over a file, its log output and its trail."""

    def __init__(self, folder: Path, output: io.StringIO, template: Path) -> None:
        shutil.copy(template, folder / "app.db")
        self.folder = folder
        self.output = output
        self.clock = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))
        self.log = AuditLog(MemoryAuditStore())
        self.engine = create_engine(f"sqlite:///{folder / 'app.db'}", echo=False)
        self.database = Database(self.engine)
        self.kek = LocalKeyProvider("k_0011223344556677", MATERIAL)
        self.store = self.fresh()
        self.store.put("t1", NAME, VALUE, labels={"team": "billing"})

    def fresh(self, kek: Any = None) -> SecretStore:
        backend = SqlSecretBackend(self.database)
        return SecretStore(backend, KeyChain([kek or self.kek]), audit=self.log, clock=self.clock)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: made once, copied for each sink."""
    path = tmp_path_factory.mktemp("template") / "app.db"
    engine = create_engine(f"sqlite:///{path}")
    Database(engine).create_all()
    engine.dispose()
    return path


@pytest.fixture
def world(tmp_path: Path, template: Path) -> Iterator[World]:
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    sql = logging.getLogger("sqlalchemy.engine")
    sql.setLevel(logging.DEBUG)
    made = World(tmp_path, output, template)
    yield made
    made.engine.dispose()
    sql.setLevel(logging.NOTSET)
    root.removeHandler(handler)
    root.setLevel(level)


def said_by(call: Callable[[], object]) -> str:
    """The texts of what `call` raises: for values in places where no secret belongs."""
    return seen_in(call, frames=False)


def seen_in(call: Callable[[], object], *, frames: bool = True) -> str:
    """Everything that an error reporter can show of what `call` raises: texts, attributes, locals of our frames."""
    try:
        call()
    except BaseException as error:
        shown, link = "", error
        while link is not None:
            shown += f"{link} {link!r} {link.args} {vars(link)}"
            if isinstance(link, TrustError):
                shown += f"{link.detail} {link.hint} {link.problem()} {link.headers()} {pickle.dumps(link)!r}"
            for frame, _ in traceback.walk_tb(link.__traceback__):
                if frames and "/wellstreak_trust/" in frame.f_code.co_filename:
                    shown += repr(frame.f_locals)
            link = link.__cause__ or link.__context__  # type: ignore[assignment]  # None ends it
        return shown + "".join(traceback.format_exception(error, limit=0))
    raise AssertionError("nothing was raised")


def _spoilt(world: World, statement: str) -> SecretStore:
    with world.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    return world.fresh()


def _failing(world: World, error: Exception, verb: str = "change") -> SecretStore:
    store = world.fresh()

    async def fails(*arguments: Any) -> Any:
        raise error

    setattr(store._vault.backend, verb, fails)
    return store


def _raises(error: Exception) -> Any:
    def fn(current: Secret[Any]) -> Any:
        raise error

    return fn


def _due(world: World) -> SecretStore:
    world.store.put("t1", NAME, VALUE, rotate_after=world.clock.now())
    return world.fresh()


def _context() -> TenantContext:
    return TenantContext("t1", Principal("u1", tenant_id="t1"), Membership("t1", "u1", frozenset(("admin",))))


def _fernet_key_file(world: World) -> Any:
    key = Fernet.generate_key()
    return lambda: world.store.import_fernet("t1", {"a": Fernet(key).encrypt(VALUE.encode())}, [VALUE])


class _Down(LocalKeyProvider):
    def wrap(self, key: bytes, context: Any, /) -> bytes:
        raise KeyUnavailable("down")

    unwrap = wrap


def _down() -> _Down:
    return _Down("k_0011223344556677", MATERIAL)


def _flipped(world: World) -> SecretStore:
    """The tag of the stored envelope spoilt behind the row's code."""
    store = world.fresh()
    real = store._vault.read

    async def read(*at: Any) -> Any:
        found = await real(*at)
        octets = found.row.envelope or b""
        return found._replace(row=found.row._replace(envelope=octets[:-1] + bytes([octets[-1] ^ 1])))

    store._vault.read = read  # type: ignore[method-assign]  # as above
    return store


def _badly_padded() -> tuple[bytes, EnvelopeContext]:
    context = EnvelopeContext("s", "t", "n", 1, "value/text")
    okm = MATERIAL_KEY.derive(bytes(32), context)
    fixed = MATERIAL_KEY.head + bytes(32) + okm[32:]
    return fixed + AESGCM(okm[:32]).encrypt(bytes(12), VALUE.encode().ljust(32, b"\1"), fixed), context


class _Mixed(LocalKeyProvider):
    def unwrap(self, blob: bytes, context: Any, /) -> bytes:
        return MATERIAL  # as a service that mixes up its answers


def _mixed_up(world: World) -> SecretStore:
    return world.fresh(_Mixed("k_0011223344556677", MATERIAL))


def _rewrapping(world: World) -> SecretStore:
    """A key service that fails when the tenant's key, in the clear, is to be wrapped anew."""
    (row,) = drive(world.store._vault.backend.keys_of("t1"))
    material = drive(world.store._vault.ring.open(row)).material
    TENANT_KEYS.append(material)
    down = _Down("k_7766554433221100", MATERIAL)
    return SecretStore(SqlSecretBackend(world.database), KeyChain([down, world.kek]), audit=world.log)


def _mute(world: World) -> SecretStore:
    class Dead:
        suspends = False

        async def aemit(self, event: Any, /) -> None:
            raise AuditUnavailable("down")

    return SecretStore(SqlSecretBackend(world.database), KeyChain([world.kek]), audit=Dead(), clock=world.clock)


def _used(world: World) -> str:
    with world.store.use("t1", NAME) as octets:
        shown = repr(octets)
    return shown + repr(bytes(octets))


def _trail(world: World) -> str:
    world.store.rotate("t1", NAME, OTHER)
    world.store.get("t1", NAME)
    world.store.disable("t1", NAME)
    return json.dumps(world.log.events("t1", limit=1_000))


def _logs(world: World) -> str:
    for name in ("wellstreak_trust", "sqlalchemy", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    world.store.rotate("t1", NAME, OTHER)
    world.store.get("t1", NAME)
    world.store.reencrypt("t1")
    assert "wst_secret_version" in world.output.getvalue(), "SQL is logged, so the sink is open"
    return world.output.getvalue()


def _files(world: World) -> str:
    world.store.rotate("t1", NAME, OTHER)
    return "".join(path.read_bytes().decode("latin-1") for path in world.folder.glob("app.db*"))


SINKS: dict[str, Callable[[World], str]] = {
    # errors and the frames behind them
    "conflict on put": lambda w: seen_in(lambda: w.store.put("t1", NAME, VALUE, expected_version=7)),
    "conflict on rotate": lambda w: seen_in(lambda: w.store.rotate("t1", NAME, VALUE, expected_version=7)),
    "rotate of nothing": lambda w: seen_in(lambda: w.store.rotate("t1", "other", VALUE)),
    "a name that is none": lambda w: seen_in(lambda: w.store.put("t1", "NO NAME", VALUE)),
    "the value as a name": lambda w: said_by(lambda: w.store.get("t1", f"NO {VALUE}")),
    "labels that are none": lambda w: seen_in(lambda: w.store.put("t1", NAME, VALUE, labels={"a": 1})),  # type: ignore[dict-item]  # wrong on purpose
    "the value as a label": lambda w: said_by(lambda: w.store.put("t1", NAME, "x", labels={VALUE + " ": "a"})),
    "a naive time": lambda w: seen_in(lambda: w.store.put("t1", NAME, VALUE, not_after=datetime(2027, 1, 1))),
    "a value too large": lambda w: seen_in(lambda: w.store.put("t1", NAME, VALUE * 9_000)),
    "a value of another type": lambda w: seen_in(lambda: w.store.put("t1", NAME, [VALUE])),  # type: ignore[arg-type]  # wrong on purpose
    "a lone surrogate": lambda w: seen_in(lambda: w.store.put("t1", NAME, VALUE + "\ud800")),
    "a version that is none": lambda w: seen_in(lambda: w.store.put("t1", NAME, VALUE, expected_version=-1)),
    "a store that is down, put": lambda w: seen_in(lambda: _failing(w, StoreUnavailable("x")).put("t1", NAME, VALUE)),
    "a driver's error, put": lambda w: seen_in(lambda: _failing(w, RuntimeError("x")).put("t1", NAME, VALUE)),
    "a store that is down, get": lambda w: seen_in(lambda: _failing(w, StoreUnavailable("x"), "read").get("t1", NAME)),
    "keys that are down, put": lambda w: seen_in(lambda: w.fresh(_down()).put("t2", NAME, VALUE)),
    "keys that are down, get": lambda w: seen_in(lambda: w.fresh(_down()).get("t1", NAME)),
    "a tampered envelope": lambda w: seen_in(
        lambda: _spoilt(w, "UPDATE wst_secret_version SET envelope = zeroblob(121)").get("t1", NAME)
    ),
    "a tampered label": lambda w: seen_in(
        lambda: _spoilt(w, "UPDATE wst_secret_version SET labels = '{}'").get("t1", NAME)
    ),
    "a tampered kind": lambda w: seen_in(
        lambda: _spoilt(w, "UPDATE wst_secret_version SET kind = 'bytes'").get("t1", NAME)
    ),
    "a plaintext row": lambda w: said_by(
        lambda: _spoilt(w, f"UPDATE wst_secret_version SET envelope = '{VALUE}'").get("t1", NAME)
    ),
    "a tampered key": lambda w: seen_in(
        lambda: _spoilt(w, "UPDATE wst_tenant_key SET wrapped = zeroblob(185)").get("t1", NAME)
    ),
    "a flipped tag, borrowed": lambda w: seen_in(lambda: _flipped(w).use("t1", NAME).__enter__()),
    "a flipped tag, opened": lambda w: seen_in(lambda: _flipped(w).get("t1", NAME)),
    "a padding that is none": lambda w: "".join(
        seen_in(lambda o=o: o(MATERIAL_KEY, *_badly_padded())) for o in OPENERS
    ),  # type: ignore[misc]  # bound early
    "a text that is none": lambda w: seen_in(lambda: text_of(VALUE.encode() + b"\xff")),
    "keys that are down, re-wrapped": lambda w: seen_in(lambda: _rewrapping(w).rewrap()),
    "another tenant's key out of a key service": lambda w: seen_in(lambda: _mixed_up(w).get("t1", NAME)),
    "a lost table": lambda w: seen_in(lambda: _spoilt(w, "DROP TABLE wst_secret_version").put("t1", NAME, VALUE)),
    "another kek": lambda w: seen_in(
        lambda: w.fresh(LocalKeyProvider("k_7766554433221100", bytes(64))).get("t1", NAME)
    ),
    "a dead trail, put": lambda w: seen_in(lambda: _mute(w).put("t1", NAME, VALUE)),
    "a dead trail, get": lambda w: seen_in(lambda: _mute(w).get("t1", NAME)),
    "a dead trail, use": lambda w: seen_in(lambda: _mute(w).use("t1", NAME).__enter__()),
    "a handle's put": lambda w: seen_in(lambda: w.store.for_tenant(_context()).put(NAME, VALUE, expected_version=7)),
    "a handle's rotate": lambda w: seen_in(
        lambda: w.store.for_tenant(_context()).rotate(NAME, VALUE, expected_version=7)
    ),
    "an expired value": lambda w: seen_in(
        lambda: w.store.put("t1", "old", VALUE, not_after=w.clock.now()) and w.store.get("t1", "old")
    ),
    "a disabled value": lambda w: seen_in(lambda: w.store.disable("t1", NAME) and w.store.get("t1", NAME)),
    "a failing refresh": lambda w: seen_in(lambda: _due(w).refresh("t1", NAME, _raises(TimeoutError("idp")))),
    "a refresh with a wrong answer": lambda w: seen_in(lambda: _due(w).refresh("t1", NAME, lambda c: [VALUE])),  # type: ignore[arg-type, return-value]  # wrong on purpose
    "a refresh with wrong labels": lambda w: seen_in(
        lambda: _due(w).refresh("t1", NAME, lambda c: Refreshed(VALUE, labels={"a b": "c"}))
    ),
    "a refresh whose lease is held": lambda w: seen_in(
        lambda: _due(w).refresh(
            "t1", NAME, lambda c: w.fresh().refresh("t1", NAME, _raises(ValueError()), lease=timedelta(milliseconds=5))
        )
    ),
    "a revert of nothing": lambda w: seen_in(lambda: w.store.revert("t1", NAME, 9)),
    "a typed value that does not fit": lambda w: seen_in(lambda: w.store.get_as("t1", NAME, Oauth)),
    "a typed field that does not fit": lambda w: seen_in(
        lambda: (
            w.store.put("t1", "m", json.dumps({"access": VALUE, "count": VALUE})) and w.store.get_as("t1", "m", Oauth)
        )
    ),
    "a fernet key that is none": lambda w: seen_in(_fernet_key_file(w)),
    "the borrowed value after an error": lambda w: seen_in(lambda: w.store.use("t1", "none").__enter__()),
    "an envelope under another key": lambda w: seen_in(
        lambda: envelope.open(
            bytes(64),
            envelope.seal(MATERIAL, VALUE.encode(), EnvelopeContext("s", "t", "n", 1, "x")),
            EnvelopeContext("s", "t", "n", 1, "x"),
        )
    ),
    "a pickled key": lambda w: seen_in(lambda: pickle.dumps(EnvelopeKey(MATERIAL))),
    "a pickled secret": lambda w: seen_in(lambda: pickle.dumps(w.store.get("t1", NAME))),
    # what is shown when all goes well
    "the trail": _trail,
    "debug logs of everything": _logs,
    "the database and its journal": _files,
    "a borrowed buffer": _used,
    "the answer of get": lambda w: f"{w.store.get('t1', NAME)} {w.store.get('t1', NAME)!r}",
    "references": lambda w: repr(w.store.put("t1", NAME, VALUE)) + repr(w.store.rotate("t1", NAME, VALUE)),
    "descriptions": lambda w: repr(w.store.describe("t1", NAME)) + repr(w.store.list("t1")),
    "histories": lambda w: repr(w.store.versions("t1", NAME)),
    "reports": lambda w: repr(
        (w.store.reencrypt("t1"), w.store.rewrap(), w.store.verify(), w.store.doctor(w.log.events("t1", limit=1_000)))
    ),
    "receipts": lambda w: repr(w.store.shred("t1", confirm="t1")),
    "stores and handles": lambda w: repr((w.store, w.store.for_tenant(_context()), vars(w.store))),
    "a version before it is written": lambda w: repr(Written(VALUE.encode(), "text", 0)),
    "keys": lambda w: repr((EnvelopeKey(MATERIAL), w.kek, EnvKeyProvider(base64.b64encode(MATERIAL).decode()))),
    "rows": lambda w: repr(w.store._vault.backend.__dict__),
    "the cache": lambda w: repr(w.store._vault.ring._cache._entries),
    "a typed value": lambda w: repr(
        w.store.put("t1", "m", Oauth(access=Secret(VALUE))) and w.store.get_as("t1", "m", Oauth)
    ),
    "key files": lambda w: (
        repr(
            (
                PassphraseKeyProvider.generate(w.folder / "p", VALUE, time_cost=1, memory_kib=19_456, lanes=1),
                SealedKeyProvider.generate(w.folder / "a", w.folder / "b"),
            )
        )
        + (w.folder / "p").read_text()
    ),
    "a wrong passphrase": lambda w: seen_in(
        lambda: (
            PassphraseKeyProvider.generate(w.folder / "p", VALUE, time_cost=1, memory_kib=19_456, lanes=1)
            and PassphraseKeyProvider.from_file(w.folder / "p", VALUE + "x")
        )
    ),
}


@pytest.mark.parametrize("sink", SINKS)
def test_no_sink_around_the_store_shows_a_value(world: World, sink: str) -> None:
    shown = SINKS[sink](world)
    spellings = [spelling for value in (VALUE, OTHER) for spelling in _spellings(value.encode())]
    spellings += [spelling for key in (MATERIAL, *TENANT_KEYS) for spelling in _spellings(key)]
    assert [spelling for spelling in spellings if spelling in shown] == []
    assert shown


def _spellings(octets: bytes) -> list[str]:
    """How bytes may be written: as they are, hex, base64 at each offset, as a `repr`."""
    inner = [base64.b64encode(octets[at:])[4:-4].decode() for at in range(3)]
    return [octets.decode("latin-1"), octets.hex(), repr(octets)[2:-1], *inner]


def test_there_are_forty_and_more() -> None:
    assert len(SINKS) >= 40


def test_pydantics_own_error_would_have_shown_it() -> None:
    """The sink that typed secrets close is a real one."""
    with pytest.raises(ValidationError) as caught:
        Oauth.model_validate({"access": "x", "count": VALUE})
    assert VALUE in str(caught.value)
