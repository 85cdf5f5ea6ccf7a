"""The facts that the doctor judges, read from PostgreSQL's catalog in a fixed number of set-based queries.

Names arrive quoted where SQL wants them quoted, so that they can stand in a hint and in a comparison with what
``pg_get_expr`` gives. Roles are those that the connected role is or can become by ``SET ROLE``, through any chain of
memberships, inherited or not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sqlalchemy import Connection, text

__all__ = ["Catalog", "ForeignKey", "Index", "Policy", "Relation", "Role", "Source", "read"]

_PUBLIC: Final = "PUBLIC"


class Source(Protocol):
    """A psycopg connection, as far as it is needed."""

    def execute(self, query: Any, params: Any = None) -> Any:
        """Runs a query; the cursor has ``fetchall``."""
        ...


@dataclass(frozen=True, slots=True)
class Role:
    """A role that the connected one is or can become."""

    oid: int
    name: str
    superuser: bool
    bypasses: bool
    creates_roles: bool
    replicates: bool
    me: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or materialised view; `column` is None without a tenant column."""

    oid: int
    schema: str
    name: str
    label: str
    kind: str
    partition: bool
    secured: bool
    forced: bool
    owner: str
    owner_oid: int
    invoker: bool
    column: str | None
    attribute: int | None
    not_null: bool
    type: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that applies to a role of ours; `functions` maps those it calls to their bodies."""

    name: str
    permissive: bool
    command: str
    using: str | None
    check: str | None
    functions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `keys` are attribute numbers, 0 for an expression."""

    name: str
    unique: bool
    surrogate: bool
    whole: bool
    keys: tuple[int, ...]
    expressions: str
    definition: str
    constraint: str | None
    primary: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key to a table of ours."""

    name: str
    child: int
    parent: int
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    on_delete: str


@dataclass(slots=True)
class Catalog:
    """Everything that was read."""

    version: int = 0
    roles: dict[int, Role] = field(default_factory=dict)
    memberships: list[tuple[str, str]] = field(default_factory=list)
    relations: dict[int, Relation] = field(default_factory=dict)
    grants: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    policies: dict[int, list[Policy]] = field(default_factory=lambda: defaultdict(list))
    indexes: dict[int, list[Index]] = field(default_factory=lambda: defaultdict(list))
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    view_sources: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    definers: list[tuple[str, str, str]] = field(default_factory=list)
    defaults: list[tuple[str, str | None, str, str]] = field(default_factory=list)
    publications: list[tuple[str, str, str]] = field(default_factory=list)
    presets: list[tuple[str | None, str | None, str]] = field(default_factory=list)

    def holders(self, relation: Relation, *privileges: str) -> list[str]:
        """Who of us, or PUBLIC, holds one of `privileges` by grant."""
        return sorted({holder for holder, privilege in self.grants.get(relation.oid, ()) if privilege in privileges})

    def touchable(self, relation: Relation) -> bool:
        """Whether rows can be read or changed, by grant or as the owner."""
        return relation.owner_oid in self.roles or bool(self.holders(relation, "SELECT", "INSERT", "UPDATE", "DELETE"))


_REACH: Final = """
WITH RECURSIVE reach(oid) AS (
  SELECT oid FROM pg_roles WHERE rolname = current_user
  UNION SELECT m.roleid FROM pg_auth_members AS m JOIN reach ON m.member = reach.oid {usable}
)"""
# From version 16 a membership may be empty; one with ADMIN can make itself whole.
_USABLE: Final = "AND (m.set_option OR m.inherit_option OR m.admin_option)"
_OURS: Final = "n.nspname <> 'information_schema' AND NOT starts_with(n.nspname, 'pg_')"
_LABEL: Final = "quote_ident(n.nspname) || '.' || quote_ident(c.relname)"

_QUERIES: Final[Mapping[str, str]] = {
    "roles": """{reach}
SELECT r.oid, quote_ident(r.rolname), r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication,
  r.rolname = current_user
FROM pg_roles AS r JOIN reach ON reach.oid = r.oid""",
    "memberships": """{reach}
SELECT quote_ident(r.rolname), quote_ident(g.rolname) FROM pg_auth_members AS m
JOIN reach ON reach.oid = m.member JOIN pg_roles AS r ON r.oid = m.member JOIN pg_roles AS g ON g.oid = m.roleid""",
    "relations": """
SELECT c.oid, n.nspname, quote_ident(c.relname), {label}, CAST(c.relkind AS text), c.relispartition, c.relrowsecurity,
  c.relforcerowsecurity, quote_ident(o.rolname), c.relowner,
  coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on', 'security_invoker=1',
    'security_invoker=yes', 'security_invoker=t', 'security_invoker=y'], false),
  quote_ident(a.attname), a.attnum, coalesce(a.attnotnull, false), format_type(a.atttypid, a.atttypmod)
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_roles AS o ON o.oid = c.relowner
LEFT JOIN LATERAL (
  SELECT t.attname, t.attnum, t.attnotnull, t.atttypid, t.atttypmod
  FROM unnest(CAST(:columns AS text[])) WITH ORDINALITY AS w(name, place)
  JOIN pg_attribute AS t ON t.attname = w.name AND t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped
  ORDER BY w.place LIMIT 1
) AS a ON true
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND {ours}""",
    "grants": """
