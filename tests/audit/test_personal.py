"""Personal values: disclosed to whom may see them, gone when their person is erased, and never in a leaf."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sd_jwt.common import SDJWTCommon
from sqlalchemy import create_engine

from wellstreak_trust import Principal, Secret
from wellstreak_trust.audit import (
    AuditConflict,
    AuditEventRejected,
    AuditEventTooLarge,
    AuditLog,
    AuditUnavailable,
    LegalHold,
    MemoryAuditStore,
    Personal,
    verify,
)
from wellstreak_trust.audit.personal import Disclosure, PersonKey
from wellstreak_trust.core.errors import ConfigurationError, StoreUnavailable, UsageError
from wellstreak_trust.storage.sql import Database, SqlAuditStore

ADA = "user_ada"
EMAIL = "ada.lovelace@example.com"
OFFICER = Principal("user_dpo", tenant_id="t1")


@pytest.fixture
def log(each_log: AuditLog) -> AuditLog:
    return each_log


def invited(make: Callable[..., Any], **fields: Any) -> Any:
    return make(
        "member.invited",
        **{
            "targets": ({"type": "person", "email": Personal(EMAIL, subject=ADA)},),
            "changes": ({"field": "name", "new": Personal("Ada", subject=ADA), "old": None},),
            "data": {
                "phone": [Personal("+44 1", subject=ADA), "work"],
                "boss": Personal("Grace", subject="user_grace"),
            },
        }
        | fields,
    )


def test_a_leaf_holds_digests_and_a_reader_with_a_name_gets_values(log: AuditLog, make: Any) -> None:
    log.emit(invited(make))
    leaf = log.entry("t1", 0).decode()
    assert EMAIL not in leaf
    assert "Grace" not in leaf
    (plain,) = log.events("t1")
    assert set(plain["data"]["boss"]) == {"_sd"}
    (shown,) = log.events("t1", disclose=True, actor=OFFICER, reason="ticket 7")
    assert shown["targets"][0]["email"] == EMAIL
    assert shown["changes"][0] == {"field": "name", "new": "Ada", "old": None}
    assert shown["data"] == {"phone": ["+44 1", "work"], "boss": "Grace"}
    told = log.events("t1")[0]
    assert (told["action"], told["actor"]["id"], told["reason"]) == ("audit.disclosed", "user_dpo", "ticket 7")
    assert told["data"] == {"form": "events", "found": 1, "values": 4}
    (found,) = log.query("action:member.invited", tenant_id="t1", disclose=True, actor=OFFICER, reason="ticket 7")
    assert found["data"]["boss"] == "Grace"


def test_disclosing_needs_somebody_and_a_reason(log: AuditLog, make: Any) -> None:
    log.emit(invited(make))
    with pytest.raises(UsageError):
        log.events("t1", disclose=True)
    with pytest.raises(AuditEventRejected):
        log.events("t1", disclose=True, actor=OFFICER)


def test_a_retry_gives_the_same_leaf(log: AuditLog, make: Any) -> None:
    event = invited(make)
    first = log.emit(event)
    assert log.emit(event) == first
    assert (first.seq, first.durable) == (0, True)
    with pytest.raises(AuditConflict):
        log.emit(invited(make, id=event.id, data={"boss": Personal("Joan", subject="user_grace")}))


@pytest.mark.asvs("14.2.7")
def test_erasure_takes_the_values_of_one_person_and_nothing_else(log: AuditLog, make: Any) -> None:
    for _ in range(3):
        log.emit(invited(make))
    log.emit(make(tenant_id="t2", data={"email": Personal(EMAIL, subject=ADA)}))
    pinned, proof = log.checkpoint("t1"), log.prove("t1", 1)
    before = [log.entry("t1", seq) for seq in range(3)]
    receipt = log.erase(ADA, tenant_id="t1", reason=f"{ADA} asked for it", actor=OFFICER)
    assert receipt.fields_erased == 9
    assert ADA not in repr(receipt)
    assert [log.entry("t1", seq) for seq in range(3)] == before
    assert proof.endswith(pinned)
    report = verify(log.store, tenant_id="t1", pinned=pinned, keys=[log.vkey("t1")])
    assert (report.failed, report.level) == ((), "anchored")
    shown = log.query("action:member.invited", tenant_id="t1", disclose=True, actor=OFFICER, reason="r")
    assert all(set(event["targets"][0]["email"]) == {"_sd"} for event in shown)
    assert {event["data"]["boss"] for event in shown} == {"Grace"}
    (other,) = log.events("t2", disclose=True, actor=OFFICER, reason="r")
    assert other["data"]["email"] == EMAIL
    recorded = json.loads(log.entry("t1", receipt.seq or 0))
    assert (recorded["action"], recorded["outcome"]) == ("audit.subject_erased", "success")
    assert (recorded["data"]["count"], recorded["data"]["subject"]) == (9, receipt.subject)
    assert recorded["reason"] == "(subject) asked for it"
    assert ADA not in json.dumps(recorded)


def test_erasing_again_finds_nothing_and_new_values_have_a_new_key(log: AuditLog, make: Any) -> None:
    log.emit(invited(make))
    log.erase(ADA, tenant_id="t1", reason="r", actor=OFFICER)
    assert log.erase(ADA, tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 0
    log.emit(make(data={"email": Personal("new@example.com", subject=ADA)}))
    newest, *_ = log.events("t1", disclose=True, actor=OFFICER, reason="r")
    assert newest["data"]["email"] == "new@example.com"
    assert log.erase(ADA, tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 1


@pytest.mark.parametrize("held", [ADA, None])
def test_a_hold_beats_erasure_until_it_is_released(log: AuditLog, make: Any, held: str | None) -> None:
    log.emit(invited(make))
    assert log.hold(held, tenant_id="t1", reason="litigation 5", actor=OFFICER)
    assert not log.hold(held, tenant_id="t1", reason="litigation 5", actor=OFFICER)
    with pytest.raises(LegalHold):
        log.erase(ADA, tenant_id="t1", reason="asked", actor=OFFICER)
    refused = log.events("t1")[0]
    assert (refused["action"], refused["outcome"]) == ("audit.subject_erased", "failure")
    assert refused["data"]["error"] == "legal_hold"
    assert log.query("action:member.invited", tenant_id="t1", disclose=True, actor=OFFICER, reason="r")[0]["data"][
        "boss"
    ]
    assert log.release(held, tenant_id="t1", reason="settled", actor=OFFICER)
    assert not log.release(held, tenant_id="t1", reason="settled", actor=OFFICER)
    assert log.erase(ADA, tenant_id="t1", reason="asked", actor=OFFICER).fields_erased == 3
    told = [event["action"] for event in log.query("action:audit.hold_* outcome:success", tenant_id="t1")]
    assert told == ["audit.hold_released", "audit.hold_released", "audit.hold_placed", "audit.hold_placed"]


def test_a_hold_of_one_person_leaves_others_erasable(log: AuditLog, make: Any) -> None:
    log.emit(invited(make))
    log.hold("user_grace", tenant_id="t1", reason="r", actor=OFFICER)
    assert log.erase(ADA, tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 3
    with pytest.raises(LegalHold):
        log.erase("user_grace", tenant_id="t1", reason="r", actor=OFFICER)


@pytest.mark.parametrize("verb", ["erase", "hold", "release"])
def test_each_needs_a_reason(log: AuditLog, verb: str) -> None:
    with pytest.raises(AuditEventRejected):
        getattr(log, verb)(ADA, tenant_id="t1", reason="", actor=OFFICER)
    assert log.events("t1") == []


def test_the_disclosure_is_that_of_sd_jwt() -> None:
    """The reference implementation digests the same text to the same digest (RFC 9901, 4.2.3)."""
    key = PersonKey(bytes(32), b"")
    found = key.disclosure("event-1", ("data", "email"), EMAIL)
    oracle = SDJWTCommon(serialization_format="compact")
    assert oracle._b64hash(found.text.encode()) == found.digest
    salt, name, value = json.loads(oracle._base64url_decode(found.text))
    assert (len(oracle._base64url_decode(salt)), name, value) == (16, "email", EMAIL)


def test_the_example_of_the_standard() -> None:
    """RFC 9901, 4.2.1 and 4.2.3: its disclosure has the digest that is printed there."""
    text = "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0"
    assert Disclosure(text).digest == "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"
    assert Disclosure(text).value == "Möbius"


def test_salts_differ_by_person_event_and_place() -> None:
    digests = {
        key.disclosure(event, place, EMAIL).digest
        for key in (PersonKey(bytes(32), b""), PersonKey(bytes([1]) * 32, b""), PersonKey(bytes(32), b"pepper"))
        for event in ("e1", "e2")
        for place in (("data", "a"), ("data", "a", "0"), ("data", "a", "1"))
    }
    assert len(digests) == 18


def test_a_sealed_value_opens_only_where_it_belongs() -> None:
    key = PersonKey(bytes(32), b"pepper")
    found = key.disclosure("e1", ("data", "a"), EMAIL)
    sealed = key.seal(found, "t1", "s1")
    opened = key.open(sealed, "t1", "s1")
    assert opened is not None
    assert opened.value == EMAIL
    assert key.open(sealed, "t2", "s1") is None
    assert key.open(sealed, "t1", "s2") is None
    assert key.open(sealed[:-1], "t1", "s1") is None
    assert key.open(b"", "t1", "s1") is None
    assert PersonKey(bytes(32), b"").open(sealed, "t1", "s1") is None


@pytest.mark.parametrize("octets", [b"", b"short", b"k" * 31])
def test_a_key_that_could_be_guessed_is_refused_wherever_it_comes_from(octets: bytes) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AuditLog(MemoryAuditStore(), personal_key=Secret(octets))
    assert refused.value.reason == "personal_key"


def test_a_copy_of_the_database_discloses_nothing_without_the_hosts_key(sqlite_path: Path, make: Any) -> None:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    Database(engine).create_all()
    store = SqlAuditStore(Database(engine))
    AuditLog(store, personal_key=Secret(b"k" * 32)).emit(invited(make))
    thief = AuditLog(store)
    (event,) = thief.events("t1", disclose=True, actor=OFFICER, reason="r")
    assert set(event["data"]["boss"]) == {"_sd"}
    assert thief.erase(ADA, tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 0  # nor is it told who is there
    engine.dispose()


def test_secrets_are_never_recorded(log: AuditLog, make: Any) -> None:
    log.emit(
        make(data={"token": Secret("xoxb-1234567890"), "note": Secret("hunter2"), "deep": [{"a": Secret(b"raw")}]})
    )
    text = log.entry("t1", 0).decode()
    assert "xoxb" not in text
    assert "hunter2" not in text
    assert "raw" not in text
    assert log.events("t1")[0]["data"] == {"token": "***", "note": "***", "deep": [{"a": "***"}]}


def test_what_looks_like_a_credential_is_masked_in_personal_values_too(log: AuditLog, make: Any) -> None:
    log.emit(
        make(data={"note": Personal("call me, whsec_abcdefghijk", subject=ADA), "password": Personal("x", subject=ADA)})
    )
    (event,) = log.events("t1", disclose=True, actor=OFFICER, reason="r")
    assert event["data"] == {"note": "call me, ***", "password": "***"}
    assert log.erase(ADA, tenant_id="t1", reason="r", actor=OFFICER).fields_erased == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"data": {"x": Personal(1.5, subject="s")}}, AuditEventRejected),
        ({"data": {"x": Personal(Personal(1, subject="s"), subject="s")}}, AuditEventRejected),
        ({"data": {"x": Personal({"y": Secret("z")}, subject="s")}}, AuditEventRejected),
        ({"data": {"x": Personal("a" * 70_000, subject="s")}}, AuditEventTooLarge),
        ({"actor": {"id": Personal("ada", subject="s")}}, AuditEventRejected),
        ({"data": {"x": Personal("a", subject="s"), "y": {"_sd": "forged"}}}, AuditEventRejected),
        ({"data": {"x": Personal("a", subject="s"), "y": object()}}, AuditEventRejected),
    ],
    ids=["float", "nested", "secret inside", "large", "actor", "reserved", "foreign"],
)
def test_what_cannot_be_kept_is_refused(
    log: AuditLog, make: Any, fields: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        log.emit(make(**fields))
    assert log.events("t1") == []


def test_without_keys_a_denial_stands_without_its_values(outage: Any, clock: Any, make: Any) -> None:
    async def down(*_: object) -> bytes:
        raise StoreUnavailable("down")

    log = AuditLog(outage, clock=clock)
    outage.subject_key = down
    receipt = log.emit(make("access.denied", outcome="denied", data={"email": Personal(EMAIL, subject=ADA)}))
    assert receipt.durable
    assert log.events("t1")[0]["data"] == {"email": "***"}
    with pytest.raises(AuditUnavailable):
        log.emit(make(data={"email": Personal(EMAIL, subject=ADA)}))


def test_a_personal_value_never_prints() -> None:
    value = Personal(EMAIL, subject=ADA)
    assert EMAIL not in f"{value} {value!r}"
    with pytest.raises(UsageError):
        __import__("pickle").dumps(value)
    for wrong in ("", "x" * 257, 5, None):
        with pytest.raises(UsageError):
            Personal("x", subject=wrong)  # type: ignore[arg-type]


def test_an_action_may_hold_personal_values(log: AuditLog) -> None:
    with log.action(
        "member.invited", tenant_id="t1", actor=OFFICER, data={"email": Personal(EMAIL, subject=ADA)}
    ) as act:
        act.data["name"] = Personal("Ada", subject=ADA)
    outcome, attempt = log.events("t1", disclose=True, actor=OFFICER, reason="r")
    assert attempt["data"] == {"email": EMAIL}
    assert outcome["data"] == {"email": EMAIL, "name": "Ada", "attempt": attempt["id"]}
    assert act.receipt is not None
    assert act.receipt.seq == 1


def test_an_outbox_masks_secrets_and_takes_no_personal_value(sqlite_path: Path, make: Any) -> None:
    """Sealing needs a transaction of its own, and a value in clear must not wait in a row."""
    engine = create_engine(f"sqlite:///{sqlite_path}")
    Database(engine).create_all()
    log = AuditLog(SqlAuditStore(Database(engine)))
    with engine.begin() as connection:
        log.outbox(connection).emit(make(data={"token": Secret("hunter2"), "n": 1}))
    with engine.begin() as connection, pytest.raises(AuditEventRejected) as caught:
        log.outbox(connection).emit(make(data={"email": Personal(EMAIL, subject=ADA)}))
    assert caught.value.detail.startswith("data.email: ")
    assert b"hunter2" not in sqlite_path.read_bytes()
    log.relay()
    assert [event["data"] for event in log.events("t1")] == [{"token": "***", "n": 1}]
    engine.dispose()
