"""What somebody reports: a validated document, and the errors that name its faults without repeating it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from ..core.clock import Clock
from ..core.errors import DisclosureRejected
from ..core.redact import redact_text

__all__ = ["Attachment", "DisclosureReport", "Impact", "ReportSeverity", "validated"]

Impact = Literal["own_tenant", "other_tenants", "platform"]
ReportSeverity = Literal["low", "medium", "high", "critical"]

_FAR: Final = timedelta(days=366)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # all but tab and line feed
_RULES: Final[Mapping[str, str]] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "too_short": "too_few",
    "too_long": "too_many",
    "literal_error": "not_a_choice",
    "string_pattern_mismatch": "malformed",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "timezone_aware": "without_timezone",
    "value_error": "malformed",
}
_WRONG_KIND: Final = "wrong_kind"
_ANYTHING: Final[TypeAdapter[Any]] = TypeAdapter(Any)


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("control characters")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("more than one line")
    return _plain(text)


_Text = AfterValidator(_plain)
_Line = AfterValidator(_one_line)
_Long = Annotated[str, StringConstraints(min_length=1, max_length=5_000), _Text]


class _Document(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Attachment(_Document):
    """What a file would be, never its bytes: they are sent once somebody asked for them.

    Args:
        size: in bytes.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=200), _Line]
    sha256: Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
    size: Annotated[int, Field(ge=0, le=50_000_000)]


class DisclosureReport(_Document):
    """A vulnerability report.

    Args:
        affected: routes, components or versions.
        steps: how to reproduce it.
        impact: how far it reaches.
        weakness: ``CWE-`` and a number.
        contact: None for an anonymous report.
        requests: recorded requests; credentials in them are masked on receipt.
        embargo_until: until when the reporter asks for silence.
        credit: whether the reporter wants to be named.
    """

    title: Annotated[str, StringConstraints(min_length=5, max_length=200), _Line]
    affected: Annotated[tuple[_Long, ...], Field(min_length=1, max_length=20)]
    steps: Annotated[str, StringConstraints(min_length=20, max_length=20_000), _Text]
    impact: Impact
    weakness: Annotated[str, StringConstraints(pattern=r"\ACWE-[1-9][0-9]{0,4}\z")] | None = None
    severity: ReportSeverity | None = None
    contact: Annotated[str, StringConstraints(min_length=1, max_length=320), _Line] | None = None
    requests: Annotated[tuple[_Long, ...], Field(max_length=20)] = ()
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=10)] = ()
    embargo_until: AwareDatetime | None = None
    credit: bool = False


def validated(document: object, clock: Clock) -> DisclosureReport:
    """The report, with credentials in its recorded requests masked.

    Raises:
        DisclosureRejected: names fields and rules; what was sent is in no message.
    """
    if not isinstance(document, DisclosureReport | Mapping):
        raise DisclosureRejected(fields=(("", _WRONG_KIND),))
    try:
        found = DisclosureReport.model_validate_json(_json(document)) if isinstance(document, Mapping) else document
        if found.embargo_until is not None and not timedelta() < found.embargo_until - clock.now() <= _FAR:
            raise DisclosureRejected(fields=(("embargo_until", "out_of_range"),))
    except ValidationError as error:
        raise DisclosureRejected(fields=tuple(_faults(error))) from None
    return found.model_copy(update={"requests": tuple(redact_text(request) for request in found.requests)})


def _json(document: Mapping[Any, Any]) -> bytes:
    """Documents come as JSON or as plain values; both are held to what JSON can say."""
    try:
        return _ANYTHING.dump_json(dict(document))
    except (ValueError, TypeError, RecursionError):
        raise DisclosureRejected(fields=(("", _WRONG_KIND),)) from None


def _faults(error: ValidationError) -> list[tuple[str, str]]:
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        # The name of an unknown field is the sender's text.
        known = fault["loc"][:-1] if fault["type"] == "extra_forbidden" else fault["loc"]
        place = ".".join(str(part) for part in known if isinstance(part, int) or part in _NAMES)
        faults.append((place, _RULES.get(fault["type"], _WRONG_KIND)))
    return faults


_NAMES: Final = frozenset((*DisclosureReport.model_fields, *Attachment.model_fields))
