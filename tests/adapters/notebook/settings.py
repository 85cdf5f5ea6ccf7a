SECRET_KEY = "x" * 50
ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = "notebook.urls"
APPEND_SLASH = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "notebook.db"}}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "rest_framework",
    "wellstreak_trust.tenancy.django",
    "wellstreak_trust.adapters.django",
    "wellstreak_trust.adapters.django.workspaces",
    "notebook",
]
MIDDLEWARE = [
    "wellstreak_trust.adapters.django.TrustMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["wellstreak_trust.adapters.django.rest_framework.TrustAuthentication"],
    "EXCEPTION_HANDLER": "wellstreak_trust.adapters.django.rest_framework.problem_handler",
}
WELLSTREAK_SHARED_MODELS = ["notebook.Notice", "notebook.Reply"]
WELLSTREAK_TRUST = "notebook.security.trust"
