"""PostgreSQL: who may do what to the trail, as statements that a host applies with its own migrations.

The application's role may add to the trail and read it. Triggers refuse everything else to everybody but one role, the
*keeper*, which prunes and erases (in a job of its own, with credentials of its own):

=========================  ==========================================================================================
table                      what is left to the writer
=========================  ==========================================================================================
``wst_audit_leaf``         insert
``wst_audit_tile``         insert; an update only where the new hashes begin with the old ones
``wst_audit_head``         insert; an update only where the tree does not shrink and nothing is pruned
``wst_audit_signed``       insert; an update only where the signed size does not fall
``wst_audit_disclosure``   insert
``wst_audit_subject``      insert
``wst_audit_hold``         insert: who may place a legal hold cannot lift it
``wst_audit_cursor``       insert and update; how far a sink has come is no evidence
=========================  ==========================================================================================

What this does not stop: the owner of the tables and a superuser can disable a trigger, and whoever holds the writer's
password can add events. Against those only a checkpoint held elsewhere helps.
"""

from __future__ import annotations

from typing import Final

from ...core.errors import ConfigurationError
from .audit_tables import CURSOR, DISCLOSURE, HEAD, HOLD, LEAF, SIGNED, SUBJECT, TILE

__all__ = ["audit_ddl"]

_GUARD: Final = """CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  {keeper}
  {allowed}
  RAISE EXCEPTION 'the audit trail is append-only: % on %', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END $$"""
_ALLOWED: Final = {
    TILE.name: "IF TG_OP = 'UPDATE' AND (NEW.tenant_id, NEW.level, NEW.idx) = (OLD.tenant_id, OLD.level, OLD.idx)"
    " AND substring(NEW.hashes FROM 1 FOR octet_length(OLD.hashes)) = OLD.hashes THEN RETURN NEW; END IF;",
    HEAD.name: "IF TG_OP = 'UPDATE' AND NEW.tenant_id = OLD.tenant_id AND NEW.size >= OLD.size"
    " AND (NEW.size > OLD.size OR NEW.root = OLD.root) AND NEW.first_seq = OLD.first_seq THEN RETURN NEW; END IF;",
    SIGNED.name: "IF TG_OP = 'UPDATE' AND NEW.origin = OLD.origin AND NEW.size >= OLD.size"
    " AND (NEW.size > OLD.size OR NEW.root = OLD.root) THEN RETURN NEW; END IF;",
}
_GROWS: Final = frozenset(_ALLOWED)
_TABLES: Final = (LEAF.name, TILE.name, HEAD.name, SIGNED.name, DISCLOSURE.name, SUBJECT.name, HOLD.name)


def audit_ddl(writer: str, *, keeper: str | None = None, reader: str | None = None) -> list[str]:
    """The statements, to be run by the owner of the tables after `create_all`; running them again changes nothing.

    Args:
        writer: the role that the application connects as; it must not own the tables.
        keeper: the role that prunes and erases; without one nobody can, the owner included, while the triggers stand.
        reader: a role that may only read, for auditors.

    Raises:
        ConfigurationError: two of the roles are the same, or one is no name.
    """
    roles = [role for role in (writer, keeper, reader) if role is not None]
    if len(set(roles)) != len(roles) or not all(
        isinstance(role, str) and role and "\x00" not in role for role in roles
    ):
        raise ConfigurationError("writer, keeper and reader are names of different roles", reason="audit_roles")
    found = [f"GRANT SELECT, INSERT, UPDATE ON {CURSOR.name} TO {_name(role)}" for role in roles if role != reader]
    for table in _TABLES:
        found += _guarded(table, keeper)
        found.append(f"REVOKE ALL ON {table} FROM PUBLIC, {_name(writer)}")
        found.append(f"GRANT SELECT, INSERT{', UPDATE' if table in _GROWS else ''} ON {table} TO {_name(writer)}")
        if keeper is not None:
            found.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {_name(keeper)}")
        if reader is not None and table != SUBJECT.name:
            found.append(f"GRANT SELECT ON {table} TO {_name(reader)}")
    return found


def _guarded(table: str, keeper: str | None) -> list[str]:
    name = f"{table}_guard"
    passes = "" if keeper is None else f"IF current_user = {_text(keeper)} THEN RETURN COALESCE(NEW, OLD); END IF;"
    row = _GUARD.format(name=name, keeper=passes, allowed=_ALLOWED.get(table, ""))
    whole = _GUARD.format(name=f"{name}_truncate", keeper="", allowed="")
    return [
        row,
        whole,
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
        f"DROP TRIGGER IF EXISTS {name}_truncate ON {table}",
        f"CREATE TRIGGER {name}_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {name}_truncate()",
    ]


def _name(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'


def _text(role: str) -> str:
    return "'" + role.replace("'", "''") + "'"
