"""The page on a loopback port, behind the guard, and how a browser is set to look at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import flask
from furnished import Furnished
from waitress.server import create_server

from wellstreak_trust.adapters.flask import TrustExtension, assert_all_routes_declared
from wellstreak_trust.adapters.pages.flask import operator_page


@contextmanager
def serving(held: Furnished) -> Iterator[str]:
    """The base URL of the page."""
    app = flask.Flask(__name__, static_folder=None)
    TrustExtension(held.trust, app)
    app.register_blueprint(operator_page(held.console), url_prefix="/operators")
    assert_all_routes_declared(app)
    server = create_server(app, host="127.0.0.1", port=0, threads=4, clear_untrusted_proxy_headers=True)

    def run() -> None:
        with suppress(OSError):  # closing the trigger wakes the loop with a bad descriptor
            server.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}/operators/"
    finally:
        server.close()
        thread.join(5)


def sized(driver: Any, width: int, height: int = 900, *, dark: bool = False) -> None:
    """A viewport of exactly that many CSS pixels, in one of the two colour schemes."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def sign_in(driver: Any, url: str, cookie: str) -> None:
    """Gives the browser a session."""
    driver.get(url)
    name, _, value = cookie.partition("=")
    driver.add_cookie({"name": name, "value": value, "path": "/"})
