"""The error tree: what is public, what is private, and that causes which must look alike do."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from wellstreak_trust.core import errors
from wellstreak_trust.core.errors import TrustError


def descendants(kind: type[TrustError]) -> Iterator[type[TrustError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__bases__[0] is kind and child.__module__.startswith("wellstreak_trust."):
            yield from descendants(child)


TREE = list(descendants(TrustError))
LEAVES = [kind for kind in TREE if not kind.__dict__.get("abstract", False)]
PRIVATE = "xoxb-private-detail"


class _Verdict:
    violated = ("tenant",)
    retry_after = timedelta(seconds=1.2)

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2", "RateLimit": '"tenant";r=0;t=2'}


class _Decision:
    def __init__(self, code: str, *, conceal: bool = False) -> None:
        self.code = code
        self.conceal = conceal


def make(kind: type[TrustError]) -> TrustError:
    if kind is errors.AccessDenied:
        return errors.AccessDenied(_Decision("no_grant"), detail=PRIVATE, hint=PRIVATE)
    if kind is errors.RateLimited:
        return errors.RateLimited(_Verdict(), hint=PRIVATE)
    if kind is errors.SecretConflict:
        return errors.SecretConflict(1, 2, detail=PRIVATE)
    if kind is errors.ConnectionNotActive:
        return errors.ConnectionNotActive("failing", PRIVATE, hint=PRIVATE)
    return kind(PRIVATE, hint=PRIVATE)


def drawn() -> dict[str, tuple[str | None, str]]:
    """Each name of the drawing with the name above it and what stands beside it."""
    found: dict[str, tuple[str | None, str]] = {}
    above: list[str] = []
    for lead, name, beside in re.findall(r"^    ([│├└─ ]*)(\w+)  +(.+)$", errors.__doc__ or "", re.MULTILINE):
        del above[len(lead) // 4 :]
        found[name] = (above[-1] if above else None, beside)
        above.append(name)
    return found


def test_the_drawing_is_the_tree() -> None:
    assert drawn() == {
        kind.__name__: (
            None if kind is TrustError else kind.__bases__[0].__name__,
            ("abstract" if kind not in LEAVES else f"{kind.status} {kind.code}")
            + "".join(f", also {base.__name__}" for base in kind.__bases__[1:] if base is not Exception),
        )
        for kind in TREE
    }


def test_every_class_is_exported_and_stands_in_this_package() -> None:
    assert sorted(errors.__all__) == sorted(kind.__name__ for kind in TREE)
    assert {kind.__module__.rpartition(".")[0] for kind in TREE} == {errors.__name__}


def test_a_code_has_one_status_except_where_the_document_must_not_tell() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in LEAVES:
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_401_carries_a_challenge(kind: type[TrustError]) -> None:
    assert (kind.status == 401) is ("WWW-Authenticate" in dict(make(kind).headers()))


@pytest.mark.asvs("16.5.1")
@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_problem_documents_hold_nothing_private(kind: type[TrustError]) -> None:
    error = make(kind)
    document = error.problem("/requests/1")
    assert PRIVATE not in repr(document)
    assert PRIVATE not in repr(error)
    assert set(document) - {"violated-policies", "fields"} == {"type", "title", "status", "code", "instance"}
    assert (document["status"], document["code"]) == (error.status, error.code)
    assert 200 <= error.status < 600


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_only_the_hosts_own_bugs_explain_themselves_in_str(kind: type[TrustError]) -> None:
    shown = str(make(kind))
    explains = issubclass(kind, errors.HostError) and not issubclass(kind, errors.WebhookError)
    assert (PRIVATE in shown) is explains


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind not in LEAVES], ids=lambda kind: kind.__name__)
def test_branches_refuse_instantiation(kind: type[TrustError]) -> None:
    with pytest.raises(TypeError, match="branch"):
        kind("x")


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_errors_cross_process_borders(kind: type[TrustError]) -> None:
    error = make(kind)
    if kind in (errors.AccessDenied, errors.RateLimited):
        error.__dict__.pop("decision", None)
        error.__dict__.pop("verdict", None)
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is kind
    assert twin.__dict__ == error.__dict__
    assert copy.copy(error).problem() == error.problem() if kind is not errors.RateLimited else True


def test_access_denied_has_four_public_faces() -> None:
    assert errors.AccessDenied(_Decision("no_grant")).status == 403
    assert errors.AccessDenied(_Decision("approval_required")).problem()["code"] == errors.ApprovalRequired.code
    concealed = errors.AccessDenied(_Decision("tenant_mismatch", conceal=True))
    assert concealed.problem() == errors.NotFound().problem()
    nobody = errors.AccessDenied(_Decision("unauthenticated"))
    assert nobody.problem() == errors.InvalidCredential().problem()
    assert nobody.headers() == (("WWW-Authenticate", "Bearer"),)
    assert errors.AccessDenied(_Decision("no_grant")).headers() == ()


def test_unknown_tenant_and_stranger_are_the_same_bytes() -> None:
    unknown = errors.TenantNotFound("no such tenant").problem()
    assert unknown == errors.TenantNotFound("no membership").problem() == errors.NotFound().problem()


def test_reauthentication_challenge_follows_rfc_9470() -> None:
    error = errors.ReauthRequired(acr_values="aal2", max_age=900)
    assert error.status == 401
    assert dict(error.headers())["WWW-Authenticate"] == (
        'Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="900"'
    )
    assert dict(errors.ReauthRequired().headers())["WWW-Authenticate"] == (
        'Bearer error="insufficient_user_authentication"'
    )


@pytest.mark.parametrize(
    ("wait", "shown"), [(timedelta(0), "1"), (timedelta(milliseconds=1), "1"), (timedelta(seconds=1.5), "2")]
)
def test_retry_after_is_whole_seconds_rounded_up_and_at_least_one(wait: timedelta, shown: str) -> None:
    error = errors.ConnectionNotActive("degraded", "timeout", retry_after=wait)
    assert error.headers() == (("Retry-After", shown),)
    assert error.status == 503


def test_rate_limited_names_the_violated_policies() -> None:
    error = errors.RateLimited(_Verdict())
    assert error.problem()["violated-policies"] == ["tenant"]
    assert error.problem()["type"].startswith("https://iana.org/assignments/http-problem-types#")
    assert dict(error.headers())["Retry-After"] == "2"


def test_a_limit_that_could_not_be_asked_answers_as_an_outage() -> None:
    class Outage(_Verdict):
        outage = True

    error = errors.RateLimited(Outage())
    assert (error.status, error.code, error.title) == (503, errors.Unavailable.code, errors.Unavailable.title)
    assert error.problem()["type"].endswith("#temporary-reduced-capacity")
    assert errors.RateLimited(_Verdict()).status == 429


def test_structured_facts_stay_on_the_error() -> None:
    denied = errors.EntitlementDenied("limit_reached", limit=5, used=5)
    assert (denied.reason, denied.limit, denied.used, denied.resets_at) == ("limit_reached", 5, 5, None)
    assert errors.ConfigurationError("x", reason="memory_store").reason == "memory_store"
    assert errors.DisclosureRejected(fields=(("title", "too_short"),)).fields == (("title", "too_short"),)
    assert errors.SecurityTxtInvalid(line=3).line == 3
    assert errors.KeyUnavailable(retryable=False).retryable is False
    assert errors.SecretConflict(1, 2).detail == "expected version 1, found 2"
