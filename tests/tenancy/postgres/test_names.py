"""Names on their way into DDL: read strictly, written quoted, never repaired."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wellstreak_trust.core.errors import ConfigurationError, UsageError
from wellstreak_trust.tenancy.postgres import (
    Seal,
    composite_key_ddl,
    drop_policy_ddl,
    link_policy_ddl,
    mismatch_query,
    policy_ddl,
    seal_ddl,
)
from wellstreak_trust.tenancy.postgres.names import derived, spelt, split

GOOD = {
    "project": ("project",),
    "Project": ("Project",),
    "größe": ("größe",),
    "app.project": ("app", "project"),
    '"odd name"': ("odd name",),
    'app."a.b"': ("app", "a.b"),
    '"say ""hi"""': ('say "hi"',),
    "x" * 63: ("x" * 63,),
}
HOSTILE = {
    "empty": "",
    "blank": " ",
    "nothing quoted": '""',
    "statement": "project; DROP TABLE project",
    "breaks out": 'project" USING (true); --',
    "quote inside": 'pro"ject',
    "unclosed": '"project',
    "text after the quotes": '"a"b',
    "apostrophe": "pro'ject",
    "space": "pro ject",
    "leading digit": "1project",
    "dot first": ".project",
    "dot last": "project.",
    "dots": "a..b",
    "three parts": "a.b.c",
    "too long": "x" * 64,
    "too long in octets": "ö" * 32,
    "NUL": '"a\0b"',
    "line end": "project\n",
    "comment": "project--",
    "dollar quote": "$$",
    "none": None,
    "number": 7,
}
CALLS: dict[str, Callable[[str], object]] = {
    "table": policy_ddl,
    "drop": drop_policy_ddl,
    "link": lambda name: link_policy_ddl(name, {"a": "b"}),
    "parent": lambda name: link_policy_ddl("a", {"b": name}),
    "child": lambda name: composite_key_ddl(name, "b", {"c": "id"}),
    "query": lambda name: mismatch_query("b", name, {"c": "id"}),
}
PARTS: dict[str, Callable[[str], object]] = {
    "column": lambda name: policy_ddl("t", name),
    "company": lambda name: policy_ddl("t", company=name or "''"),
    "schema": lambda name: policy_ddl("t", schema=name if name is not None else ""),
    "policy": lambda name: policy_ddl("t", name=name),
    "role": seal_ddl,
    "seal schema": lambda name: policy_ddl("t", sealed=True, seal_schema=name),
    "key": lambda name: composite_key_ddl("a", "b", {name: "id"}),
    "constraint": lambda name: composite_key_ddl("a", "b", {"c": "id"}, replaces=name or ""),
}


@pytest.mark.parametrize(("name", "parts"), GOOD.items(), ids=map(str, range(len(GOOD))))
def test_names_are_read_as_sql_reads_them(name: str, parts: tuple[str, ...]) -> None:
    assert split(name) == parts
    assert split(".".join(map(spelt, parts))) == parts


@pytest.mark.asvs("1.2.4")
@pytest.mark.parametrize("call", [*CALLS, *PARTS])
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_are_refused_everywhere(name: str, call: str) -> None:
    with pytest.raises(UsageError):
        {**CALLS, **PARTS}[call](name)


@pytest.mark.parametrize("call", PARTS)
def test_one_name_has_one_part(call: str) -> None:
    with pytest.raises(UsageError):
        PARTS[call]("a.b")


@pytest.mark.parametrize(
    "setting", ["", "tenant", "wst.", ".tenant", "wst.tenant'", "wst.te nant", "wst.tenant', true) OR (true", "wst..x"]
)
def test_settings_have_a_prefix(setting: str) -> None:
    with pytest.raises(UsageError):
        policy_ddl("t", setting=setting)
    with pytest.raises(UsageError):
        policy_ddl("t", company="c", company_setting=setting)


def test_types_are_names_too() -> None:
    assert "::uuid" in policy_ddl("t", type="uuid")[-1]
    assert '::"app"."key"' in policy_ddl("t", type="app.key")[-1]
    assert "::" not in policy_ddl("t", type="text")[-1]
    with pytest.raises(UsageError):
        policy_ddl("t", type="uuid) OR (true")


def test_derived_names_are_cut_and_stay_whole() -> None:
    name = derived(("app." + "ö" * 31, "tenant_id"), "fkey")
    assert len(name.strip('"').encode()) <= 63
    assert name.endswith('_fkey"')


def test_what_makes_no_sense_is_refused() -> None:
    for call in (
        lambda: link_policy_ddl("a", {}),
        lambda: composite_key_ddl("a", "b", {}),
        lambda: composite_key_ddl("a", "b", {"c": "id"}, on_delete="explode"),
        lambda: seal_ddl(),
    ):
        with pytest.raises(UsageError):
            call()
    for key in (b"", b"k" * 31, "k" * 32):
        with pytest.raises(ConfigurationError) as refused:
            Seal(key)  # type: ignore[arg-type]  # text is no key
        assert refused.value.reason == "seal_key"
