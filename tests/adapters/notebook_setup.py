"""A pytest plugin that sets the notebook project up before its suites are imported, over a database of its own."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

import django
from django.conf import settings
from notebook import settings as project

FOLDER = TemporaryDirectory()
MINE: dict[str, Any] = {name: getattr(project, name) for name in dir(project) if name.isupper()}
MINE["DATABASES"]["default"]["NAME"] = f"{FOLDER.name}/notebook.db"

settings.configure(**MINE)
django.setup()


def pytest_unconfigure() -> None:
    FOLDER.cleanup()
