"""``noisezoo compare``: strategies on one model and one data set."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from .console import FAILED, INTERRUPTED, PriorArgument, console, make_table, one_sentence, print_line


def compare(
    prior: PriorArgument,
    data: Annotated[str, typer.Option(help="A data set of the list, or your own table: FILE.csv:TARGET.")],
    with_: Annotated[
        list[str],
        typer.Option(
            "--with",
            help="Strategies and settings, at once or one at a time: svi:steps=5000,nuts. See noisezoo show svi.",
            show_default="svi,nuts,sgld",
        ),
    ] = ["svi,nuts,sgld"],  # noqa: B006  typer reads it only
    structure: Annotated[
        str, typer.Option(help="Who shares a scale: iid, ard, add, output, ard_add, inner_add, inner_ard_add.")
    ] = "ard",
    form: Annotated[
        str,
        typer.Option(
            help="What is sampled: expanded, hierarchical, marginal or weight_norm; auto: a pilot run decides."
        ),
    ] = "expanded",
    network: Annotated[
        str,
        typer.Option(help="linear, mlp:50, residual_mlp:50-50, lenet5; noisezoo list has more."),
    ] = "mlp:50",
    ppl: Annotated[str, typer.Option(help="numpyro or pyro.")] = "numpyro",
    split: Annotated[int, typer.Option(help="Number of the train/test split.")] = 0,
    seed: Annotated[int, typer.Option(help="The run is a function of it.")] = 0,
    x64: Annotated[bool, typer.Option("--x64", help="Compute in double precision, which takes longer.")] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            help="What all are measured against; stored: the reference posterior of the package.",
            show_default="the first nuts, else an adjusted mclmc",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="Of your own table: regression, binary or categorical.", show_default="as the target's values say"
        ),
    ] = None,
    drop: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="A column of your own table to leave out.", show_default=False)
    ] = [],  # noqa: B006
    test_fraction: Annotated[
        float | None, typer.Option(help="Share of your own table's rows that test.", show_default="0.1")
    ] = None,
    sep: Annotated[
        str | None, typer.Option(help="Of a CSV file: the character between cells.", show_default="comma; .tsv: tab")
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Of a CSV file: the character before decimals.", show_default="point")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a CSV file: how its text is encoded.", show_default="utf-8")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the run, without a run in it.", show_default="runs/PRIOR-..."),
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show progress bars.")] = True,
) -> None:
    """Run strategies on one model and one data set; table, figures, draws and a report go to a folder.

    Exit code: 0 if every strategy ran (a verdict such as "not converged" is a result), 1 if one failed, 2 for bad
    input, 130 after Ctrl-C, which keeps what is finished.
    """
    with one_sentence():
        from ..data.frame import WARNING
        from ..inference.runs import run as run_module

        asked = dict(task=task, drop=drop or None, test_fraction=test_fraction)
        asked.update(sep=sep, decimal=decimal, encoding=encoding)
        reading = {name: value for name, value in asked.items() if value is not None}
        options = dict(data=data, with_=",".join(with_), structure=structure, form=form, network=network, ppl=ppl)
        prepared = run_module.prepare(
            prior, **options, split=split, seed=seed, x64=x64, reading=reading, reference=reference, out=out
        )
    print_line(prepared.record["title"], "bold")
    for line in prepared.record["understood"]:
        print_line(line, "yellow" if line.startswith(WARNING) else None)
    with one_sentence(OSError, code=FAILED):  # such as a full disk
        table = run_module.run(prepared, progress, print_line)
    show_run(prepared.folder, prepared.record, table)


def show_run(folder: Path, run: dict[str, Any], table: Any) -> None:
    """Print the table, the verdicts and where everything is; exit with the code that tells how it went."""
    from ..inference.runs.report import SHORT, verdicts

    if table["mlpd"].notna().any():
        console().print(_numbers(table, SHORT))
    for label, verdict, tone in verdicts(run, table):
        print_line(Text.assemble((label, "bold"), "  ", (verdict, tone)))
    print_line(f"\nreport: {folder / 'report.html'}")
    statuses = {entry["status"] for entry in run["fits"].values()}
    if statuses & {"interrupted", "partly done"}:
        raise typer.Exit(INTERRUPTED)
    if "failed" in statuses:
        raise typer.Exit(FAILED)


def _numbers(table: Any, names: tuple[str, ...]) -> Table:
    """The table of a comparison with as many of these columns as fit, the first being the most important."""
    from ..inference.runs.report import numbers

    shown = make_table("", *numbers(table, names))
    for column in shown.columns[1:]:
        column.justify, column.no_wrap = "right", True
    terminal = console()
    if len(names) > 1 and terminal.measure(shown, options=terminal.options.update(width=1000)).maximum > terminal.width:
        return _numbers(table, names[:-1])
    return shown
