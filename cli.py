"""The command line: parses, calls, prints.  Whatever is slow to import is imported by the command that needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Every multiplicative noise is a prior: see what it induces, and what SVI, NUTS and SGLD make of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PriorName = Annotated[str, typer.Argument(metavar="PRIOR", help="half_cauchy, half_cauchy:scale=0.5, my_noise.py:mine")]


@app.command("list")
def list_() -> None:
    """What the zoo has: noises and the priors they induce, structures, networks, strategies, data sets."""
    from .data.catalogue import CATALOGUE
    from .inference.strategies import GUIDES, STRATEGIES
    from .models.network import ACTIVATIONS
    from .models.noise import NOISES
    from .models.structure import STRUCTURES
