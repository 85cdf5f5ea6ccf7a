"""Anchors over the real thing: files, git, S3 with Object Lock, sockets, and a witness over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from local_http import serving_wsgi
from wellstreak_trust.audit import (
    AuditEvent,
    AuditLog,
    AuditUnavailable,
    Checkpoint,
    CheckpointRegression,
    Ed25519Signer,
    MemoryAuditStore,
    MemoryWitnessStore,
    Witness,
    WitnessApp,
    averify,
    note,
    verify,
)
from wellstreak_trust.audit.anchors import (
    Anchor,
    AnchorHealth,
    FileAnchor,
    GitAnchor,
    ObjectLockAnchor,
    SyslogAnchor,
    Threaded,
    WebhookAnchor,
    WitnessAnchor,
    WitnessClient,
)
from wellstreak_trust.core import FixedClock, SystemClock, UsageError
from wellstreak_trust.core.egress import Egress
from wellstreak_trust.core.errors import ConfigurationError
from wellstreak_trust.core.sansio import drive
from wellstreak_trust.storage.sql import AsyncDatabase, SqlAuditStore

LOG = Ed25519Signer.from_seed(bytes(32))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLOCK = FixedClock(NOW)
ORIGIN = "log.test/audit"


def signed(size: int, mark: int = 0, origin: str = ORIGIN) -> str:
    return note.sign(Checkpoint(origin, size, bytes([mark]) * 32).text(), origin, LOG)


def publish(anchor: Any, text: str, origin: str = ORIGIN) -> None:
    drive(anchor.apublish(origin, text))


def latest(anchor: Any, origin: str = ORIGIN) -> str | None:
    return drive(anchor.alatest(origin))


# --- what all of them that remember do -----------------------------------------------------------------------------


@pytest.fixture(params=["file", "git", "bare git", "objects"])
def anchor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "file":
        yield FileAnchor(tmp_path / "checkpoints.jsonl", clock=CLOCK)
    elif request.param == "objects":
        with bucket() as (client, name):
            yield ObjectLockAnchor(client, name, clock=SystemClock())
    else:
        bare = ["--bare"] if request.param == "bare git" else []
        subprocess.run(["git", "init", "-q", *bare, str(tmp_path / "repo")], check=True)
        yield GitAnchor(tmp_path / "repo")


_BUCKETS = count()


@contextmanager
def bucket() -> Iterator[tuple[Any, str]]:
    """A client and a bucket of its own: where another test holds the mock open, what is in it stays."""
    import boto3
    from moto import mock_aws

    with mock_aws():
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        client = boto3.client("s3", **keys)
        name = f"trail{next(_BUCKETS)}"
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
        yield client, name
        client.close()


def test_what_is_kept_comes_back(anchor: Any) -> None:
    assert latest(anchor) is None
    for size in (1, 9, 10, 2_000):
        publish(anchor, signed(size))
        assert latest(anchor) == signed(size)
    publish(anchor, signed(5, origin="other.test"), "other.test")
    assert (latest(anchor), latest(anchor, "other.test")) == (signed(2_000), signed(5, origin="other.test"))
    assert anchor.health == AnchorHealth(5, 0, 0, "")


def test_an_older_note_replaces_nothing(anchor: Any) -> None:
    publish(anchor, signed(7))
    publish(anchor, signed(3))
    publish(anchor, signed(7))
    assert latest(anchor) == signed(7)


def test_more_signatures_on_one_state_are_kept(anchor: Any) -> None:
    publish(anchor, signed(7))
    more = signed(7) + signed(7).splitlines(keepends=True)[-1].replace("log.test/audit", "another")
    publish(anchor, more)
    assert latest(anchor) == more


def test_two_roots_of_one_size_are_two_histories(anchor: Any) -> None:
    publish(anchor, signed(7))
    with pytest.raises(CheckpointRegression):
        publish(anchor, signed(7, 1))
    assert latest(anchor) == signed(7)
    assert (anchor.health.failures, anchor.health.last_failure) == (1, "CheckpointRegression")


def test_what_is_no_note_is_not_kept(anchor: Any) -> None:
    for text in ("", "hello", signed(7, origin="other.test")):
        with pytest.raises(AuditUnavailable):
            publish(anchor, text)
    assert latest(anchor) is None
    assert anchor.health.in_a_row == 3
    publish(anchor, signed(7))
    assert (anchor.health.in_a_row, anchor.health.failures, anchor.health.published) == (0, 3, 1)


def test_a_restored_log_is_refused_by_its_anchor(anchor: Any) -> None:
    """Toy 22: the store has forgotten what it signed, the anchor has not."""

    def log() -> AuditLog:
        return AuditLog(MemoryAuditStore(), LOG, ORIGIN, sinks=[anchor], clock=FixedClock(NOW))

    first, second = log(), log()
    for _ in range(3):
        first.emit(AuditEvent("a.b", "success", "t1", {"id": "u"}))
    first.checkpoint()
    second.emit(AuditEvent("a.b", "success", "t1", {"id": "x"}))
    with pytest.raises(CheckpointRegression):
        second.checkpoint()


def test_threaded_serves_an_asynchronous_log(tmp_path: Path) -> None:
    sink = Threaded(FileAnchor(tmp_path / "kept"))

    async def run() -> str | None:
        await sink.apublish(ORIGIN, signed(3))
        return await sink.alatest(ORIGIN)

    assert asyncio.run(run()) == signed(3)
    assert sink.suspends


# --- file ----------------------------------------------------------------------------------------------------------


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    publish(FileAnchor(path), signed(3))
    whole = path.read_bytes()
    path.write_bytes(whole + whole.replace(b"\\n3\\n", b"\\n9\\n")[:-20])
    anchor = FileAnchor(path)
    assert latest(anchor) == signed(3)
    publish(anchor, signed(4))
    assert latest(FileAnchor(path)) == latest(anchor) == signed(4)
    assert [line[:5] for line in path.read_bytes().splitlines()] == [b'{"at"'] * 3


def test_two_processes_append_to_one_file(tmp_path: Path) -> None:
    first, second = FileAnchor(tmp_path / "kept"), FileAnchor(tmp_path / "kept")
    publish(first, signed(3))
    publish(second, signed(5))
    publish(first, signed(4))
    assert latest(first) == latest(second) == signed(5)
    (tmp_path / "kept").write_bytes(b"not json\n[]\n{}\n")
    assert latest(first) is None
    (tmp_path / "kept").unlink()
    assert latest(second) is None


def test_a_folder_that_is_not_there_is_a_counted_failure(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "absent" / "kept")
    with pytest.raises(AuditUnavailable):
        publish(anchor, signed(3))
    assert anchor.health == AnchorHealth(0, 1, 1, "FileNotFoundError")


# --- git -----------------------------------------------------------------------------------------------------------


def git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, check=True)
    return done.stdout.decode()


def test_commits_leave_the_working_tree_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "mine").write_text("x")
    git(tmp_path, "add", "mine")
    anchor = GitAnchor(tmp_path, branch="anchors")
    publish(anchor, signed(3))
    publish(anchor, signed(4))
    assert git(tmp_path, "log", "--format=%s", "anchors").splitlines() == [
        f"{ORIGIN}: 4 entries",
        f"{ORIGIN}: 3 entries",
    ]
    assert git(tmp_path, "status", "--short") == "A  mine\n"


def test_commits_are_pushed(tmp_path: Path) -> None:
    for name, bare in (("here", []), ("there", ["--bare"])):
        subprocess.run(["git", "init", "-q", *bare, str(tmp_path / name)], check=True)
    git(tmp_path / "here", "remote", "add", "origin", str(tmp_path / "there"))
    publish(GitAnchor(tmp_path / "here", remote="origin"), signed(3))
    assert latest(GitAnchor(tmp_path / "there")) == signed(3)
    with pytest.raises(AuditUnavailable):
        publish(GitAnchor(tmp_path / "here", remote="nowhere"), signed(4))


def test_git_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AuditUnavailable) as caught:
        latest_or_raise(GitAnchor(tmp_path / "absent"))
    assert "git" in caught.value.detail
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError):
        GitAnchor(tmp_path)


def latest_or_raise(anchor: Anchor) -> None:
    publish(anchor, signed(3))


# --- object lock ---------------------------------------------------------------------------------------------------


def test_objects_are_locked() -> None:
    with bucket() as (client, name):
        clock = SystemClock()
        publish(ObjectLockAnchor(client, name, retain=timedelta(days=30), clock=clock), signed(3))
        (listed,) = client.list_objects_v2(Bucket=name)["Contents"]
        held = client.get_object(Bucket=name, Key=listed["Key"])
        assert held["ObjectLockMode"] == "COMPLIANCE"
        assert timedelta(days=29) < held["ObjectLockRetainUntilDate"] - clock.now() < timedelta(days=31)
        (version,) = client.list_object_versions(Bucket=name)["Versions"]
        with pytest.raises(Exception, match="AccessDenied"):
            client.delete_object(Bucket=name, Key=listed["Key"], VersionId=version["VersionId"])


def test_a_bucket_that_is_not_there() -> None:
    with bucket() as (client, name):
        anchor = ObjectLockAnchor(client, "absent")
        with pytest.raises(AuditUnavailable):
            publish(anchor, signed(3))
        assert anchor.health.last_failure == "NoSuchBucket"
        with pytest.raises(UsageError):
            ObjectLockAnchor(client, name, retain=timedelta())


# --- syslog --------------------------------------------------------------------------------------------------------

LINE = re.compile(
    r"<109>1 2026-11-24T12:00:00\.000000Z web-1 wellstreak-trust - checkpoint \[checkpoint@32473"
    r' origin="(?P<origin>(?:[^"\\\]]|\\["\\\]])*)" size="(?P<size>\d+)"'
    r' root="(?P<root>[^"]*)" note="(?P<note>[^"]*)"\]'
)


@contextmanager
def collector(kind: int, tmp_path: Path) -> Iterator[tuple[Any, Any, list[bytes]]]:
    """Listens; yields the address, and what arrived."""
    unix = kind < 0
    arrived: list[bytes] = []
    server = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, abs(kind))
    server.bind(str(tmp_path / "log") if unix else ("127.0.0.1", 0))
    server.settimeout(5)
    if kind == socket.SOCK_STREAM:
        server.listen()

    def collect() -> None:
        if kind == socket.SOCK_STREAM:
            link, _ = server.accept()
            with link, link.makefile("rb") as stream:
                arrived.append(stream.read())
        else:
            arrived.append(server.recv(65_536))

    thread = threading.Thread(target=collect)
    thread.start()
    yield server.getsockname(), thread, arrived
    thread.join(5)
    server.close()


@pytest.mark.parametrize(
    ("transport", "kind"), [("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM), ("unix", -socket.SOCK_DGRAM)]
)
def test_one_line_a_note(transport: Any, kind: int, tmp_path: Path) -> None:
    with collector(kind, tmp_path) as (address, thread, arrived):
        anchor = SyslogAnchor(address, transport=transport, hostname="web-1", clock=FixedClock(NOW))
        publish(anchor, signed(3))
        thread.join(5)
    (line,) = arrived
    if transport == "tcp":
        length, _, line = line.partition(b" ")
        assert int(length) == len(line)
    match = LINE.fullmatch(line.decode())
    assert match is not None
    assert (match["origin"], match["size"]) == (ORIGIN, "3")
    assert b64decode(match["note"]).decode() == signed(3)
    assert latest(anchor) is None


@pytest.mark.asvs("12.3.2")
def test_over_tls_the_collector_is_known_by_its_name(tmp_path: Path) -> None:
    server, trusting = tls_pair(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        arrived: list[bytes] = []

        def collect() -> None:
            for _ in range(2):
                plain, _ = listening.accept()
                with suppress(OSError), server.wrap_socket(plain, server_side=True) as link:
                    arrived.append(link.recv(65_536))

        thread = threading.Thread(target=collect)
        thread.start()
        port = listening.getsockname()[1]
        publish(SyslogAnchor(("localhost", port), tls=trusting), signed(3))
        with pytest.raises(AuditUnavailable) as caught:
            publish(SyslogAnchor(("localhost", port), tls=ssl.create_default_context()), signed(3))
        thread.join(5)
    assert "SSLCertVerificationError" in caught.value.detail
    assert arrived[0].partition(b" ")[2].startswith(b"<109>1 ")


def tls_pair(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server of a name, and a client that trusts it and nobody else."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(secret + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def test_no_origin_breaks_out_of_its_value() -> None:
    hostile = 'a"]\\[x'
    line = SyslogAnchor(("h", 1), hostname="web-1", clock=FixedClock(NOW)).line(Checkpoint(hostile, 3, bytes(32)), "n")
    match = LINE.fullmatch(line.decode())
    assert match is not None
    assert re.sub(r"\\(.)", r"\1", match["origin"]) == hostile


def test_a_collector_that_is_gone() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    for anchor in (
        SyslogAnchor(address),
        SyslogAnchor("/nonexistent/log", transport="unix"),
        SyslogAnchor(("127.0.0.1", 1), tls=ssl.create_default_context()),
    ):
        with pytest.raises(AuditUnavailable):
            publish(anchor, signed(3))
        assert anchor.health.failures == 1
    for wrong in (
        {"address": "/dev/log"},
        {"address": ("h", 1), "transport": "unix"},
        {"address": ("h", 1), "transport": "tls"},
        {"address": ("h", 1), "transport": "udp", "tls": ssl.create_default_context()},
        {"address": ("h", 1), "hostname": "two words"},
    ):
        with pytest.raises(UsageError):
            SyslogAnchor(**wrong)  # type: ignore[arg-type]  # what a caller may hand over


# --- webhook -------------------------------------------------------------------------------------------------------


def test_a_host_sends_as_it_likes() -> None:
    sent: list[bytes] = []
    publish(WebhookAnchor(sent.append), signed(3))
    body = json.loads(sent[0])
    assert (body["type"], body["origin"], body["size"], body["note"]) == ("audit.checkpoint", ORIGIN, 3, signed(3))

    async def later(octets: bytes) -> None:
        sent.append(octets)

    anchor = WebhookAnchor(later, suspends=True)
    asyncio.run(anchor.apublish(ORIGIN, signed(4)))
    assert (json.loads(sent[1])["size"], anchor.suspends) == (4, True)


def test_what_was_not_delivered_counts() -> None:
    from wellstreak_trust.webhooks.sender import Attempt

    good, bad = Attempt("delivered", "ok", 1), Attempt("retry", "status", 1)
    delivered, lost = WebhookAnchor(lambda body: good), WebhookAnchor(lambda body: bad)
    publish(delivered, signed(3))
    with pytest.raises(AuditUnavailable) as caught:
        publish(lost, signed(3))
    assert "retry" in caught.value.detail
    assert (delivered.health.failures, lost.health.failures) == (0, 1)


# --- witness -------------------------------------------------------------------------------------------------------


def eye(number: int, store: Any = None) -> Witness:
    signer = Ed25519Signer.from_seed(bytes([number]) * 32)
    name = f"witness.test/w{number}"
    return Witness(store or MemoryWitnessStore(), signer, name, [LOG.key(ORIGIN)], clock=FixedClock(NOW))


def watched(store: Any, url: str, witness: Witness, clock: Any = CLOCK) -> tuple[AuditLog, WitnessAnchor]:
    client = WitnessClient(url, witness.vkey, way=Egress(SystemClock(), allow_private=True))
    sink = WitnessAnchor(store, ORIGIN, client)
    return AuditLog(store, LOG, ORIGIN, sinks=[sink], clock=clock), sink


def emit(log: AuditLog, count: int = 1, actor: str = "u") -> None:
    for _ in range(count):
        log.emit(AuditEvent("a.b", "success", "t1", {"id": actor}))


def test_a_witness_lifts_a_whole_store() -> None:
    witness, store = eye(1), MemoryAuditStore()
    with serving_wsgi(WitnessApp(witness).wsgi) as url:
        log, sink = watched(store, url, witness)
        for _ in range(3):
            emit(log, 2)
            log.checkpoint()
        log.checkpoint()
    report = verify(store, keys=[log.vkey(), witness.vkey])
    assert (report.level, [one.witness for one in report.witnesses]) == ("witnessed", ["witness.test/w1"])
    assert report.witnesses[0].at == NOW
    assert report.tenants["t1"].level == "witnessed"
    assert (sink.health.failures, log.checkpoint().count("— witness.test/w1 ")) == (0, 1)
    pinned = log.checkpoint()
    assert verify(store, keys=[log.vkey(), witness.vkey, eye(2).vkey], quorum=2, pinned=pinned).level == "anchored"


def test_two_witnesses_and_a_quorum() -> None:
    first, second, store = eye(1), eye(2), MemoryAuditStore()
    with serving_wsgi(WitnessApp(first).wsgi) as one, serving_wsgi(WitnessApp(second).wsgi) as two:
        log, sink = watched(store, one, first)
        _, other = watched(store, two, second)
        log = AuditLog(store, LOG, ORIGIN, sinks=[sink, other], clock=CLOCK)
        emit(log)
        log.checkpoint()
    keys = [log.vkey(), first.vkey, second.vkey, eye(3).vkey]
    assert verify(store, keys=keys, quorum=2).level == "witnessed"
    short = verify(store, keys=keys, quorum=3)
    assert (short.level, short.failed) == ("signed", ())
    assert "2 of the 3 witnesses asked for have cosigned this state" in short.unchecked


def test_a_log_behind_its_witness_is_refused() -> None:
    """Toy 22: the backup is restored together with everything on the log's machine; the witness is elsewhere."""
    witness = eye(1)
    with serving_wsgi(WitnessApp(witness).wsgi) as url:
        log, _ = watched(MemoryAuditStore(), url, witness)
        emit(log, 3)
        log.checkpoint()
        emit(log, 3)
        log.checkpoint()
        for count in (1, 2, 5):
            restored, sink = watched(MemoryAuditStore(), url, witness)
            for _ in range(count):
                emit(restored, 1, actor="x")
                caught = pytest.raises(CheckpointRegression)
                with caught:
                    restored.checkpoint()
            assert sink.health.failures == count


