"""No tracked file records where an artifact lies, an index address or a path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock"}
ADDRESS = re.compile(
    r"--(?:extra-)?index-url|--find-links|https?://[^\s\"')]+/simple/?\b|" + "|".join(
        f"{a}\\.{b}" for a, b in (("py" + "pi", "org"), ("python" + "hosted", "org"), ("registry\\.npm" + "js", "org"))
    )
)  # fmt: skip
HOME = re.compile(r"(?<![\w.:/])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*|work)/")


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout.split("\0")
    found = []
    for name in filter(None, listed):
        path = Path(name)
        if path.name in LOCKS or path.name.startswith("pylock"):
            found.append(f"{name}: records artifact locations")
        elif path.is_file() and name != "tools/tracked.py":
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}: {rule.search(text)[0]}" for rule in (ADDRESS, HOME) if rule.search(text)]
    print("\n".join(found) or "tracked files: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
