"""Whose account an identity opens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wellstreak_trust.core import drive
from wellstreak_trust.core.errors import ConfigurationError, Conflict
from wellstreak_trust.core.secret import Secret
from wellstreak_trust.identity import AccountLinking, Identity, LinkRequired, MemoryAccounts
from wellstreak_trust.identity.linking import Account, Verdict, judge

GOOGLE, OTHER = "https://accounts.google.com", "https://op.example"


def identity(
    issuer: str = GOOGLE, subject: str = "g-1", *, email: str | None = "Ada@Example.com", proved: bool = True
) -> Identity:
    return Identity(
        issuer, subject, {}, "/", None, None, None, (), Secret("a"), None, None, email=email, email_proved=proved
    )


@pytest.fixture
def accounts() -> MemoryAccounts:
    return MemoryAccounts()


@pytest.fixture
def linking(accounts: MemoryAccounts) -> AccountLinking:
    return AccountLinking(accounts, trusted={GOOGLE: {"example.com"}})


def proved(accounts: MemoryAccounts, address: str = "ada@example.com") -> str:
    user_id = accounts.register(address, "hash")
    assert drive(accounts.mark_verified(user_id, address))
    return user_id


@pytest.mark.asvs("6.8.1")
@pytest.mark.parametrize(
    ("known", "vouched", "holder", "verdict"),
    [
        ("u", False, None, Verdict("known", "u")),
        ("u", True, Account("other", True), Verdict("known", "u")),
        (None, True, None, Verdict("created", proved=True)),
        (None, False, None, Verdict("created")),
        (None, True, Account("h", True), Verdict("linked", "h", proved=True)),
        (None, True, Account("h", False), Verdict(None)),
        (None, False, Account("h", True), Verdict(None)),
        (None, False, Account("h", False), Verdict(None)),
    ],
)
def test_the_table(known: Any, vouched: bool, holder: Any, verdict: Verdict) -> None:
    assert judge(known=known, vouched=vouched, holder=holder) == verdict


@pytest.mark.asvs("6.8.1", "10.5.2")
def test_the_key_is_issuer_and_subject(linking: AccountLinking) -> None:
    first = linking.sign_in(identity())
    assert first.outcome == "created"
    again = linking.sign_in(identity(email="changed@example.com"))
    assert (again.user_id, again.outcome) == (first.user_id, "known")
    other = linking.sign_in(identity(OTHER, "g-1", email=None))
    assert other.user_id != first.user_id


def test_a_proved_address_of_a_trusted_provider_links(linking: AccountLinking, accounts: MemoryAccounts) -> None:
    user_id = proved(accounts)
    linked = linking.sign_in(identity())
    assert (linked.user_id, linked.outcome) == (user_id, "linked")
    assert accounts.credentials_of(user_id) == (GOOGLE,)
    assert linking.sign_in(identity()).outcome == "known"


@pytest.mark.parametrize(
    "who",
    [
        identity(proved=False),
        identity(OTHER),
        identity(email="ada@example.com.evil.example"),
        identity(email="ada@sub.example.com"),
        identity(email="@example.com"),
    ],
    ids=["not proved", "provider not trusted", "longer domain", "subdomain", "no mailbox"],
)
def test_an_address_alone_opens_nothing(linking: AccountLinking, accounts: MemoryAccounts, who: Identity) -> None:
    holder = proved(accounts, who.email or "")
    with pytest.raises(LinkRequired) as caught:
        linking.sign_in(who)
    assert (caught.value.status, caught.value.code) == (403, "link_required")
    assert "example.com" not in f"{caught.value}{caught.value.detail}{caught.value.hint}"
    assert accounts.credentials_of(holder) == ()


def test_without_an_address_an_account_is_made(linking: AccountLinking, accounts: MemoryAccounts) -> None:
    made = linking.sign_in(identity(email=None, proved=False))
    assert made.outcome == "created"
    assert drive(accounts.address_of(made.user_id)) is None


def test_people_without_an_address_are_not_one_person(linking: AccountLinking) -> None:
    first, second = (linking.sign_in(identity(subject=name, email=None, proved=False)) for name in ("g-1", "g-2"))
    assert first.user_id != second.user_id


def test_a_provider_may_be_trusted_for_every_domain(accounts: MemoryAccounts) -> None:
    user_id = proved(accounts, "ada@anywhere.example")
    linking = AccountLinking(accounts, trusted={GOOGLE: {"*"}})
    assert linking.sign_in(identity(email="ada@anywhere.example")).user_id == user_id


def test_whoever_is_signed_in_links_but_takes_nothing(linking: AccountLinking, accounts: MemoryAccounts) -> None:
    user_id = proved(accounts)
    linking.link(user_id, identity(OTHER, "o-1"))
    linking.link(user_id, identity(OTHER, "o-1"))
    assert linking.sign_in(identity(OTHER, "o-1", email=None)).user_id == user_id
    thief = proved(accounts, "eve@example.com")
    with pytest.raises(Conflict):
        linking.link(thief, identity(OTHER, "o-1"))


@pytest.mark.anyio
async def test_awaited(linking: AccountLinking, accounts: MemoryAccounts) -> None:
    made = await linking.asign_in(identity())
    await linking.alink(made.user_id, identity(OTHER, "o-1"))
    assert accounts.credentials_of(made.user_id) == (GOOGLE, OTHER)


def test_parallel_first_sign_ins_make_one_account(linking: AccountLinking) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = {each.user_id for each in pool.map(lambda _: linking.sign_in(identity()), range(16))}
    assert len(found) == 1


def test_an_account_that_changes_in_between_is_judged_anew(accounts: MemoryAccounts) -> None:
    """The look said proved; by the deed the address was another's."""
    user_id = proved(accounts)

    class Changing(MemoryAccounts):
        async def holder_of(self, address: str, /) -> Account | None:
            found = await accounts.holder_of(address)
            accounts._entries[user_id].address = "moved@example.com"
            return found

        attach = accounts.attach
        linked_to = accounts.linked_to
        create = accounts.create

    made = AccountLinking(Changing(), trusted={GOOGLE: {"*"}}).sign_in(identity())
    assert made.outcome == "created"
    assert made.user_id != user_id


@pytest.mark.parametrize("domains", ["example.com", {"example.com", "Example.org"}, {"ada@example.com"}])
def test_trusted_domains_are_domains(accounts: MemoryAccounts, domains: Any) -> None:
    with pytest.raises(ConfigurationError):
        AccountLinking(accounts, trusted={GOOGLE: domains})
