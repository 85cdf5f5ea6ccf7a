"""`HttpProbe` against a real server that misbehaves."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from local_http import Quiet, serving
from wellstreak_trust.connections import HttpProbe, ProbeContext, ProbeResult
from wellstreak_trust.core import ConfigurationError, Secret, SystemClock, drive

HITS: list[tuple[str, str]] = []


class Handler(Quiet):
    def do_GET(self) -> None:
        HITS.append((self.path, self.headers.get("Authorization", "")))
        answer = getattr(self, f"on_{self.path.strip('/').replace('-', '_')}", None)
        if answer is not None:
            answer()
            return
        status = int(self.path.strip("/"))
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "7")
        if 300 <= status < 400:
            self.send_header("Location", "/target")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def on_hang(self) -> None:
        time.sleep(1)

    def on_drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(20):
            try:
                self.wfile.write(b"x")
                self.wfile.flush()
            except OSError:
                return
            time.sleep(0.05)

    def on_garbage(self) -> None:
        self.wfile.write(b"not http at all\r\n\r\n")
        self.close_connection = True

    def on_drop(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"


def ask(url: str, **fields: Any) -> ProbeResult:
    probe = HttpProbe("auth", url, **{"timeout": timedelta(seconds=0.3), "allow_private": True, **fields})
    context = ProbeContext("t1", "telegram", MappingProxyType({}), Secret("tok"), 1, SystemClock())
    return drive(probe.run(context))


@pytest.mark.parametrize(
    ("path", "outcome", "code"),
    [
        ("200", "ok", "ok"),
        ("204", "ok", "ok"),
        ("401", "fail", "unauthorized"),
        ("403", "fail", "forbidden"),
        ("404", "fail", "bad_response"),
        ("429", "fail", "rate_limited"),
        ("302", "fail", "redirected"),
        ("500", "fail", "server_error"),
        ("503", "fail", "server_error"),
        ("hang", "fail", "timeout"),
        ("drip", "fail", "timeout"),
        ("garbage", "fail", "bad_response"),
    ],
)
def test_answers(server: str, path: str, outcome: str, code: str) -> None:
    result = ask(f"{server}/{path}")
    assert (result.outcome, result.code) == (outcome, code)
    assert "tok" not in repr(result)
    if path == "429":
        assert result.retry_after == timedelta(seconds=7)


@pytest.mark.asvs("15.3.2")
def test_the_credential_is_sent_once_and_never_to_a_redirect(server: str) -> None:
    HITS.clear()
    ask(f"{server}/302")
    assert HITS == [("/302", "Bearer tok")]
    ask(f"{server}/200", header="")
    assert HITS[-1] == ("/200", "")


def test_nobody_there_and_dropped(server: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}/").code == "unreachable"
    assert ask(f"{server}/drop").code in ("unreachable", "bad_response")
    assert ask("https://localhost:1/", header="").code == "unreachable"


def test_tls_to_a_plain_server(server: str) -> None:
    assert ask(server.replace("http://", "https://") + "/200").code in ("tls", "timeout")


def test_private_addresses_are_refused_without_a_connection(server: str) -> None:
    HITS.clear()
    result = ask(server.replace("http://127.0.0.1", "https://localhost") + "/200", allow_private=False)
    assert result.code == "blocked_address"
    assert HITS == []


@pytest.mark.parametrize("url", ["ftp://x/", "https://", "https://u@h/", "http://example.com/"])
def test_urls_are_checked_when_built(url: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpProbe("auth", url)
