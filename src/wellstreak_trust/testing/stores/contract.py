"""A contract: what every store of a kind must do, run against a store of yours.

In a test, two lines::

    from wellstreak_trust.testing.stores import contract
    test_replays = contract("replay").tests(MyReplayStore)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from inspect import getdoc, isawaitable, iscoroutinefunction, signature
from itertools import count
from traceback import extract_tb
from typing import Any, Final

from ...core.clock import FixedClock
from ...core.errors import UsageError
from ...core.sansio import drive

__all__ = ["CONTRACTS", "Contract", "contract"]

Factory = Callable[[], Any]

_NOW: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
_NUMBERS: Final = count(1)


@dataclass(frozen=True, slots=True)
class Contract:
    """One kind of store and the checks it must pass.

    Args:
        name: what `contract` finds it by.
        protocol: the dotted name of the protocol, below this package.
        module: where the checks are, below this room.
        table: the name of the tuple that holds them there.
    """

    name: str
    protocol: str
    module: str
    table: str = "CHECKS"

    @property
    def checks(self) -> tuple[Callable[..., Any], ...]:
        """The checks; each is a function, most are coroutine functions, and its docstring says what it demands."""
        found: tuple[Callable[..., Any], ...] = getattr(import_module(f".{self.module}", __package__), self.table)
        return found

    def tests(self, factory: Factory) -> Callable[..., None]:
        """A pytest test, one case for each check: ``test_sessions = contract("sessions").tests(make)``.

        Args:
            factory: as for `run`; it is called for each case.
        """
        import pytest

        @pytest.mark.parametrize("check", self.checks, ids=lambda check: check.__name__)
        def test(check: Callable[..., Any]) -> None:
            self.run(check, factory)

        made: Callable[..., None] = test
        return made

    def assert_kept(self, factory: Factory) -> None:
        """Runs every check, without pytest.

        Args:
            factory: as for `run`; it is called for each check.

        Raises:
            AssertionError: with a paragraph for each check that the store breaks.
        """
        broken: list[str] = []
        for check in self.checks:
            try:
                self.run(check, factory)
            except AssertionError as error:
                broken.append(str(error))
        if broken:
            raise AssertionError("\n\n".join(broken))

    def run(self, check: Callable[..., Any], factory: Factory) -> None:
        """Runs one check over a store of its own, blocking or asynchronous.

        Args:
            factory: returns a store, a coroutine of one, or a context manager (plain or asynchronous) that yields one
                and cleans up. Stores may share a database: checks use keys of their own, except for the few that end
                or list everything. Asynchronous factories and the checks after them run on one loop.

        Raises:
            AssertionError: what is broken, where, and what was demanded.
            UsageError: assertions are off (``python -O``): the checks could not fail.
        """
        if not __debug__:
            raise UsageError("assertions are off: no check could fail", hint="run without -O and PYTHONOPTIMIZE")
        try:
            _entered(check, factory)
        except Exception as error:  # whatever a store raises where a check does not expect it
            raise AssertionError(self._told(check, error)) from error

    def _told(self, check: Callable[..., Any], error: Exception) -> str:
        demand = " ".join((getdoc(check) or "").split())
        lines = [frame.line for frame in extract_tb(error.__traceback__) if frame.filename == _file(check)]
        what = str(error).partition("\n")[0]
        kind = type(error).__name__
        told = [f"The store breaks the contract {self.name!r} ({self.protocol}), {check.__name__}: {demand}"]
        told += [f"  at: {lines[-1]}"] if lines else []
        told += [f"  {kind}: {what}" if what else f"  {kind}"] if kind != "AssertionError" or what else []
        if isinstance(error, AttributeError) and error.obj is not None:
            told.append(f"  a store has every verb of {self.protocol}, and says whether it waits: suspends = False")
        return "\n".join(told)


def _file(check: Callable[..., Any]) -> str:
    return check.__code__.co_filename if hasattr(check, "__code__") else ""


def _entered(check: Callable[..., Any], factory: Factory) -> None:
    made = factory()
    if isinstance(made, AbstractAsyncContextManager) or isawaitable(made):
        asyncio.run(_awaited(check, made))
    elif isinstance(made, AbstractContextManager):
        with made as store:
            _run(check, store)
    else:
        _run(check, made)


async def _awaited(check: Callable[..., Any], made: Any) -> None:
    if isawaitable(made):
        await _checked(check, await made)
        return
    async with made as store:
        await _checked(check, store)


async def _checked(check: Callable[..., Any], store: Any) -> None:
    found = check(store, *_arguments(check))
    if iscoroutinefunction(check):
        await found


def _run(check: Callable[..., Any], store: Any) -> None:
    if not iscoroutinefunction(check):
        check(store, *_arguments(check))
    elif store.suspends:
        asyncio.run(_checked(check, store))
    else:
        drive(check(store, *_arguments(check)))


def _arguments(check: Callable[..., Any]) -> list[Any]:
    """What a check wants besides the store: a clock that stands, and a key that nobody else uses."""
    label = f"{check.__name__}-{next(_NUMBERS)}"
    given: list[Any] = []
    for name, parameter in list(signature(check).parameters.items())[1:]:
        if name == "clock":
            given.append(FixedClock(_NOW))
        else:
            given.append(label.encode() if "bytes" in str(parameter.annotation) else label)
    return given


def _index(*contracts: Contract) -> Mapping[str, Contract]:
    return {each.name: each for each in contracts}


CONTRACTS: Final = _index(
    Contract("api_keys", "identity.ApiKeyStore", "apikeys"),
    Contract("approvals", "authz.ApprovalStore", "approvals"),
    Contract("attempts", "ratelimit.attempt_store.AttemptStore", "limits", "ATTEMPT_CHECKS"),
    Contract("audit", "audit.AuditStore", "audit"),
    Contract("connections", "connections.ConnectionStore", "connections"),
    Contract("dpop", "identity.DpopStore", "dpop"),
    Contract("endpoints", "webhooks.EndpointStore", "endpoints"),
    Contract("key_provider", "secrets.KeyProvider", "key_providers"),
    Contract("leases", "ratelimit.lease_store.LeaseStore", "limits", "LEASE_CHECKS"),
    Contract("limits", "ratelimit.LimitStore", "limits", "LIMIT_CHECKS"),
    Contract("logins", "identity.LoginStore", "logins"),
    Contract("memberships", "tenancy.MembershipStore", "memberships", "MEMBERSHIP_CHECKS"),
    Contract("one_time_tokens", "identity.OneTimeTokenStore", "tokens"),
    Contract("passkeys", "identity.PasskeyStore", "factors", "PASSKEY_CHECKS"),
    Contract("recipients", "webhooks.RecipientStore", "recipients"),
    Contract("recovery_codes", "identity.RecoveryCodeStore", "factors", "RECOVERY_CODE_CHECKS"),
    Contract("refresh_tokens", "identity.RefreshStore", "refresh"),
    Contract("replay", "webhooks.ReplayStore", "replay"),
    Contract("secrets", "secrets.SecretBackend", "secrets"),
    Contract("sessions", "identity.SessionStore", "sessions"),
    Contract("subscriptions", "tenancy.SubscriptionStore", "memberships", "SUBSCRIPTION_CHECKS"),
    Contract("totp", "identity.TotpStore", "factors", "TOTP_CHECKS"),
    Contract("usage", "tenancy.UsageStore", "memberships", "USAGE_CHECKS"),
    Contract("witness", "audit.WitnessStore", "witness"),
)
"""Every contract, by name."""


def contract(name: str) -> Contract:
    """The contract of a kind of store.

    Raises:
        UsageError: there is none of that name.
    """
    found = CONTRACTS.get(name)
    if found is None:
        raise UsageError(f"there is no contract {name!r}", hint=f"one of {', '.join(CONTRACTS)}")
    return found
