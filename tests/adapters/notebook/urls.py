from django.urls import include, path
from rest_framework.routers import SimpleRouter

from . import admin, api

router = SimpleRouter()
router.register("notes", api.Notes)

urlpatterns = [
    path("w/<t>/", include(router.urls)),
    path("w/<t>/plain", api.Plain.as_view()),
    path("w/<t>/links", api.Links.as_view()),
    path("w/<t>/throttled", api.Throttled.as_view()),
    path("w/<t>/refused", api.RefusedBesides.as_view()),
    path("w/<t>/function", api.function),
    path("w/<t>/stream", api.stream),
    path("open", api.Open.as_view()),
    path("admin/", admin.site.urls),
]
