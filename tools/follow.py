#!/usr/bin/env python3
"""Follows the tutorial as a reader does: a new folder, a new environment, every file and every command, word by word.

Needs python3, bash, curl and a package index. What a page shows is what is run: a block whose first line is
``# name.py`` (or ``.toml``) becomes that file, and each ``$`` line of a console block is a command whose output must be
the lines below it. ``...`` stands for text that differs each time, and for any number of lines where it has a line of
its own. A command that starts the server runs beside the others until the next one or the end of its page; where output
is shown below it, the start must be refused with it. Blocks without a file's name are the test suite's.

Exit status 0: all of it holds, and a protected route answered in time. 1: something differs. 2: cannot look.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = sorted((ROOT / "docs/tutorial").glob("[1-9]-*.md"))
BUDGET: Final = 300.0  # seconds from the empty folder to the answer of a protected route
PATIENCE: Final = 60.0  # seconds for one command
PORT: Final = 8000

_FENCE: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME: Final = re.compile(r"# ([\w./-]+\.(?:py|toml))")
_MARK: Final = "--- the command above ended with"


@dataclass(frozen=True)
class File:
    """A block that the reader saves."""

    name: str
    text: str


@dataclass
class Command:
    """A line that the reader types, and what the page says it prints."""

    line: str
    shown: list[str] = field(default_factory=list)

    @property
    def serves(self) -> bool:
        return "uvicorn " in self.line and "pip install" not in self.line

    @property
    def installs(self) -> bool:
        return "pip install" in self.line


class Differs(Exception):
    """What happened is not what the page says."""


def steps(text: str) -> Iterator[File | Command]:
    """Files and commands of a page, in its order."""
    for kind, body in _FENCE.findall(text):
        first = body.split("\n", 1)[0]
        if kind == "console":
            yield from commands(body)
        elif kind in ("python", "toml") and (named := _NAME.fullmatch(first)):
            yield File(named[1], body)


def commands(block: str) -> list[Command]:
    """The commands of a console block; raises `ValueError` for output above the first one."""
    found: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found:
            found[-1].shown.append(line)
        else:
            raise ValueError(f"output without a command: {line!r}")
    return found


def agrees(shown: list[str], got: list[str]) -> bool:
    """Whether the output is the one that is shown."""
    lines = [r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*?") + r"\n" for line in shown]
    return re.fullmatch("".join(lines), "".join(line.rstrip() + "\n" for line in got)) is not None


class Shell:
    """One shell, in which variables and functions stay; and the server beside it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder: str = str(folder)
        self._port = port
        self._exports: list[str] = []
        self._said: str = ""
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WELLSTREAK"))}
        self._env |= {"NO_COLOR": "1", "COLUMNS": "200", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        self._bash = self._start("exec bash --noprofile --norc", stdin=subprocess.PIPE)
        self._server: subprocess.Popen[str] | None = None

    def _start(self, line: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        where = {"cwd": self.folder, "env": self._env, "start_new_session": True, "text": True}
        return subprocess.Popen(["bash", "-c", line], stdin=stdin, stdout=-1, stderr=subprocess.STDOUT, **where)

    def ported(self, text: str) -> str:
        """Text with the port that is free here."""
        return re.sub(rf"\b{PORT}\b", str(self._port), text)

    def run(self, command: Command) -> None:
        """Types a command and compares what comes back."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{self.ported(command.line)}\nprintf '\\n%s %s %s\\n' '{_MARK}' $? \"$PWD\"\n")
        self._bash.stdin.flush()
        if command.line.startswith("export "):
            self._exports.append(command.line)  # what a page exports, it exports in both terminals
        got: list[str] = []
        watch = Timer(PATIENCE, os.killpg, (self._bash.pid, signal.SIGKILL))
        watch.start()
        try:
            while not (line := self._bash.stdout.readline()).startswith(_MARK):
                if not line:
                    raise Differs(f"$ {command.line}\nthe shell ended, at the latest after {PATIENCE:.0f} s")
                got.append(line.rstrip("\n"))
        finally:
            watch.cancel()
        while got and not got[-1]:
            got.pop()
        status, self.folder = line.removeprefix(_MARK).rstrip("\n").split(" ", 2)[1:]
        compare(command, got, failed=status != "0")

    def serve(self, command: Command) -> None:
        """Starts the server; where output is shown, waits for it to refuse."""
        self.stop()
        self._server = self._start("; ".join([*self._exports, f"exec {self.ported(command.line)}"]))
        if command.shown:
            try:
                got, _ = self._server.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                raise Differs(f"$ {command.line}\nwas to be refused, and runs") from None
            if self._server.returncode == 0:
                raise Differs(f"$ {command.line}\nwas to be refused, and ended well")
            return compare(command, got.splitlines(), failed=True)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._server.poll() is None:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return None
            time.sleep(0.05)
        self.stop()
        raise Differs(f"$ {command.line}\nno server answers:\n{self._said}")

    def stop(self) -> None:
        """Ends the server."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._server.pid, signal.SIGKILL)
                self._server.wait()
        if self._server is not None and self._server.stdout is not None:
            self._said = self._server.stdout.read() if not self._server.stdout.closed else self._said
            self._server.stdout.close()

    def close(self) -> None:
        """Ends both."""
        self.stop()
        try:
            self._bash.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._bash.pid, signal.SIGKILL)
            self._bash.communicate()


def compare(command: Command, got: list[str], *, failed: bool) -> None:
    """Raises `Differs` for another output; a command that shows none has to succeed."""
    if command.shown and not agrees(command.shown, got):
        shown, said = "\n".join(command.shown), "\n".join(got)
        raise Differs(f"$ {command.line}\n--- shown\n{shown}\n--- got\n{said}")
    if failed and not command.shown:
        raise Differs(f"$ {command.line}\nfailed:\n" + "\n".join(got))


def install(folder: str) -> None:
    """What ``pip install`` does for a reader, from the pinned requirements and the wheel of this very tree."""
    command = [str(ROOT / "tools/install"), f"{folder}/.venv/bin/python", "requirements/demo.txt"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PROJECT": "."}, capture_output=True, text=True)
    if done.returncode != 0:
        raise Differs(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")


def follow(page: Path, shell: Shell) -> int:
    """Does all that a page says; returns how many commands it typed."""
    typed = 0
    for step in steps(page.read_text(encoding="utf-8")):
        if isinstance(step, File):
            Path(shell.folder, step.name).write_text(shell.ported(step.text), encoding="utf-8")
            continue
        typed += 1
        if step.installs:
            install(shell.folder)
        elif step.serves:
            shell.serve(step)
        else:
            shell.run(step)
    shell.stop()
    return typed


def free_port(wanted: int = PORT) -> int:
    """The tutorial's port, or another one where that is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def main() -> int:
    missing = [tool for tool in ("bash", "curl") if shutil.which(tool) is None]
    if missing or not PAGES:
        print(f"cannot look: {', '.join(missing) or 'no pages'} missing")
        return 2
    folder, begun, status = Path(tempfile.mkdtemp(prefix="follow-")), time.monotonic(), 0
    shell = Shell(folder, free_port())
    try:
        for number, page in enumerate(PAGES, 1):
            typed = follow(page, shell)
            spent = time.monotonic() - begun
            print(f"{page.name}: {typed} commands, {spent:.0f} s after the empty folder", flush=True)
            if number == 1 and spent > BUDGET:
                raise Differs(f"a protected route answered after {spent:.0f} s; {BUDGET:.0f} s are promised")
    except (Differs, ValueError) as error:
        print(f"{page.name} is not what happens:\n{error}")
        status = 1
    finally:
        shell.close()
        shutil.rmtree(folder, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
