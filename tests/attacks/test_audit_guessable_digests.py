"""Toy 18: a digest that a list of addresses can be tried against is the address."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any

from wellstreak_trust.audit import AuditEvent, AuditLog, MemoryAuditStore, Personal
from wellstreak_trust.core.canonical import canonical_json

LIST = [f"user{number}@example.com" for number in range(200)]
OFFICER = {"id": "user_officer"}


def spellings(value: Any) -> list[bytes]:
    """What an attacker digests: the value by itself, quoted, and as disclosures whose salt is empty or known."""
    raw = str(value).encode()
    arrays = [[value], ["email", value], ["", "email", value], ["data.email", value], ["e1", "email", value]]
    encoded = [canonical_json(array) for array in arrays]
    return [raw, json.dumps(value).encode(), *encoded, *(urlsafe_b64encode(each).rstrip(b"=") for each in encoded)]


def digests(log: AuditLog) -> set[str]:
    text = "".join(log.entry("t1", seq).decode() for seq in range(len(log.events("t1", limit=1_000))))
    return set(re.findall(r'\{"_sd":"([A-Za-z0-9_-]{43})"\}', text))


def emit(log: AuditLog, value: str, id: str, subject: str = "ada", field: str = "email") -> None:
    data = {field: Personal(value, subject=subject)}
    log.emit(AuditEvent("member.invited", "success", "t1", {"id": "u"}, data=data, id=id))


def test_no_list_of_values_finds_a_digest() -> None:
    log = AuditLog(MemoryAuditStore())
    for number, value in enumerate(LIST):
        emit(log, value, f"e{number}")
    guesses = {
        urlsafe_b64encode(sha256(octets).digest()).rstrip(b"=").decode()
        for value in LIST
        for octets in spellings(value)
    }
    assert len(digests(log)) == len(LIST)
    assert not digests(log) & guesses


def test_the_same_value_twice_cannot_be_told_from_another() -> None:
    """Equal digests would say that two events are about one address, and survive its erasure."""
    log = AuditLog(MemoryAuditStore())
    emit(log, "ada@example.com", "e1")
    emit(log, "ada@example.com", "e2")
    emit(log, "ada@example.com", "e3", field="mail")
    emit(log, "ada@example.com", "e4", subject="bob")
    assert len(digests(log)) == 4


def test_two_logs_give_the_same_event_other_digests() -> None:
    found = []
    for _ in range(2):
        log = AuditLog(MemoryAuditStore())
        emit(log, "ada@example.com", "e1")
        found += digests(log)
    assert len(set(found)) == 2


def test_the_opaque_id_of_a_person_is_no_digest_of_the_person() -> None:
    receipts = []
    for tenant in ("t1", "t2"):
        log = AuditLog(MemoryAuditStore())
        receipts.append(log.erase("ada@example.com", tenant_id=tenant, reason="asked", actor=OFFICER).subject)
    assert len(set(receipts)) == 2
    plain = {sha256(octets).hexdigest()[:32] for octets in spellings("ada@example.com")}
    assert not set(receipts) & plain
