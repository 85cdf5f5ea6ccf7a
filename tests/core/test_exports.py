"""The package root: lazy, complete, honest about unknown names."""

from __future__ import annotations

import pytest

import wellstreak_trust


def test_every_exported_name_resolves() -> None:
    for name in wellstreak_trust.__all__:
        assert getattr(wellstreak_trust, name) is not None
    assert set(wellstreak_trust.__all__) <= set(dir(wellstreak_trust))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nope"):
        wellstreak_trust.nope  # noqa: B018  the look-up itself is the test
