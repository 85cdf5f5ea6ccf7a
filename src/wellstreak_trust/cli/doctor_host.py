"""What ``wellstreak-trust doctor`` examines: names from the command line made into a host."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, NoReturn

from wellstreak_trust.core.errors import ConfigurationError, UsageError
from wellstreak_trust.core.finding import Finding
from wellstreak_trust.doctor import Report, refusal, resolved, run

from .console import stop

__all__ = ["examined"]

_FRAMEWORK: Final = "a route of the framework itself"


def examined(
    target: str, operations: str, *, settings: bool | None, reach: bool, deploy: bool, public: Sequence[str]
) -> tuple[Report, str]:
    """The report on what the command line names, and the file that it is about.

    Names that name nothing end the command with status 2; a host that refuses to start is a finding.
    """
    wanted: Literal["environment"] | None = None if settings is False else "environment"
    known = _named(operations)[0] if operations else None
    try:
        found, app, file = _target(target)
    except ConfigurationError as error:
        found, app, file = _refusing(error), None, _file(target)
    if found is None and not _is_configured():
        return _nothing(settings), "pyproject.toml"
    report = run(found, settings=wanted, operations=known, app=app, reach=reach, deploying=deploy or None)
    held = app if app is not None else found
    findings = sorted([*report.findings, *_undeclared(held, public)], key=lambda each: each.rank)
    return Report(report.rows, findings), file


def _refusing(error: ConfigurationError) -> Callable[[], NoReturn]:
    """A host that refuses to start as this one did, so that what else can be seen is told too."""

    def start() -> NoReturn:
        raise error

    return start


def _is_configured() -> bool:
    return any(name.upper().startswith("WELLSTREAK_TRUST_") for name in os.environ)


def _nothing(settings: bool | None) -> Report:
    """The defaults: with neither an application nor a variable there is no host to find fault with."""
    if settings is False:
        stop(UsageError("nothing to examine", hint="--app module:name"))
    from wellstreak_trust.doctor.case import Case
    from wellstreak_trust.doctor.effective import effective
    from wellstreak_trust.settings import TrustSettings

    return Report(effective(Case(settings=TrustSettings())), [])


def _target(name: str) -> tuple[Any, Any, str]:
    """The host, its application where that is another object, and its file."""
    if not name:
        return None, None, "pyproject.toml"
    named, module = _named(name)
    file = _relative(module)
    with _loading(name):
        if isinstance(named, ModuleType) and hasattr(named, "INSTALLED_APPS"):
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", named.__name__)
            return (*_django(), file)
        found = resolved(named)
        if type(found).__module__.startswith("django.core.handlers"):
            return (*_django(), file)
    return found, None, file


def _named(name: str) -> tuple[Any, ModuleType]:
    """What ``module:name`` names, or ``module`` alone."""
    module_name, _, path = name.partition(":")
    with _loading(name):
        module = import_module(module_name)
        found: Any = module
        for part in filter(None, path.split(".")):
            found = getattr(found, part)
    return found, module


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """The host's own code, with its folder on the path; what it raises ends the command with status 2, except a
    refusal to start.
    """
    sys.path.insert(0, os.getcwd())
    try:
        yield
    except ConfigurationError:
        raise
    except (ImportError, AttributeError, ValueError) as error:
        stop(UsageError(f"{name} names nothing: {type(error).__name__}: {error}", hint="--app package.module:name"))
    except Exception as error:  # its text is the host's, and may hold what nobody should read in a log
        stop(UsageError(f"{name} cannot be loaded: {type(error).__name__}", hint="import it in a shell to see why"))
    finally:
        sys.path.remove(os.getcwd())


def _relative(module: ModuleType) -> str:
    file = Path(getattr(module, "__file__", None) or "pyproject.toml")
    return file.relative_to(Path.cwd()).as_posix() if file.is_relative_to(Path.cwd()) else file.name


def _file(name: str) -> str:
    return name.partition(":")[0].replace(".", "/") + ".py" if name else "pyproject.toml"


def _django() -> tuple[Any, Any]:
    """The Trust of a Django project and its settings."""
    import django
    from django.conf import settings

    from wellstreak_trust.adapters.django.middleware import edge

    django.setup()
    return edge().trust, settings


def _undeclared(app: Any, public: Sequence[str]) -> list[Finding]:
    """Routes that nobody declared."""
    opened = dict.fromkeys(public, "named on the command line")
    try:
        _assert_declared(app, opened)
    except ConfigurationError as error:
        return [refusal(error, "routes")]
    return []


def _assert_declared(app: Any, public: Mapping[str, str]) -> None:
    if hasattr(app, "url_map"):
        from wellstreak_trust.adapters.flask import assert_all_routes_declared as of_flask

        static = [str(rule) for rule in app.url_map.iter_rules() if rule.endpoint == "static"]
        of_flask(app, public={**dict.fromkeys(static, _FRAMEWORK), **public})
    elif hasattr(app, "openapi_url"):
        from wellstreak_trust.adapters.fastapi import assert_all_routes_declared as of_fastapi

        own = (app.openapi_url, app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url)
        of_fastapi(app, public={**dict.fromkeys(filter(None, own), _FRAMEWORK), **public})
    elif hasattr(app, "user_middleware"):
        from wellstreak_trust.adapters.starlette import assert_all_routes_declared as of_starlette

        of_starlette(app, public=public)
    elif hasattr(app, "MIDDLEWARE"):
        from wellstreak_trust.adapters.django import assert_all_routes_declared as of_django

        of_django(public={**(getattr(app, "WELLSTREAK_TRUST_PUBLIC", None) or {}), **public})
