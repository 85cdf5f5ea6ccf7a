"""A Django host for the isolation kit. `configure` must run before its models are imported."""

from __future__ import annotations

from typing import Any

GUARD = {"on": True}


def configure(database: dict[str, Any], *, guard: bool = True) -> None:
    """Configures Django once in a process; without `guard` the models have the manager that is often taken for one."""
    import django
    from django.conf import settings

    GUARD["on"] = guard
    apps = ["django.contrib.contenttypes", "django.contrib.auth", "isolation_bazaar"]
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=[*apps, "wellstreak_trust.tenancy.django"] if guard else apps,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="for tests alone",
        USE_TZ=True,
    )
    django.setup()


def create_tables(connection: Any) -> None:
    """All tables of all models."""
    from django.apps import apps

    with connection.schema_editor() as editor:
        for model in apps.get_models():
            if model._meta.managed:
                editor.create_model(model)
