"""The store against a dictionary: whatever the order of operations, both tell the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from wellstreak_trust.core.errors import SecretConflict, SecretDisabled, SecretNotFound, SecretShredded
from wellstreak_trust.secrets import KeyChain, LocalKeyProvider, MemorySecretBackend, SecretStore

KEYS = [LocalKeyProvider(f"k_001122334455667{number}", bytes([number]) * 64) for number in (1, 2)]
PLACES = st.tuples(st.sampled_from(("t1", "t2")), st.sampled_from(("a", "b")))
NUMBERS = st.integers(1, 4)
State = tuple[str, Any]


class Model(RuleBasedStateMachine):
    """Versions are (state, value) pairs; None stands for a value that is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = MemorySecretBackend()
        self.turn = 0
        self.known: dict[tuple[str, str], list[State]] = {}
        self.store = self.fresh()

    def fresh(self) -> SecretStore:
        return SecretStore(self.backend, KeyChain([KEYS[self.turn % 2], KEYS[(self.turn + 1) % 2]]))

    @rule(place=PLACES, value=st.one_of(st.text(max_size=5), st.binary(max_size=5)))
    def put(self, place: tuple[str, str], value: Any) -> None:
        versions = self.known.setdefault(place, [])
        versions.append(("enabled", value))
        assert self.store.put(*place, value).version == len(versions)

    @rule(place=PLACES, expected=st.integers(0, 5))
    def compare_and_set(self, place: tuple[str, str], expected: int) -> None:
        actual = len(self.known.get(place, []))
        if actual == expected:
            assert self.store.put(*place, "cas", expected_version=expected).version == actual + 1
            self.known.setdefault(place, []).append(("enabled", "cas"))
        else:
            with pytest.raises(SecretConflict):
                self.store.put(*place, "cas", expected_version=expected)

    @rule(place=PLACES, version=NUMBERS, to=st.sampled_from(("enable", "disable", "destroy")))
    def move(self, place: tuple[str, str], version: int, to: str) -> None:
        versions = self.known.get(place, [])
        expected: type[Exception] | None = None
        if version > len(versions):
            expected = SecretNotFound
        elif versions[version - 1][0] == "destroyed" and to != "destroy":
            expected = SecretShredded
        if expected is not None:
            with pytest.raises(expected):
                getattr(self.store, to)(*place, version=version)
        else:
            getattr(self.store, to)(*place, version=version)
            state = {"enable": "enabled", "disable": "disabled", "destroy": "destroyed"}[to]
            versions[version - 1] = (state, None if to == "destroy" else versions[version - 1][1])

    @rule(place=PLACES, version=NUMBERS)
    def revert(self, place: tuple[str, str], version: int) -> None:
        versions = self.known.get(place, [])
        try:
            self.store.revert(*place, version)
        except SecretNotFound:
            assert version > len(versions)
        except (SecretDisabled, SecretShredded):
            assert versions[version - 1][0] != "enabled"
        else:
            assert versions[version - 1][0] == "enabled"
            versions.append(versions[version - 1])

    @rule(retire=st.booleans(), tenant=st.sampled_from(("t1", "t2")))
    def reencrypt(self, retire: bool, tenant: str) -> None:
        assert self.store.reencrypt(tenant, retire=retire, batch=1).complete

    @rule()
    def rewrap(self) -> None:
        self.turn += 1
        self.store = self.fresh()
        assert self.store.rewrap().failed == ()

    @invariant()
    def both_tell_the_same(self) -> None:
        for place, versions in self.known.items():
            history = self.store.versions(*place)
            assert [found.state for found in history] == [state for state, _ in versions]
            assert [found.current for found in history] == [False] * (len(versions) - 1) + [True]
            for number, (state, value) in enumerate(versions, 1):
                try:
                    assert self.store.get(*place, version=number).reveal() == value
                except (SecretDisabled, SecretShredded):
                    assert state != "enabled"
                else:
                    assert state == "enabled"
        assert self.store.verify().sound


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
