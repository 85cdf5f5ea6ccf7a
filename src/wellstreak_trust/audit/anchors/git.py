"""Checkpoints as commits: each names the one before, and every clone holds them all.

Made of plumbing commands, so that neither the index nor the working tree is touched and a bare repository serves: a
blob, a tree that replaces one file, a commit on top of the branch, and a swap of the branch that fails if somebody
else moved it meanwhile.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from ...core.errors import AuditUnavailable, ConfigurationError
from ..checkpoint import Checkpoint
from .base import Anchor

__all__ = ["GitAnchor"]

_IDENTITY: Final = ("-c", "user.name=audit", "-c", "user.email=audit@localhost", "-c", "commit.gpgSign=false")
_NOWHERE: Final = "0" * 40
_SECONDS: Final = timedelta(seconds=1)


class GitAnchor(Anchor):
    """Commits each note to a branch of a local repository, and pushes it if told where.

    Args:
        repository: an existing repository, bare or not.
        branch: of its own: every file on it is a checkpoint.
        remote: a configured remote to push to; who holds only this machine cannot take back what was pushed there, if
            the remote refuses forced pushes.
        timeout: for each git command.

    Raises:
        ConfigurationError: there is no `git` to run.
    """

    def __init__(
        self,
        repository: str | os.PathLike[str],
        *,
        branch: str = "audit-checkpoints",
        remote: str | None = None,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        super().__init__()
        program = shutil.which("git")
        if program is None:
            raise ConfigurationError("there is no git on PATH", hint="install git", reason="audit_anchor")
        self._program: str = program
        self._repository: Path = Path(repository)
        self._ref: str = f"refs/heads/{branch}"
        self._remote: str | None = remote
        self._timeout: float = timeout / _SECONDS

    async def alatest(self, origin: str, /) -> str | None:
        """The note of an origin at the end of the branch."""
        tip = self._tip()
        if tip is None or _name(origin) not in self._entries(tip):
            return None
        return self._git("cat-file", "blob", f"{tip}:{_name(origin)}").decode()

    async def _keep(self, found: Checkpoint, note: str) -> None:
        tip = self._tip()
        entries = self._entries(tip) if tip is not None else {}
        entries[_name(found.origin)] = self._git("hash-object", "-w", "--stdin", given=note.encode()).decode().strip()
        listed = "".join(f"100644 blob {blob}\t{name}\n" for name, blob in sorted(entries.items()))
        tree = self._git("mktree", given=listed.encode()).decode().strip()
        parent = ("-p", tip) if tip is not None else ()
        message = f"{found.origin}: {found.size} entries"
        commit = self._git(*_IDENTITY, "commit-tree", tree, *parent, "-m", message).decode().strip()
        self._git("update-ref", self._ref, commit, tip or _NOWHERE)
        if self._remote is not None:
            self._git("push", "--quiet", self._remote, self._ref)

    def _tip(self) -> str | None:
        found = self._git("for-each-ref", "--format=%(objectname)", self._ref).decode().strip()
        return found or None

    def _entries(self, tip: str) -> dict[str, str]:
        lines = self._git("ls-tree", tip).decode().splitlines()
        return {line.partition("\t")[2]: line.split()[2] for line in lines}

    def _git(self, *words: str, given: bytes = b"") -> bytes:
        command = [self._program, "-C", str(self._repository), *words]
        done = subprocess.run(command, input=given, capture_output=True, timeout=self._timeout)  # noqa: S603  no shell, a resolved program, and words of ours
        if done.returncode:
            raise AuditUnavailable(f"git {words[-1] if words[0] == '-c' else words[0]}: exit {done.returncode}")
        return done.stdout


def _name(origin: str) -> str:
    """A file name that no origin can steer."""
    return f"{sha256(origin.encode()).hexdigest()[:32]}.checkpoint"
