"""The page that promises formats names every domain and prefix that the code has, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from wellstreak_trust.storage.sql.schema import MIGRATIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/stability.md").read_text(encoding="utf-8")
SOURCE = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
DOMAIN = re.compile(r"wellstreak-trust/[a-z-]+/v\d+")
PREFIX = re.compile(r"(?:TokenFormat\(|(?:PREFIX|_TEXT): Final = |f)\"(ws[a-z]+\d?[_.][a-z_]*)")


def test_every_domain_is_promised_and_none_is_made_up() -> None:
    used = {found for text in SOURCE.values() for found in DOMAIN.findall(text)}
    assert len(used) >= 12
    assert set(DOMAIN.findall(PAGE)) == used


def test_every_prefix_is_promised() -> None:
    used = {found for text in SOURCE.values() for found in PREFIX.findall(text)}
    assert {"wss_", "wst_", "wsr_", "wsn_", "wsk_live_", "wst1.", "wsj1."} <= used
    assert [prefix for prefix in sorted(used) if f"`{prefix}`" not in PAGE] == []


def test_the_schema_version_is_stated() -> None:
    assert f"| database schema | {MIGRATIONS[-1].version} | 1 to {MIGRATIONS[-1].version} |" in PAGE
