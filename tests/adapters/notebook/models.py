from django.db import models

from wellstreak_trust.tenancy.django import TenantModel


class Note(TenantModel):
    text = models.CharField(max_length=100)
    owner_id = models.CharField(max_length=40)

    class Meta(TenantModel.Meta):
        abstract = False


class Notice(models.Model):
    """What the platform tells everybody; no tenant's."""

    text = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.text


class Reply(models.Model):
    notice = models.ForeignKey(Notice, on_delete=models.CASCADE)
    text = models.CharField(max_length=100)
