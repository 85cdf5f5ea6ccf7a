from django.contrib.admin import ModelAdmin, TabularInline

from wellstreak_trust.adapters.django.admin import TrustAdminSite, TrustModelAdmin
from wellstreak_trust.adapters.django.workspaces.admin import register_workspaces

from .models import Notice, Reply
from .security import ADMIN, CHANGE_ROWS, VIEW_ROWS


class Replies(TabularInline):
    """Django's own rules know no principal: nothing is allowed here."""

    model = Reply


class Notices(TrustModelAdmin):
    list_display = ("id", "text")
    list_editable = ("text",)
    operations = {"view": VIEW_ROWS, "add": CHANGE_ROWS, "change": CHANGE_ROWS, "delete": CHANGE_ROWS}
    inlines = (Replies,)


site = TrustAdminSite(ADMIN, sign_in="/signin", sign_out="/signout")
site.register(Notice, Notices)
site.register(Reply, ModelAdmin)  # Django's own rules again
register_workspaces(site, VIEW_ROWS)
