"""The witness protocol: every status, every race, over values, WSGI, ASGI and real HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from local_http import serving_wsgi
from wellstreak_trust.audit import (
    AuditUnavailable,
    Checkpoint,
    CheckpointRegression,
    Ed25519Signer,
    MemoryWitnessStore,
    NoteInvalid,
    Witness,
    WitnessApp,
    cosignatures,
    note,
)
from wellstreak_trust.audit.anchors import WitnessClient
from wellstreak_trust.audit.cosignature import WitnessKey, cosign
from wellstreak_trust.audit.tree import EMPTY_ROOT, consistency_proof, leaf_hash, root
from wellstreak_trust.audit.witness import MAX_BODY, Submission, WitnessAnswer
from wellstreak_trust.audit.witness_client import Cosigned, WitnessStands
from wellstreak_trust.core import FixedClock, SystemClock, UsageError
from wellstreak_trust.core.egress import Egress
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import AsyncDatabase, Database, SqlWitnessStore
from wellstreak_trust.testing.stores.witness import CHECKS

LOG = Ed25519Signer.from_seed(bytes(32))
EYE = Ed25519Signer.from_seed(bytes([1]) * 32)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HASHES = [leaf_hash(bytes([number])) for number in range(40)]
ORIGIN = "log.test/audit"


def witness(store: Any = None) -> Witness:
    return Witness(store or MemoryWitnessStore(), EYE, "witness.test/w1", [LOG.key(ORIGIN)], clock=FixedClock(NOW))


def signed(size: int, hashes: list[bytes] = HASHES, origin: str = ORIGIN, signer: Ed25519Signer = LOG) -> str:
    return note.sign(Checkpoint(origin, size, root(hashes[:size])).text(), origin, signer)


def body(old: int, size: int, hashes: list[bytes] = HASHES) -> bytes:
    proof = consistency_proof(hashes[:size], old) if 0 < old <= size else []
    return Submission(old, tuple(proof), signed(size, hashes)).body()


def key(eye: Witness) -> WitnessKey:
    return WitnessKey.parse(eye.vkey)


# --- the state machine ---------------------------------------------------------------------------------------------


def test_a_log_that_grows_is_cosigned() -> None:
    eye = witness()
    for old, size in ((0, 3), (3, 3), (3, 4), (4, 33)):
        answer = eye.add_checkpoint(body(old, size))
        assert answer.status == 200
        (seen,) = cosignatures(signed(size) + answer.body, [key(eye)])
        assert (seen.witness, seen.at) == ("witness.test/w1", NOW)


REFUSED: dict[str, tuple[bytes, int]] = {
    "unknown origin": (Submission(0, (), signed(3, origin="other.test")).body(), 404),
    "signed by nobody we know": (Submission(0, (), signed(3, signer=EYE)).body(), 403),
    "a signature that does not verify": (body(0, 3).replace(b"\n3\n", b"\n4\n"), 403),
    "old above the size": (Submission(9, (), signed(8)).body(), 400),
    "old is not ours": (body(0, 9), 409),
    "old is not ours, nor the size": (body(4, 9), 409),
    "no proof": (Submission(5, (), signed(9)).body(), 422),
    "a proof of another log": (
        Submission(5, tuple(consistency_proof([leaf_hash(b"x"), *HASHES[1:9]], 5)), signed(9)).body(), 422),
    "a hash too many": (Submission(5, (*consistency_proof(HASHES[:9], 5), HASHES[0]), signed(9)).body(), 422),
    "a proof between equal sizes": (Submission(5, (HASHES[0],), signed(5)).body(), 422),
    "another root of one size": (Submission(5, (), signed(5, [leaf_hash(b"x"), *HASHES[1:]])).body(), 422),
    "rewritten and grown": (body(5, 9, [leaf_hash(b"x"), *HASHES[1:]]), 422),
    "smaller": (body(3, 3), 409),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal(name: str) -> None:
    eye = witness()
    assert eye.add_checkpoint(body(0, 5)).status == 200
    sent, status = REFUSED[name]
    answer = eye.add_checkpoint(sent)
    assert answer.status == status
    if status == 409:
        assert (answer.body, answer.content_type) == ("5\n", "text/x.tlog.size")
    assert eye.add_checkpoint(body(5, 6)).status == 200  # what was refused has changed nothing


def test_nothing_has_one_root() -> None:
    eye = witness()
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT).text()
    wrong = Checkpoint(ORIGIN, 0, bytes(32)).text()
    assert eye.add_checkpoint(Submission(0, (), note.sign(wrong, ORIGIN, LOG)).body()).status == 422
    assert eye.add_checkpoint(Submission(0, (HASHES[0],), note.sign(empty, ORIGIN, LOG)).body()).status == 422
    assert eye.add_checkpoint(Submission(0, (), note.sign(empty, ORIGIN, LOG)).body()).status == 200
    assert eye.add_checkpoint(Submission(0, (HASHES[0],), signed(2)).body()).status == 422
    assert eye.add_checkpoint(body(0, 2)).status == 200


GOOD = body(5, 9)
MALFORMED = {
    "empty": b"",
    "no old": GOOD.removeprefix(b"old 5\n"),
    "leading zero": GOOD.replace(b"old 5", b"old 05"),
    "negative": GOOD.replace(b"old 5", b"old -5"),
    "digits of another script": GOOD.replace(b"old 5", "old ٥".encode()),
    "too many digits": GOOD.replace(b"old 5", b"old " + b"9" * 25),
    "two spaces": GOOD.replace(b"old 5", b"old  5"),
    "carriage returns": GOOD.replace(b"\n", b"\r\n"),
    "no blank line": GOOD.replace(b"\n\n", b"\n", 1),
    "a short hash": GOOD.replace(b"\n\n", b"\nAAAA\n\n", 1),
    "lax base64": GOOD.replace(b"=\n", b"\n", 1),
    "64 hashes": Submission(5, (HASHES[0],) * 64, signed(9)).body(),
    "no checkpoint": b"old 0\n\nhello\n\n\xe2\x80\x94 x AAAAAAA=\n",
    "not UTF-8": b"old 0\n\n\xff",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests(name: str) -> None:
    assert witness().add_checkpoint(MALFORMED[name]).status == 400


def test_a_request_reads_as_it_was_written() -> None:
    sent = Submission(5, tuple(consistency_proof(HASHES[:9], 5)), signed(9))
    assert Submission.parse(sent.body()) == sent
    with pytest.raises(NoteInvalid):
        Submission.parse(sent.body() + b"\xff")


def test_a_witness_has_a_key_of_its_own() -> None:
    with pytest.raises(UsageError):
        Witness(MemoryWitnessStore(), LOG, "w", [LOG.key(ORIGIN)])
    with pytest.raises(UsageError):
        Witness(MemoryWitnessStore(), EYE, "a name", [str(LOG.key(ORIGIN))])


def test_two_keys_of_one_log_may_sign() -> None:
    """While a key is replaced."""
    newer = Ed25519Signer.from_seed(bytes([7]) * 32)
    eye = Witness(MemoryWitnessStore(), EYE, "w", [LOG.key(ORIGIN), newer.key(ORIGIN)], clock=FixedClock(NOW))
    assert eye.add_checkpoint(body(0, 3)).status == 200
    grown = Submission(3, tuple(consistency_proof(HASHES[:5], 3)), signed(5, signer=newer))
    assert eye.add_checkpoint(grown.body()).status == 200


# --- stores --------------------------------------------------------------------------------------------------------


@contextmanager
def sql(url: str) -> Iterator[SqlWitnessStore]:
    engine = create_engine(url)
    Database(engine).create_all()
    yield SqlWitnessStore(Database(engine))
    engine.dispose()


def psycopg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract_in_memory(check: Any) -> None:
    assert drive(check(MemoryWitnessStore())) is None


def test_contract_on_sqlite(sqlite_path: Path) -> None:
    with sql(f"sqlite:///{sqlite_path}") as store:
        assert [drive(check(store)) for check in CHECKS] == [None] * len(CHECKS)


def test_contract_on_postgresql(postgres_url: str) -> None:
    with sql(psycopg(postgres_url)) as store:
        assert [drive(check(store)) for check in CHECKS] == [None] * len(CHECKS)


def test_contract_awaited(sqlite_path: Path) -> None:
    async def run() -> list[int]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        database = AsyncDatabase(engine)
        await database.acreate_all()
        store = SqlWitnessStore(database)
        for check in CHECKS:
            await check(store)
        eye = witness(store)
        with pytest.raises(ConfigurationError, match="await"):
            eye.add_checkpoint(body(0, 3))
        with pytest.raises(ConfigurationError, match="ASGI"):
            WitnessApp(eye).wsgi({}, lambda *told: None)
        found = [(await eye.aadd_checkpoint(body(0, 3))).status, (await over_asgi(WitnessApp(eye), body(3, 5)))[0]]
        await engine.dispose()
        return found

    assert asyncio.run(run()) == [200, 200]


def races(store: Any) -> bool:
    """Many growing states at once, each from what the witness said last: the cosigned sizes never fall."""
    eye = witness(store)
    cosigned: list[int] = []
    guard = threading.Lock()

    def push(worker: int) -> None:
        old = 0
        for size in range(1 + worker, len(HASHES), 4):
            while old < size:
                answer = eye.add_checkpoint(body(old, size))
                if answer.status == 200:
                    with guard:
                        cosigned.append(size)
                    old = size
                else:
                    assert answer.status == 409
                    old = int(answer.body)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(4)))
    latest = drive(store.latest(ORIGIN))
    return bool(latest.size == max(cosigned) and latest.root == root(HASHES[: latest.size]))


def test_races_in_memory() -> None:
    assert races(MemoryWitnessStore())


def test_races_on_sqlite(sqlite_path: Path) -> None:
    with sql(f"sqlite:///{sqlite_path}") as store:
        assert races(store)


def test_races_on_postgresql(postgres_url: str) -> None:
    with sql(psycopg(postgres_url)) as store:
        assert races(store)


class Overtaken(MemoryWitnessStore):
    """Between check and swap another request is served."""

    def __init__(self, meanwhile: Callable[[Any], None]) -> None:
        super().__init__()
        self.meanwhile: Callable[[Any], None] | None = meanwhile

    async def swap_if(self, origin: str, old: Any, new: Any) -> bool:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile(self)
        return await super().swap_if(origin, old, new)


@pytest.mark.parametrize("size", [3, 5], ids=["one that grows", "one that only asks again"])
def test_the_race_of_the_specification(size: int) -> None:
    """A is checked, B is checked, B is stored: A must not take B back, nor be called the latest."""
    store: Any = Overtaken(lambda held: None)
    eye = witness(store)
    assert eye.add_checkpoint(body(0, 3)).status == 200
    store.meanwhile = lambda held: witness(held).add_checkpoint(body(3, 9))
    answer = eye.add_checkpoint(body(3, size))
    assert (answer.status, answer.body) == (409, "9\n")
    assert drive(store.latest(ORIGIN)).size == 9


# --- the application -----------------------------------------------------------------------------------------------


def over_wsgi(app: WitnessApp, sent: bytes, method: str = "POST", path: str = "/add-checkpoint") -> tuple[int, str]:
    from io import BytesIO

    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(sent)),
        "wsgi.input": BytesIO(sent),
    }
    answer = b"".join(app.wsgi(environ, lambda status, headers: told.extend((status, dict(headers)))))
    assert told[1]["Content-Length"] == str(len(answer))
    return int(told[0].split()[0]), told[1]["Content-Type"]


async def over_asgi(
    app: WitnessApp, sent: bytes, method: str = "POST", path: str = "/add-checkpoint"
) -> tuple[int, str]:
    pieces = [sent[at : at + 1000] for at in range(0, len(sent), 1000)] or [b""]
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        told.append(message)

    await app({"type": "http", "method": method, "path": path}, receive, send)
    headers = {name.decode(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], headers["content-type"]


ASKED = {
    "good": (body(0, 3), "POST", "/add-checkpoint", 200),
    "conflict": (body(3, 5), "POST", "/add-checkpoint", 409),
    "other path": (body(0, 3), "POST", "/", 404),
    "other method": (b"", "GET", "/add-checkpoint", 405),
    "too long": (b"x" * (MAX_BODY + 1), "POST", "/add-checkpoint", 413),
    "nothing": (b"", "POST", "/add-checkpoint", 400),
}


@pytest.mark.parametrize("name", ASKED)
def test_one_answer_over_wsgi_and_asgi(name: str) -> None:
    sent, method, path, status = ASKED[name]
    wsgi = over_wsgi(WitnessApp(witness()), sent, method, path)
    asgi = asyncio.run(over_asgi(WitnessApp(witness()), sent, method, path))
    assert wsgi == asgi
    assert wsgi[0] == status


def test_a_prefix_and_a_store_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*question: object) -> None:
        raise StoreUnavailable("down")

    store = MemoryWitnessStore()
    app = WitnessApp(witness(store), prefix="/v1/")
    assert over_wsgi(app, body(0, 3), path="/v1/add-checkpoint")[0] == 200
    monkeypatch.setattr(store, "latest", down)
    assert over_wsgi(app, body(3, 5), path="/v1/add-checkpoint")[0] == 503
    assert asyncio.run(over_asgi(app, body(3, 5), path="/v1/add-checkpoint"))[0] == 503
    monkeypatch.setattr(store, "suspends", True)
    later = WitnessApp(witness(store))
    assert asyncio.run(over_asgi(later, body(3, 5)))[0] == 503


def test_lifespan_and_other_scopes() -> None:
    async def run() -> list[str]:
        told: list[str] = []
        asked = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> dict[str, Any]:
            return asked.pop(0)

        async def send(message: Any) -> None:
            told.append(message["type"])

        app = WitnessApp(witness())
        await app({"type": "lifespan"}, receive, send)
        await app({"type": "websocket"}, receive, send)
        return told

    assert asyncio.run(run()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# --- the client, over real HTTP ------------------------------------------------------------------------------------


def client(url: str, eye: str, timeout: float = 5) -> WitnessClient:
    way = Egress(SystemClock(), timedelta(seconds=timeout), allow_private=True)
    return WitnessClient(url, eye, way=way)


def test_client_and_witness_speak_over_http() -> None:
    eye = witness()
    with serving_wsgi(WitnessApp(eye).wsgi) as url:
        asking = client(url, eye.vkey)
        first = drive(asking.asubmit(Submission(0, (), signed(3))))
        assert isinstance(first, Cosigned)
        assert cosignatures(signed(3) + "".join(first.lines), [key(eye)])
        assert drive(asking.asubmit(Submission(0, (), signed(5)))) == WitnessStands(3)
        with pytest.raises(CheckpointRegression):
            drive(asking.asubmit(Submission(3, (), signed(3, [leaf_hash(b"x"), *HASHES[1:]]))))
        with pytest.raises(AuditUnavailable) as caught:
            drive(asking.asubmit(Submission(0, (), signed(3, origin="other.test"))))
        assert caught.value.detail == "witness witness.test/w1: status 404"
        assert isinstance(asyncio.run(asking.asubmit(Submission(3, (), signed(3)), asking.threaded)), Cosigned)


def test_client_and_witness_speak_over_asgi() -> None:
    import socket

    import uvicorn

    eye = witness()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(WitnessApp(eye), log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    asking = client(f"http://127.0.0.1:{listening.getsockname()[1]}", eye.vkey)
    found = drive(asking.asubmit(Submission(0, (), signed(3))))
    server.should_exit = True
    thread.join(10)
    listening.close()
    assert isinstance(found, Cosigned)


LINE = cosign(Checkpoint(ORIGIN, 3, root(HASHES[:3])).text(), "witness.test/w1", EYE, NOW)
FOREIGN = cosign(Checkpoint(ORIGIN, 3, root(HASHES[:3])).text(), "witness.test/w1", LOG, NOW)
BAD_ANSWERS = {
    "another status": WitnessAnswer(500, "oops"),
    "a redirect": WitnessAnswer(302, ""),
    "no lines": WitnessAnswer(200, ""),
    "text": WitnessAnswer(200, "thank you\n"),
    "a line and text": WitnessAnswer(200, LINE + "thank you\n"),
    "a line of another key only": WitnessAnswer(200, FOREIGN),
    "a signature of another state": WitnessAnswer(
        200, cosign(Checkpoint(ORIGIN, 4, root(HASHES[:4])).text(), "witness.test/w1", EYE, NOW)),
    "a blank line and a second note": WitnessAnswer(200, f"\nmore\n\n{LINE}"),
    "409 without a size": WitnessAnswer(409, "five\n", "text/x.tlog.size"),
    "409 with a padded size": WitnessAnswer(409, "05\n", "text/x.tlog.size"),
    "409 without a newline": WitnessAnswer(409, "5", "text/x.tlog.size"),
    "409 of another kind": WitnessAnswer(409, "5\n"),
    "endless": WitnessAnswer(200, LINE * 1000),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_witness_is_not_trusted(name: str) -> None:
    answer = BAD_ANSWERS[name]

    def wsgi(environ: Any, start: Any) -> list[bytes]:
        headers = [("Content-Type", answer.content_type), ("Location", "http://127.0.0.1:1/")]
        start(f"{answer.status} X", headers)
        return [answer.body.encode()]

    with serving_wsgi(wsgi) as url, pytest.raises(AuditUnavailable):
        drive(client(url, str(WitnessKey("witness.test/w1", EYE.public_key))).asubmit(Submission(0, (), signed(3))))


def test_lines_of_unknown_keys_are_left_out() -> None:
    def wsgi(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [(FOREIGN + LINE).encode()]

    with serving_wsgi(wsgi) as url:
        eye = str(WitnessKey("witness.test/w1", EYE.public_key))
        assert drive(client(url, eye).asubmit(Submission(0, (), signed(3)))) == Cosigned((LINE,))


def test_private_addresses_and_slow_witnesses_are_refused() -> None:
    eye = str(WitnessKey("witness.test/w1", EYE.public_key))
    for url, why in (("https://127.0.0.1:1", "blocked_address"), ("http://witness.test", "bad_url")):
        with pytest.raises(AuditUnavailable) as caught:
            drive(WitnessClient(url, eye).asubmit(Submission(0, (), signed(3))))
        assert caught.value.detail.endswith(why)

    def slow(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "8")])
        for _ in range(8):
            threading.Event().wait(0.1)
            yield b"\xe2"

    with serving_wsgi(slow) as url, pytest.raises(AuditUnavailable) as caught:
        drive(client(url, eye, 0.3).asubmit(Submission(0, (), signed(3))))
    assert caught.value.detail.endswith("timeout")
    assert repr(WitnessClient("https://w.test", eye)) == "WitnessClient('witness.test/w1')"
