"""What every witness store must do; run it against your own.

Each check is a coroutine over a store, with origins of its own: await it, or `drive` it over a blocking store.
"""

from __future__ import annotations

from typing import Final

from ...audit.witness_store import Witnessed, WitnessStore

__all__ = ["CHECKS"]

_STATES: Final = tuple(Witnessed(size, bytes([size]) * 32, f"note — {size}\n") for size in range(4))


async def nothing_is_known_of_a_new_origin(store: WitnessStore) -> None:
    """And what is stored comes back as it was."""
    assert await store.latest("new") is None
    assert await store.swap_if("new", None, _STATES[0])
    assert await store.latest("new") == _STATES[0]
    assert await store.latest("newer") is None


async def of_two_who_saw_the_same_one_wins(store: WitnessStore) -> None:
    """The second is told, and what the first stored stands."""
    assert await store.swap_if("race", None, _STATES[1])
    assert not await store.swap_if("race", None, _STATES[2])
    assert await store.swap_if("race", _STATES[1], _STATES[3])
    assert not await store.swap_if("race", _STATES[1], _STATES[2])
    assert await store.latest("race") == _STATES[3]


async def a_state_is_all_of_its_parts(store: WitnessStore) -> None:
    """Another root, or another note, of one size is another state."""
    assert await store.swap_if("parts", None, _STATES[1])
    for other in (Witnessed(1, bytes(32), _STATES[1].note), Witnessed(1, _STATES[1].root, "note — x\n"), _STATES[0]):
        assert not await store.swap_if("parts", other, _STATES[2])
    assert await store.swap_if("parts", _STATES[1], _STATES[1])
    assert await store.latest("parts") == _STATES[1]


CHECKS: Final = (
    nothing_is_known_of_a_new_origin,
    of_two_who_saw_the_same_one_wins,
    a_state_is_all_of_its_parts,
)
