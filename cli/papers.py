"""``noisezoo papers``: the five papers, and of one what it says and what to run."""

from typing import Annotated, Any

import typer

from .console import one_sentence, print_line, print_table


def papers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them, in full.", show_default=False)
    ] = None,
) -> None:
    """The five papers: their programs, sites and equations with errata, what to run, published numbers beside ours."""
    from ..models.papers import PAPERS, paper

    if name is None:
        rows = [(p.name, f"{p.authors} ({p.year})", p.title) for p in map(paper, PAPERS)]
        print_table("Papers: noisezoo papers NAME", ("name", "who and when", "title"), rows)
        return
    with one_sentence():
        _show(paper(name))


def _show(paper: Any) -> None:
    print_line(paper.citation, style="bold")
    print_line(f"{paper.idea}\n")
    print_table("Programs: PRIOR", ("write", "what it is"), paper.programs.items())
    print_table("Sites", ("site", "law", "in the guide"), paper.sites)
    print_table("Equations", ("number", "what it is", "here", "erratum"), paper.equations)
    print_table("Its own inference", ("", ""), (("--with", paper.guide), *paper.protocol.items()), header=False)
    print_table("Published beside ours (mean ± sd)", ("what", "published", "ours", "of"), beside(paper.name))
    print_line("To run, the shortest first:", style="bold")
    for command in paper.run:
        print_line(f"  {command}")


def beside(name: str) -> list[tuple[str, str, str, str]]:
    """Rows of what a paper prints, what came out here, and over how many."""
    from ..data.published import published

    table = published("beside").fillna("").query("paper == @name")
    return list(table[["quantity", "published", "ours", "of"]].itertuples(index=False, name=None))
