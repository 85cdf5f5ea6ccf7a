"""The guides whole, with the packages that they lead away from: blocks that the manual skips run here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs/migrations").glob("from-*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PEERS = {
    "from-casbin.md": "casbin",
    "from-django-auditlog.md": "auditlog",
    "from-limits.md": "flask_limiter",
    "from-webhook-sdks.md": "stripe",
}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_both_sides_of_a_guide_run(guide: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(guide.read_text(encoding="utf-8"))
    source = "\n".join([*blocks, f"assert {PEERS.get(guide.name, 'sys')!r} in __import__('sys').modules"])
    (tmp_path / "guide.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "guide.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_a_guide_says_all_that_a_migration_needs(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    for wanted in ("## What becomes what", "## The steps", "## What you have to decide", "**Roll back"):
        assert wanted in text


def test_every_guide_stands_in_the_overview() -> None:
    overview = (ROOT / "docs/migrations/index.md").read_text(encoding="utf-8")
    assert [guide.name for guide in GUIDES if f"({guide.name})" not in overview] == []
