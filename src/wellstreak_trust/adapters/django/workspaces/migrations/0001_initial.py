"""The first tables."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_WORKSPACE = "wellstreak_workspaces.workspace"


def _below(related_name: str) -> models.ForeignKey[models.Model, models.Model]:
    return models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name=related_name, to=_WORKSPACE)


def _id() -> models.BigAutoField[int, int]:
    return models.BigAutoField(primary_key=True, serialize=False)


class Migration(migrations.Migration):
    """Workspaces, memberships, invitations and the outbox."""

    initial: ClassVar[bool | None] = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[Operation]] = [
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                ("place", models.BigAutoField(primary_key=True, serialize=False)),
                ("event_id", models.CharField(max_length=256, unique=True)),
                ("tenant_id", models.CharField(max_length=256)),
                ("event", models.BinaryField()),
                ("parked", models.CharField(max_length=64, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Workspace",
            fields=[
                ("tenant_id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, max_length=200)),
                ("seats", models.BigIntegerField(null=True)),
                ("version", models.BigIntegerField()),
                ("transfer", models.JSONField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", _id()),
                ("principal_id", models.CharField(db_index=True, max_length=255)),
                ("roles", models.JSONField()),
                ("version", models.BigIntegerField()),
                ("kind", models.CharField(default="member", max_length=16)),
                ("suspended", models.JSONField(default=list)),
                ("support", models.JSONField(null=True)),
                ("workspace", _below("memberships")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "principal_id"), name="wst_membership_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", _id()),
                ("invitation_id", models.CharField(max_length=64)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("email", models.CharField(max_length=254)),
                ("roles", models.JSONField()),
                ("inviter_id", models.CharField(max_length=255)),
                ("expires_at", models.BigIntegerField()),
                ("status", models.CharField(max_length=16)),
                ("workspace", _below("invitations")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("workspace", "invitation_id"), name="wst_invitation_once")
                ],
            },
        ),
    ]
