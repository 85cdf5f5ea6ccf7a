"""Sphinx configuration: MyST pages, warnings are errors, and tables that are made of the code they describe."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import django
from django.conf import settings

settings.configure()  # models can be imported, and so documented, once Django is set up
django.setup()

project = "wellstreak_trust"
author = "The wellstreak_trust maintainers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "house"]
html_theme = "furo"
html_title = "wellstreak_trust"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
# The names that rooms export must resolve. Others would need inventories, and the manual is built without a network.
nitpick_ignore_regex = [("py:.*", r"(?!wellstreak_trust\.\w+\.\w+$).*")]
suppress_warnings = ["ref.python"]  # napoleon takes the first words of a property's docstring for its type
