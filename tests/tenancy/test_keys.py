"""`TenantKey`: no two tenants, and no two lists of parts, share a key."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wellstreak_trust.core import Membership, Principal, UsageError
from wellstreak_trust.core.errors import NotFound
from wellstreak_trust.tenancy import NoTenant, TenantContext, tenant_scope, testing_context
from wellstreak_trust.tenancy.keys import TenantKey, django_cache_key, memo_key

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TRICKY = st.text(alphabet="ab:/._-%\x00 \u00e9", max_size=5) | TEXT
NAME = TRICKY.filter(bool)
KEYS = st.tuples(NAME, st.none() | NAME, NAME, st.lists(TRICKY, max_size=3).map(tuple))
TARGETS = st.sampled_from(["cache", "object", "topic"])
SAFE = {
    "cache": r"[A-Za-z0-9:._-]{1,250}",
    "object": r"[A-Za-z0-9/._-]{1,1024}",
    "topic": r"[A-Za-z0-9._-]{1,249}",
}
Key = tuple[str, str | None, str, tuple[str, ...]]


def context(tenant_id: str, company: str | None = None) -> TenantContext:
    who = Principal("u1", tenant_id=tenant_id)
    return TenantContext(tenant_id, who, Membership(tenant_id, "u1", frozenset()), company_id=company)


def made(key: Key, target: str) -> Any:
    tenant_id, company, name, parts = key
    with tenant_scope(context(tenant_id, company)):
        return getattr(TenantKey(name, company=company is not None), target)(*parts)


@given(one=KEYS, two=KEYS, target=TARGETS | st.just("lock"))
@example(one=("a", None, "b:c", ()), two=("a:b", None, "c", ()), target="cache")
@example(one=("a", None, "n", ("b", "c")), two=("a", None, "n", ("b/c",)), target="object")
@example(one=("a", None, "n", ("b.c",)), two=("a", None, "n", ("b", "c")), target="topic")
@example(one=("a", None, "n", ("",)), two=("a", None, "n", ()), target="cache")
@example(one=("a", None, "n", ("_",)), two=("a", None, "n", ("",)), target="cache")
@example(one=("a", "b", "n", ()), two=("a", None, "b", ("n",)), target="cache")
@example(one=("a", None, "n", ("x" * 300,)), two=("a", None, "n", ("x" * 301,)), target="cache")
def test_two_keys_are_two_texts(one: Key, two: Key, target: str) -> None:
    assert (made(one, target) == made(two, target)) is (one == two)


@pytest.mark.asvs("1.3.9")
@given(key=KEYS, target=TARGETS)
@example(key=("a", None, ".", ("..", ".", "a..b")), target="object")
def test_a_key_is_safe_where_it_goes_and_can_be_read_back(key: Key, target: Any) -> None:
    text = made(key, target)
    assert re.fullmatch(SAFE[target], text)
    assert not {".", "..", ""} & set(text.split("/"))
    tenant_id, company, name, parts = key
    with tenant_scope(context(tenant_id, company)):
        reader = TenantKey(name, company=company is not None)
        assert reader.belongs(text, target)
        assert reader.parts(text, target) == parts


@given(key=KEYS, other=NAME, target=TARGETS)
def test_another_tenant_name_or_company_refuses_it(key: Key, other: str, target: Any) -> None:
    tenant_id, company, name, _ = key
    text = made(key, target)
    for reader_tenant, reader_company, reader_name in (
        (other, company, name),
        (tenant_id, company, other),
        (tenant_id, other, name),
        (tenant_id, None, name),
    ):
        if (reader_tenant, reader_company, reader_name) == (tenant_id, company, name):
            continue
        with tenant_scope(context(reader_tenant, reader_company)):
            reader = TenantKey(reader_name, company=reader_company is not None)
            assert not reader.belongs(text, target)
            with pytest.raises(NotFound):
                reader.parts(text, target)


@given(text=st.text(max_size=30) | st.text(alphabet="t:acmereport_-AZ09.", max_size=30).map("t:acme:report:".__add__))
def test_any_text_belongs_only_if_the_key_makes_it(text: str) -> None:
    key = TenantKey("report")
    with tenant_scope(testing_context("acme")):
        if key.belongs(text):
            assert key.cache(*key.parts(text)) == text


@pytest.mark.parametrize(
    "text",
    ["t:acme:report:_5F", "t:acme:report:_41", "t:acme:report:_", "t:acme:report:_c3", "t:acme:report:_C3", "t:acme",
     "t:acme:report:a b", "T:acme:report", "t:acme:report:_-", "t:acme:report:_-" + "0" * 64 + ":x", "", None, 7],
    ids=range(13),
)  # fmt: skip
def test_other_spellings_do_not_belong(text: Any) -> None:
    with tenant_scope(testing_context("acme")):
        assert TenantKey("report").belongs(text) is (text == "t:acme:report:_")


def test_long_parts_become_a_digest_that_cannot_be_read_back() -> None:
    key = TenantKey("report")
    with tenant_scope(testing_context("acme")):
        text = key.cache("x" * 250)
        assert text.startswith("t:acme:report:_-")
        assert len(text) < 90
        assert key.belongs(text)
        with pytest.raises(NotFound):
            key.parts(text)
        with pytest.raises(UsageError):
            key.object("x" * 1025)
        with pytest.raises(UsageError):
            TenantKey("r" * 250).cache("x")
    with tenant_scope(testing_context("globex")):
        assert not key.belongs(text)


METHODS: dict[str, Callable[[TenantKey], object]] = {
    "cache": TenantKey.cache,
    "object": TenantKey.object,
    "topic": TenantKey.topic,
    "lock": TenantKey.lock,
    "belongs": lambda key: key.belongs("t:acme:report"),
    "parts": lambda key: key.parts("t:acme:report"),
    "django": lambda key: django_cache_key("k", "", 1),
    "memo": lambda key: memo_key(1),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_outside_a_scope_there_is_no_key(method: Callable[[TenantKey], object]) -> None:
    with pytest.raises(NoTenant):
        method(TenantKey("report"))


@pytest.mark.parametrize("wrong", [7, None, b"x", "\ud800"], ids=["int", "none", "bytes", "surrogate"])
def test_parts_are_text(wrong: Any) -> None:
    with tenant_scope(testing_context("acme")):
        for method in (TenantKey.cache, TenantKey.object, TenantKey.topic, TenantKey.lock):
            with pytest.raises(UsageError):
                method(TenantKey("report"), wrong)
        with pytest.raises(UsageError):
            TenantKey("report", company=True).cache()
    for name in ("", 7):
        with pytest.raises(UsageError):
            TenantKey(name)  # type: ignore[arg-type]  # refused whatever it is


def test_readable_keys() -> None:
    with tenant_scope(context("acme", "eu")):
        key = TenantKey("daily report")
        assert key.cache("2026-11", "7") == "t:acme:daily_20report:2026-11:7"
        assert key.object("q1.pdf") == "t/acme/daily_20report/q1.pdf"
        assert key.topic("created.v1") == "t.acme.daily_20report.created_2Ev1"
        assert TenantKey("x", company=True).cache("a_b") == "c:acme:eu:x:a__b"
        assert -(2**63) <= key.lock() < 2**63
        assert key.lock() == 4158219387631547861


def test_djangos_cache_and_cachetools_keep_tenants_apart() -> None:
    from django.core.cache.backends.locmem import LocMemCache

    cache = LocMemCache("tenant-keys", {"KEY_FUNCTION": "wellstreak_trust.tenancy.keys.django_cache_key"})
    with tenant_scope(testing_context("acme")):
        cache.set("k", 1)
        assert (cache.get("k"), cache.get("k", version=2)) == (1, None)
        one = memo_key(1, a=2)
        assert one == memo_key(1, a=2) != memo_key(1, ("a", 2))
        cache.set("a key with spaces " + "x" * 300, 2)
    with tenant_scope(testing_context("globex")):
        assert cache.get("k") is None
        assert memo_key(1, a=2) != one
    with pytest.raises(NoTenant):
        cache.get("k")


def test_postgres_takes_the_lock(postgres_url: str) -> None:
    import psycopg

    key = TenantKey("close")
    with tenant_scope(testing_context("acme")):
        acme = key.lock("2026-11")
    with tenant_scope(testing_context("globex")):
        globex = key.lock("2026-11")
    with psycopg.connect(postgres_url) as first, psycopg.connect(postgres_url) as second:
        assert first.execute("SELECT pg_try_advisory_xact_lock(%s)", [acme]).fetchone() == (True,)
        assert second.execute("SELECT pg_try_advisory_xact_lock(%s)", [acme]).fetchone() == (False,)
        assert second.execute("SELECT pg_try_advisory_xact_lock(%s)", [globex]).fetchone() == (True,)
