"""Sphinx configuration: MyST pages, warnings are errors."""

project = "wellstreak_trust"
author = "The wellstreak_trust maintainers"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "wellstreak_trust"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpick_ignore_regex = [("py:.*", r".*")]  # prose pages name code by literal, not by reference
