"""No tracked file records where an artifact lies, an index address or a path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath

LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock"}
HOSTS = "|".join(f"{name}\\.org" for name in ("py" + "pi", "python" + "hosted", "registry\\.npm" + "js"))
ADDRESS = re.compile(
    rf"--(?:extra-)?index-url|--find[-]links|index-url\s*=|https?://[^\s\"')]+/simple/?\b|/packages/[0-9a-f]{{2}}/|{HOSTS}"
)
HOME = re.compile(r"(?<![\w.:/])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*|work)/")


def faults(name: str, text: str) -> Iterator[str]:
    """What a tracked file of this name and text should not say."""
    if PurePath(name).name in LOCKS or PurePath(name).name.startswith("pylock"):
        yield f"{name}: records artifact locations"
        return
    for number, line in enumerate(text.splitlines(), 1):
        for rule in (ADDRESS, HOME):
            if found := rule.search(line):
                yield f"{name}:{number}: {found[0]}"


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout.split("\0")
    found = [
        fault
        for name in filter(None, listed)
        if Path(name).is_file() and name != "tools/tracked.py"  # which spells the patterns out
        for fault in faults(name, Path(name).read_text(encoding="utf-8", errors="replace"))
    ]
    print("\n".join(found) or "tracked files: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
