"""Requests to addresses that others chose: what `HttpProbe`, key fetching and the webhook sender share."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest

from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.egress import Egress, EgressFailed, is_global


@pytest.mark.parametrize(
    "text",
    (
        "127.0.0.1 10.0.0.1 169.254.169.254 ::1 fe80::1%eth0 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1:: 224.0.0.1 "
        "64:ff9b:1::808:808 "
        "ff02::1 0.0.0.0"
    ).split(),
)
def test_non_global_addresses(text: str) -> None:
    assert not is_global(text)


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_global_addresses(text: str) -> None:
    assert is_global(text)


@pytest.mark.parametrize(
    "url",
    "ftp://x/ https:// https://u@h.example/ http://h.example/ https://h.example:0/ https://h.example:x/ //h/ "
    "https://é/ https://[::1".split(),
)
def test_urls_that_are_never_asked(url: str) -> None:
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock()).send("GET", url)
    assert refused.value.code == "bad_url"


def test_a_name_that_no_resolver_takes() -> None:
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock()).send("GET", f"https://{'a' * 64}.example/")
    assert refused.value.code == "bad_url"


def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock()).send("GET", "https://h.example/")
    assert refused.value.code == "unreachable"


def test_a_connection_that_stays_open_is_read_to_the_end_of_the_body() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> bytes:
            peer, _ = listening.accept()
            with peer:
                asked = peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                peer.recv(1)  # open until the other side closes
            return asked

        asked = pool.submit(serve)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        answer = Egress(SystemClock(), allow_private=True).send("GET", url)
        assert asked.result().startswith(b"GET / HTTP/1.1\r\n")
    assert (answer.status, answer.body) == (200, b"hi")


def test_a_header_that_drips_ends_at_the_deadline() -> None:
    """Each byte resets a timeout of single reads; the deadline of the whole exchange it does not."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> int:
            peer, _ = listening.accept()
            sent = 0
            with peer, suppress(OSError):
                peer.recv(4096)
                for octet in b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 500:
                    peer.sendall(bytes([octet]))
                    sent += 1
                    time.sleep(0.02)
            return sent

        dripped = pool.submit(serve)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(EgressFailed) as refused:
            Egress(SystemClock(), timedelta(seconds=0.2), allow_private=True).send("GET", url)
        assert refused.value.code == "timeout"
        assert dripped.result() < 200


@pytest.mark.parametrize("order", [("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")])
def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]) -> None:
    """A name with two addresses, where nobody listens at one of them."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        pool.submit(serve)
        port = listening.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in order]
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: found if host == "two" else real(host, *a, **k)
        )
        answer = Egress(SystemClock(), allow_private=True).send("GET", f"http://two:{port}/")
    assert answer.body == b"hi"


def test_no_time_at_all_is_a_timeout() -> None:
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock(), timedelta(0), allow_private=True).send("GET", "http://127.0.0.1:1/")
    assert refused.value.code == "timeout"
