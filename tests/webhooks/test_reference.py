"""The manual's table is what the code does."""

from __future__ import annotations

from pathlib import Path

from wellstreak_trust import webhooks
from wellstreak_trust.webhooks.reference import page
from wellstreak_trust.webhooks.sources import SOURCES

DOCUMENT = Path(__file__).parents[2] / "docs/reference/webhook-schemes.md"


def test_the_table_is_up_to_date() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == page(), (
        "run python -m wellstreak_trust.webhooks.reference > docs/reference/webhook-schemes.md"
    )


def test_every_scheme_has_one_row() -> None:
    rows = [line.split("`")[1] for line in page().splitlines() if line.startswith("| `")]
    assert rows == webhooks.schemes()
    columns = {line.count(" | ") for line in page().splitlines() if line.startswith("|")} - {0}
    assert columns == {10}


def test_every_scheme_has_a_source() -> None:
    assert sorted(SOURCES) == webhooks.schemes()
    assert all(source.startswith("https://") for source in SOURCES.values())