SELECT c.oid, x.grantee, quote_ident(g.rolname), x.privilege_type
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT * FROM aclexplode(c.relacl)
  UNION ALL SELECT e.* FROM pg_attribute AS t, aclexplode(t.attacl) AS e WHERE t.attrelid = c.oid
) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND x.grantee <> c.relowner AND {ours}""",
    "policies": """{reach}
SELECT p.polrelid, quote_ident(p.polname), p.polpermissive, CAST(p.polcmd AS text),
  pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid), p.oid
FROM pg_policy AS p
WHERE 0 = ANY(p.polroles) OR EXISTS (SELECT FROM reach WHERE reach.oid = ANY(p.polroles)
  AND (p.polpermissive OR pg_has_role(reach.oid, 'USAGE')))""",
    "functions": """
SELECT d.objid, quote_ident(f.proname), f.prosrc FROM pg_depend AS d JOIN pg_proc AS f ON f.oid = d.refobjid
WHERE d.classid = CAST('pg_policy' AS regclass) AND d.refclassid = CAST('pg_proc' AS regclass)""",
    "indexes": """
SELECT i.indrelid, quote_ident(x.relname), i.indisunique OR i.indisexclusion, i.indisprimary AND k.numbers,
  i.indisvalid AND i.indpred IS NULL, i.indnkeyatts, CAST(i.indkey AS text),
  coalesce(pg_get_expr(i.indexprs, i.indrelid), ''),
  CASE WHEN (i.indisunique OR i.indisexclusion) AND NOT (k.tenant OR i.indisprimary AND k.numbers)
    THEN pg_get_indexdef(i.indexrelid) ELSE '' END,
  quote_ident(o.conname), i.indisprimary
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid AND NOT x.relispartition
JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint AS o ON o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')
CROSS JOIN LATERAL (
  SELECT coalesce(bool_and(t.atttypid IN (20, 21, 23, 2950)), false) AS numbers, -- int8, int2, int4, uuid
    coalesce(bool_or(t.attname = ANY(CAST(:columns AS text[]))), false) AS tenant
  FROM unnest(i.indkey) WITH ORDINALITY AS e(attnum, place)
  JOIN pg_attribute AS t ON t.attrelid = i.indrelid AND t.attnum = e.attnum WHERE e.place <= i.indnkeyatts
) AS k
WHERE {ours}""",
    "foreign_keys": """
SELECT quote_ident(o.conname), o.conrelid, o.confrelid,
  ARRAY(SELECT quote_ident(t.attname) FROM unnest(o.conkey) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute AS t ON t.attrelid = o.conrelid AND t.attnum = k.attnum ORDER BY k.place),
  ARRAY(SELECT quote_ident(t.attname) FROM unnest(o.confkey) WITH ORDINALITY AS k(attnum, place)
    JOIN pg_attribute AS t ON t.attrelid = o.confrelid AND t.attnum = k.attnum ORDER BY k.place),
  CAST(o.confdeltype AS text)
FROM pg_constraint AS o WHERE o.contype = 'f' AND o.conparentid = 0""",
    "view_sources": """
WITH RECURSIVE edge(view, source) AS (
  SELECT DISTINCT c.oid, d.refobjid
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_rewrite AS r ON r.ev_class = c.oid
  JOIN pg_depend AS d ON d.classid = CAST('pg_rewrite' AS regclass) AND d.objid = r.oid
    AND d.refclassid = CAST('pg_class' AS regclass) AND d.refobjid <> c.oid
  WHERE c.relkind IN ('v', 'm') AND {ours}
), closure(view, source) AS (
  SELECT view, source FROM edge
  UNION SELECT closure.view, edge.source FROM closure JOIN edge ON edge.view = closure.source
)
SELECT view, source FROM closure""",
    "definers": """
SELECT quote_ident(n.nspname) || '.' || quote_ident(f.proname)
  || '(' || pg_get_function_identity_arguments(f.oid) || ')',
  quote_ident(n.nspname), n.nspname
FROM pg_proc AS f JOIN pg_namespace AS n ON n.oid = f.pronamespace
WHERE f.prosecdef AND {ours}
  AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS s(entry) WHERE starts_with(s.entry, 'search_path='))
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = CAST('pg_proc' AS regclass) AND d.objid = f.oid
    AND d.deptype = 'e')""",
    "defaults": """
