"""Account pre-hijacking (Sudhodanan and Paverd 2022): the attacker is in the account before its owner arrives.

One test a class. In each the attacker acts first, with the victim's address; then the victim comes; at the end the
attacker must be left with nothing.
"""

from __future__ import annotations

import pytest

from wellstreak_trust.core import drive
from wellstreak_trust.core.secret import Secret
from wellstreak_trust.identity import (
    AccountLinking,
    EmailVerification,
    Identity,
    InvalidCredential,
    LinkRequired,
    MemoryAccounts,
    MemoryOneTimeTokenStore,
    MemorySessionStore,
    OneTimeTokens,
    SessionManager,
)

VICTIM = "victim@example.com"
GOOGLE, LOOSE = "https://accounts.google.com", "https://verifies-nothing.example"


def coming_from(issuer: str, subject: str, *, proved: bool) -> Identity:
    return Identity(
        issuer, subject, {}, "/", None, None, None, (), Secret("a"), None, None, email=VICTIM, email_proved=proved
    )


class Host:
    """A host as the how-to describes it."""

    def __init__(self) -> None:
        self.accounts = MemoryAccounts()
        self.sessions = SessionManager(MemorySessionStore())
        self.mails = MemoryOneTimeTokenStore()
        self.verification = EmailVerification(self.mails, self.accounts, sessions=self.sessions)
        self.linking = AccountLinking(self.accounts, trusted={GOOGLE: {"example.com"}})

    def victim_proves(self, user_id: str) -> None:
        """The victim opens the link that only the victim's mailbox got."""
        mailed = self.verification.begin(user_id)
        assert mailed is not None
        assert self.verification.confirm(mailed.token).first


@pytest.fixture
def host() -> Host:
    return Host()


def test_classic_federated_merge(host: Host) -> None:
    """The attacker registers with a password; the victim comes with a provider."""
    account = host.accounts.register(VICTIM, "attacker's password")
    with pytest.raises(LinkRequired):
        host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True))
    host.victim_proves(account)
    assert host.accounts.credentials_of(account) == ()
    assert host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True)).user_id == account


def test_unexpired_session_identifier(host: Host) -> None:
    """The attacker registers and stays signed in; the victim recovers the account."""
    account = host.accounts.register(VICTIM, "attacker's password")
    waiting = host.sessions.open(account, remember=True)
    host.victim_proves(account)
    with pytest.raises(InvalidCredential):
        host.sessions.authenticate(waiting.token)


def test_trojan_identifier(host: Host) -> None:
    """The attacker links an identity of his own to the account, for later."""
    account = host.accounts.register(VICTIM, "attacker's password")
    host.linking.link(account, coming_from(LOOSE, "attacker", proved=False))
    host.victim_proves(account)
    assert host.accounts.credentials_of(account) == ()
    with pytest.raises(LinkRequired):
        host.linking.sign_in(coming_from(LOOSE, "attacker", proved=False))


def test_unexpired_email_change(host: Host) -> None:
    """The attacker asks to change the address of his account to the victim's, and keeps the link for later."""
    own = host.accounts.register("attacker@example.com", "p")
    changes = OneTimeTokens(host.mails, "change_email")
    kept = changes.issue(own, email=VICTIM)
    victim = host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True))
    changes.consume(kept.token, email=VICTIM)  # he cannot read that mailbox; say he could
    assert not drive(host.accounts.change_address(own, "attacker@example.com", VICTIM))  # it has an owner
    assert host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True)).user_id == victim.user_id


def test_non_verifying_identity_provider(host: Host) -> None:
    """The attacker comes first, from a provider that lets him write any address into its tokens."""
    made = host.linking.sign_in(coming_from(LOOSE, "attacker", proved=True))
    with pytest.raises(LinkRequired):
        host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True))
    host.victim_proves(made.user_id)
    assert host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True)).user_id == made.user_id
    with pytest.raises(LinkRequired):
        host.linking.sign_in(coming_from(LOOSE, "attacker", proved=True))


def test_the_other_way_round(host: Host) -> None:
    """The victim is there and proved; a provider that verifies nothing opens nothing."""
    victim = host.linking.sign_in(coming_from(GOOGLE, "victim", proved=True))
    for proved in (True, False):
        with pytest.raises(LinkRequired):
            host.linking.sign_in(coming_from(LOOSE, "attacker", proved=proved))
    assert host.accounts.credentials_of(victim.user_id) == (GOOGLE,)
