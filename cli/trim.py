"""``noisezoo trim``: the smaller net of a fit."""

from pathlib import Path
from typing import Annotated

import typer

from .console import one_sentence, print_line, print_table


def trim(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    strategy: Annotated[
        str, typer.Option(metavar="LABEL", help="The fit, if several have a guide of independent normals.")
    ] = "",
    rule: Annotated[str, typer.Option(help="Which weights stay: log_alpha or magnitude.")] = "log_alpha",
    threshold: Annotated[
        float | None, typer.Option(help="Of the rule.", show_default="3 for log_alpha, 0.01 for magnitude")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the net, without a net in it.", show_default="DIR/LABEL-net"),
    ] = None,
) -> None:
    """Trim the weights of a fit that are noise, and write the net that is left as files that need nothing else."""
    with one_sentence():
        from ..inference.runs.report import LAYERS, layer_rows, sparsity_facts
        from ..inference.runs.trim import trim as trimmed

        net, description = trimmed(folder, strategy, rule, threshold, out)
    print_table(f"Weights kept: {description['text']}", LAYERS, layer_rows(description))
    print_table("", ("", ""), sparsity_facts(description), header=False)
    print_line(f"net: {net}")
