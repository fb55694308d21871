"""What the commands share: a console, tables, exit codes, and bad input said in one sentence."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..errors import line_of_own_file, sentence

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
WRONG = (ValueError, TypeError, ImportError, OSError)  # what bad input raises
PIPE_WIDTH = 120  # columns where the output is not a terminal
PriorArgument = Annotated[
    str, typer.Argument(metavar="PRIOR", help="half_cauchy, half_cauchy:scale=0.5, or my_noise.py:function")
]


@contextmanager
def one_sentence(kinds: Any = WRONG, code: int = BAD_INPUT) -> Iterator[None]:
    """Say what is wrong, by default with the input, in one sentence instead of a traceback.

    Whatever goes wrong in a file of the user's own is input, too.
    """
    try:
        yield
    except Exception as error:
        own = bool(line_of_own_file(error))
        if not (own or isinstance(error, kinds)):
            raise
        text = " ".join(str(error).split()) if not own and str(error) else sentence(error)
        Console(stderr=True, soft_wrap=True).print(f"[red]noisezoo:[/] {escape(text)}")
        raise typer.Exit(BAD_INPUT if own else code) from None


def console() -> Console:
    """The terminal; where there is none, lines of `PIPE_WIDTH`."""
    terminal = Console()
    return terminal if terminal.is_terminal or "COLUMNS" in os.environ else Console(width=PIPE_WIDTH)


def print_line(text: str | Text, style: str | None = None) -> None:
    """Print a line as it is, without markup."""
    console().print(text, style=style, soft_wrap=True, highlight=False, markup=False)


def print_table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]], header: bool = True) -> None:
    """Print a table, as wide as it needs to be and the terminal is."""
    console().print(make_table(title, head, rows, header))


def make_table(title: str, head: Iterable[str], rows: Iterable[Iterable[str]], header: bool = True) -> Table:
    """A table of rich's, the first column never wrapped."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_header=header)
    for i, name in enumerate(head):
        table.add_column(name, no_wrap=i == 0, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table
