"""What the tests of the policy engine share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from wellstreak_trust.authz import Policy
from wellstreak_trust.core import Principal


@pytest.fixture
def principal() -> Callable[[dict[str, Any] | None], Principal | None]:
    """A subject as the vectors write it; may raise what `Principal` raises for impossible ones."""

    def make(fields: dict[str, Any] | None) -> Principal | None:
        if fields is None:
            return None
        given = dict(fields)
        if isinstance(given.get("actor"), str):
            given["actor"] = Principal(given["actor"])
        return Principal(**given)

    return make


@pytest.fixture
def edited() -> Callable[[dict[str, Any], list[list[Any]]], dict[str, Any]]:
    """A copy of a document with values set at paths."""

    def edit(document: dict[str, Any], changes: list[list[Any]]) -> dict[str, Any]:
        found = copy.deepcopy(document)
        for path, value in changes:
            place = found
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
        return found

    return edit


@pytest.fixture
def sole() -> Callable[..., Policy]:
    """A policy with one permission, one role and one grant under a condition."""

    def make(when: str, **sections: Any) -> Policy:
        return Policy.build(
            permissions=["d:x"], roles={"m": [{"permission": "d:x", "when": when}]}, **{**DECLARED, **sections}
        )

    return make


DECLARED: dict[str, Any] = {
    "resources": {
        "d": {"attributes": {"s": "string?", "u": "string?", "i": "int?", "j": "int?", "b": "bool?", "f": "bool?",
                             "t": "strings?"}}
    },
    "principal": {"attributes": {"s": "string?", "i": "int?", "t": "strings?"}},
    "context": {"attributes": {"b": "bool?", "s": "string?"}},
}  # fmt: skip
