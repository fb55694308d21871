"""The command line: a file to a command, which parses, calls, prints, and imports what is slow in its functions."""

import typer

from . import calibrate, check, compare, list, papers, prune, report, show, sweep, trim

app = typer.Typer(
    help="Every multiplicative noise is a prior: see which, and what SVI, NUTS and SGLD make of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(list.list_)  # the help shows them in this order
app.command()(show.show)
app.command()(check.check)
app.command()(papers.papers)
app.command()(compare.compare)
app.command()(calibrate.calibrate)
app.command()(sweep.sweep)
app.command()(report.report)
app.command()(trim.trim)
app.command()(prune.prune)
