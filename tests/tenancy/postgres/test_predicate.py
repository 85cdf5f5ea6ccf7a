"""What a policy's expression proves. The doctor's tests plant real policies; these are the corners of the reading."""

from __future__ import annotations

import pytest

from wellstreak_trust.tenancy.postgres.predicate import is_guarded, is_once, pins, vouched

ONCE = "( SELECT NULLIF(current_setting('wst.tenant'::text, true), ''::text) AS \"nullif\")"

PINNED = {
    "equal": f"(tenant_id = {ONCE})",
    "turned": f"({ONCE} = tenant_id)",
    "cast column": f"((tenant_id)::text = {ONCE})",
    "cast twice": f"(((tenant_id)::character varying(64))::text = {ONCE})",
    "array": "(tenant_id = ANY (string_to_array(current_setting('wst.tenants'::text, true), ','::text)))",
    "query": f"(tenant_id IN ( SELECT m.tenant_id FROM member m WHERE (m.id = {ONCE})))",
    "and": f"((a = 1) AND (tenant_id = {ONCE}))",
    "deep": f"((a = 1) AND ((b = 2) AND (tenant_id = {ONCE})))",
    "or of both": f"(((a = 1) AND (tenant_id = {ONCE})) OR ((b = 2) AND (tenant_id = {ONCE})))",
    "an OR in a string": f"((a = ' OR '::text) AND (tenant_id = {ONCE}))",
    "a bracket in a string": f"((a = ')('::text) AND (tenant_id = {ONCE}))",
    "an apostrophe in a string": f"((a = 'it''s OR '::text) AND (tenant_id = {ONCE}))",
    "lines": f"((a = 1)\n AND\n (tenant_id = {ONCE}))",
}
LOOSE = {
    "nothing": None,
    "empty": "",
    "true": "true",
    "or": f"((tenant_id = {ONCE}) OR (a = 1))",
    "or inside and": f"((a = 1) AND ((tenant_id = {ONCE}) OR (b = 2)))",
    "not": f"(NOT (tenant_id = {ONCE}))",
    "not false": f"((tenant_id = {ONCE}) IS NOT FALSE)",
    "not distinct from": f"(NOT (tenant_id IS DISTINCT FROM {ONCE}))",
    "greater": f"(tenant_id >= {ONCE})",
    "itself": f"(tenant_id = COALESCE({ONCE}, tenant_id))",
    "concatenated with itself": f"(tenant_id = (tenant_id || {ONCE}))",
    "default": f"(tenant_id = COALESCE({ONCE}, 't1'::text))",
    "case": f"(tenant_id = CASE WHEN a THEN {ONCE} ELSE tenant_id END)",
    "one of several": f"(tenant_id = ANY (ARRAY[{ONCE}, 'shared'::text]))",
    "one of some rows": f"(tenant_id IN ( SELECT {ONCE} AS x UNION SELECT 'shared'::text AS x))",
    "one of values": f"(tenant_id IN ( VALUES ({ONCE}), ('shared'::text)))",
    "an open query": f"(tenant_id IN ( SELECT m.tenant_id FROM member m WHERE ((m.id = {ONCE}) OR m.open)))",
    "another column": f"(other_tenant_id = {ONCE})",
    "a function of the column": f"(lower(tenant_id) = {ONCE})",
    "the word in a string": "(tenant_id = 'current_setting('::text)",
    "three sides": f"((tenant_id = {ONCE}) = b)",
    "unbalanced": f"(tenant_id = {ONCE}",
}


@pytest.mark.parametrize("expression", PINNED.values(), ids=PINNED)
def test_these_pin_the_tenant(expression: str) -> None:
    assert pins(expression, "tenant_id")


@pytest.mark.parametrize("expression", LOOSE.values(), ids=LOOSE)
def test_these_prove_nothing(expression: str | None) -> None:
    assert pins(expression, "tenant_id") == ()


def test_quoted_columns_are_whole_names() -> None:
    assert pins(f'("Tenant" = {ONCE})', '"Tenant"')
    assert not pins(f'("Tenant" = {ONCE})', "tenant")


def test_how_a_setting_is_read() -> None:
    assert is_guarded(f"tenant_id = {ONCE}")
    assert is_once(f"tenant_id = {ONCE}")
    assert not is_guarded("tenant_id = ( SELECT current_setting('wst.tenant'::text, true) AS x)")
    assert not is_once("tenant_id = NULLIF(current_setting('wst.tenant'::text, true), ''::text)")
    assert is_once("tenant_id = ( SELECT me() AS me)", ("me",))


LINK = f"EXISTS ( SELECT FROM project parent WHERE ((parent.id = link.project_id) AND (parent.tenant_id = {ONCE})))"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"({LINK})", True),
        (f"(({LINK}) AND (a = 1))", True),
        (f"(({LINK}) OR (a = 1))", False),
        (f"(NOT ({LINK}))", False),
        (LINK.replace("project parent", "other parent"), False),
        (LINK.replace(" AND (parent.tenant_id", " OR (parent.tenant_id"), False),
        ("EXISTS ( SELECT FROM project parent WHERE (parent.id = link.project_id))", False),
        (None, False),
    ],
    ids=map(str, range(8)),
)
def test_who_vouches_for_a_parent(expression: str | None, expected: bool) -> None:
    assert vouched(expression, "project", "tenant_id") is expected
