"""The verifier for those who have none of this package: one readable file that needs Python alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ..core.errors import ConfigurationError, UsageError

__all__ = ["SCRIPT", "standalone_verifier", "write_verifier"]

SCRIPT: Final = "verify_trail.py"
"""What the script is called."""


def standalone_verifier() -> str:
    """The text of the script: under 200 lines, Python 3.9 or later, no other package."""
    from importlib.resources import files  # a tenth of the room's import time, for one verb

    return (files(__package__) / f"_{SCRIPT}").read_text(encoding="utf-8")


def write_verifier(directory: str | os.PathLike[str]) -> Path:
    """Puts the script into the folder that goes to a tenant or an auditor, beside the export, and returns its path.

    Raises:
        UsageError: the folder is itself an export: nothing may stand in it that its checkpoint does not cover.
        ConfigurationError: the folder cannot be written.
    """
    folder = Path(directory)
    if (folder / "checkpoint").exists():
        raise UsageError("the folder is an export", hint="write_verifier(parent folder): the script stands beside it")
    target = folder / SCRIPT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(standalone_verifier(), encoding="utf-8")
        target.chmod(0o755)
    except OSError as error:
        raise ConfigurationError(
            f"the folder cannot be written ({type(error).__name__})", hint="a writable folder", reason="audit_export"
        ) from None
    return target
