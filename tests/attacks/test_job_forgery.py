"""Somebody who can read and write the queue, and owns a workspace of his own, tries to have work done in another."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest

from wellstreak_trust.core import Principal, TrustError
from wellstreak_trust.tenancy import Memberships, MemoryMembershipStore, TenantContext, TenantNotFound
from wellstreak_trust.tenancy.jobs import EnvelopeInvalid, JobEnvelopes

KEY = bytes(range(32))
MEMBERSHIPS = Memberships(MemoryMembershipStore())
for owner, tenant in (("mallory", "own"), ("victim", "target")):
    MEMBERSHIPS.create_workspace(Principal(owner), tenant_id=tenant)
ENVELOPES = JobEnvelopes(KEY, MEMBERSHIPS)
MALLORY = Principal("mallory", scopes=frozenset(("read",)), actor=Principal("support"))
CONTEXT = TenantContext("own", MALLORY, MEMBERSHIPS.prove(MALLORY, "own"), company_id="eu")
TASK, ARGS = "invoices.pay", b"amount=1"
MINE = ENVELOPES.sign(CONTEXT, TASK, ARGS)


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def rewritten(**change: Any) -> str:
    """His own envelope with other content, and the code it had."""
    head, kid, body, code = MINE.split(".")
    content = {**json.loads(urlsafe_b64decode(body + "==")), **change}
    return ".".join((head, kid, b64(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()), code))


def with_code(code: bytes) -> str:
    return MINE.rpartition(".")[0] + "." + b64(code)


FORGERIES = {
    "tenant": rewritten(tenant="target"),
    "principal": rewritten(tenant="target", principal="victim"),
    "no ceiling": rewritten(scopes=None),
    "nobody behind it": rewritten(actor=None),
    "whole tenant": rewritten(company=None),
    "younger": rewritten(iat=2**53 - 1),
    "another job": rewritten(jti="0" * 32),
    "no code": MINE.rpartition(".")[0] + ".",
    "zero code": with_code(bytes(32)),
    "hash without key": with_code(hashlib.sha256(MINE.encode()).digest()),
    "empty key": with_code(hmac.digest(b"", MINE.encode(), "sha256")),
    "another key's id": MINE.replace(MINE.split(".")[1], "0" * 16),
    "another format": MINE.replace("wsj1", "wsj0"),
    "twice": f"{MINE}.{MINE}",
}


@pytest.mark.parametrize("envelope", FORGERIES.values(), ids=FORGERIES)
def test_no_rewriting_opens(envelope: str) -> None:
    with pytest.raises(EnvelopeInvalid) as refused:
        ENVELOPES.open(envelope, TASK, ARGS)
    assert "target" not in f"{refused.value}{refused.value.problem()}"


@pytest.mark.parametrize(
    ("task", "args"),
    [
        ("invoices.refund", ARGS),
        (TASK, b"amount=9"),
        (TASK + "amount", b"=1"),
        ("invoices.", b"pay" + ARGS),
        (TASK, b""),
    ],
)
def test_a_genuine_envelope_is_worth_nothing_on_another_job(task: str, args: bytes) -> None:
    with pytest.raises(EnvelopeInvalid):
        ENVELOPES.open(MINE, task, args)


def test_what_he_queued_stays_within_what_he_was() -> None:
    opened = ENVELOPES.open(MINE, TASK, ARGS)
    assert (opened.tenant_id, opened.company_id) == ("own", "eu")
    assert (opened.principal.scopes, opened.principal.actor) == ({"read"}, Principal("support"))


def test_a_context_that_he_made_up_is_signed_by_nobody_and_proved_by_nobody() -> None:
    """A bug that lets him choose the context to sign still ends at the membership."""
    claimed = MEMBERSHIPS.prove(Principal("victim"), "target")
    assert claimed is not None
    with pytest.raises(TrustError):
        ENVELOPES.sign(TenantContext("target", MALLORY, claimed), TASK, ARGS)
    stranger = type(claimed)("target", "mallory", frozenset(("owner",)), 99)
    envelope = ENVELOPES.sign(TenantContext("target", MALLORY, stranger), TASK, ARGS)
    with pytest.raises(TenantNotFound):
        ENVELOPES.open(envelope, TASK, ARGS)
