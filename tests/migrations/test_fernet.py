"""A column of Fernet tokens taken over while it is written, interrupted, and taken over again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretNotFound, SecretStore

OLD, NEW = Fernet.generate_key(), Fernet.generate_key()
COLUMN = MultiFernet([Fernet(NEW), Fernet(OLD)])
VALUES = st.one_of(st.text(min_size=1, max_size=80).filter(lambda text: text.isprintable()), st.binary(max_size=80))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> KeyChain:
    return KeyChain([LocalKeyProvider.generate(Path(tmp_path_factory.mktemp("keys")) / "kek.json")])


def octets(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


@given(st.lists(st.tuples(VALUES, st.sampled_from([OLD, NEW])), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_is_what_the_column_decrypts_to(chain: KeyChain, rows: list[tuple[str | bytes, bytes]]) -> None:
    store = SecretStore(MemorySecretBackend(), chain)
    tokens = {f"row/{n}": Fernet(key).encrypt(octets(value)) for n, (value, key) in enumerate(rows)}
    assert store.import_fernet("acme", tokens, [NEW, OLD]).failed == ()
    for name, token in tokens.items():
        assert octets(store.get("acme", name).reveal()) == COLUMN.decrypt(token)


class Interrupted(Exception):
    """The process that migrates dies."""


@pytest.mark.parametrize("after", range(1, 6))
def test_a_run_that_died_is_begun_again_and_nothing_is_written_twice(chain: KeyChain, after: int) -> None:
    store = SecretStore(MemorySecretBackend(), chain)
    tokens = {f"row/{n}": Fernet(OLD).encrypt(b"value %d" % n) for n in range(5)}

    def dies(seen: int) -> None:
        if seen == after:
            raise Interrupted

    with pytest.raises(Interrupted):
        store.import_fernet("acme", tokens, [NEW, OLD], progress=dies)
    again = store.import_fernet("acme", tokens, [NEW, OLD])
    assert (len(again.imported), len(again.skipped), again.failed) == (5 - after, after, ())
    for n in range(5):
        assert store.get("acme", f"row/{n}").reveal() == f"value {n}"
        assert store.describe("acme", f"row/{n}").version == 1


def test_what_was_written_to_both_meanwhile_is_not_overwritten_by_the_older_token(chain: KeyChain) -> None:
    store = SecretStore(MemorySecretBackend(), chain)
    page = [("row/1", Fernet(OLD).encrypt(b"read before the write")), ("row/2", Fernet(OLD).encrypt(b"untouched"))]

    def meanwhile(tokens: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        for name, token in tokens:
            if name == "row/1":
                store.put("acme", name, "written after the page was read")
            yield name, token

    report = store.import_fernet("acme", meanwhile(page), [NEW, OLD])
    assert (report.imported, report.skipped) == (("row/2",), ("row/1",))
    assert store.get("acme", "row/1").reveal() == "written after the page was read"


def test_a_token_of_another_tenant_stays_with_whom_it_was_imported_for(chain: KeyChain) -> None:
    store = SecretStore(MemorySecretBackend(), chain)
    store.import_fernet("acme", {"row/1": Fernet(NEW).encrypt(b"theirs")}, [NEW])
    with pytest.raises(SecretNotFound):
        store.get("umbrella", "row/1")


def test_a_token_under_a_lost_key_is_named_and_the_others_go_on(chain: KeyChain) -> None:
    store = SecretStore(MemorySecretBackend(), chain)
    tokens = {"lost": Fernet(Fernet.generate_key()).encrypt(b"x"), "kept": Fernet(NEW).encrypt(b"y")}
    report = store.import_fernet("acme", tokens, [NEW, OLD])
    assert (report.imported, report.failed) == (("kept",), ("lost",))
