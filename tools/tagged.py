"""Whether the tree is what a tag says: version, changelog, and the bill of materials that goes into the wheel.

python tools/tagged.py v1.2.3
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def faults(tag: str, root: Path = ROOT) -> Iterator[str]:
    """What hinders a release under this tag."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if tag != f"v{version}":
        yield f"the tag is {tag}, pyproject.toml says {version}"
    if f'__version__ = "{version}"' not in (root / "src/wellstreak_trust/__init__.py").read_text(encoding="utf-8"):
        yield f"wellstreak_trust.__version__ is not {version}"
    heading = re.compile(rf"^## \[?{re.escape(version)}]? - \d{{4}}-\d\d-\d\d$", re.MULTILINE)
    if not heading.search((root / "CHANGELOG.md").read_text(encoding="utf-8")):
        yield f"CHANGELOG.md has no section `## {version} - <date>`"
    bill = json.loads((root / "sbom/wellstreak-trust.cdx.json").read_text(encoding="utf-8"))
    if bill["metadata"]["component"]["version"] != version:
        yield "sbom/ is of another version: python tools/sbom.py --embedded"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__)
        return 2
    found = list(faults(arguments[0]))
    print("\n".join(found) or f"{arguments[0]}: the tree is ready")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
