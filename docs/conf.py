"""How Sphinx builds these pages."""

import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from nbagents import __version__

project = "nbagents"
author = "The nbagents authors"
copyright = author  # noqa: A001 (the name Sphinx looks for)
release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

# The notebooks live beside docs/, where a reader of the checkout looks for them; Sphinx reads
# only below its own folder. They are shown with the outputs saved in them.
HERE = Path(__file__).parent
shutil.rmtree(HERE / "notebooks", ignore_errors=True)
(HERE / "notebooks").mkdir()
for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
    text = notebook.read_text(encoding="utf-8").replace("(../docs/", "(../")
    (HERE / "notebooks" / notebook.name).write_text(text, encoding="utf-8")
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "text/html", 0)]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

mathjax3_config = {"tex": {"inlineMath": [["$", "$"], ["\\(", "\\)"]]}}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
# `type` in an annotation is Python's, whichever classes have an attribute of that name.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = "nbagents"
# Saved replies take their colours from JupyterLab's names for them.
html_theme_options = {
    "dark_css_variables": {
        "jp-ui-font-color2": "#9d9d9d",
        "jp-content-link-color": "#6cb6ff",
        "jp-mirror-editor-keyword-color": "#c586c0",
        "jp-mirror-editor-string-color": "#ce9178",
        "jp-mirror-editor-comment-color": "#6a9955",
        "jp-mirror-editor-number-color": "#b5cea8",
        "jp-mirror-editor-operator-color": "#d4d4d4",
        "jp-mirror-editor-def-color": "#dcdcaa",
        "jp-mirror-editor-tag-color": "#569cd6",
    }
}


def is_documented_elsewhere(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave a name that a package re-exports to the page of the package it comes from."""
    page = app.env.current_document.autodoc_module
    home = str(getattr(obj, "__module__", page))
    if name.endswith("model_config"):  # pydantic's, not a field
        return True
    if what == "module" and home.startswith("nbagents.") and not home.startswith(page):
        return True
    return None


def setup(app: Sphinx) -> None:
    """Take part in the build."""
    # Formulas in saved replies are set as JupyterLab sets them; Sphinx sees none in their HTML.
    app.set_html_assets_policy("always")
    app.connect("autodoc-skip-member", is_documented_elsewhere)
