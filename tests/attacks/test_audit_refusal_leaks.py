"""Toy 20: the refusal that prints the secret it refused."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from wellstreak_trust import Secret
from wellstreak_trust.audit import AuditEvent, AuditLog, MemoryAuditStore, Personal
from wellstreak_trust.core.errors import TrustError

CANARY = "canary-7f3a-hunter2"
OFFICER = {"id": "o"}


class Odd:
    """A foreign object that prints what it holds."""

    def __repr__(self) -> str:
        return CANARY


def emit(**fields: Any) -> Callable[[AuditLog], object]:
    facts = {"outcome": "success", "tenant_id": "t1", "actor": {"id": "u"}} | fields
    return lambda log: log.emit(AuditEvent("a.b", **facts))


REFUSALS: dict[str, Callable[[AuditLog], object]] = {
    "float": emit(data={"x": [CANARY, 1.5]}),
    "foreign": emit(data={"x": Odd()}),
    "key": emit(data={f"{CANARY} ": 1}),
    "surrogate": emit(data={"x": f"{CANARY}\ud800"}),
    "large": emit(data={"x": CANARY * 5_000}),
    "personal float": emit(data={"x": Personal([CANARY, 1.5], subject="s")}),
    "personal foreign": emit(data={"x": Personal(Odd(), subject="s")}),
    "personal secret": emit(data={"x": Personal([Secret(CANARY)], subject="s")}),
    "personal large": emit(data={"x": Personal(CANARY * 5_000, subject="s")}),
    "personal actor": emit(actor={"id": Personal(CANARY, subject="s")}),
    "subject": lambda log: Personal("x", subject=CANARY * 100),
    "label": emit(tenant_id=f"{CANARY}\n"),
    "actor": emit(actor={"id": CANARY * 20}),
    "reserved": emit(data={"x": Personal("a", subject="s"), "_sd": CANARY}),
    "query": lambda log: log.query(f"actor:{CANARY} {CANARY}", tenant_id="t1"),
    "query key": lambda log: log.query(f"{CANARY}:x", tenant_id="t1"),
    "query time": lambda log: log.query(f"created:{CANARY}", tenant_id="t1"),
    "query quote": lambda log: log.query(f'reason:"{CANARY}', tenant_id="t1"),
    "format": lambda log: log.write("t1", CANARY, lambda _: None, actor=OFFICER),
    "erase": lambda log: log.erase(CANARY, tenant_id="t1", reason="", actor=OFFICER),
    "erase long": lambda log: log.erase(CANARY * 100, tenant_id="t1", reason="r", actor=OFFICER),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_names_the_place_and_never_the_value(name: str) -> None:
    log = AuditLog(MemoryAuditStore())
    with pytest.raises(TrustError) as caught:
        REFUSALS[name](log)
    error = caught.value
    told = [str(error), repr(error), error.detail, error.hint, str(error.problem()), str(error.args)]
    assert not [text for text in told if CANARY in text]
    chained = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert chained is None or CANARY not in str(chained)
    last = traceback.format_exception_only(error)
    assert CANARY not in "".join(last)


def test_a_wrapper_prints_nothing() -> None:
    wrapped = Personal(CANARY, subject=CANARY)
    event = AuditEvent("a.b", "success", "t1", {"id": "u"}, data={"x": wrapped})
    assert CANARY not in f"{wrapped}{wrapped!r}{event!r}{[wrapped]}"
