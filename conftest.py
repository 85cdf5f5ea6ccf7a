"""Documentation that runs: every python block of README and docs, one namespace a page, in an empty directory."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

_WHERE: list[tuple[str, str]] = []


def _enter(namespace: dict[str, Any]) -> None:
    del namespace
    _WHERE.append((os.getcwd(), tempfile.mkdtemp(prefix="wt-docs-")))
    os.chdir(_WHERE[-1][1])


def _leave(namespace: dict[str, Any]) -> None:
    del namespace
    os.chdir(_WHERE.pop()[0])


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/**/*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
