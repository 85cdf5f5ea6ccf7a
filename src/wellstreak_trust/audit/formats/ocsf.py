"""OCSF (schema.ocsf.io): which class and activity an action is, kept by version of the schema.

An action that stands in no table is API Activity, whose activity is guessed from its verb, as is every host's own
action. Nothing is lost, because the whole event stands under ``unmapped``. The leaf hash stands there too: it is
prefixed, hence no plain SHA-256 of the data, which ``raw_data_hash`` would claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from .record import Record, compact, severity_of

__all__ = ["OCSF", "Activity", "Schema", "activity_of", "ocsf_line", "ocsf_object"]


class Activity(NamedTuple):
    """A class of events and what happened in it."""

    class_uid: int
    activity_id: int


class Schema(NamedTuple):
    """What one version of OCSF calls things.

    Args:
        classes: caption and category of each class.
        activities: captions of each class's activities.
        actions: activity of each action; what begins alike is found by its longest beginning that ends with a dot.
        verbs: the activity of API Activity that a last word stands for.
    """

    version: str
    classes: Mapping[int, tuple[str, str]]
    activities: Mapping[int, Mapping[int, str]]
    actions: Mapping[str, Activity]
    verbs: Mapping[str, int]


_LOGON, _ACCOUNT, _ROLES, _ENTITY, _API = 3002, 3001, 3005, 3004, 6003
_OTHER: Final = 99
_CRUD: Final = {1: "Create", 2: "Read", 3: "Update", 4: "Delete", _OTHER: "Other"}

OCSF: Final[Mapping[str, Schema]] = {
    "1.6.0": Schema(
        "1.6.0",
        classes={
            _ACCOUNT: ("Account Change", "Identity & Access Management"),
            _LOGON: ("Authentication", "Identity & Access Management"),
            _ENTITY: ("Entity Management", "Identity & Access Management"),
            _ROLES: ("User Access Management", "Identity & Access Management"),
            _API: ("API Activity", "Application Activity"),
        },
        activities={
            _ACCOUNT: {1: "Create", 2: "Enable", 5: "Disable", 6: "Delete", _OTHER: "Other"},
            _LOGON: {1: "Logon", 2: "Logoff", 7: "Account Switch", _OTHER: "Other"},
            _ENTITY: _CRUD,
            _ROLES: {
                1: "Assign Privileges",
                2: "Revoke Privileges",
                3: "Assign Role",
                4: "Remove Role",
                _OTHER: "Other",
            },
            _API: _CRUD,
        },
        actions={
            "signin.succeeded": Activity(_LOGON, 1),
            "signin.failed": Activity(_LOGON, 1),
            "session.opened": Activity(_LOGON, 1),
            "session.closed": Activity(_LOGON, 2),
            "session.revoked": Activity(_LOGON, 2),
            "tenancy.elevated": Activity(_LOGON, 7),
            "tenancy.elevation_ended": Activity(_LOGON, 2),
            "member.joined": Activity(_ACCOUNT, 1),
            "member.service_added": Activity(_ACCOUNT, 1),
            "member.reinstated": Activity(_ACCOUNT, 2),
            "member.suspended": Activity(_ACCOUNT, 5),
            "member.removed": Activity(_ACCOUNT, 6),
            "member.roles_changed": Activity(_ROLES, 3),
            "workspace.ownership_transferred": Activity(_ROLES, 3),
            "authz.break_glass": Activity(_ROLES, 1),
            "support.access_granted": Activity(_ROLES, 1),
            "support.access_ended": Activity(_ROLES, 2),
            "member.invited": Activity(_ENTITY, 1),
            "member.invitation_revoked": Activity(_ENTITY, 4),
            "workspace.created": Activity(_ENTITY, 1),
            "workspace.": Activity(_ENTITY, 3),
            "subscription.": Activity(_ENTITY, 3),
            "connection.": Activity(_ENTITY, 3),
            "secret.written": Activity(_API, 1),
            "secret.read": Activity(_API, 2),
            "secret.": Activity(_API, 3),
            "secret.destroyed": Activity(_API, 4),
            "secret.shredded": Activity(_API, 4),
            "secrets.": Activity(_API, 3),
            "audit.read": Activity(_API, 2),
            "audit.exported": Activity(_API, 2),
            "audit.disclosed": Activity(_API, 2),
            "audit.pruned": Activity(_API, 4),
            "audit.subject_erased": Activity(_API, 4),
            "audit.": Activity(_API, _OTHER),
            "access.": Activity(_API, _OTHER),
            "anomaly.": Activity(_API, _OTHER),
            "webhook.": Activity(_API, _OTHER),
            "limit.": Activity(_API, _OTHER),
        },
        verbs={
            **dict.fromkeys(("created", "added", "opened", "registered", "invited", "uploaded", "issued"), 1),
            **dict.fromkeys(("read", "listed", "viewed", "exported", "downloaded", "searched"), 2),
            **dict.fromkeys(("changed", "updated", "renamed", "enabled", "disabled", "moved", "rotated"), 3),
            **dict.fromkeys(("deleted", "removed", "revoked", "destroyed", "erased", "closed"), 4),
        },
    )
}
_SCHEMA: Final = OCSF["1.6.0"]
_SEVERITIES: Final = ((1, "Informational"), (2, "Low"), (3, "Medium"), (4, "High"))
_STATUSES: Final = {
    "success": (1, "Success"),
    "failure": (2, "Failure"),
    "denied": (2, "Failure"),
    "error": (2, "Failure"),
}
_USER_TYPES: Final = {"user": 1, "system": 3, "service": 4, "api_key": 4, "agent": 4}


def activity_of(action: str, schema: Schema = _SCHEMA) -> Activity:
    """Class and activity of an action."""
    exact = schema.actions.get(action)
    if exact is not None:
        return exact
    family = schema.actions.get(f"{action.partition('.')[0]}.")
    if family is not None:
        return family
    verb = action.replace(".", "_").rpartition("_")[2]
    return Activity(_API, schema.verbs.get(verb, _OTHER))


def ocsf_line(record: Record) -> str:
    """The object on one line."""
    return compact(ocsf_object(record))


def ocsf_object(record: Record, schema: Schema = _SCHEMA) -> dict[str, Any]:
    """The event as an object of its class, with all that the class requires."""
    action = record.text("action")
    class_uid, activity_id = activity_of(action, schema)
    severity_id, severity = _SEVERITIES[severity_of(record)]
    status_id, status = _STATUSES.get(record.text("outcome"), (_OTHER, "Attempted"))
    caption, category = schema.classes[class_uid]
    told = schema.activities[class_uid][activity_id]
    found: dict[str, Any] = {
        "category_uid": class_uid // 1_000,
        "category_name": category,
        "class_uid": class_uid,
        "class_name": caption,
        "activity_id": activity_id,
        "activity_name": action if activity_id == _OTHER else told,
        "type_uid": class_uid * 100 + activity_id,
        "type_name": f"{caption}: {told}",
        "time": record.millis("occurred_at"),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "status_code": record.inner("decision", "code") or record.text("outcome"),
        "message": action,
        "metadata": _metadata(record, schema),
        "actor": {"user": _user(record.part("actor"))},
        "src_endpoint": _endpoint(record.inner("source", "address", "ip")),
        "unmapped": {"leaf_hash": record.leaf_hash, "leaf_index": record.leaf.seq, "event": dict(record.event)},
    }
    if record.text("reason"):
        found["status_detail"] = record.text("reason")
    return {**found, **_of_class(record, class_uid)}


def _metadata(record: Record, schema: Schema) -> dict[str, Any]:
    return {
        "version": schema.version,
        "product": {"name": "wellstreak_trust", "vendor_name": "WellStreak", "feature": {"name": "audit"}},
        "uid": record.text("id"),
        "sequence": record.leaf.seq,
        "log_name": "audit",
        "log_provider": record.origin,
        "tenant_uid": record.text("tenant_id"),
        "event_code": record.text("action"),
        "original_time": record.text("occurred_at"),
        "logged_time": record.millis("recorded_at"),
        **({"correlation_uid": record.inner("request", "id")} if record.inner("request", "id") else {}),
    }


def _of_class(record: Record, class_uid: int) -> dict[str, Any]:
    """What the class asks for beside the base event."""
    targets = record.targets()
    if class_uid == _API:
        operation = record.inner("request", "operation") or record.text("action")
        resources = [{"uid": id, **({"type": kind} if kind else {})} for kind, id in targets if id]
        return {"api": {"operation": operation}, **({"resources": resources} if resources else {})}
    if class_uid == _ENTITY:
        kind, id = targets[0] if targets else ("", "")
        return {
            "entity": {"uid": id or record.text("tenant_id"), "type": kind or record.text("action").partition(".")[0]}
        }
    about = _user({"id": targets[0][1]}) if targets and targets[0][1] else _user(record.part("actor"))
    if class_uid == _LOGON:
        return {"user": _user(record.part("actor")), "service": {"name": record.origin}}
    return {"user": about, **({"privileges": _privileges(record)} if class_uid == _ROLES else {})}


def _privileges(record: Record) -> list[str]:
    """Roles or permissions as far as the event names them."""
    data = record.part("data")
    for name in ("roles", "permissions", "new"):
        listed = data.get(name)
        if isinstance(listed, list) and listed and all(isinstance(one, str) for one in listed):
            return list(listed)
    return [record.text("action")]


def _user(actor: Mapping[str, Any]) -> dict[str, Any]:
    id, kind, credential = (actor.get(name) for name in ("id", "kind", "credential_id"))
    return {
        "uid": id if isinstance(id, str) and id else "unknown",
        "type_id": _USER_TYPES.get(kind, _OTHER) if isinstance(kind, str) else 0,
        **({"type": kind} if isinstance(kind, str) and kind else {}),
        **({"credential_uid": credential} if isinstance(credential, str) and credential else {}),
    }


def _endpoint(address: str) -> dict[str, Any]:
    try:
        return {"ip": str(ip_address(address))}
    except ValueError:
        return {"name": address or "unknown"}
