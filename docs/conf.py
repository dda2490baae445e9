"""How Sphinx builds these pages: sphinx-build -n -W -b html docs docs/_build/html."""

from __future__ import annotations

from importlib import metadata

project = "pytest-imds"
author = "The pytest-imds developers"
release = metadata.version("pytest-imds")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"pytest-imds {release}"

nitpicky = True
# The build needs no network, so the names of other projects have no target to link to.
OTHERS = "pytest_httpserver|werkzeug|faker|collections|contextlib|datetime|pathlib|subprocess|types|time"
nitpick_ignore_regex = [("py:.*", rf"(({OTHERS})\..*|HTTPServerError)")]
# Inner names that stand in the signatures of public ones.
nitpick_ignore = [
    ("py:class", name)
    for name in (
        "Json",
        "pytest_imds.shared.Shared",
        "Attempts",
        "When",
        "Which",
        "Unpack",
        "pytest_imds.service.message.Request",
        "pytest_imds.audit.audit.Audited",
    )
]

# Quotation marks in these pages are part of values: "" is what IMDS shows.
smartquotes = False
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
