"""The command line: parses, calls, prints.  Whatever is slow to import is imported by the command that needs it."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
WRONG = (ValueError, TypeError, ImportError, OSError)  # what bad input raises
PIPE_WIDTH = 120  # columns where the output is not a terminal
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

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
    from .inference.strategies import STRATEGIES
    from .inference.strategies.guides import GUIDES
    from .models.catalogue import EXAMPLES, FORM_MEANINGS, PRIOR_MEANINGS
    from .models.noises import NOISES
    from .models.weights.structure import STRUCTURES

    noises = [noise() for noise in NOISES.values()]
    structures = [(name, (f.__doc__ or "").split(";")[0].rstrip(".")) for name, f in STRUCTURES.items()]
    data = [(name, e.task, f"{e.rows} x {len(e.features)}", e.title) for name, e in CATALOGUE.items()]
    _table(
        "Noises: PRIOR", ("name", "settings", "prior on a weight"), [(n.name, _settings(n), n.prior) for n in noises]
    )
    _table("Priors of every weight by itself: PRIOR", ("name", "what it is"), PRIOR_MEANINGS.items())
    _table("Structures: --structure", ("name", "who shares a scale"), structures)
    _table("Forms: --form", ("name", "what is sampled"), FORM_MEANINGS.items())
    _table("Networks: --network", ("write", "what it is"), EXAMPLES.items())
    _table("Strategies: --with", ("name", "what it does"), [(k, v.summary) for k, v in STRATEGIES.items()])
    _table("Guides: --with svi:guide=NAME", ("name", "what it is"), [(k, v.summary) for k, v in GUIDES.items()])
    _table("Data sets: --data, or FILE.csv:TARGET", ("name", "task", "rows x features", "title"), data)


@app.command()
def show(
    prior: PriorArgument,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Save a figure of it here.")] = None,
) -> None:
    """A noise and the prior it induces: what is known of it, its quantiles, and a figure."""
    with _one_sentence():
        from .models.catalogue import noise

        _show(noise(prior), out)


@app.command()
def check(prior: PriorArgument) -> None:
    """Tell the author of a noise what is wrong with it, or show its prior."""
    with _one_sentence():
        from .models.catalogue import noise
        from .models.check import WARNING, check_noise

        found = noise(prior)
        said = check_noise(found)
        problems = [sentence for sentence in said if not sentence.startswith(WARNING)]
        for sentence in said:
            _say(f"[{'red' if sentence in problems else 'yellow'}]{escape(f'{found.name}: {sentence}')}[/]")
        if problems:
            raise typer.Exit(FAILED)
        if not said:
            _say(f"[green]{escape(found.name)}: nothing is wrong with it.[/]")
        _show(found, None)


@app.command()
def compare(
    prior: PriorArgument,
    data: Annotated[str, typer.Option(help="A data set of the list, or your own table: FILE.csv:TARGET.")],
    with_: Annotated[
        list[str],
        typer.Option(
            "--with",
            help="Strategies with their settings, at once or one at a time: svi:guide=low_rank,steps=5000,nuts.",
            show_default="svi,nuts,sgld",
        ),
    ] = ["svi,nuts,sgld"],  # noqa: B006  typer reads it only
    structure: Annotated[
        str, typer.Option(help="Who shares a scale: iid, ard, add, output, ard_add, inner_add, inner_ard_add.")
    ] = "ard",
    form: Annotated[
        str, typer.Option(help="What is sampled: expanded, hierarchical, marginal or weight_norm.")
    ] = "expanded",
    network: Annotated[
        str, typer.Option(help="linear, mlp:50, mlp:50-50,activation=relu, residual_mlp:50-50.")
    ] = "mlp:50",
    ppl: Annotated[str, typer.Option(help="numpyro or pyro.")] = "numpyro",
    split: Annotated[int, typer.Option(help="Number of the train/test split.")] = 0,
    seed: Annotated[int, typer.Option(help="The run is a function of it.")] = 0,
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
    with _one_sentence():
        from .inference.runs import run as run_module

        words = {
            "data": data,
            "with_": ",".join(with_),
            "structure": structure,
            "form": form,
            "network": network,
            "ppl": ppl,
        }
        found = run_module.prepare(prior, **words, split=split, seed=seed, out=out)
    _say(f"[bold]{escape(found.run['title'])}[/]")
    with _one_sentence(OSError, code=FAILED):  # such as a full disk
        table = run_module.go(found, progress, lambda text: _say(escape(text)))
    _result(found.folder, found.run, table)


@app.command()
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
    with _one_sentence():
        from .inference.sweeps import run as sweeps

        plan = sweeps.prepare(file, out, retry)
    try:
        with _one_sentence(OSError, code=FAILED), _one_sentence(ImportError):
            counts = sweeps.go(plan, jobs, cluster, progress, lambda text: _say(escape(text)))
    except KeyboardInterrupt:
        _say(f"stopped; what is finished is in {escape(str(plan.folder))}, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    _swept(plan.folder)
    if counts["failed"]:
        raise typer.Exit(FAILED)


@app.command()
def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run or a sweep.")]) -> None:
    """Make the tables, the figures and the report of a run or a sweep again from what is in its folder."""
    with _one_sentence():
        from .inference.sweeps import store

        if (folder / store.SWEEP).is_file():
            return _swept(folder)
        from .inference.runs import run as run_module

        run, table = run_module.again(folder)
        _result(folder, run, table)


@app.command()
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
        Path | None, typer.Option(metavar="DIR", help="Folder of the net.", show_default="DIR/LABEL-net")
    ] = None,
) -> None:
    """Trim the weights of a fit that are noise, and write the net that is left as files that need nothing else."""
    with _one_sentence():
        from .inference.runs.trim import trim as trimmed

        where, facts = trimmed(folder, strategy, rule, threshold, out)
    _trimmed(where, facts)


@app.command()
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
    with _one_sentence():
        from .inference.runs.prune import prune as pruned

        names = [name.strip() for name in rules.split(",") if name.strip()]
        curve, files = pruned(folder, strategy, names or None, by, out, progress)
    _pruned(curve, files)


def _swept(folder: Path) -> None:
    """Write the tables and the report of a sweep, and print what they say in short."""
    from .inference.sweeps import report

    with _one_sentence(OSError, code=FAILED):
        for title, head, rows in report.make(folder):
            _table(title, head, rows)
    _say(f"report: {escape(str(folder / 'report.html'))}")


def _trimmed(where: Path, facts: dict[str, Any]) -> None:
    """Print what is left of a net, layer by layer, and what that cost."""
    from .inference.runs.report import LAYERS, layer_rows, sparsity_facts

    _table(f"Weights kept: {facts['text']}", LAYERS, layer_rows(facts))
    _table("", ("", ""), sparsity_facts(facts), header=False)
    _say(f"net: {escape(str(where))}")


def _pruned(curve: Any, files: list[Path]) -> None:
    """Print a curve in one row for each rule."""
    from .inference.sparsity.pruning import summary
    from .inference.sparsity.scores import RULES

    unit = curve["unit"].iloc[0]
    table = summary(curve)
    head = ("rule", "area", "removable", *table.columns[2:], "importance of a weight")
    rows = [
        (rule, f"{row[0]:.3g}", f"{row[1]:.0%}", *(f"{v:.3g}" for v in row[2:]), RULES[rule].text)
        for rule, row in zip(map(str, table.index), table.to_numpy(), strict=True)
    ]
    _table(f"Test error ({unit}) with so many weights removed; area: its mean", head, rows)
    slack = "1 percentage point" if unit == "%" else "1%"
    _say(f"removable: the share of weights up to which the error stays within {slack} of the unpruned one")
    for file in files:
        _say(f"{'table' if file.suffix == '.csv' else 'figure'}: {escape(str(file))}")


def _show(noise: Any, out: Path | None) -> None:
    """Print what is known of a noise and its quantiles; save its figure."""
    law = noise.law() if noise.law else None
    facts = {
        "prior on a weight": noise.prior or "not named",
        "law of scale^2": "improper" if not noise.proper else _law(law) if law else "not known",
        "p(weight)": "closed form" if noise.closed_form else "by quadrature" if law else "averaged over draws",
        "M-step of the scale": "closed form" if noise.m_step else "none in closed form",
        "proper": "yes" if noise.proper else "no: it has no draws, and NUTS and SGLD no posterior",
        "source": noise.source or "not given",
    }
    _table(str(noise), ("", ""), facts.items(), header=False)
    if noise.proper:
        import numpy as np

        from .models.noises.draws import draw_scales, draw_weights

        draws = {"scale": draw_scales(noise, 20_000), "weight": np.abs(draw_weights(noise, 20_000))}
        rows = [(f"|{k}|", *(f"{q:.3g}" for q in np.quantile(np.abs(v), QUANTILES))) for k, v in draws.items()]
        _table("Quantiles at sigma0 = 1, of 20,000 draws", ("", *(f"{q:.0%}" for q in QUANTILES)), rows)
    if out:
        from .inference.files import through
        from .models.views.noises import plot_noise

        through(out, lambda part: plot_noise(noise).savefig(part, dpi=130))
        _say(f"figure: {escape(str(out))}")


def _result(folder: Path, run: dict[str, Any], table: Any) -> None:
    """Print the table, the verdicts and where everything is; exit with the code that tells how it went."""
    from .inference.runs.report import SHORT, verdicts

    if table["mlpd"].notna().any():
        _console().print(_numbers(table, SHORT))
    for label, verdict, tone in verdicts(run, table):
        _say(f"[bold]{escape(label)}[/]  [{tone}]{escape(verdict)}[/]")
    _say(f"\nreport: {escape(str(folder / 'report.html'))}")
    statuses = {entry["status"] for entry in run["fits"].values()}
    if statuses & {"interrupted", "partly done"}:
        raise typer.Exit(INTERRUPTED)
    if "failed" in statuses:
        raise typer.Exit(FAILED)


@contextmanager
def _one_sentence(kinds: Any = WRONG, code: int = BAD_INPUT) -> Iterator[None]:
    """Say what is wrong, by default with the input, in one sentence instead of a traceback."""
    try:
        yield
    except kinds as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]noisezoo:[/] {escape(' '.join(str(error).split()))}")
        raise typer.Exit(code) from None


def _console() -> Console:
    console = Console()
    return console if console.is_terminal or "COLUMNS" in os.environ else Console(width=PIPE_WIDTH)


def _say(text: str) -> None:
    _console().print(text, soft_wrap=True, highlight=False)


def _table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]], header: bool = True) -> None:
    """Print a table, as wide as it needs to be and the terminal is."""
    _console().print(_made(title, head, rows, header))


def _made(title: str, head: Iterable[str], rows: Iterable[Iterable[str]], header: bool = True) -> Table:
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=header
    )
    for i, name in enumerate(head):
        table.add_column(name, no_wrap=i == 0)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _numbers(table: Any, names: tuple[str, ...]) -> Table:
    """The table of a comparison with as many of these columns as fit, the first being the most important."""
    from .inference.runs.report import numbers

    made = _made("", *numbers(table, names))
    for column in made.columns[1:]:
        column.justify, column.no_wrap = "right", True
    console = _console()
    if len(names) > 1 and console.measure(made, options=console.options.update(width=1000)).maximum > console.width:
        return _numbers(table, names[:-1])
    return made


def _settings(noise: Any) -> str:
    return ", ".join(f"{k}={v:g}" for k, v in noise.parameters)


def _law(law: Any) -> str:
    """A frozen scipy distribution as it would be written."""
    if not hasattr(law, "dist"):
        return "known, without a name"
    settings = [*(f"{v:g}" for v in law.args), *(f"{k}={v:g}" for k, v in law.kwds.items())]
    return f"{law.dist.name}({', '.join(settings)})"
