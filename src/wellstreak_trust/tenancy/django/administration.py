"""Django's own housekeeping, told by the functions that it stands in. Asked only where something would be refused.

Schema editor and flush run SQL on tenant tables and hand no rows to their caller. A test runner that sets up a
database keeps what migrations put there as text, and puts it back between tests; that counts where Django's test
environment is on, and nowhere else.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Final

from django.db.backends.base.creation import BaseDatabaseCreation
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

__all__ = ["administers", "prepares_tests"]

_ROWLESS: Final = frozenset(
    (BaseDatabaseSchemaEditor.execute.__code__, BaseDatabaseOperations.execute_sql_flush.__code__)
)
_KEEPING: Final = frozenset(
    (
        BaseDatabaseCreation.serialize_db_to_string.__code__,
        BaseDatabaseCreation.deserialize_db_from_string.__code__,
    )
)


def administers() -> bool:
    """Whether the caller is a schema change or a flush."""
    return _stands_in(_ROWLESS)


def prepares_tests() -> bool:
    """Whether the caller is a test runner that keeps or restores the rows of migrations."""
    utils = sys.modules.get("django.test.utils")
    state = getattr(utils, "_TestState", None)  # what setup_test_environment leaves
    return hasattr(state, "saved_data") and _stands_in(_KEEPING)


def _stands_in(functions: frozenset[CodeType]) -> bool:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code in functions:
            return True
        frame = frame.f_back
    return False
