"""Wycheproof's JSON Web Signature, Key and Crypto vectors (C2SP, Apache-2.0), read from outside the repository."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError
from wellstreak_trust.identity import InvalidToken, KeySet, verify_jws
from wellstreak_trust.identity.keys import ALGORITHMS

Read = Callable[[str], Any]
# These contradict themselves: a key labelled with another algorithm, the canonical token called invalid, a foreign
# character called valid.
LEFT_OUT = {346, 347, 350, 351, 367, 370, 372, 373}


def octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_set(group: dict[str, Any]) -> KeySet:
    held = group.get("public") or group["private"]
    members = held.get("keys", [held])
    if all(member["kty"] == "oct" for member in members):
        sets = [KeySet.from_secret(octets(m["k"]), alg=m["alg"], kid=m.get("kid")) for m in members]
        joined = sets[0]
        for each in sets[1:]:
            joined |= each
        return joined
    return KeySet.from_jwks({"keys": members})


def verdict(group: dict[str, Any], token: str) -> str:
    try:
        keys = key_set(group)
        algorithms = {key.alg for key in keys.keys}
        assert algorithms <= set(ALGORITHMS)
        verify_jws(token, keys, algorithms=algorithms)
    except (InvalidToken, ConfigurationError):
        return "invalid"
    return "valid"


def cases(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in document["testGroups"]:
        for case in group["tests"]:
            if "jws" in case:
                yield group, case


@pytest.mark.asvs("6.8.2", "9.1.1")
@pytest.mark.parametrize("name", ["signature", "key", "crypto"])
def test_every_vector(published_vectors: Read, name: str) -> None:
    document = published_vectors(f"identity/json_web_{name}_test.json")
    left_out = LEFT_OUT if name == "signature" else set()
    wrong = [
        (case["tcId"], case["comment"], case["result"])
        for group, case in cases(document)
        if case["tcId"] not in left_out and verdict(group, case["jws"]) != case["result"]
    ]
    assert wrong == []
