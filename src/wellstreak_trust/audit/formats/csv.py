"""Comma-separated values (RFC 4180) that a spreadsheet shows and does not run.

A cell that begins as a formula does in any of the usual programs gets an apostrophe in front (CWE-1236). Every cell is
quoted, so that no separator of any locale cuts a cell into two, of which the second might begin as a formula.
"""

from __future__ import annotations

import re
from typing import Final

from .record import Record

__all__ = ["CSV_COLUMNS", "CSV_HEADER", "csv_line", "harmless"]

CSV_COLUMNS: Final = (
    "seq recorded_at occurred_at tenant_id id action outcome actor actor_kind on_behalf_of targets address user_agent "
    "permission code reason request changes data leaf_hash"
).split()
# Also the full-width forms, which some programs take for the same.
_FORMULA: Final = re.compile(
    r"[=+\-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
    r"\N{FULLWIDTH COMMERCIAL AT}]"
)
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, on one line."""
    guarded = f"'{cell}" if _FORMULA.match(cell) else cell
    return _BREAKS.sub(" ", guarded)


def csv_line(record: Record) -> str:
    """One row of `CSV_COLUMNS`."""
    behind = record.part("actor").get("actor")
    cells = (
        str(record.leaf.seq),
        *(record.text(name) for name in ("recorded_at", "occurred_at", "tenant_id", "id", "action", "outcome")),
        record.inner("actor", "id"),
        record.inner("actor", "kind"),
        behind["id"] if isinstance(behind, dict) and isinstance(behind.get("id"), str) else "",
        " ".join(f"{kind}:{id}" if kind else id for kind, id in record.targets()),
        record.inner("source", "address", "ip"),
        record.inner("source", "user_agent", "agent"),
        record.inner("decision", "permission"),
        record.inner("decision", "code"),
        record.text("reason"),
        record.inner("request", "id"),
        record.json("changes"),
        record.json("data"),
        record.leaf_hash,
    )
    return ",".join(_quoted(harmless(cell)) for cell in cells)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


CSV_HEADER: Final = ",".join(_quoted(name) for name in CSV_COLUMNS)
