"""The pytest plugin: policy tables as tests, fixtures for hosts, and the options that go with them.

Loaded by every pytest run in an environment that has this package, so it imports nothing but pytest's own types until
a table is met or a fixture is asked for. Files that end in ``.policytest.toml`` or ``.policytest.json`` are collected:
each cell is a test. Every fixture but `policy_matrix` begins with ``trust_``, so that none hides one of the host's.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ..authz import Policy
    from ..core.clock import FixedClock
    from ..tenancy import TenantContext
    from .attacker import AttackReport, Person, Target
    from .op import OpenIdProvider
    from .recorder import EventRecorder

__all__ = [
    "policy_matrix",
    "pytest_addoption",
    "pytest_collect_file",
    "trust_attack",
    "trust_clock",
    "trust_events",
    "trust_op",
    "trust_tenant",
]

SUFFIXES: Final = (".policytest.toml", ".policytest.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--policy-coverage``, ``--policy-mutation``, ``--policy-update``, ``--trust-seed`` and ``--trust-report``."""
    group = parser.getgroup("policy", "policy tables (wellstreak_trust)")
    group.addoption("--policy-coverage", action="store_true", help="fail where a rule was not seen at work")
    group.addoption("--policy-mutation", action="store_true", help="fail where a faulty policy passes the table")
    group.addoption("--policy-update", action="store_true", help="write the matrices that policy_matrix compares")
    group = parser.getgroup("trust", "attacks on a host (wellstreak_trust)")
    group.addoption("--trust-seed", type=int, default=1, metavar="N", help="the seed of trust_attack (default: 1)")
    group.addoption("--trust-report", metavar="DIR", help="where trust_attack leaves its reports as Markdown")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A table's file."""
    if not file_path.name.endswith(SUFFIXES):
        return None
    from .policy_collect import TableFile

    found: Any = TableFile.from_parent(parent, path=file_path)
    return found  # type: ignore[no-any-return]  # pytest types from_parent as Self of an untyped base


@pytest.fixture
def policy_matrix(request: pytest.FixtureRequest) -> Callable[[Policy, str], None]:
    """``policy_matrix(policy, "matrix.md")``: as `assert_matrix`, beside the test's own file."""

    def check(policy: Policy, name: str) -> None:
        from .policy import assert_matrix

        assert_matrix(policy, request.path.parent / name, update=request.config.getoption("--policy-update"))

    return check


@pytest.fixture
def trust_clock() -> FixedClock:
    """A clock that stands at 2030-01-01 UTC until the test moves it: ``trust_clock.advance(timedelta(hours=1))``."""
    from datetime import UTC, datetime

    from ..core.clock import FixedClock

    return FixedClock(datetime(2030, 1, 1, tzinfo=UTC))


@pytest.fixture
def trust_events() -> EventRecorder:
    """An `EventRecorder`, for every part that takes ``audit=``."""
    from .recorder import EventRecorder

    return EventRecorder()


@pytest.fixture
def trust_tenant() -> Iterator[Callable[..., TenantContext]]:
    """``trust_tenant("acme", ["owner"])``: the rest of the test runs in that tenant's scope, or the next one's.

    Arguments as for `tenancy.testing_context`. The scopes are left when the test is over.
    """
    from ..tenancy import tenant_scope, testing_context

    with ExitStack() as entered:

        def enter(tenant_id: str, roles: Sequence[str] = ("member",), **principal: Any) -> TenantContext:
            entered.close()
            return entered.enter_context(tenant_scope(testing_context(tenant_id, roles, **principal)))

        yield enter


@pytest.fixture
def trust_op() -> Iterator[OpenIdProvider]:
    """A running `OpenIdProvider` on a port of its own; break its rules with ``trust_op.fault(...)``."""
    from .op import OpenIdProvider

    with OpenIdProvider() as running:
        yield running


@pytest.fixture
def trust_attack(request: pytest.FixtureRequest) -> Callable[..., AttackReport]:
    """``trust_attack(target, people, **options)``: runs an `Attacker` and returns its report.

    The seed is ``--trust-seed`` unless the options name one. With ``--trust-report`` the report is left there, under
    the name of the test, whatever the test makes of it.
    """
    folder = request.config.getoption("--trust-report")

    def attack(target: Target, people: Sequence[Person], **options: Any) -> AttackReport:
        from pathlib import Path

        from .attacker import Attacker

        report = Attacker(target, people, **{"seed": request.config.getoption("--trust-seed"), **options}).run()
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w.-]+", "_", request.node.nodeid)
            Path(folder, f"{name}.md").write_text(report.to_markdown(), encoding="utf-8")
        return report

    return attack
