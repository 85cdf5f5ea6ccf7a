"""Key-encryption keys: files, environment, the chain."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from wellstreak_trust.core import ConfigurationError, Secret
from wellstreak_trust.core.errors import EnvelopeUnsupported, KeyUnknown, SecretTampered
from wellstreak_trust.secrets import EnvKeyProvider, KeyChain, KeyContext, LocalKeyProvider

CONTEXT = KeyContext("store", "t1", 1)
KEY = bytes(range(64))
BARE = base64.b64encode(KEY).decode()


def test_a_key_file_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "kek.json"
    old = os.umask(0)
    try:
        made = LocalKeyProvider.generate(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    document = json.loads(path.read_text())
    assert sorted(document) == ["created_at", "format", "id", "key"]
    assert made.uri == f"local:{document['id']}"
    before = path.read_bytes()
    with pytest.raises(ConfigurationError) as caught:
        LocalKeyProvider.generate(path)
    assert caught.value.reason == "kek"
    assert path.read_bytes() == before
    read = LocalKeyProvider.from_file(path)
    assert read.uri == made.uri
    assert read.unwrap(made.wrap(KEY, CONTEXT), CONTEXT) == KEY
    assert read.status().state == "ready"
    assert document["key"] not in repr(read)


def test_generate_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError):
        LocalKeyProvider.generate(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kek.json"
    LocalKeyProvider.generate(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        LocalKeyProvider.from_file(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("fifo", "folder", "missing"):
        with pytest.raises(ConfigurationError):
            LocalKeyProvider.from_file(tmp_path / name)


GOOD = {"format": "wellstreak-trust/kek/v1", "id": "k_0011223344556677", "created_at": "x", "key": BARE}


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "null", "[" * 100_000, "\xff", "{" * 5_000, BARE),
        json.dumps({**GOOD, "format": "wellstreak-trust/kek/v2"}),
        json.dumps({**GOOD, "extra": 1}),
        json.dumps({**GOOD, "id": "k_0011"}),
        json.dumps({**GOOD, "id": ["k_0011223344556677"]}),
        json.dumps({**GOOD, "key": BARE[:-4]}),
        json.dumps({**GOOD, "key": BARE + "\n"}),
        json.dumps({**GOOD, "key": BARE.replace("+", "-").replace("=", "")}),
        json.dumps({**GOOD, "key": 7}),
        json.dumps({**GOOD, "key": None}),
    ],
)
def test_other_documents_are_refused_without_their_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kek.json"
    path.touch(0o600)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError) as caught:
        LocalKeyProvider.from_file(path)
    assert BARE[:12] not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


def test_the_environment_takes_a_document_or_a_bare_key(monkeypatch: pytest.MonkeyPatch) -> None:
    document = EnvKeyProvider(json.dumps(GOOD))
    bare = EnvKeyProvider(Secret(BARE + "\n"))
    assert document.uri == "local:k_0011223344556677"
    assert bare.uri == EnvKeyProvider(BARE).uri != document.uri
    assert bare.unwrap(document.wrap(KEY, CONTEXT), CONTEXT) == KEY
    monkeypatch.setenv("WT_TEST_KEK", json.dumps(GOOD))
    assert EnvKeyProvider.from_env("WT_TEST_KEK", os.environ).uri == document.uri
    monkeypatch.delenv("WT_TEST_KEK")
    with pytest.raises(ConfigurationError, match="WT_TEST_KEK"):
        EnvKeyProvider.from_env("WT_TEST_KEK", os.environ)


@pytest.mark.parametrize("text", ["", "changeme", "x" * 88, BARE[:-4], base64.b64encode(bytes(32)).decode()])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        EnvKeyProvider(text)


def test_a_wrapped_key_is_bound_to_its_context() -> None:
    provider = EnvKeyProvider(BARE)
    blob = provider.wrap(KEY, CONTEXT)
    for other in (KeyContext("store2", "t1", 1), KeyContext("store", "t2", 1), KeyContext("store", "t1", 2)):
        with pytest.raises(SecretTampered):
            provider.unwrap(blob, other)
    with pytest.raises(EnvelopeUnsupported):
        provider.unwrap(b"junk", CONTEXT)


def test_the_chain_routes_and_never_tries() -> None:
    active, older = EnvKeyProvider(BARE), EnvKeyProvider(json.dumps(GOOD))
    chain = KeyChain([active, older])
    assert chain.active is active
    assert chain.route(older.uri) is older
    assert [status.uri for status in chain.status()] == [active.uri, older.uri]
    with pytest.raises(KeyUnknown):
        chain.route("local:k_ffffffffffffffff")
    wrong: Any
    for wrong in ([], [active, active]):
        with pytest.raises(ConfigurationError):
            KeyChain(wrong)
