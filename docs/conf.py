"""The site: MyST pages in prose, and the API from the docstrings."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import noisezoo
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from noisezoo.inference.judging import accuracy, convergence, psis, verdict

sys.path.insert(0, str(Path(__file__).parent))
import leaderboard_page  # noqa: E402
import paper_pages  # noqa: E402

os.environ.setdefault("JAX_PLATFORMS", "cpu")
paper_pages.write(Path(__file__).parent / "papers")
leaderboard_page.write(Path(__file__).parent / "leaderboard.md")

project = "noisezoo"
author = "The noisezoo authors"
copyright = "the noisezoo authors"
version = release = noisezoo.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
html_math_renderer = "mathml"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_substitutions = {  # the thresholds of the verdict, from the one place where they stand
    **{name: getattr(convergence, name) for name in ("RHAT", "ESS", "EBFMI")},
    "KHAT": psis.KHAT,
    "DISTANCE": verdict.DISTANCE,
    "DIVERGENT": f"{verdict.DIVERGENT:.0%}",
    "INTERVAL": f"{accuracy.INTERVAL:.0%}",
    "NARROW": verdict.WIDTH[0],
    "WIDE": verdict.WIDTH[1],
}
myst_heading_anchors = 3
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"noisezoo {version}"
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_mock_imports = [] if find_spec("torch") else ["array_api_compat", "pyro", "torch"]

ADDRESS = re.compile(r"(?:~?typing\.)?Annotated\[([^<>]+?), <[\w.]+ object at 0x[0-9a-f]+>\]")
ENTRY = re.compile(r"(?P<names>`{0,2}[\w.<>]+`{0,2}(?:, `{0,2}[\w.<>]+`{0,2})*)(?P<shape> \([^)]*\))? : (?P<text>.*)")
RULE = re.compile(r"-{3,}$")
LITERAL = re.compile(r"(``.*?``|`.*?`)")


def plain(line: str) -> str:
    """Bars and stars in a docstring are mathematics, not markup."""
    if line.lstrip().startswith(">>>"):
        return line
    parts = LITERAL.split(line)
    return "".join(part if part.startswith("`") else re.sub(r"([|*])", r"\\\1", part) for part in parts)


def house_style(app, what, name, obj, options, lines: list[str]) -> None:
    """``name : what it is``, with or without a ``Parameters`` heading over it, becomes a definition list."""
    lines[:] = map(plain, lines)
    out: list[str] = []
    in_entry = False
    for i, line in enumerate(lines):
        if RULE.match(line) and out and out[-1].startswith(".. rubric::"):
            out.append("")
        elif i + 1 < len(lines) and RULE.match(lines[i + 1]) and line.strip():
            out += ["", f".. rubric:: {line.strip()}"]
        elif found := ENTRY.match(line):
            names = ", ".join(f"``{n.strip('`')}``" for n in found["names"].split(", "))
            out += ([] if in_entry else [""]) + [names + (found["shape"] or ""), f"    {found['text']}"]
        elif in_entry and line.strip() and not line.startswith(" "):
            out += ["", line]
        else:
            out.append(line)
        in_entry = bool(found := ENTRY.match(line)) or (in_entry and line.startswith(" "))
    lines[:] = out


def skip_fields(app, what, name, obj, skip, options) -> bool | None:
    """The fields of a NamedTuple are told in its docstring, not one by one."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def without_addresses(app, what, name, obj, options, signature: str | None, returned: str | None):
    """An annotated argument of a command is shown by its type; what typer knows of it is an object at some address."""
    return ADDRESS.sub(r"\1", signature or "") or signature, returned


def as_mathml(translator, node) -> None:
    """Mathematics that a browser draws by itself: no script, and no network."""
    block = isinstance(node, nodes.math_block)
    translator.body.append(
        f'<div class="math" style="overflow-y: hidden">{tex2mathml(node.astext(), as_block=True)}</div>'
        if block
        else tex2mathml(node.astext())
    )
    raise nodes.SkipNode


def setup(app) -> None:
    app.add_html_math_renderer("mathml", inline_renderers=(as_mathml, None), block_renderers=(as_mathml, None))
    app.connect("autodoc-process-signature", without_addresses)
    app.connect("autodoc-process-docstring", house_style)
    app.connect("autodoc-skip-member", skip_fields)
