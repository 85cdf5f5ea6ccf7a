"""Stalls and their goods: a tree, links, one-to-one, multi-table inheritance, choices and times."""

from __future__ import annotations

from django.db import models

from isolation_bazaar import GUARD

if GUARD["on"]:
    from wellstreak_trust.tenancy.django import TenantForeignKey as ForeignKey
    from wellstreak_trust.tenancy.django import TenantModel as Owned
    from wellstreak_trust.tenancy.django import TenantOneToOneField as OneToOneField
else:
    from django.db.models import ForeignKey, OneToOneField

    from wellstreak_trust.tenancy import current_tenant, require_tenant

    class FilteringManager(models.Manager):
        def get_queryset(self):
            return super().get_queryset().filter(tenant_id=require_tenant().tenant_id)

    class Owned(models.Model):
        tenant_id = models.CharField(max_length=64, db_index=True)
        objects = FilteringManager()

        class Meta:
            abstract = True

        def save(self, *args, **kwargs):
            context = current_tenant()
            self.tenant_id = self.tenant_id or (context.tenant_id if context else "")
            super().save(*args, **kwargs)


class Region(models.Model):
    name = models.CharField(max_length=20)
    wst_shared = True


class Stall(Owned):
    name = models.CharField(max_length=30)
    secret = models.CharField(max_length=30)
    size = models.IntegerField(null=True)
    kind = models.CharField(max_length=5, choices=[("food", "Food"), ("cloth", "Cloth")], default="food")
    region = models.ForeignKey(Region, null=True, on_delete=models.SET_NULL)
    parent = ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="children")

    class Meta(Owned.Meta):
        abstract = False


class Label(Owned):
    name = models.CharField(max_length=30)

    class Meta(Owned.Meta):
        abstract = False


class Good(Owned):
    stall = ForeignKey(Stall, on_delete=models.CASCADE)
    title = models.CharField(max_length=30, null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    sold = models.BooleanField(null=True)
    at = models.DateTimeField(null=True)
    labels = models.ManyToManyField(Label, related_name="goods")

    class Meta(Owned.Meta):
        abstract = False


class Permit(Owned):
    stall = OneToOneField(Stall, on_delete=models.CASCADE)
    secret = models.CharField(max_length=30)

    class Meta(Owned.Meta):
        abstract = False


class Cafe(Stall):
    menu = models.CharField(max_length=20)

    class Meta(Owned.Meta):
        abstract = False


MODELS = (Stall, Label, Good, Permit, Cafe)

FACTORIES = {
    Stall: lambda make: Stall(name="s", secret="s"),
    Label: lambda make: Label(name="l"),
    Good: lambda make: Good(title="g", stall=make(Stall)),
    Permit: lambda make: Permit(secret="p", stall=make(Stall)),
    Cafe: lambda make: Cafe(name="c", secret="c", menu="m"),
}
