"""Each planted weakness is found, by the attack that is meant for it, and by nothing else."""

from __future__ import annotations

import pytest
from notes import Notes
from plants import PLANTS, Jwts

from wellstreak_trust.testing.attacker import ATTACKS

BASES = {"jwts", "own-sessions"}  # sound hosts that others build upon


@pytest.mark.parametrize("way", ["on_flask", "on_fastapi"])
def test_the_sound_host_stands(way: str) -> None:
    report = getattr(Notes(), way)().run()
    assert report, report.to_text()
    assert report.unproven == {}
    assert [item for item in report.tried if item.outcome == "unclear"] == []
    report.raise_if_any()


@pytest.mark.parametrize("name", sorted(BASES))
def test_what_the_plants_build_upon_is_sound(name: str) -> None:
    report = PLANTS[name]().attack().run()
    assert report, report.to_text()


@pytest.mark.parametrize("name", sorted(set(PLANTS) - BASES))
def test_a_plant_is_found(name: str) -> None:
    planted = PLANTS[name]
    report = planted().attack().run()
    assert {finding.attack.id for finding in report.findings} == {planted.finds}, report.to_text()
    if planted.place:
        assert [finding.place for finding in report.findings] == [planted.place]
    with pytest.raises(AssertionError, match=planted.finds):
        report.raise_if_any()


def test_every_attack_has_a_plant() -> None:
    assert {attack.id for attack in ATTACKS} == {planted.finds for planted in PLANTS.values()}


def test_a_sound_token_is_forged_by_nobody() -> None:
    report = Jwts().attack().run()
    assert sum(item.tries for item in report.tried if item.attack == "tokens.forged") >= 30
