"""The DDL of row level security: plain statements, for migrations of any tool.

Each policy compares the row's tenant with the setting of the transaction, and refuses where that is empty or unset:

* ``nullif``, because after a first ``SET LOCAL`` a setting reads ``''`` and not NULL on that connection, and a cast of
  it would raise: right in tests, wrong on a reused connection;
* a sub-select, because PostgreSQL then reads the setting once a statement and not once a row;
* USING and WITH CHECK are the same, so that no row can be written that could not be read;
* FORCE, because a table's owner is otherwise exempt.

Checks of unique and foreign keys do not ask policies; see `composite_key_ddl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...core.errors import UsageError
from ..setting import COMPANY, TENANT
from . import names
from .seal import SCHEMA

__all__ = [
    "POLICY",
    "drop_policy_ddl",
    "link_policy_ddl",
    "of_company",
    "of_tenant",
    "policy_ddl",
    "protected",
    "told",
    "unprotected",
]

POLICY: Final = "tenant_isolation"
"""The name of the policy, where no other is asked for."""


def policy_ddl(
    table: str,
    column: str = "tenant_id",
    *,
    setting: str = TENANT,
    type: str | None = None,
    schema: str | None = None,
    company: str | None = None,
    company_setting: str = COMPANY,
    company_type: str | None = None,
    sealed: bool = False,
    seal_schema: str = SCHEMA,
    name: str = POLICY,
    replace: bool = False,
) -> list[str]:
    """Statements that put a table under row level security; run them in one transaction, as the table's owner.

    Args:
        table: ``table`` or ``schema.table``, as the database spells it; odd names in double quotes.
        schema: of names that bring none.
        type: the column's type where it is not text (``uuid``, ``bigint``, a domain): what the setting is cast to.
        company: a second column. A transaction whose company setting is empty sees the whole tenant; otherwise it
            sees and writes the rows of that company alone, and none without company.
        sealed: ask the function of `seal_ddl` instead of the setting; company then comes out of the same seal.
        replace: drop a policy of that name first, so that the statements may run again.

    Raises:
        UsageError: a name that is empty, too long or wants quotes.
    """
    target = names.qualified(table, schema)
    tenant, within = _sources(setting, company_setting, sealed, seal_schema)
    rule = of_tenant(names.quoted(column), _once(tenant, type))
    if company is not None:
        rule += f" AND {of_company(names.quoted(company), _once(within, company_type))}"
    return protected(target, rule, name, replace=replace)


def link_policy_ddl(
    table: str,
    parents: Mapping[str, str],
    column: str = "tenant_id",
    *,
    key: str = "id",
    setting: str = TENANT,
    type: str | None = None,
    schema: str | None = None,
    sealed: bool = False,
    seal_schema: str = SCHEMA,
    name: str = POLICY,
    replace: bool = False,
) -> list[str]:
    """As `policy_ddl`, for a table without tenant column: a row is seen where *each* parent is the tenant's.

    A foreign key's check does not ask the parent's policy, this one does: an unknown parent and another tenant's
    parent are refused alike, before the key is checked. It costs a look at each parent a row; a tenant column of its
    own (`policy_ddl`, `composite_key_ddl`) is quicker and stands when a parent changes hands.

    Args:
        parents: foreign key column to parent table, such as ``{"task_id": "task", "tag_id": "tag"}``.
        column: the parents' tenant column.
        key: the parents' column that the foreign keys point at.

    Raises:
        UsageError: no parents, or as `policy_ddl`.
    """
    target = names.qualified(table, schema)
    if not parents:
        raise UsageError("a link table has parents", hint='{"task_id": "task", "tag_id": "tag"}')
    tenant = _once(_sources(setting, COMPANY, sealed, seal_schema)[0], type)
    link, parent_key, owner = names.table(table), names.quoted(key), names.quoted(column)
    rule = " AND ".join(
        f"EXISTS (SELECT FROM {names.qualified(parent, schema)} AS parent"
        f" WHERE parent.{parent_key} = {link}.{names.quoted(reference)} AND {of_tenant(f'parent.{owner}', tenant)})"
        for reference, parent in parents.items()
    )
    return protected(target, rule, name, replace=replace)


def drop_policy_ddl(table: str, *, schema: str | None = None, name: str = POLICY) -> list[str]:
    """The reverse of `policy_ddl` and `link_policy_ddl`; the table is open to whoever holds a grant."""
    return unprotected(names.qualified(table, schema), name)


def unprotected(target: str, name: str = POLICY) -> list[str]:
    """The reverse of `protected`."""
    return [
        f"DROP POLICY IF EXISTS {names.quoted(name)} ON {target}",
        f"ALTER TABLE {target} NO FORCE ROW LEVEL SECURITY",
        f"ALTER TABLE {target} DISABLE ROW LEVEL SECURITY",
    ]


def told(setting: str) -> str:
    """What the transaction says under `setting`, as an expression that is NULL where it says nothing."""
    return _once(_setting(setting), None)


def of_tenant(column: str, tenant: str) -> str:
    """The rule of a tenant's row; both are SQL."""
    return f"{column} = {tenant}"


def of_company(column: str, company: str) -> str:
    """The rule of a company's row; where no company is told, the whole tenant."""
    return f"{column} IS NOT DISTINCT FROM coalesce({company}, {column})"


def protected(target: str, rule: str, name: str = POLICY, *, replace: bool = False) -> list[str]:
    """Row level security by one `rule` for reading and writing; `target` is quoted."""
    policy = names.quoted(name)
    return [
        f"ALTER TABLE {target} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {target} FORCE ROW LEVEL SECURITY",
        *([f"DROP POLICY IF EXISTS {policy} ON {target}"] if replace else []),
        f"CREATE POLICY {policy} ON {target} FOR ALL USING ({rule}) WITH CHECK ({rule})",
    ]


def _sources(setting: str, company_setting: str, sealed: bool, seal_schema: str) -> tuple[str, str]:
    """Where a policy reads the tenant and the company."""
    if sealed:
        opened = f"({names.quoted(seal_schema)}.opened())"
        return f"{opened}[1]", f"nullif({opened}[2], '')"
    return _setting(setting), _setting(company_setting)


def _setting(name: str) -> str:
    return f"nullif(current_setting({names.setting_name(name)}, true), '')"


def _once(source: str, type: str | None) -> str:
    cast = names.type_name(type)
    return f"(SELECT {source})" if cast is None else f"(SELECT ({source})::{cast})"
