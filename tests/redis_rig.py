"""A Redis server that a test may pause, kill and start again at the same address."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from pathlib import Path

import servers

__all__ = ["Rig"]


class Rig:
    """One server process; `port` stays the same over restarts."""

    def __init__(self, folder: Path, mode: str = "", config: str = "") -> None:
        self.mode = mode
        self.config = folder / "redis.conf"
        self.config.write_text(config)
        self.binary = servers.redis_binary()
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        arguments = [str(self.config), "--port", str(self.port), "--bind", "127.0.0.1"]
        arguments += ["--sentinel"] if self.mode == "sentinel" else ["--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([self.binary, *arguments], cwd=self.folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.sendall(b"PING\r\n")
                if line.recv(5) == b"+PONG":
                    return
            assert time.monotonic() < deadline, "redis did not start"
            time.sleep(0.02)

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
