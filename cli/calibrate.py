"""``noisezoo calibrate``: is an inference right on average, over data that the model itself makes?"""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from .console import FAILED, INTERRUPTED, one_sentence, print_line

TONES = {"calibrated": "green", "not calibrated": "red", "refused": "yellow"}


def calibrate(
    prior: Annotated[
        str | None,
        typer.Argument(
            metavar="[PRIOR]",
            help="half_cauchy, half_cauchy:scale=0.5, or my_noise.py:function. Left out: the atlas of all.",
            show_default=False,
        ),
    ] = None,
    with_: Annotated[
        list[str],
        typer.Option(
            "--with",
            help="Strategies and settings, as for compare; what is not named is kept short.",
            show_default="nuts; nuts, mean field, sgld and laplace for the atlas",
        ),
    ] = [],  # noqa: B006  typer reads it only
    structure: Annotated[
        str | None,
        typer.Option(
            help="Who shares a scale: iid, ard, add, output, ard_add, inner_add, inner_ard_add.",
            show_default="ard; four of them for the atlas",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option(help="What is sampled: expanded, hierarchical, marginal or weight_norm.")
    ] = "expanded",
    network: Annotated[str, typer.Option(help="A tiny one: linear, mlp:3.")] = "mlp:3",
    ppl: Annotated[str, typer.Option(help="numpyro or pyro.")] = "numpyro",
    simulations: Annotated[int, typer.Option(help="Simulated data sets, each of which is fitted.")] = 128,
    data: Annotated[
        str,
        typer.Option(
            help="A data set of the list, or your own table, FILE.csv:TARGET: calibrate at the posterior there, with "
            "replicates of these data instead of data from the prior.",
            show_default=False,
        ),
    ] = "",
    split: Annotated[int, typer.Option(help="Number of the train/test split of the data.")] = 0,
    seed: Annotated[int, typer.Option(help="The run is a function of it.")] = 0,
    atlas: Annotated[bool, typer.Option("--atlas", help="Every structure and strategy as one page.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the cells.", show_default="runs/calibrate-...")
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show progress bars.")] = True,
) -> None:
    """Simulation-based calibration: fit a strategy to data drawn from the model, and rank the truth among its draws.

    Table, ranks and figures go to a folder; stopped in any way, the same command goes on. Exit code: 0 if every cell
    ran ("not calibrated" is a result, and so is a strategy that does not apply), 1 if one failed, 2 for bad input, 130
    after Ctrl-C.
    """
    with one_sentence():
        from ..inference.calibration import run as calibration

        named = ",".join(with_) or None
        asked: dict[str, Any] = dict(with_=named, structure=structure, form=form, network=network, ppl=ppl, atlas=atlas)
        asked.update(simulations=simulations, seed=seed, data=data, split=split, out=out)
        plan = calibration.prepare(prior, **asked)
    try:
        with one_sentence(OSError, code=FAILED):  # such as a full disk
            rows = calibration.run(plan, progress, print_line)
    except KeyboardInterrupt:
        print_line(f"stopped; what is finished is in {plan.folder}, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    if atlas:
        print_line(f"page: {plan.folder / 'index.md'}")
    else:
        for row in rows:
            tone = TONES.get(row["verdict"], "red")
            print_line(Text.assemble((row["strategy"], "bold"), "  ", (f"{row['verdict']}: {row['reason']}", tone)))
        print_line(f"table, ranks and figures: {plan.folder}")
    if any(row["verdict"] == "failed" for row in rows):
        raise typer.Exit(FAILED)