SELECT quote_ident(o.rolname), quote_ident(n.nspname), x.grantee, quote_ident(g.rolname), x.privilege_type
FROM pg_default_acl AS a JOIN pg_roles AS o ON o.oid = a.defaclrole
LEFT JOIN pg_namespace AS n ON n.oid = a.defaclnamespace
CROSS JOIN LATERAL aclexplode(a.defaclacl) AS x LEFT JOIN pg_roles AS g ON g.oid = x.grantee
WHERE a.defaclobjtype = 'r' AND x.grantee <> a.defaclrole""",
    "publications": """
SELECT quote_ident(t.pubname), {label}, CASE WHEN p.puballtables THEN 'all' WHEN EXISTS (
    SELECT FROM pg_publication_rel AS e WHERE e.prpubid = p.oid AND e.prrelid = c.oid) THEN 'table' ELSE 'schema' END
FROM pg_publication_tables AS t JOIN pg_publication AS p ON p.pubname = t.pubname
JOIN pg_namespace AS n ON n.nspname = t.schemaname
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE {ours}""",
    "presets": """{reach}
SELECT quote_ident(d.datname), quote_ident(r.rolname), split_part(e.entry, '=', 1)
FROM pg_db_role_setting AS s CROSS JOIN LATERAL unnest(s.setconfig) AS e(entry)
LEFT JOIN pg_roles AS r ON r.oid = s.setrole LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
WHERE (s.setrole = 0 OR s.setrole IN (SELECT oid FROM reach)) AND (s.setdatabase = 0 OR d.datname = current_database())
  AND split_part(e.entry, '=', 1) = ANY(CAST(:settings AS text[])) AND split_part(e.entry, '=', 2) <> ''""",
}


def read(connection: Connection | Source, columns: Sequence[str], settings: Collection[str]) -> Catalog:
    """Reads the catalog on a SQLAlchemy or psycopg connection."""
    return _Reader(connection, {"columns": list(columns), "settings": list(settings)}).read()


class _Reader:
    """One reading."""

    def __init__(self, connection: Connection | Source, values: Mapping[str, Any]) -> None:
        self._connection: Connection | Source = connection
        self._values: Mapping[str, Any] = values
        found = self._fetch("SELECT current_setting('server_version_num')")
        self._version: int = int(found[0][0])

    def _fetch(self, query: str) -> Sequence[Sequence[Any]]:
        values = {name: value for name, value in self._values.items() if f":{name}" in query}
        source: Any = self._connection
        if isinstance(source, Connection):
            return source.execute(text(query), values).all()
        spelt = re.sub(r"(?<!:):([a-z]+)", r"%(\1)s", query.replace("%", "%%")) if values else query
        rows: Sequence[Sequence[Any]] = source.execute(spelt, values or None).fetchall()
        return rows

    def _ask(self, name: str) -> Sequence[Sequence[Any]]:
        reach = _REACH.format(usable=_USABLE if self._version >= 160_000 else "")
        return self._fetch(_QUERIES[name].format(reach=reach, ours=_OURS, label=_LABEL))

    def read(self) -> Catalog:
        """Everything, into one `Catalog`."""
        found = Catalog(version=self._version)
        found.roles = {row[0]: Role(*row) for row in self._ask("roles")}
        found.memberships = [(member, group) for member, group in self._ask("memberships")]
        found.relations = {row[0]: Relation(*row) for row in self._ask("relations")}
        for oid, grantee, name, privilege in self._ask("grants"):
            if grantee == 0 or grantee in found.roles:
                found.grants[oid].append((name or _PUBLIC, privilege))
        self._policies(found)
        for oid, *row in self._ask("indexes"):
            found.indexes[oid].append(_index(*row))
        for name, child, parent, here, there, action in self._ask("foreign_keys"):
            found.foreign_keys.append(ForeignKey(name, child, parent, tuple(here), tuple(there), action))
        for view, source in self._ask("view_sources"):
            found.view_sources[view].add(source)
        found.definers = [(label, quoted, schema) for label, quoted, schema in self._ask("definers")]
        for owner, schema, grantee, name, privilege in self._ask("defaults"):
            if grantee == 0 or grantee in found.roles:
                found.defaults.append((owner, schema, name or _PUBLIC, privilege))
        found.publications = [(name, label, by) for name, label, by in self._ask("publications")]
        found.presets = [(database, role, entry) for database, role, entry in self._ask("presets")]
        return found

    def _policies(self, found: Catalog) -> None:
        called: dict[int, dict[str, str]] = defaultdict(dict)
        for policy, name, body in self._ask("functions"):
            called[policy][name] = body
        for oid, name, permissive, command, using, check, policy in self._ask("policies"):
            functions = called.get(policy, {})
            found.policies[oid].append(Policy(name, permissive, command, using, check, functions))


def _index(name: str, unique: bool, surrogate: bool, whole: bool, width: int, *rest: Any) -> Index:
    keys, expressions, definition, constraint, primary = rest
    places = tuple(int(each) for each in keys.split()[:width])
    return Index(name, unique, surrogate, whole, places, expressions, definition, constraint, primary)
