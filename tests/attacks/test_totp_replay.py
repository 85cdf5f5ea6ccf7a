"""A code seen over a shoulder: used at the same moment, a moment later, and in another process."""

from __future__ import annotations

from datetime import timedelta

import pyotp
import pytest

from account_stores import at_once, stores_on
from wellstreak_trust.core import FixedClock
from wellstreak_trust.identity import InvalidCredential, Totp
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore

CALLERS = 12


@pytest.mark.asvs("6.5.1")
@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_a_code_signs_in_once(request, kind, tmp_path, clock: FixedClock):
    vault = SecretStore(MemorySecretBackend(), KeyChain([LocalKeyProvider.generate(tmp_path / "kek.json")]))
    with stores_on(request, kind) as stores:
        store = stores("Totp")
        processes = [Totp(store, vault, issuer="WellStreak", clock=clock) for _ in range(2)]
        app = pyotp.parse_uri(processes[0].begin("u1", account="ada").uri.reveal())
        processes[0].confirm("u1", app.at(clock.now() - timedelta(seconds=30)))
        code = app.at(clock.now())
        outcomes = at_once([lambda n=n: processes[n % 2].verify("u1", code) for n in range(CALLERS)])
        assert outcomes.count(None) == 1
        refusals = [each for each in outcomes if each is not None]
        assert all(isinstance(each, InvalidCredential) for each in refusals)
        assert {each.reason for each in refusals} <= {"replayed", "unknown"}  # unknown: more tries than are allowed
        for totp in processes:
            with pytest.raises(InvalidCredential):
                totp.verify("u1", code)
