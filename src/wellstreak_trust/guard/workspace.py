"""The governed actions of a workspace, declared once, for the permissions of the ``wellstreak`` policy preset.

Guard a route with one, then call the verb of `tenancy.Memberships` that it is named after: the operation says who may
ask, the verb decides under the workspace's lock what may be given. A host with other names declares its own.
"""

from __future__ import annotations

from typing import Final

from .grant import Operation

__all__ = ["WORKSPACE_OPERATIONS"]

_BY: Final = "Memberships, in the transaction of the change"

LIST_MEMBERS: Final = Operation("members.list", "members:read")
INVITE: Final = Operation("members.invite", "members:invite", recorded_by=_BY)
REVOKE_INVITATION: Final = Operation("members.revoke_invitation", "members:invite", recorded_by=_BY)
CHANGE_ROLES: Final = Operation("members.change_roles", "members:assign", recorded_by=_BY)
ADD_SERVICE: Final = Operation("members.add_service", "members:assign", recorded_by=_BY)
GRANT_SUPPORT: Final = Operation("members.grant_support", "members:assign", recorded_by=_BY)
SUSPEND: Final = Operation("members.suspend", "members:remove", recorded_by=_BY)
REINSTATE: Final = Operation("members.reinstate", "members:assign", recorded_by=_BY)
REMOVE: Final = Operation("members.remove", "members:remove", recorded_by=_BY)
LEAVE: Final = Operation("members.leave", "workspace:read", recorded_by=_BY)
TRANSFER_OWNERSHIP: Final = Operation("workspace.transfer_ownership", "workspace:transfer", recorded_by=_BY)
CANCEL_TRANSFER: Final = Operation("workspace.cancel_transfer", "workspace:read", recorded_by=_BY)
ACCEPT_OWNERSHIP: Final = Operation("workspace.accept_ownership", "workspace:read", recorded_by=_BY)

WORKSPACE_OPERATIONS: Final[tuple[Operation, ...]] = (
    LIST_MEMBERS,
    INVITE,
    REVOKE_INVITATION,
    CHANGE_ROLES,
    ADD_SERVICE,
    GRANT_SUPPORT,
    SUSPEND,
    REINSTATE,
    REMOVE,
    LEAVE,
    TRANSFER_OWNERSHIP,
    CANCEL_TRANSFER,
    ACCEPT_OWNERSHIP,
)
"""All of them. None asks for a feature, so that a workspace whose subscription ended can still be left and handed over;
and none records itself, because `Memberships` records each change in its own transaction."""
