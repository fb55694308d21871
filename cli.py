"""The command line: parses, calls, prints.  Whatever is slow to import is imported by the command that needs it."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COLOURS = {"ok": "green", "failed": "red"}  # of a verdict, by how it begins; yellow otherwise

app = typer.Typer(
    help="Every multiplicative noise is a prior: see which, and what SVI, NUTS and SGLD make of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PriorArgument = Annotated[
    str, typer.Argument(metavar="PRIOR", help="half_cauchy, half_cauchy:scale=0.5, or my_noise.py:function")
]


@app.command("list")
def list_() -> None:
    """What there is: noises and the priors they induce, structures, networks, strategies, data sets."""
    from .data.catalogue import CATALOGUE
    from .inference.strategies import GUIDES, STRATEGIES
    from .models.catalogue import FORMS, NETWORKS
    from .models.noise import NOISES
    from .models.structure import STRUCTURES

    noises = [noise() for noise in NOISES.values()]
    _print(
        _table("Noises (PRIOR)", "noise", "settings", "prior on a weight"),
        [(n.name, ", ".join(f"{k}={v:g}" for k, v in n.parameters), n.prior) for n in noises],
    )
    _print(
        _table("Structures (--structure)", "name", "who shares a scale"),
        [(name, _first_sentence(f)) for name, f in STRUCTURES.items()],
    )
    _print(_table("Forms (--form)", "name", "what is sampled"), FORMS.items())
    _print(_table("Networks (--network)", "write", "what it is"), NETWORKS.items())
    _print(_table("Strategies (--with)", "name", "what it does"), STRATEGIES.items())
    _print(_table("Guides (--with svi:guide=NAME)", "name", "what it is"), GUIDES.items())
    _print(
        _table("Data sets (--data), or your own table as FILE.csv:TARGET", "name", "task", "rows x features", "title"),
        [(name, e.task, f"{e.rows} x {len(e.features)}", e.title) for name, e in CATALOGUE.items()],
    )


@app.command()
def show(
    prior: PriorArgument,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Save a figure of it here.")] = None,
) -> None:
    """A noise and the prior it induces: what is known of it, its quantiles, and a figure."""
    with _one_sentence():
        from .models.catalogue import noise

        found = noise(prior)
        _show(found, out)


@app.command()
def check(prior: PriorArgument) -> None:
    """Tell the author of a noise what is wrong with it, or show its prior."""
    with _one_sentence():
        from .models.catalogue import noise
        from .models.check import check_noise

        found = noise(prior)
        problems = check_noise(found)
        for problem in problems:
            _say(f"[red]x[/] {_plain(problem)}")
        if problems:
            raise typer.Exit(FAILED)
        _say(f"[green]{_plain(found.name)} is a noise: nothing is wrong with it.[/]")
        _show(found, None)


@app.command()
def compare(
    prior: PriorArgument,
    data: Annotated[str, typer.Option(help="A data set of the list, or your own table: FILE.csv:TARGET.")],
    with_: Annotated[
        str, typer.Option("--with", help="Strategies and settings: svi:guide=low_rank,steps=5000,nuts.")
    ] = "svi,nuts,sgld",
    structure: Annotated[str, typer.Option(help="Who shares a scale: iid, ard, add, ard_add.")] = "ard",
    form: Annotated[str, typer.Option(help="What is sampled: expanded, hierarchical, marginal.")] = "expanded",
    network: Annotated[str, typer.Option(help="linear, mlp:50, mlp:50-50,activation=relu, residual_mlp:50-50.")] = "mlp:50",
    ppl: Annotated[str, typer.Option(help="numpyro or pyro.")] = "numpyro",
    split: Annotated[int, typer.Option(help="Number of the train/test split.")] = 0,
    seed: Annotated[int, typer.Option(help="The run is a function of it.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the run, new or without a run in it.", show_default="runs/...")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show progress bars.")] = True,
) -> None:
    """Run strategies on one model and one data set; a table, figures, the draws and a report go to a folder.

    Exit code: 0 if every strategy ran (a verdict such as "not converged" is a result), 1 if one failed, 2 for bad
    input, 130 after Ctrl-C, which keeps what is finished.
    """
    options = dict(data=data, structure=structure, form=form, network=network, ppl=ppl, split=split, seed=seed)
    with _one_sentence():
        from .inference import session

        run = session.prepare(prior, **options, strategies=with_, out=out)
    _say(f"{_plain(run.title)}\n[dim]{_plain(run.folder)}[/]")
    session.go(run, progress=progress, say=_say)
    _result(run.folder, run.facts)


@app.command()
def report(directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")]) -> None:
    """Make the table, the figures and the report of a run again from its draws."""
    with _one_sentence():
        from .inference import session

        session.again(directory)
