"""The trail in the words of others: one line an event, for files and for collectors of security events.

A format is a function from a record to text. None of them can be verified but ``jsonl``, whose lines are the leaves
themselves: the others carry seq and leaf hash, by which an entry is found again in a tree that can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ...core.errors import UsageError
from .cef import cef_line
from .cloudevents import cloudevents_line
from .csv import CSV_HEADER, csv_line
from .ocsf import ocsf_line
from .record import Record
from .syslog import syslog_line

__all__ = ["FORMATS", "Format", "Record", "format_named"]


@dataclass(frozen=True, slots=True)
class Format:
    """A way to write events.

    Args:
        name: as commands and `AuditLog.write` take it.
        about: one line for the manual.
        media_type: of a file of it.
        line: the text of one event, without its line end; no value can make it two.
        header: what stands before the first event.
        ending: of every line.
    """

    name: str
    about: str
    media_type: str
    line: Callable[[Record], str]
    header: str = ""
    ending: str = "\n"

    def text(self, record: Record) -> str:
        """One event with its line end."""
        return self.line(record) + self.ending


def _leaf_line(record: Record) -> str:
    """The leaf, byte for byte: canonical JSON holds no line feed. SHA-256 of a zero byte and the line is its hash."""
    return record.leaf.leaf.decode()


FORMATS: Final[Mapping[str, Format]] = {
    each.name: each
    for each in (
        Format("jsonl", "the leaves themselves, byte for byte", "application/jsonl", _leaf_line),
        Format("csv", "for spreadsheets; no cell is a formula", "text/csv", csv_line, CSV_HEADER + "\r\n", "\r\n"),
        Format("ocsf", "Open Cybersecurity Schema Framework 1.6.0, one object a line", "application/jsonl", ocsf_line),
        Format("cloudevents", "CloudEvents 1.0, one object a line", "application/jsonl", cloudevents_line),
        Format("cef", "Common Event Format, version 0", "text/plain", cef_line),
        Format("syslog", "RFC 5424, one message a line", "text/plain", syslog_line),
    )
}


def format_named(name: str) -> Format:
    """The format of a name; raises `UsageError` for none of `FORMATS`."""
    found = FORMATS.get(name)
    if found is None:
        raise UsageError("no such format", hint=f"one of {', '.join(FORMATS)}")
    return found
