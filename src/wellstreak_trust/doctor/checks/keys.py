"""Key files on the disk."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from ..case import Case, Check, Hit
from .sql import sqlite_files

__all__ = ["CHECKS"]

_SETTINGS: Final = ("kek_file", "audit_key_file", "audit_personal_key_file")
_SERVED: Final = frozenset(("static", "public", "www", "htdocs", "public_html", "media", "webroot", "staticfiles"))
_OLD: Final = timedelta(days=366)
_LONGEST: Final = 65_536


def _files(case: Case) -> Iterator[tuple[str, Path]]:
    """The key files that are there, by setting; none where files have no owner and no mode (Windows)."""
    if not hasattr(os, "geteuid"):
        return
    for name in _SETTINGS:
        path = getattr(case.settings, name, None)
        if path is not None and path.is_file():
            yield name, path


def _readable(case: Case) -> Iterator[Hit]:
    for name, path in _files(case):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077 and name != "kek_file":  # of which start-up refuses that
            yield Hit(f"settings.{name}", f"{path.name} has mode {mode:04o}", f"chmod 600 {path}", name)


def _replaceable(case: Case) -> Iterator[Hit]:
    for name, path in _files(case):
        folder = path.parent.stat().st_mode
        if folder & 0o022 and not folder & stat.S_ISVTX:
            what = f"the folder of {path.name} has mode {stat.S_IMODE(folder):04o}"
            yield Hit(f"settings.{name}", what, f"chmod 700 {path.parent}", name)


def _owner(case: Case) -> Iterator[Hit]:
    for name, path in _files(case):
        owner = path.stat().st_uid
        if owner not in (os.geteuid(), 0):
            yield Hit(f"settings.{name}", f"{path.name} belongs to the user {owner}", setting=name)


def _repository(case: Case) -> Iterator[Hit]:
    for name, path in _files(case):
        if any((folder / ".git").exists() for folder in path.resolve().parents):
            yield Hit(f"settings.{name}", f"{path.name} lies inside a repository", setting=name)


def _served(case: Case) -> Iterator[Hit]:
    for name, path in _files(case):
        folders = _SERVED & {folder.name.lower() for folder in path.resolve().parents}
        if folders:
            what = f"{path.name} lies in a folder called {min(folders)}"
            yield Hit(f"settings.{name}", what, setting=name)


def _beside(case: Case) -> Iterator[Hit]:
    folders = {file.resolve().parent for _, file in sqlite_files(case)}
    for name, path in _files(case):
        if path.resolve().parent in folders:
            yield Hit(f"settings.{name}", f"{path.name} lies beside the database", setting=name)


def _reused(case: Case) -> Iterator[Hit]:
    first: dict[bytes, str] = {}
    for name, path in _files(case):
        other = first.setdefault(_content(path), name)
        if other != name:
            yield Hit(f"settings.{name}", f"{name} and {other} are one key", setting=name)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError:
        return os.fsencode(path)  # what cannot be read is told by start-up


def _old(case: Case) -> Iterator[Hit]:
    path = case.settings.kek_file if case.settings is not None else None
    if path is None:
        return
    made = _made(path)
    if made is not None and case.now - made > _OLD:
        yield Hit("settings.kek_file", f"the key was made on {made:%Y-%m-%d}", setting="kek_file")


def _made(path: Path) -> datetime | None:
    try:
        made = datetime.fromisoformat(json.loads(_content(path))["created_at"])
    except (ValueError, TypeError, KeyError):
        return None
    return made if made.tzinfo is not None else None


CHECKS: Final = (
    Check("key_file_readable", _readable, everywhere=True),
    Check("key_file_replaceable", _replaceable),
    Check("key_file_owner", _owner),
    Check("key_file_in_repository", _repository),
    Check("key_file_served", _served, everywhere=True),
    Check("key_beside_database", _beside),
    Check("key_reused", _reused, everywhere=True),
    Check("kek_old", _old),
)
