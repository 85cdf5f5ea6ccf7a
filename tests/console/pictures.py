"""Pictures of every section, for people to look at: ``python tests/console/pictures.py FOLDER``."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from furnished import Furnished
from serving import serving, sign_in, sized
from test_browser import PAGES

import servers

_TALLEST = 2_600


def taken(driver: Any, width: int) -> bytes:
    """The whole page, not only what the window shows."""
    height = min(driver.execute_script("return document.documentElement.scrollHeight"), _TALLEST)
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    return base64.b64decode(shot["data"])


def main(folder: Path) -> None:
    """Light and dark, on a desk and on a phone."""
    held = Furnished(Path(mkdtemp()) / "kek.json")
    with serving(held) as url, servers.browser() as driver:
        sign_in(driver, url, held.cookie("u_root", "super_admin"))
        for width, dark in ((1280, False), (1280, True), (360, False), (360, True)):
            sized(driver, width, dark=dark)
            for target in PAGES:
                driver.get(url + target)
                place = re.sub(r"\W+", "-", target) or "overview"
                name = f"{place}-{width}{'-dark' if dark else ''}.png"
                (folder / name).write_bytes(taken(driver, width))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
