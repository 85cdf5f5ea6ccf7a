"""Is this host set up as it must be? What start-up cannot refuse, because it depends on what stands around it.

`examine` looks at a composition and gives findings; `run` reads the settings and the environment too and gives a
`Report`. Each fault has one code: `FAULTS` has them all, those that start-up refuses included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from ..core.errors import ConfigurationError, MissingExtra
from ..core.finding import Code, Finding, Severity
from ..trust import Trust
from .case import Case
from .catalogue import FAULTS, found, refusal
from .effective import Row, effective
from .examine import examined
from .report import Report
from .target import Target, resolved, target_of

if TYPE_CHECKING:
    from ..guard import Operation
    from ..settings import TrustSettings

__all__ = [
    "FAULTS",
    "Code",
    "Finding",
    "Report",
    "Row",
    "Severity",
    "examine",
    "found",
    "read_environment",
    "refusal",
    "resolved",
    "run",
    "target_of",
]

_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})

Operations = Iterable["Operation"] | Mapping[str, "Operation"] | None


def examine(
    trust: Trust,
    *,
    settings: TrustSettings | None = None,
    operations: Operations = None,
    environment: Mapping[str, str] = _EMPTY,
    parts: Mapping[str, object] = _EMPTY,
    app: Any = None,
    reach: bool = False,
    deploying: bool | None = None,
) -> list[Finding]:
    """What is wrong with a composition; sorted, errors first; empty where nothing was found. It changes nothing.

    Outside of the profile ``production`` only what is wrong everywhere is found.

    Args:
        settings: what the composition was made of, so that findings name the variable.
        operations: the host's governed actions; those that the `Trust` knows if None.
        environment: of the process, for what is seen there alone: workers, proxies, debug switches.
        parts: what the host keeps beside the `Trust`, by name: a `SecurityTxt`, an `OidcLogin`, receivers of webhooks.
        app: the Flask, Starlette or FastAPI application, or the settings of Django.
        reach: also ask the database and Redis, over connections that are made for it.
        deploying: judge it as production or not, whatever its profile says; None for what it says.
    """
    case = Case.of(
        trust, parts=parts, operations=operations, settings=settings, environment=environment, app=app, reach=reach,
        deploying=deploying,
    )  # fmt: skip
    return examined(case)


def run(
    target: Any = None,
    *,
    settings: TrustSettings | Literal["environment"] | None = "environment",
    operations: Operations = None,
    environment: Mapping[str, str] | None = None,
    app: Any = None,
    reach: bool = True,
    deploying: bool | None = None,
) -> Report:
    """Examines a host as it would start here and now. A refusal to start is a finding.

    Args:
        target: what `target_of` takes; None for the composition that the settings describe.
        settings: those that the composition was made of; ``environment`` reads them, where there is no target or a
            variable of ours is set; None leaves them out.
        environment: of the process; read where None.
        app: the application or the settings of Django, where the target is neither.
        operations, reach, deploying: see `examine`.
    """
    around = environment if environment is not None else read_environment()
    held, refused = _settings(settings, around, wanted=target is None)
    aimed: Target | None = None
    try:
        if target is not None:
            aimed = target_of(target)
        elif held is not None:
            aimed = Target(_composed(held), {})
    except ConfigurationError as error:
        refused.append(refusal(error, "start-up", came_from=_variable(error, around)))
    trust, parts, inside = aimed if aimed is not None else (None, _EMPTY, None)
    case = Case.of(
        trust, parts=parts, operations=_operations(target, operations), settings=held, environment=around,
        app=app if app is not None else inside, reach=reach, deploying=deploying,
        surmised=target is not None and settings == "environment",
    )  # fmt: skip
    findings = sorted([*refused, *examined(case)], key=lambda each: each.rank)
    return Report(effective(case), findings)


def _composed(settings: TrustSettings) -> Trust:
    """The composition, also where production would refuse it: its checks tell of that, and of everything else too."""
    return Trust.from_settings(settings.model_copy(update={"profile": "development"}))


def read_environment() -> Mapping[str, str]:
    """The variables of this process; none where the extra that reads settings is not installed."""
    with suppress(MissingExtra):
        from ..settings import environment as read

        return read()
    return _EMPTY


def _settings(
    given: TrustSettings | Literal["environment"] | None, environment: Mapping[str, str], *, wanted: bool
) -> tuple[TrustSettings | None, list[Finding]]:
    if given != "environment":
        return given, []
    ours = any(name.upper().startswith("WELLSTREAK_TRUST_") for name in environment)
    if not (wanted or ours):
        return None, []
    try:
        from ..settings import TrustSettings

        return TrustSettings(), []
    except ConfigurationError as error:
        return None, [refusal(error, "settings", came_from=_variable(error, environment))]


def _variable(error: ConfigurationError, environment: Mapping[str, str]) -> str:
    """The variable that a refusal names, where it is set."""
    words = f"{error.detail} {error.hint}".upper().replace(",", " ").split()
    return next((f"environment: {name}" for name in environment if name.upper() in words), "")


def _operations(target: Any, given: Operations) -> Operations:
    return given if given is not None else getattr(target, "operations", None)
