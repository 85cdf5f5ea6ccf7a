"""A pytest plugin that sets the notebook project up before its suites are imported."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "notebook.settings"
django.setup()
