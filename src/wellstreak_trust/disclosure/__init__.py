"""Responsible disclosure: the file that says where to report, the desk that takes reports, drafts of advisories."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..core.errors import DisclosureRejected, SecurityTxtExpired, SecurityTxtInvalid
from .security_md import security_md
from .security_txt import SecurityTxt
from .store import MemoryReportStore, ReportStore
from .ticket import STEPS, DisclosurePolicy, ReportState, Ticket
from .web import ReportRoute, SecurityTxtRoute

if TYPE_CHECKING:
    # pydantic is loaded only where a report is read.
    from .advisory import Advisory
    from .intake import DisclosureIntake
    from .report import Attachment, DisclosureReport

__all__ = [
    "STEPS",
    "Advisory",
    "Attachment",
    "DisclosureIntake",
    "DisclosurePolicy",
    "DisclosureRejected",
    "DisclosureReport",
    "MemoryReportStore",
    "ReportRoute",
    "ReportState",
    "ReportStore",
    "SecurityTxt",
    "SecurityTxtExpired",
    "SecurityTxtInvalid",
    "SecurityTxtRoute",
    "Ticket",
    "security_md",
]

_LATER = {
    "Advisory": "advisory",
    "Attachment": "report",
    "DisclosureIntake": "intake",
    "DisclosureReport": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
