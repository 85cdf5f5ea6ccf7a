"""What the compiler found out about one statement, kept on the compiled form and read at each execution.

Compiling is rare and executing is not: SQLAlchemy keeps compiled statements in caches, so everything that depends on
the *shape* of a statement is decided once and everything that depends on *values* is a short list of bind names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from .tables import Owned, Parent

__all__ = ["COMPANY", "LIFTED", "TENANT", "Equal", "Points", "Verdict"]

TENANT: Final = 0
"""Compiled with the tenant's condition."""

COMPANY: Final = 1
"""Compiled with the tenant's and the company's condition."""

LIFTED: Final = 2
"""Compiled without conditions, for `unscoped` outside every scope."""


@dataclass(frozen=True, slots=True)
class Equal:
    """These binds must hold the id of the current tenant, or company."""

    column: str
    company: bool
    names: tuple[str, ...]
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Points:
    """These binds, one name a column and one tuple a row, must hold a row of the current tenant."""

    parent: Parent
    rows: tuple[tuple[str, ...], ...]
    local: tuple[str, ...] = ()
    """For a foreign key to the table itself: the binds of its own keys, which the statement brings along."""


@dataclass(slots=True)
class Verdict:
    """Grows while a statement is compiled.

    Args:
        mode: one of `TENANT`, `COMPANY`, `LIFTED`.
        tables: the owned tables it touches; none of them means that it needs no tenant.
        refusal, hint: why it may not run outside `unscoped`.
        write: whether the refusal is one of a write.
        unfiltered: owned tables that the host's own conditions leave unfiltered (observe mode).
    """

    mode: int
    tables: dict[str, None] = field(default_factory=dict)
    refusal: str | None = None
    hint: str = ""
    write: bool = False
    equal: list[Equal] = field(default_factory=list)
    points: list[Points] = field(default_factory=list)
    unfiltered: dict[str, None] = field(default_factory=dict)

    def refuse(self, what: str, hint: str, *, write: bool = False) -> None:
        """Keeps the first reason."""
        if self.refusal is None:
            self.refusal, self.hint, self.write = what, hint, write

    def misdescribed(self, owned: Owned, table: Any, *, written: bool) -> bool:
        """Refuses a second description of an owned table that the guard would misread."""
        unlike = owned.unlike(table, written=written)
        if unlike is not None:
            what = f"a second description of {owned.table.fullname} lacks {unlike}, or has it otherwise"
            self.refuse(what, "use the mapped class or its table")
        return unlike is not None
