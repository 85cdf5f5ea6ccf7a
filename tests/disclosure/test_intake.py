"""Reports: taken, sealed, moved on, published; and refused without a word of theirs in any message."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from threading import Thread
from typing import Any
from wsgiref.simple_server import make_server

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from wellstreak_trust import Principal
from wellstreak_trust.audit import AuditLog, MemoryAuditStore
from wellstreak_trust.core import ConfigurationError, FixedClock
from wellstreak_trust.core.errors import Conflict, DisclosureRejected, NotFound, RateLimited, TrustError, UsageError
from wellstreak_trust.disclosure import (
    STEPS,
    Advisory,
    DisclosureIntake,
    DisclosurePolicy,
    DisclosureReport,
    MemoryReportStore,
    ReportRoute,
    SecurityTxt,
    SecurityTxtRoute,
    security_md,
)
from wellstreak_trust.ratelimit import LimitRule, MemoryLimitStore, RateLimiter
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore
from wellstreak_trust.storage.sql import Database, SqlReportStore

ADA = Principal("ada")
NOW = datetime(2026, 11, 27, 16, tzinfo=UTC)  # a Friday
GOOD: dict[str, Any] = {
    "title": "Tenant id in a cursor is trusted",
    "affected": ["GET /w/{tenant}/agents"],
    "steps": "Take the cursor of tenant A and send it to tenant B: rows of A come back.",
    "impact": "other_tenants",
    "weakness": "CWE-639",
    "severity": "high",
    "contact": "eve@example.org",
    "requests": ["GET / HTTP/1.1\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz012345"],
    "attachments": [{"name": "poc.py", "sha256": "0" * 64, "size": 100}],
    "credit": True,
}


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryReportStore()
        return
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    database = Database(engine)
    database.create_all()
    yield SqlReportStore(database)
    engine.dispose()


def intake(store: Any = None, clock: FixedClock | None = None, **given: Any) -> DisclosureIntake:
    return DisclosureIntake(store or MemoryReportStore(), clock=clock or FixedClock(NOW), **given)


def test_from_its_receipt_to_its_publication(store: Any, clock: FixedClock) -> None:
    log = AuditLog(MemoryAuditStore(), clock=clock)
    desk = intake(store, clock, audit=log)
    ticket = desk.submit(GOOD)
    assert (ticket.state, ticket.impact, ticket.severity, len(ticket.id)) == ("received", "other_tenants", "high", 22)
    assert ticket.acknowledge_by == datetime(2026, 12, 2, 16, tzinfo=UTC)  # three working days: Monday to Wednesday
    assert not ticket.overdue(NOW + timedelta(days=5))
    assert ticket.overdue(NOW + timedelta(days=6))
    for state in ("triaged", "accepted", "fixed", "published"):
        clock.advance(timedelta(days=1))
        ticket = desk.advance(ticket.id, state, actor=ADA)
        assert ticket.state == state
    assert (ticket.acknowledge_by, ticket.status_by) == (None, None)
    events = list(reversed(log.events("system")))
    assert [event["action"] for event in events] == [
        "disclosure.received",
        "disclosure.triaged",
        "disclosure.accepted",
        "disclosure.fixed",
        "disclosure.published",
    ]
    assert {tuple(event["targets"]) for event in events} == {(ticket.id,)}
    for word in ("cursor", "eve@", "Bearer", "tenant A"):
        assert word not in json.dumps(events)


@pytest.mark.asvs("2.3.1")
def test_no_step_is_skipped_or_taken_twice(store: Any, clock: FixedClock) -> None:
    log = AuditLog(MemoryAuditStore(), clock=clock)
    desk = intake(store, clock, audit=log)
    ticket = desk.submit(GOOD)
    for state in ("accepted", "fixed", "published", "received"):
        with pytest.raises(Conflict):
            desk.advance(ticket.id, state, actor=ADA)
    with pytest.raises(UsageError):
        desk.advance(ticket.id, "won't fix", actor=ADA)  # type: ignore[arg-type]  # on purpose
    desk.advance(ticket.id, "rejected", actor=ADA, reason="as designed")
    for state in STEPS:
        with pytest.raises(Conflict):
            desk.advance(ticket.id, state, actor=ADA)
    assert len(log.events("system")) == 2


def test_what_it_says_is_sealed_and_the_database_holds_no_word_and_no_id(sqlite_path: Any, tmp_path: Any) -> None:
    engine = create_engine(f"sqlite:///{sqlite_path}")
    database = Database(engine)
    database.create_all()
    clock = FixedClock(NOW)
    secrets = SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(tmp_path / "kek")]), clock=clock)
    desk = intake(SqlReportStore(database), clock, secrets=secrets)
    long = {**GOOD, "affected": ["é" * 5_000] * 20, "requests": ["x" * 5_000] * 20}
    tickets = [desk.submit(document) for document in (GOOD, long)]
    with engine.connect() as connection:
        rows = str(connection.execute(text("select * from wst_disclosure")).all())
    for word in ("cursor", "eve@", "Authorization", *(ticket.id for ticket in tickets)):
        assert word not in rows
    assert desk.read(tickets[0].id).title == GOOD["title"]
    assert desk.read(tickets[1].id).affected == ("é" * 5_000,) * 20
    engine.dispose()


def test_operators_work_by_the_digest_and_reporters_by_the_id(store: Any, clock: FixedClock) -> None:
    desk = intake(store, clock)
    ticket = desk.submit(GOOD)
    clock.advance(timedelta(hours=1))
    desk.submit({**GOOD, "severity": None})
    listed = desk.list()
    assert [row.severity for row in listed] == ["high", None]
    assert listed[0].id != ticket.id
    desk.add_note(listed[0].id, "reproduced")
    assert desk.get(ticket.id).notes == 1
    assert desk.notes(listed[0].id) == ("reproduced",)
    desk.advance(listed[0].id, "triaged", actor=ADA)
    assert [row.state for row in desk.list("triaged")] == ["triaged"]
    assert desk.get(ticket.id).status_by == clock.now() + timedelta(days=14)
    assert ticket.id not in repr(ticket)
    for wrong in ("", "x", "A" * 22, "0" * 64, None, 5):
        with pytest.raises(NotFound):
            desk.get(wrong)  # type: ignore[arg-type]  # on purpose
    for note in ("", "x" * 5_001, None):
        with pytest.raises(UsageError):
            desk.add_note(ticket.id, note)  # type: ignore[arg-type]  # on purpose


SECRET = "sk_live_do_not_print"


def attached(**changed: Any) -> dict[str, Any]:
    return {**GOOD, "attachments": [{"name": "a", "sha256": "0" * 64, "size": 1, **changed}]}


BAD: dict[str, tuple[Any, set[tuple[str, str]]]] = {
    "short title": ({**GOOD, "title": "abc"}, {("title", "too_short")}),
    "two lines": ({**GOOD, "title": "abcdef\nghi"}, {("title", "malformed")}),
    "title ends in a line feed": ({**GOOD, "title": "abcdef\n"}, {("title", "malformed")}),
    "long title": ({**GOOD, "title": "x" * 201}, {("title", "too_long")}),
    "nothing affected": ({**GOOD, "affected": []}, {("affected", "too_few")}),
    "too much affected": ({**GOOD, "affected": ["a"] * 21}, {("affected", "too_many")}),
    "empty item": ({**GOOD, "affected": ["a", ""]}, {("affected.1", "too_short")}),
    "no steps": ({key: value for key, value in GOOD.items() if key != "steps"}, {("steps", "missing")}),
    "impact": ({**GOOD, "impact": SECRET}, {("impact", "not_a_choice")}),
    "weakness": ({**GOOD, "weakness": "CWE-0639"}, {("weakness", "malformed")}),
    "weakness with a line feed": ({**GOOD, "weakness": "CWE-639\n"}, {("weakness", "malformed")}),
    "severity": ({**GOOD, "severity": "urgent"}, {("severity", "not_a_choice")}),
    "contact": ({**GOOD, "contact": "x" * 321}, {("contact", "too_long")}),
    "control character": ({**GOOD, "steps": GOOD["steps"] + "\x1b[2J"}, {("steps", "malformed")}),
    "lone surrogate": ({**GOOD, "steps": GOOD["steps"] + "\ud800"}, {("", "wrong_kind")}),
    "unknown field": ({**GOOD, SECRET: 1}, {("", "unknown_field")}),
    "digest": (
        {**GOOD, "attachments": [{"name": "a", "sha256": "F" * 64, "size": 1}]},
        {("attachments.0.sha256", "malformed")},
    ),
    "size": (
        {**GOOD, "attachments": [{"name": "a", "sha256": "0" * 64, "size": -1}]},
        {("attachments.0.size", "out_of_range")},
    ),
    "bytes of a file": (
        {**GOOD, "attachments": [{"name": "a", "sha256": "0" * 64, "size": 1, "content": SECRET}]},
        {("attachments.0", "unknown_field")},
    ),
    "past embargo": ({**GOOD, "embargo_until": "2026-11-27T15:59:59Z"}, {("embargo_until", "out_of_range")}),
    "far embargo": ({**GOOD, "embargo_until": "2028-01-01T00:00:00Z"}, {("embargo_until", "out_of_range")}),
    "naive embargo": ({**GOOD, "embargo_until": "2026-12-27T15:59:59"}, {("embargo_until", "without_timezone")}),
    "credit": ({**GOOD, "credit": "yes"}, {("credit", "wrong_kind")}),
    "a list": ([GOOD], {("", "wrong_kind")}),
    "nothing": (None, {("", "wrong_kind")}),
    "text": (SECRET, {("", "wrong_kind")}),
}


@pytest.mark.asvs("2.2.1")
@pytest.mark.parametrize("case", BAD)
def test_faults_are_named_and_nothing_sent_is_repeated(case: str) -> None:
    document, faults = BAD[case]
    log = AuditLog(MemoryAuditStore())
    with pytest.raises(DisclosureRejected) as refused:
        intake(audit=log).submit(document)
    assert set(refused.value.fields) == faults
    told = str(refused.value) + refused.value.detail + json.dumps(refused.value.problem()) + repr(refused.value)
    assert SECRET not in told
    assert refused.value.status == 400
    assert refused.value.__cause__ is None
    assert log.events("system") == []


ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
DOCUMENTS = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(DOCUMENTS)
def test_no_document_makes_it_raise_anything_else(document: Any) -> None:
    for given_ in (document, {**GOOD, "title": document}, {**GOOD, "attachments": document}):
        state = "refused"
        with suppress(DisclosureRejected):
            state = intake().submit(given_).state
        assert state in ("refused", "received")


def test_credentials_in_recorded_requests_are_masked_and_embargoes_bounded(clock: FixedClock) -> None:
    desk = intake(clock=clock)
    asked = {**GOOD, "embargo_until": (NOW + timedelta(days=30)).isoformat()}
    ticket = desk.submit(asked)
    assert "abcdefghijklmnop" not in desk.read(ticket.id).requests[0]
    assert ticket.embargo_until == NOW + timedelta(days=30)
    assert desk.submit(GOOD).embargo_until == NOW + timedelta(days=90)
    assert (
        desk.submit(DisclosureReport(**{**GOOD, "affected": ("x",), "requests": (), "attachments": ()})).state
        == "received"
    )
    with pytest.raises(ConfigurationError):
        DisclosurePolicy(acknowledge=0)


def test_too_many_from_one_network() -> None:
    limiter = RateLimiter([LimitRule("reports", 2, timedelta(hours=1), by=("client",))], MemoryLimitStore())
    desk = intake(limiter=limiter)
    for _ in range(2):
        desk.submit(GOOD, client="203.0.113.7")
    with pytest.raises(RateLimited):
        desk.submit(GOOD, client="203.0.113.7")
    assert desk.submit(GOOD, client="198.51.100.1").state == "received"


def fixed(clock: FixedClock, **changed: Any) -> Advisory:
    desk = intake(clock=clock)
    ticket = desk.submit({**GOOD, **changed})
    for state in ("triaged", "accepted", "fixed"):
        ticket = desk.advance(ticket.id, state, actor=ADA)
    return Advisory(
        ticket, desk.read(ticket.id), "WST-2026-0001", "wellstreak-trust", "1.2.3", "WellStreak",
        "https://wellstreak.example/advisories", "Rows of another tenant | by cursor",
    )  # fmt: skip


def test_advisories_are_drafted_from_the_fix_on(clock: FixedClock) -> None:
    advisory = fixed(clock)
    osv, csaf = advisory.osv(NOW), advisory.csaf(NOW)
    assert osv["modified"] == "2026-11-27T16:00:00Z"
    assert osv["affected"][0]["ranges"][0]["events"] == [{"introduced": "0"}, {"fixed": "1.2.3"}]
    assert osv["credits"] == [{"name": "eve@example.org", "type": "REPORTER"}]
    assert csaf["document"]["tracking"]["status"] == "draft"
    assert csaf["vulnerabilities"][0]["cwe"]["id"] == "CWE-639"
    assert r"Rows of another tenant \| by cursor" in advisory.markdown()
    for draft in (json.dumps(osv), json.dumps(csaf), advisory.markdown()):
        assert "cursor of tenant A" not in draft
    anonymous = fixed(clock, credit=False)
    assert "credits" not in anonymous.osv(NOW)
    assert "eve@" not in anonymous.markdown()
    desk = intake(clock=clock)
    early = desk.submit(GOOD)
    with pytest.raises(Conflict):
        Advisory(early, desk.read(early.id), "X-1", "p", "1", "w", "https://x", "s")


# --- routes ----------------------------------------------------------------------------------------------------------


def ask_wsgi(
    app: Any, method: str, body: bytes = b"", media: str = "application/json"
) -> tuple[int, dict[str, str], bytes]:

    seen: list[Any] = []
    environ = {
        "REQUEST_METHOD": method,
        "CONTENT_TYPE": media,
        "wsgi.input": io.BytesIO(body),
        "REMOTE_ADDR": "203.0.113.7",
    }
    chunks = b"".join(app(environ, lambda status, headers: seen.append((status, headers))))
    return int(seen[0][0][:3]), {name.lower(): value for name, value in seen[0][1]}, chunks


def ask_asgi(
    app: Any, method: str, body: bytes = b"", media: str = "application/json"
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def run() -> None:
        pieces = [{"body": body[:7], "more_body": True}, {"body": body[7:]}]

        async def receive() -> Any:
            return pieces.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "headers": [(b"content-type", media.encode())],
            "client": ("203.0.113.7", 1),
        }
        await app(scope, receive, send)

    asyncio.run(run())
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


@pytest.mark.parametrize("ask", [ask_wsgi, ask_asgi])
def test_the_intake_over_http(ask: Any) -> None:
    desk = intake()
    route = ReportRoute(desk)
    status, headers, body = ask(route, "POST", json.dumps(GOOD).encode())
    assert (status, headers["cache-control"]) == (201, "no-store")
    assert desk.get(json.loads(body)["id"]).state == "received"
    status, headers, body = ask(
        route, "POST", json.dumps({**GOOD, "title": "x"}).encode(), "application/json; charset=utf-8"
    )
    assert (status, json.loads(body)["fields"]) == (400, [{"field": "title", "rule": "too_short"}])
    assert ask(route, "POST", b"{" + b" " * 262_144)[0] == 413
    assert ask(route, "POST", b"[" * 100_000)[0] == 400
    assert ask(route, "POST", b"\xff")[0] == 400
    assert ask(route, "POST", b"{}", "text/plain")[0] == 415
    assert ask(route, "GET")[0] == 405
    limited = ReportRoute(intake(limiter=RateLimiter([LimitRule("r", 1, timedelta(hours=1), by=("client",))])))
    assert [ask(limited, "POST", json.dumps(GOOD).encode())[0] for _ in range(2)] == [201, 429]
    named = ReportRoute(
        intake(limiter=RateLimiter([LimitRule("r", 1, timedelta(hours=1), by=("client",))])), lambda request: "x"
    )
    assert [ask(named, "POST", json.dumps(GOOD).encode())[0] for _ in range(2)] == [201, 429]


@pytest.mark.parametrize("ask", [ask_wsgi, ask_asgi])
def test_the_file_is_served_until_it_expires(ask: Any) -> None:
    clock = FixedClock(NOW)
    found = SecurityTxt(contact=("mailto:security@example.com",), reviewed_at=NOW, clock=clock)
    route = SecurityTxtRoute(found)
    status, headers, body = ask(route, "GET")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert SecurityTxt.parse(body, now=NOW).contact == found.contact
    status, headers, nothing = ask(route, "HEAD")
    assert (status, headers["content-length"], nothing) == (200, str(len(body)), b"")
    assert ask(route, "POST")[0] == 405
    clock.advance(timedelta(days=181))
    assert ask(route, "GET")[0] == 404


def test_security_md_says_the_same_as_the_file() -> None:
    found = SecurityTxt(
        contact=("https://example.com/report", "mailto:security@example.com"),
        reviewed_at=NOW,
        encryption=("https://example.com/key.asc",),
        policy=("https://example.com/policy",),
        clock=FixedClock(NOW),
    )
    told = security_md(found, DisclosurePolicy(acknowledge=2), product="WellStreak")
    for word in (*found.contact, *found.encryption, *found.policy, "2 working days", "90 days", "2027-05-26"):
        assert word in told


def test_every_error_is_ours() -> None:
    for wrong in (lambda: intake().read("A" * 22), lambda: intake().notes("A" * 22)):
        with pytest.raises(TrustError):
            wrong()


def test_no_more_is_read_than_was_declared() -> None:
    body = json.dumps(GOOD).encode()
    answers: list[int] = []
    with make_server("127.0.0.1", 0, ReportRoute(intake())) as server:
        server.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[assignment,attr-defined]  # no noise
        worker = Thread(target=server.handle_request)
        worker.start()
        client = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        client.request("POST", "/", body, {"Content-Type": "application/json"})
        with suppress(TimeoutError):
            answers.append(client.getresponse().status)
        client.close()
        worker.join(10)
    assert answers == [201]


@pytest.mark.parametrize("control", ["\x9b31m", "\x80", "\x7f", "\u2029"])
def test_no_report_holds_what_a_terminal_obeys(control: str) -> None:
    with pytest.raises(DisclosureRejected) as caught:
        intake().submit({**GOOD, "steps": GOOD["steps"] + control})
    assert caught.value.fields == (("steps", "malformed"),)


def test_a_sealed_report_is_read_with_the_store_that_sealed_it(tmp_path: Any) -> None:
    rows, secrets = (
        MemoryReportStore(),
        SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(tmp_path / "k")])),
    )
    ticket = DisclosureIntake(rows, secrets=secrets).submit(GOOD)
    with pytest.raises(ConfigurationError, match="sealed"):
        DisclosureIntake(rows).read(ticket.id)
