"""Settings of the documentation's builder."""

import re
import sys
from pathlib import Path

from pushforward.version import __version__

project = "pushforward"
copyright = "the pushforward developers"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "gallery/_figures"]
html_theme = "furo"
html_title = f"pushforward {release}"
# The figures of the gallery, which are made before the pages are.
FIGURES = Path(__file__).parent / "gallery" / "_figures"
FIGURES.mkdir(exist_ok=True)
html_static_path = ["gallery/_figures", "gallery/frame"]
html_css_files = ["frame.css"]
html_js_files = [("frame.js", {"defer": "defer"})]

# Docstrings have Google's sections and a few of their own.
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Cost", "returns_style"), ("Source", "returns_style")]
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    # scikit-learn's own, whose docstrings refer to its pages.
    "exclude-members": "set_fit_request, set_predict_request, set_score_request",
}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3


def escape_formulas(app, what, name, obj, options, lines):
    """Keep |det|, offset_ and (*batch, D) from being read as markup; leave examples as they are."""
    in_example = False
    for number, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            line = re.sub(r"(?<!\*)\*(?!\*)", r"\\*", line).replace("|", r"\|")
            # A name that ends in "_" is not a link; in lists of attributes it is escaped by others.
            lines[number] = re.sub(r"(?<=\w)_(?=[\s,.;)])", r"\\_", line)


def write_figures(app):
    """Train the flows of the gallery and write their figures, except those that are newer than their sources."""
    sys.path.insert(0, str(FIGURES.parent))
    import figures

    newest = max(source.stat().st_mtime for source in figures.sources())
    for name in figures.FIGURES:
        path = FIGURES / f"{name}.html"
        if not path.exists() or path.stat().st_mtime < newest:
            figures.write(name, FIGURES)


def setup(app):
    """Connect the hooks: figures first, and formulas before their sections are read."""
    app.connect("builder-inited", write_figures)
    app.connect("autodoc-process-docstring", escape_formulas, priority=1)
