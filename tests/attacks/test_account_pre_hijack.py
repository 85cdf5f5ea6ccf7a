"""Account pre-hijacking (Sudhodanan and Paverd, 2022): the attacker opens the account before its owner does, and waits.

Each class of the paper, as far as it rests on sessions, passwords, links and keys; linking of providers is tested where
providers are.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from account_stores import stores_on
from people import Accounts, Letterbox, Person
from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import (
    ApiKeys,
    EmailChange,
    EmailVerification,
    InvalidCredential,
    MagicLinks,
    PasswordHasher,
    PasswordPolicy,
    Passwords,
    ReauthRequired,
    RefreshFamilies,
    SessionManager,
)

ATTACKERS, OWNERS = "the attacker's own password", "words that only the owner knows"
HASHER = PasswordHasher(permits=1)
ATTACKERS_HASH = HASHER.hash(ATTACKERS)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def house(request, clock: FixedClock):
    with stores_on(request, request.param) as stores:
        accounts = Accounts(u1=Person("victim@example.org", ATTACKERS_HASH, identities=1))
        letters, store = Letterbox(), stores("OneTimeToken")
        sessions = SessionManager(stores("Session"), clock=clock)
        families = RefreshFamilies(stores("Refresh"), clock=clock)
        keys = ApiKeys(stores("ApiKey"), clock=clock)
        also = (families, keys)
        common = {"sessions": sessions, "mailer": letters, "clock": clock}
        yield SimpleNamespace(
            accounts=accounts,
            letters=letters,
            sessions=sessions,
            families=families,
            keys=keys,
            proofs=EmailVerification(store, accounts, also=also, **common),
            links=MagicLinks(store, accounts, also=also, **common),
            change=EmailChange(store, accounts, **common),
            passwords=Passwords(accounts, hasher=HASHER, policy=PasswordPolicy(), store=store, also=also, **common),
        )


def by_link(house):
    house.proofs.begin("u1")
    house.proofs.confirm(house.letters.last.token)


def by_magic_link(house):
    cookie = house.links.begin("victim@example.org")
    house.links.complete(house.letters.last.token, cookie.value)


def by_reset(house):
    house.passwords.request_reset("victim@example.org")
    house.passwords.reset(house.letters.last.token, OWNERS)


@pytest.mark.asvs("6.3.4")
@pytest.mark.parametrize("arrives", [by_link, by_magic_link, by_reset], ids=lambda way: way.__name__)
def test_what_was_opened_before_the_owner_came_is_shut(house, arrives):
    """Unexpired session, classic merge, trojan identifier: session, tokens, keys, password and identity are gone."""
    session = house.sessions.open("u1")
    grant = house.families.start("u1")
    key = house.keys.create(owner_id="u1", tenant_id="t1", scopes={"a:b"})
    arrives(house)
    for call in (
        lambda: house.sessions.authenticate(session.token),
        lambda: house.keys.authenticate(key.secret),
        lambda: house.passwords.sign_in("victim@example.org", ATTACKERS),
    ):
        with pytest.raises(InvalidCredential):
            call()
    with pytest.raises(ReauthRequired):
        house.families.rotate(grant.token)
    assert house.accounts.people["u1"].identities == 0


@pytest.mark.parametrize("arrives", [by_link, by_magic_link, by_reset], ids=lambda way: way.__name__)
def test_an_address_change_on_its_way_does_not_outlive_the_owner(house, arrives):
    """Unexpired e-mail change: the attacker asked for a change and keeps its link for later."""
    house.change.begin("u1", "attacker@example.org")
    stored = house.letters.last.token
    arrives(house)
    with pytest.raises(InvalidCredential):
        house.change.confirm(stored)
    assert house.accounts.people["u1"].address == "victim@example.org"


def test_a_reset_link_on_its_way_does_not_outlive_the_owner(house):
    house.passwords.request_reset("victim@example.org")
    stored = house.letters.last.token
    by_link(house)
    with pytest.raises(InvalidCredential):
        house.passwords.reset(stored, ATTACKERS)
