"""RFC 6962 and RFC 9162: published vectors, the definitions themselves as an oracle, and hostile proofs."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellstreak_trust.audit.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from wellstreak_trust.core import UsageError

Read = Callable[[str], Any]
EMPTY_HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # RFC 6962, 2.1: SHA-256 of nothing
HASHES = [leaf_hash(bytes([number])) for number in range(70)]
SIZES = st.integers(1, 70)


def defined_root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word by word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + defined_root(hashes[:split]) + defined_root(hashes[split:])).digest()


def octets(text: str | None) -> bytes:
    return b64decode(text or "")


def test_published_hashes(published_vectors: Read) -> None:
    facts = published_vectors("audit/merkle_vectors.json")["hasher"]
    assert root([]).hex() == facts[0]["hash"] == EMPTY_HEX
    assert [leaf_hash(bytes.fromhex(fact["leaf"])).hex() for fact in facts[1:3]] == [f["hash"] for f in facts[1:3]]
    assert node_hash(b"N123", b"N456").hex() == facts[3]["hash"]


@pytest.mark.asvs("11.4.3")
def test_published_tree(published_vectors: Read) -> None:
    tree = published_vectors("audit/merkle_vectors.json")["tree"]
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in tree["leaves_hex"]]
    assert [root(leaves[:size]).hex() for size in range(9)] == tree["roots_hex_by_size_0_to_8"]


def test_published_inclusion(published_vectors: Read) -> None:
    cases = published_vectors("audit/merkle_vectors.json")["inclusion"]
    wrong = [
        case["desc"]
        for case in cases
        if case["wantErr"]
        == verify_inclusion(
            case["leafIdx"],
            case["treeSize"],
            octets(case["root"]),
            octets(case["leafHash"]),
            [octets(one) for one in case["proof"] or ()],
        )
    ]
    assert (len(cases), wrong) == (98, [])


def test_published_consistency(published_vectors: Read) -> None:
    """One published case accepts roots that are no hashes, because its sizes are equal; ours must be 32 bytes."""
    cases = published_vectors("audit/merkle_vectors.json")["consistency"]
    wrong = [
        case["desc"]
        for case in cases
        if case["wantErr"]
        == verify_consistency(
            case["size1"],
            case["size2"],
            octets(case["root1"]),
            octets(case["root2"]),
            [octets(one) for one in case["proof"] or ()],
        )
    ]
    assert (len(cases), wrong) == (98, ["sizes are equal (one) and proof is empty"])


@given(size=st.integers(0, 70))
def test_root_is_the_definition(size: int) -> None:
    frontier = Frontier()
    for one in HASHES[:size]:
        frontier.append(one)
    assert frontier.root() == root(HASHES[:size]) == defined_root(HASHES[:size])
    assert Frontier(size, frontier.edge).root() == frontier.root()


def test_an_odd_node_is_promoted_not_paired_with_itself() -> None:
    assert root(HASHES[:3]) != root([*HASHES[:3], HASHES[2]])  # CVE-2012-2459
    assert root([node_hash(HASHES[0], HASHES[1])]) != leaf_hash(HASHES[0] + HASHES[1])


@settings(max_examples=60)
@given(size=SIZES, data=st.data())
def test_inclusion_holds_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    hashes, proof = HASHES[:size], inclusion_proof(HASHES[:size], index)
    top = root(hashes)
    assert verify_inclusion(index, size, top, hashes[index], proof)
    assert not verify_inclusion(index, size, top, leaf_hash(b"other"), proof)
    assert not verify_inclusion(index, size, top, hashes[index], [*proof, top])
    assert not proof or not verify_inclusion(index, size, top, hashes[index], proof[:-1])
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index)) if size > 1 else -1
    assert not verify_inclusion(other, size, top, hashes[index], proof)


@settings(max_examples=60)
@given(new=SIZES, data=st.data())
def test_consistency_holds_and_nothing_else_does(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    before, after, proof = root(HASHES[:old]), root(HASHES[:new]), consistency_proof(HASHES[:new], old)
    assert verify_consistency(old, new, before, after, proof)
    assert bool(proof) == (old != new)
    assert not verify_consistency(old, new, before, after, [*proof, after])
    rewritten = root([leaf_hash(b"x"), *HASHES[1:old]])
    assert not verify_consistency(old, new, rewritten, after, proof)
    assert not proof or not verify_consistency(old, new, before, after, proof[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        (-1, 1, EMPTY_ROOT, EMPTY_ROOT, []),
        (0, 0, EMPTY_ROOT, EMPTY_ROOT, []),
        (True, 2, EMPTY_ROOT, EMPTY_ROOT, []),
        (0, 1, b"", b"", []),
        (0, 1, EMPTY_ROOT, EMPTY_ROOT, None),
        (0, 1, EMPTY_ROOT, EMPTY_ROOT, [b"short"]),
        (0, 1, EMPTY_ROOT, EMPTY_ROOT, "text"),
        (0.0, 1, EMPTY_ROOT, EMPTY_ROOT, []),
        (2**70, 2**71, EMPTY_ROOT, EMPTY_ROOT, []),
    ],
)
def test_what_is_no_proof_is_false_and_never_raises(arguments: Any) -> None:
    assert verify_inclusion(*arguments) is False
    assert verify_consistency(*arguments) is False


def test_questions_without_answer_are_refused() -> None:
    for spans, numbers in ((inclusion_spans, (3, 3)), (consistency_spans, (0, 3)), (consistency_spans, (4, 3))):
        with pytest.raises(UsageError):
            spans(*numbers)
    with pytest.raises(UsageError):
        Frontier(3, [EMPTY_ROOT])
