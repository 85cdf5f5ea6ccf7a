"""The OpenFeature bridge: whatever a provider does that is not a decided True is a denial."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.exception import FlagNotFoundError, GeneralError, TargetingKeyMissingError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.hook import Hook
from openfeature.provider import AbstractProvider, Metadata
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from wellstreak_trust.core import ConfigurationError, UsageError
from wellstreak_trust.tenancy import EntitlementDenied, testing_context
from wellstreak_trust.tenancy.openfeature import OpenFeatureEntitlements

ACME = testing_context("acme", id="ada")


class Provider(AbstractProvider):
    """Answers as it is told."""

    def __init__(self, say: Callable[[str, Any], Any]) -> None:
        super().__init__()
        self.say = say

    def get_metadata(self) -> Metadata:
        return Metadata("test")

    def resolve_boolean_details(self, flag_key: str, default_value: bool, evaluation_context: Any = None) -> Any:
        return self.say(flag_key, evaluation_context)

    resolve_string_details = resolve_integer_details = resolve_float_details = resolve_object_details = (
        resolve_boolean_details  # type: ignore[assignment]  # never asked
    )


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    api.clear_providers()
    api.clear_hooks()


def answering(say: Callable[[str, Any], Any], **more: Any) -> OpenFeatureEntitlements:
    api.set_provider(Provider(say))
    return OpenFeatureEntitlements(api.get_client(), **more)


def said(value: Any, reason: Any = Reason.TARGETING_MATCH) -> OpenFeatureEntitlements:
    return answering(lambda key, context: FlagResolutionDetails(value, reason=reason))


@pytest.mark.parametrize("reason", [Reason.TARGETING_MATCH, Reason.SPLIT, Reason.STATIC, Reason.CACHED, "STATIC"])
def test_a_decided_true_allows_and_a_decided_false_denies(reason: Any) -> None:
    assert said(True, reason).check(ACME, "sso").reason == "allowed"
    assert said(False, reason).check(ACME, "sso").reason == "unknown_feature"


@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        (Reason.DEFAULT, "unknown_feature"),
        (Reason.DISABLED, "unknown_feature"),
        (Reason.ERROR, "source_unavailable"),
        (Reason.STALE, "source_unavailable"),
        (Reason.UNKNOWN, "source_unavailable"),
        (None, "source_unavailable"),
        ("", "source_unavailable"),
        ("static", "source_unavailable"),
        ("BECAUSE", "source_unavailable"),
    ],
)
def test_a_true_that_nobody_decided_is_a_denial(reason: Any, answer: str) -> None:
    found = said(True, reason).check(ACME, "sso")
    assert (found.allowed, found.reason) == (False, answer)


@pytest.mark.parametrize("value", ["true", 1, None, "True", [True], {"on": True}, 1.0])
def test_another_type_is_a_denial(value: Any) -> None:
    assert said(value).check(ACME, "sso").reason == "source_unavailable"


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (FlagNotFoundError("x"), "unknown_feature"),
        (GeneralError("x"), "source_unavailable"),
        (TargetingKeyMissingError("x"), "source_unavailable"),
        (OSError("down"), "source_unavailable"),
        (TimeoutError(), "source_unavailable"),
    ],
)
def test_every_error_is_a_denial(error: Exception, answer: str) -> None:
    def fail(key: str, context: Any) -> Any:
        raise error

    assert answering(fail).check(ACME, "sso").reason == answer


def test_without_a_provider_everything_is_denied() -> None:
    api.clear_providers()
    assert not OpenFeatureEntitlements(api.get_client()).check(ACME, "sso").allowed


def test_a_client_that_raises_is_a_denial() -> None:
    class Broken:
        def get_boolean_details(self, *args: Any) -> Any:
            raise RuntimeError

    assert OpenFeatureEntitlements(Broken()).check(ACME, "sso").reason == "source_unavailable"  # type: ignore[arg-type]  # what the test is about


def test_a_hook_cannot_open_what_failed() -> None:
    class Opening(Hook):
        def error(self, hook_context: Any, exception: Exception, hints: Any) -> None:
            raise RuntimeError("a hook of somebody else")

    api.add_hooks([Opening()])

    def fail(key: str, context: Any) -> Any:
        raise GeneralError("x")

    assert not answering(fail).check(ACME, "sso").allowed


def test_the_tenant_is_the_targeting_key() -> None:
    seen = list[Any]()

    def look(key: str, context: Any) -> Any:
        seen.append((key, context.targeting_key, dict(context.attributes)))
        return FlagResolutionDetails(True, reason=Reason.STATIC)

    assert answering(look, prefix="plan.").check(ACME, "sso").allowed
    assert seen == [("plan.sso", "acme", {"principal": "ada", "kind": "user"})]


def test_a_real_provider() -> None:
    api.set_provider(InMemoryProvider({"sso": InMemoryFlag("on", {"on": True, "off": False})}))
    entitlements = OpenFeatureEntitlements(api.get_client())
    assert entitlements.check(ACME, "sso").allowed
    assert entitlements.require(ACME, "sso").allowed
    assert entitlements.check(ACME, "unheard").reason == "unknown_feature"
    with pytest.raises(EntitlementDenied) as refused:
        entitlements.require(ACME, "unheard")
    assert refused.value.reason == "unknown_feature"


@pytest.mark.parametrize("feature", ["", None, 7, []])
def test_what_is_no_name_is_denied(feature: Any) -> None:
    assert said(True).check(ACME, feature).reason == "unknown_feature"


def test_flags_count_nothing() -> None:
    with pytest.raises(UsageError):
        said(True).check(ACME, "runs", 2)


def test_the_async_face() -> None:
    class Later(Provider):
        async def resolve_boolean_details_async(
            self, flag_key: str, default_value: bool, evaluation_context: Any = None
        ) -> Any:
            await asyncio.sleep(0)
            return FlagResolutionDetails(flag_key == "sso", reason=Reason.STATIC)

    api.set_provider(Later(lambda key, context: None))
    entitlements = OpenFeatureEntitlements(api.get_client(), suspends=True)
    with pytest.raises(ConfigurationError):
        entitlements.check(ACME, "sso")

    async def run() -> None:
        assert (await entitlements.acheck(ACME, "sso")).allowed
        assert not (await entitlements.acheck(ACME, "other")).allowed

    asyncio.run(run())
