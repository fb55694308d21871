"""``noisezoo report``: the report of a run or a sweep, made again."""

from pathlib import Path
from typing import Annotated

import typer

from .compare import show_run
from .console import one_sentence
from .sweep import show_sweep


def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run or a sweep.")]) -> None:
    """Make the tables, the figures and the report of a run or a sweep again from what is in its folder."""
    with one_sentence():
        from ..inference.sweeps import store

        if (folder / store.SWEEP).is_file():
            return show_sweep(folder)
        from ..inference.runs import run as run_module

        run, table = run_module.report_again(folder)
        show_run(folder, run, table)
