"""``noisezoo sweep``: models, strategies, data sets, splits and seeds of a file."""

from pathlib import Path
from typing import Annotated

import typer

from .console import FAILED, INTERRUPTED, one_sentence, print_line, print_table


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="Models, strategies, and grids of both over data.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the sweep.", show_default="runs/FILE")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine.", show_default="cores, or GPUs")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="tcp://HOST:PORT", help="Run on the workers of this Dask scheduler.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Run the cells that failed once more.")] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Run every model x strategy x data set x split x seed of a file; stopped in any way, the same command goes on.

    Exit code: 0 if every cell is done, 1 if one failed or the disk is full, 2 for bad input, 130 after Ctrl-C.
    """
    with one_sentence():
        from ..inference.sweeps import run as sweeps

        plan = sweeps.prepare(file, out, retry, cluster)
    try:
        with one_sentence(OSError, code=FAILED), one_sentence(ImportError):
            counts = sweeps.run(plan, jobs, cluster, progress, print_line)
    except KeyboardInterrupt:
        print_line(f"stopped; what is finished is in {plan.folder}, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    show_sweep(plan.folder)
    if counts["failed"]:
        raise typer.Exit(FAILED)


def show_sweep(folder: Path) -> None:
    """Write the tables and the report of a sweep, and print what they say in short."""
    from ..inference.sweeps import report

    with one_sentence(FileNotFoundError), one_sentence(ValueError), one_sentence(OSError, code=FAILED):
        for title, head, rows in report.make(folder):
            print_table(title, head, rows)
    print_line(f"report: {folder / 'report.html'}")