def test_a_new_process_asks_the_witness_where_it_stands() -> None:
    witness, store = eye(1), MemoryAuditStore()
    with serving_wsgi(WitnessApp(witness).wsgi) as url:
        for _ in range(3):
            log, sink = watched(store, url, witness)
            emit(log, 2)
            log.checkpoint()
            assert sink.health == AnchorHealth(1, 0, 0, "")


def test_a_witness_that_is_down_holds_nothing_up() -> None:
    witness, store, clock = eye(1), MemoryAuditStore(), FixedClock(NOW)
    log, sink = watched(store, "http://127.0.0.1:1", witness, clock)
    emit(log)
    with pytest.raises(AuditUnavailable):
        log.tick()
    assert log.checkpoint()
    assert sink.health.in_a_row == 2
    with serving_wsgi(WitnessApp(witness).wsgi) as url:
        log, sink = watched(store, url, witness, clock)
        log.tick()
    assert verify(store, keys=[log.vkey(), witness.vkey]).level == "witnessed"


def test_an_asynchronous_log_is_witnessed_and_verified(sqlite_path: Path) -> None:
    witness = eye(1)

    async def run(url: str) -> tuple[str, str, int]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_path}")
        database = AsyncDatabase(engine)
        await database.acreate_all()
        store = SqlAuditStore(database)
        log, sink = watched(store, url, witness)
        for tenant in ("t1", "t2"):
            await log.aemit(AuditEvent("a.b", "success", tenant, {"id": "u"}))
        await log.atick()
        report = await averify(store, keys=[log.vkey(), witness.vkey])
        with pytest.raises(ConfigurationError, match="await"):
            verify(store, keys=[log.vkey()])
        await engine.dispose()
        return report.level, report.tenants["t2"].level, sink.health.published

    with serving_wsgi(WitnessApp(witness).wsgi) as url:
        assert asyncio.run(run(url)) == ("witnessed", "witnessed", 1)


def test_an_anchor_that_keeps_nothing() -> None:
    anchor = Anchor()
    with pytest.raises(AuditUnavailable):
        publish(anchor, signed(3))
    assert latest(anchor) is None
