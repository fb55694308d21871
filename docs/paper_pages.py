"""The pages of the papers, from what `noisezoo.models.papers` says of each, and the published numbers beside ours."""

from pathlib import Path

from noisezoo.cli.papers import beside
from noisezoo.models.papers import PAPERS, Paper, paper

INDEX = """# The papers

Each one's programs, the sites of its model, its equations with what is wrong in print, and what to run; the same as
`noisezoo papers NAME` prints.

"""


def write(folder: Path) -> None:
    """Write a page for each paper, and an index; a page that says the same already is left alone."""
    papers = [paper(name) for name in PAPERS]
    lines = [f"- [{p.title}]({p.name}.md): {p.authors} ({p.year})" for p in papers]
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *PAPERS, "```"])
    pages = {p.name: page(p) for p in papers} | {"index": f"{INDEX}{chr(10).join(lines)}\n\n{toctree}\n"}
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def page(p: Paper) -> str:
    """A paper in Markdown."""
    parts = [
        f"# {p.title}\n\n{p.authors} ({p.year}), {p.where}.",
        p.idea,
        "## Programs",
        table(("write for PRIOR", "what it is"), [(f"`{k}`", v) for k, v in p.programs.items()]),
        "## Sites",
        table(("site", "law", "in the guide"), [(f"`{site}`", law, guide) for site, law, guide in p.sites]),
        "## Equations",
        table(
            ("number", "what it is", "here", "erratum"),
            [(e.number, e.text, f"`{e.code}`" if e.code else "", e.erratum) for e in p.equations],
        ),
        "## Its own inference",
        f"`--with {p.guide}`",
        table(("", ""), p.protocol.items()),
        "## Published beside ours",
        table(("what", "published", "ours, mean ± sd", "of"), beside(p.name)),
        f"The whole account is in [the results](../{p.results}).",
        "## To run",
        "```bash\n" + "\n".join(p.run) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def table(head, rows) -> str:
    """A table in Markdown, whose cells are text as it stands."""
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(cell: str) -> str:
    """Stars and underscores outside code are mathematics, not markup."""
    if cell.startswith("`"):
        return cell
    for sign in ("*", "_", "|"):
        cell = cell.replace(sign, f"\\{sign}")
    return cell
