from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import pytest

from wellstreak_trust.core.entropy import SystemEntropy, random_hex, random_token, uuid7


class _Ones:
    def octets(self, count: int) -> bytes:
        return b"\xff" * count


@pytest.mark.asvs("11.5.1")
def test_tokens_hold_256_bits_in_43_url_safe_characters() -> None:
    tokens = {random_token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_hex_ids() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", random_hex())
    assert random_hex(2, entropy=_Ones()) == "ffff"
    assert len(SystemEntropy().octets(7)) == 7


def test_uuid7_follows_rfc_9562() -> None:
    moment = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    found = uuid.UUID(uuid7(moment, entropy=_Ones()))
    assert found.int >> 80 == 1645557742000  # the timestamp of RFC 9562, A.6
    assert (found.variant, found.int >> 76 & 0xF) == (uuid.RFC_4122, 7)
    assert len({uuid7(moment) for _ in range(50)}) == 50
