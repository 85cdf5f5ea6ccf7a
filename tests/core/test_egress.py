"""Requests to addresses that others chose: what `HttpProbe`, key fetching and the webhook sender share."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep

import pytest

from wellstreak_trust.core import SystemClock
from wellstreak_trust.core.egress import Egress, EgressFailed, is_global


@pytest.mark.asvs("1.3.6")
@pytest.mark.parametrize(
    "text",
    (
        "127.0.0.1 10.0.0.1 169.254.169.254 ::1 fe80::1%eth0 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1:: 224.0.0.1 "
        "64:ff9b:1::808:808 "
        "::7f00:1 ::ffff:0:7f00:1 fec0::1 5f00::1 3fff::1 192.88.99.1 192.0.0.8 ::ffff:192.88.99.1 "
        "ff02::1 0.0.0.0"
    ).split(),
)
def test_non_global_addresses(text: str) -> None:
    assert not is_global(text)


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_global_addresses(text: str) -> None:
    assert is_global(text)


@pytest.mark.asvs("1.3.6")
@pytest.mark.parametrize(
    "url",
    "ftp://x/ https:// https://u@h.example/ http://h.example/ https://h.example:0/ https://h.example:x/ //h/ "
    "https://é/ https://[::1 https://h.example/\x00 https://h.example/\x7f".split(" "),
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


@pytest.mark.asvs("1.2.2")
@pytest.mark.parametrize("url", ["https://h.example/a\r\nHost: evil", "https://h.example/a b", "https://h\n.example/"])
def test_urls_that_would_break_the_request_line(url: str) -> None:
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock()).send("POST", url, body=b"{}")
    assert refused.value.code == "bad_url"


def dripping(peer: socket.socket, first: bytes) -> None:
    with peer, suppress(OSError):
        peer.recv(65_536)
        peer.sendall(first)
        for _ in range(100):
            sleep(0.05)
            peer.sendall(b"a")


@pytest.mark.asvs("13.2.6")
@pytest.mark.parametrize(
    "first",
    [b"H", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"],
    ids=["status line", "header", "body"],
)
def test_a_peer_that_drips_meets_the_deadline(first: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: dripping(listening.accept()[0], first))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        began = monotonic()
        with pytest.raises(EgressFailed) as refused:
            Egress(SystemClock(), timedelta(seconds=0.4), allow_private=True).send("GET", url)
        assert refused.value.code == "timeout"
        assert monotonic() - began < 2


def test_a_peer_that_does_not_read_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        way = Egress(SystemClock(), timedelta(seconds=0.4), allow_private=True)
        with pytest.raises(EgressFailed) as refused:
            way.send("POST", url, body=b"x" * 50_000_000)
        assert refused.value.code == "timeout"


def test_a_name_server_that_does_not_answer_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: sleep(1.5))
    began = monotonic()
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock(), timedelta(seconds=0.2)).send("GET", "https://h.example/")
    assert refused.value.code == "timeout"
    assert monotonic() - began < 1.2


def test_an_answer_without_length_is_read_to_its_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 20_000)

        pool.submit(serve)
        answer = Egress(SystemClock(), allow_private=True).send(
            "GET", f"http://127.0.0.1:{listening.getsockname()[1]}/"
        )
    assert (len(answer.body), answer.complete) == (20_000, True)


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


@pytest.mark.asvs("1.3.6")
def test_one_inner_address_among_others_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443)) for text in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock()).send("GET", "https://h.example/")
    assert refused.value.code == "blocked_address"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It would resolve the name itself, and so undo the check."""
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

        pool.submit(serve)
        answer = Egress(SystemClock(), allow_private=True).send(
            "GET", f"http://127.0.0.1:{listening.getsockname()[1]}/"
        )
    assert answer.status == 204


def test_an_endless_row_of_interim_answers_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, suppress(OSError):
                peer.recv(4096)
                while True:
                    peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

        pool.submit(serve)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(EgressFailed) as refused:
            Egress(SystemClock(), timedelta(seconds=0.4), allow_private=True).send("GET", url)
        assert refused.value.code == "timeout"


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


def test_a_resolver_that_finds_nothing_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(EgressFailed) as refused:
        Egress(SystemClock()).send("GET", "https://h.example/")
    assert refused.value.code == "unreachable"
