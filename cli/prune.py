"""``noisezoo prune``: test error against weights removed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import one_sentence, print_line, print_table


def prune(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    strategy: Annotated[str, typer.Option(metavar="LABEL", help="The fit, if several have weights.")] = "",
    rules: Annotated[
        str,
        typer.Option(
            help="In which order weights go: snr, spr, second_moment, magnitude, log_alpha, inclusion, random.",
            show_default="all that apply",
        ),
    ] = "",
    by: Annotated[
        str, typer.Option(help="What goes at once: weight, or unit with all weights that leave it.")
    ] = "weight",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the table and the figure.", show_default="DIR")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Set more and more weights of a fit to zero, in the order of several rules, and see what the test error does."""
    with one_sentence():
        from ..inference.runs.prune import prune as pruned

        names = [name.strip() for name in rules.split(",") if name.strip()]
        curve, files = pruned(folder, strategy, names or None, by, out, progress)
    _show_curve(curve, files)


def _show_curve(curve: Any, files: list[Path]) -> None:
    """Print a curve in one row for each rule."""
    from ..inference.sparsity.pruning import summary
    from ..inference.sparsity.scores import RULES

    unit = curve["unit"].iloc[0]
    table = summary(curve)
    head = ("rule", "area", "removable", *table.columns[2:], "importance of a weight")
    rows = [
        (rule, f"{row[0]:.3g}", f"{row[1]:.0%}", *(f"{v:.3g}" for v in row[2:]), RULES[rule].text)
        for rule, row in zip(map(str, table.index), table.to_numpy(), strict=True)
    ]
    print_table(f"Test error ({unit}) with so many weights removed; area: its mean", head, rows)
    tolerance = "1 percentage point" if unit == "%" else "1%"
    print_line(f"removable: the share of weights up to which the error stays within {tolerance} of the unpruned one")
    for file in files:
        print_line(f"{'table' if file.suffix == '.csv' else 'figure'}: {file}")
