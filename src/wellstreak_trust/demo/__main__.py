"""``python -m wellstreak_trust.demo``: FRAMEWORK=fastapi|flask|django, SERVE=1 to leave it running."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from wellstreak_trust.testing.op import OpenIdProvider

from .host import PASSWORD, Outside, Paths, prepare
from .server import FRAMEWORKS, provider, serving
from .story import Story
from .table import show


def main() -> int:
    """Plays the story; 0 if every control answered as it must."""
    framework = os.environ.get("FRAMEWORK") or "fastapi"
    if framework not in FRAMEWORKS:
        print(f"FRAMEWORK is one of {', '.join(FRAMEWORKS)}", file=sys.stderr)
        return 2
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="wellstreak-demo-") as folder,
        provider() as messenger,
        OpenIdProvider(alg="ES256") as op,
    ):
        paths = Paths(Path(folder))
        prepare(paths)
        with serving(framework, paths, Outside(messenger, op.issuer, op.client_secret)) as (url, host):
            steps = list(Story(url, host, paths, op).play())
            show(steps, f"wellstreak_trust on {framework}, over HTTP at {url}")
            differs = [step for step in steps if not step.held]
            print(f"{len(steps) - len(differs)} held, {len(differs)} differ, {time.monotonic() - begun:.1f} s")
            if os.environ.get("SERVE", "") not in ("", "0"):
                _explore(url)
    return 1 if differs else 0


def _explore(url: str) -> None:
    print(f"""
Still serving at {url} (Ctrl-C ends it). For example:

  curl -i -c jar -H 'Content-Type: application/json' \\
       -d '{{"email": "ada@example.com", "password": "{PASSWORD}"}}' {url}/signin
  curl -i -b jar {url}/w/acme/          # ada's workspace
  curl -i -b jar {url}/w/evil/          # somebody else's: not found
  curl -i -b jar {url}/operators/       # the operator page: not for ada; sign in as root@example.com
  curl -i -b jar -X PUT -H 'Origin: https://evil.example' {url}/w/acme/ai

In a browser, {url}/login signs ada in with her provider.""")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("bye")


if __name__ == "__main__":
    sys.exit(main())
