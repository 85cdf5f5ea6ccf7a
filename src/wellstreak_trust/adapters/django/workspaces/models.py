"""The tables. Change them through `tenancy.Memberships`: whatever writes past its rules is not audited."""

from __future__ import annotations

from typing import Any

from django.db import models

__all__ = ["Invitation", "Membership", "OutboxEvent", "Workspace"]


class Workspace(models.Model):
    """One workspace; its row is the lock of everything below it."""

    tenant_id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=64)
    name: models.CharField[str, str] = models.CharField(max_length=200, blank=True)
    seats: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)
    version: models.BigIntegerField[int, int] = models.BigIntegerField()
    transfer: models.JSONField[Any, Any] = models.JSONField(null=True)


class Membership(models.Model):
    """One principal in one workspace. `support` holds reason, ticket, who granted it and until when."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    workspace: models.ForeignKey[Workspace, Workspace] = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="memberships"
    )
    principal_id: models.CharField[str, str] = models.CharField(max_length=255, db_index=True)
    roles: models.JSONField[Any, Any] = models.JSONField()
    version: models.BigIntegerField[int, int] = models.BigIntegerField()
    kind: models.CharField[str, str] = models.CharField(max_length=16, default="member")
    suspended: models.JSONField[Any, Any] = models.JSONField(default=list)
    support: models.JSONField[Any, Any] = models.JSONField(null=True)

    class Meta:
        """One membership a principal and workspace."""

        constraints: tuple[models.BaseConstraint, ...] = (
            models.UniqueConstraint(fields=("workspace", "principal_id"), name="wst_membership_once"),
        )


class Invitation(models.Model):
    """One invitation: the SHA-256 of its token, never the token. `expires_at` is in microseconds since 1970, UTC."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    workspace: models.ForeignKey[Workspace, Workspace] = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="invitations"
    )
    invitation_id: models.CharField[str, str] = models.CharField(max_length=64)
    digest: models.CharField[str, str] = models.CharField(max_length=64, unique=True)
    email: models.CharField[str, str] = models.CharField(max_length=254)
    roles: models.JSONField[Any, Any] = models.JSONField()
    inviter_id: models.CharField[str, str] = models.CharField(max_length=255)
    expires_at: models.BigIntegerField[int, int] = models.BigIntegerField()
    status: models.CharField[str, str] = models.CharField(max_length=16)

    class Meta:
        """One row an invitation."""

        constraints: tuple[models.BaseConstraint, ...] = (
            models.UniqueConstraint(fields=("workspace", "invitation_id"), name="wst_invitation_once"),
        )


class OutboxEvent(models.Model):
    """An audit event that waits for the trail; `parked` is the code of a refusal that is final."""

    place: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    event_id: models.CharField[str, str] = models.CharField(max_length=256, unique=True)
    tenant_id: models.CharField[str, str] = models.CharField(max_length=256)
    event: models.BinaryField[bytes, bytes] = models.BinaryField()
    parked: models.CharField[str | None, str | None] = models.CharField(max_length=64, null=True)
