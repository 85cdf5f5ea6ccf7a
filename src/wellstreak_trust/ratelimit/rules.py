"""`LimitRule`: how much, per what time, counted by which keys; everything wrong with it is found when it is built."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal, get_args

from ..core.errors import ConfigurationError, UsageError
from .algorithms import Calendar, ExactLog, Gcra, Period

__all__ = ["Algorithm", "LimitRule", "Mode", "OnOutage", "Period"]

Algorithm = Literal["gcra", "exact", "calendar"]
OnOutage = Literal["local", "open", "closed"]
Mode = Literal["enforce", "shadow"]

_MICROSECOND: Final = timedelta(microseconds=1)
_UNITS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_GRAMMAR: Final = re.compile(
    r" *([1-9][0-9]{0,14}) *(?:/|per) *(?:([1-9][0-9]{0,8}) *)?([a-z]+?)s? *", re.IGNORECASE | re.ASCII
)
_PRINTABLE: Final = re.compile(r"[ -~]{1,128}")  # names travel in header fields as Strings (RFC 9651, 3.3.3)
_MAX_INTEGER: Final = 999_999_999_999_999  # the largest Integer of a header field (RFC 9651, 3.3.1)
_MAX_PER: Final = timedelta(days=3_660)
_MAX_EXACT: Final = 1_000


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit.

    Args:
        name: printable ASCII, unique in a limiter; shown to clients as the policy's name.
        limit: units per period.
        per: the period, at least one second; for ``calendar`` one of minute, hour, day, week, month.
        by: names of the keys that make a bucket; a trailing ``?`` makes the rule not apply where that key is absent.
        burst: units that may come at once (``gcra`` only); the whole limit unless told.
        algorithm: ``gcra`` spreads the limit evenly and needs one number a bucket; ``exact`` keeps a log, so that no
            window of any position holds more than the limit (for small limits); ``calendar`` counts per UTC window.
        cost: units of this rule per unit of a check.
        on_outage: what decides while the store is down: ``local`` counters, ``open``, or ``closed``.
        mode: ``shadow`` counts and reports, and refuses nobody.
        expose: show this rule in header fields; leave it out for sign-in rules.
        anchor_day: first day of a ``month`` window, 1 to 28, such as a billing day.

    Raises:
        ConfigurationError: anything else; `reason` is ``limit_rule``.
    """

    name: str
    limit: int
    per: timedelta | Period
    by: tuple[str, ...] = field(default=("tenant",), kw_only=True)
    burst: int | None = field(default=None, kw_only=True)
    algorithm: Algorithm = field(default="gcra", kw_only=True)
    cost: int = field(default=1, kw_only=True)
    on_outage: OnOutage = field(default="local", kw_only=True)
    mode: Mode = field(default="enforce", kw_only=True)
    expose: bool = field(default=True, kw_only=True)
    anchor_day: int = field(default=1, kw_only=True)
    capacity: int = field(init=False, repr=False, compare=False)
    """Units that can be admitted at once: the burst of ``gcra``, else the limit."""
    prefix: str = field(init=False, repr=False, compare=False)
    """What the store keys of this rule begin with."""
    meter: Gcra | ExactLog | Calendar = field(init=False, repr=False, compare=False)
    """The arithmetic of this rule, in process."""

    def __post_init__(self) -> None:
        _admit_name(self.name)
        _admit_count("limit", self.limit, _MAX_INTEGER)
        _admit_count("cost", self.cost, _MAX_INTEGER)
        _admit_choice("algorithm", self.algorithm, Algorithm)
        _admit_choice("on_outage", self.on_outage, OnOutage)
        _admit_choice("mode", self.mode, Mode)
        object.__setattr__(self, "by", _admitted_keys(self.by))
        _admit_period(self)
        _admit_burst(self)
        object.__setattr__(self, "capacity", self.limit if self.burst is None else self.burst)
        shape = (self.algorithm, self.name, *self.by)
        object.__setattr__(self, "prefix", "".join(f"{len(part)}:{part}" for part in shape) + "|")
        object.__setattr__(self, "meter", _meter(self))

    @classmethod
    def parse(cls, name: str, text: str, **keywords: Any) -> LimitRule:
        """A rule from ``N/unit`` or ``N per K units``, such as ``100/minute`` or ``5 per 15 minutes``.

        Units are second, minute, hour, day, week, and month with ``algorithm="calendar"``. All keywords of
        `LimitRule` pass through. Up to days, the ``limits`` package reads the same text the same way; numbers that are
        0 or begin with one are refused here.

        Raises:
            ConfigurationError: any other text.
        """
        match = _GRAMMAR.fullmatch(text) if isinstance(text, str) else None
        unit = match[3].lower() if match else ""
        if match is None or (unit not in _UNITS and unit != "month"):
            raise _refuse(f"rule {name!r}: not a limit", "write N/unit or N/K unit, such as '100/minute'")
        multiple = int(match[2] or 1)
        if keywords.get("algorithm") == "calendar":
            if multiple != 1:
                raise _refuse(f"rule {name!r}: a calendar window is one {unit}", f"write {match[1]}/{unit}")
            return cls(name, int(match[1]), unit, **keywords)  # type: ignore[arg-type]  # the constructor checks it
        if unit == "month":
            raise _refuse(f"rule {name!r}: months differ in length", 'say algorithm="calendar"')
        if multiple > _MAX_PER // _UNITS[unit]:
            raise _refuse(f"rule {name!r}: a period of more than ten years", "write a shorter one")
        return cls(name, int(match[1]), multiple * _UNITS[unit], **keywords)

    @classmethod
    def parse_many(cls, name: str, text: str, **keywords: Any) -> tuple[LimitRule, ...]:
        """Rules from the notation of the ``limits`` package, such as ``"10/second; 1000 per day"``.

        One text, several limits: they are named ``name``, ``name-2``, ``name-3`` in their order. Months and years are
        refused, since they have 30 and 360 days there; write `parse` with ``algorithm="calendar"``.

        Raises:
            ConfigurationError: a text that ``limits`` does not read, or a month or year.
        """
        from limits import parse_many

        try:
            items = parse_many(text)
        except (ValueError, TypeError):
            raise _refuse(f"rule {name!r}: not a limit", "such as '10/second; 1000/day'") from None
        if any(item.GRANULARITY.name not in _UNITS for item in items):
            raise _refuse(f"rule {name!r}: months differ in length", 'LimitRule.parse with algorithm="calendar"')
        return tuple(
            cls(name if at == 1 else f"{name}-{at}", item.amount, timedelta(seconds=item.get_expiry()), **keywords)
            for at, item in enumerate(items, 1)
        )

    @property
    def enforced(self) -> bool:
        """Whether the rule can refuse."""
        return self.mode == "enforce"

    @property
    def observes(self) -> bool:
        """Whether the rule only reports."""
        return self.mode == "shadow"

    def key(self, keys: Mapping[str, str]) -> str | None:
        """The bucket these keys fall into, or None where the rule does not apply.

        Every part is length-prefixed, so that no two different tuples of values share a bucket.

        Raises:
            UsageError: a key that is missing, empty or no text; it never falls into a shared bucket.
        """
        parts = [self.prefix]
        for name in self.by:
            optional = name[-1] == "?"
            value = keys.get(name[:-1] if optional else name)
            if value is None and optional:
                return None
            if not isinstance(value, str) or not value:
                raise UsageError(
                    f"rule {self.name!r} counts by {name!r}, and that key is missing, empty or no text",
                    hint=f"pass it, or write by=({name.rstrip('?') + '?'!r},) where it may be absent",
                )
            parts.append(f"{len(value)}:{value}")
        return "".join(parts)


