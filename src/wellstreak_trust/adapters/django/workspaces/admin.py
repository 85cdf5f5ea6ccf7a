"""The workspaces in the admin, to be looked at: what is written past `tenancy.Memberships` keeps no rule."""

from __future__ import annotations

from ....guard import Operation
from ..admin import TrustAdminSite, TrustModelAdmin
from .models import Invitation, Membership, Workspace

__all__ = ["register_workspaces"]


class _Workspaces(TrustModelAdmin):
    list_display = ("tenant_id", "name", "seats")
    search_fields = ("tenant_id", "name")


class _Memberships(TrustModelAdmin):
    list_display = ("workspace_id", "principal_id", "roles", "kind", "suspended")
    search_fields = ("workspace__tenant_id", "principal_id")


class _Invitations(TrustModelAdmin):
    list_display = ("workspace_id", "invitation_id", "status")
    exclude = ("digest", "email")  # of the token, and of somebody who has not agreed yet


def register_workspaces(site: TrustAdminSite, view: Operation) -> None:
    """Shows workspaces, memberships and invitations to whoever may `view`; changes nothing.

    Raises:
        django.contrib.admin.exceptions.AlreadyRegistered: a second time.
    """
    for model, shown in ((Workspace, _Workspaces), (Membership, _Memberships), (Invitation, _Invitations)):
        site.register(model, type(shown.__name__, (shown,), {"operations": {"view": view}}))
