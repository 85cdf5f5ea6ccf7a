"""The models of the host application."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

from wellstreak_trust.tenancy.django import (
    CompanyModel,
    TenantForeignKey,
    TenantModel,
    TenantOneToOneField,
    TenantQuerySet,
    tenant_unique,
)


class Root(models.Model):
    id = models.CharField(primary_key=True, max_length=20)
    name = models.CharField(max_length=20)

    wst_shared = True

    class Meta:
        db_table = "root"


class ProjectQuerySet(TenantQuerySet):
    def named(self, name):
        return self.filter(name=name)


class Project(TenantModel):
    name = models.CharField(max_length=80)
    secret = models.CharField(max_length=80)
    notes = GenericRelation("house.Note", content_type_field="kind", object_id_field="object_id")

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "project"
        get_latest_by = "id"

    def __str__(self):
        return self.name


class Tag(TenantModel):
    name = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "tag"


class Task(TenantModel):
    project = TenantForeignKey(Project, on_delete=models.CASCADE, null=True)
    title = models.CharField(max_length=80, unique=True)
    tags = models.ManyToManyField(Tag, db_table="task_tags", blank=True)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "task"


class Brief(TenantModel):
    project = TenantOneToOneField(Project, on_delete=models.CASCADE)
    secret = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "brief"


class Place(TenantModel):
    secret = models.CharField(max_length=80)
    root = models.ForeignKey(Root, null=True, on_delete=models.CASCADE)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "place"


class Cafe(Place):
    menu = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "cafe"


class Node(TenantModel):
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    secret = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "node"


class Note(TenantModel):
    secret = models.CharField(max_length=80)
    kind = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.BigIntegerField()
    about = GenericForeignKey("kind", "object_id")

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "note"


class Entry(models.Model):
    """Shared, and points into tenants."""

    text = models.CharField(max_length=80)
    project = models.ForeignKey(Project, null=True, on_delete=models.CASCADE)

    wst_shared = True

    class Meta:
        db_table = "entry"


class Ledger(CompanyModel):
    secret = models.CharField(max_length=80)

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "ledger"


class CodeManager(models.Manager):
    def get_by_natural_key(self, name):
        return self.get(name=name)


class Code(TenantModel):
    name = models.CharField(max_length=20)
    secret = models.CharField(max_length=80)

    plain = CodeManager()

    class Meta(TenantModel.Meta):
        abstract = False
        db_table = "code"
        default_manager_name = "plain"
        constraints = [tenant_unique("name", name="code_name")]


class Named(Project):
    """A proxy, with a query set of its own."""

    objects = ProjectQuerySet.as_manager()

    class Meta:
        proxy = True


MODELS = [Root, Project, Tag, Task, Brief, Place, Cafe, Node, Note, Entry, Ledger, Code]