def most_of(rule: LimitRule) -> int:
    """The largest limit that a rule of this kind can have."""
    if not isinstance(rule.per, timedelta):
        return _MAX_INTEGER
    # Below one microsecond a unit, Redis could not tell two units apart.
    return min(rule.per // _MICROSECOND, _MAX_EXACT if rule.algorithm == "exact" else _MAX_INTEGER)


def _refuse(detail: str, hint: str) -> ConfigurationError:
    return ConfigurationError(detail, hint=hint, reason="limit_rule")


def _admit_name(name: object) -> None:
    if not isinstance(name, str) or not _PRINTABLE.fullmatch(name):
        raise _refuse("a rule's name is not 1 to 128 characters of printable ASCII", "such as 'tenant'")


def _admit_count(what: str, value: object, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise _refuse(f"{what} is not a whole number from 1 to {most}", f"{what}=1 is the least")


def _admit_choice(what: str, value: object, choices: object) -> None:
    if value not in get_args(choices):
        raise _refuse(f"unknown {what} {value!r}", "one of " + ", ".join(get_args(choices)))


def _admitted_keys(by: Iterable[str]) -> tuple[str, ...]:
    if isinstance(by, str) or not isinstance(by, tuple | list) or not by:
        raise _refuse("by is not a tuple of key names", 'by=("tenant",): the comma makes the tuple')
    for name in by:
        if not isinstance(name, str) or not name.rstrip("?") or not _PRINTABLE.fullmatch(name):
            raise _refuse("by holds what is no key name", 'such as by=("tenant", "principal")')
    if len({name.rstrip("?") for name in by}) != len(by):
        raise _refuse("by names a key twice", "once is enough")
    return tuple(by)


def _admit_period(rule: LimitRule) -> None:
    if type(rule.anchor_day) is not int or not 1 <= rule.anchor_day <= 28:
        raise _refuse("anchor_day is not 1 to 28", "every month has a 28th")
    if rule.anchor_day != 1 and rule.per != "month":
        raise _refuse("anchor_day is for monthly calendar rules", 'per="month", algorithm="calendar"')
    if rule.algorithm == "calendar":
        _admit_choice("calendar period", rule.per, Period)
    elif not isinstance(rule.per, timedelta) or not timedelta(seconds=1) <= rule.per <= _MAX_PER:
        raise _refuse("per is not a timedelta from one second to ten years", "per=timedelta(minutes=1)")
    elif rule.limit > rule.per // _MICROSECOND:
        raise _refuse("more than 1,000,000 units a second", "count in larger units")
    elif rule.algorithm == "exact" and rule.limit > _MAX_EXACT:
        warnings.warn(
            f"rule {rule.name!r}: exact keeps an entry for every unit of {rule.limit}; gcra needs one number",
            stacklevel=5,
        )


def _meter(rule: LimitRule) -> Gcra | ExactLog | Calendar:
    if not isinstance(rule.per, timedelta):
        return Calendar(rule.limit, rule.per, rule.anchor_day)
    per = rule.per // _MICROSECOND * 1_000
    return Gcra(rule.limit, per, rule.capacity) if rule.algorithm == "gcra" else ExactLog(rule.limit, per)


def _admit_burst(rule: LimitRule) -> None:
    if rule.algorithm != "gcra":
        if rule.burst is not None:
            raise _refuse(f"burst is for gcra, not {rule.algorithm}", "leave it out")
        return
    if rule.burst is None:
        object.__setattr__(rule, "burst", rule.limit)
    _admit_count("burst", rule.burst, rule.limit)
