"""Published vectors: RFC 6238, and the checksum of our own key format."""

from __future__ import annotations

from wellstreak_trust.identity import ApiKeys
from wellstreak_trust.identity.totp import totp_code


def test_rfc_6238(published_vectors):
    table = published_vectors("identity/published.json")["rfc6238_B_totp_8_digits"]
    assert len(table["rows"]) == 6
    for row in table["rows"]:
        for algorithm, key in table["keys_ascii"].items():
            made = totp_code(key.encode(), row["time"] // table["step"], digits=8, algorithm=algorithm)
            assert made == row[algorithm], (row["time"], algorithm)


def test_checksums_of_keys(published_vectors):
    rows = published_vectors("identity/published.json")["api_key_checksum"]
    assert len(rows) == 3
    for row in rows:
        assert ApiKeys.is_well_formed(row["key"])
        assert row["key"].startswith(row["head"])
        assert not ApiKeys.is_well_formed(row["head"] + "000000")
