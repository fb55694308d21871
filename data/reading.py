"""A user's file as a pandas table, and each of its mistakes in one sentence."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from .checks import check_names

TABLE = re.compile(r"(?P<path>.+?\.(?:csv|tsv|csv\.gz|tsv\.gz|parquet))(?::(?P<target>.+))?", re.IGNORECASE)
FILE = re.compile(r"(?P<path>.*[./\\][^:]*)(?::.*)?")  # whatever looks like one
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}


def foreign(name: str) -> ValueError | None:
    """The error to raise for the name of a file of a kind that is not read; None if it is no file's name."""
    file = FILE.fullmatch(name)
    return file and ValueError(
        f"{file['path']} is not read here: save the table as .csv, .tsv (both may be .gz) or .parquet."
    )


def read_table(
    path: Path, *, sep: str | None = None, decimal: str | None = None, encoding: str | None = None
) -> pd.DataFrame:
    """The table in a CSV or Parquet file.

    `sep` is the character between cells (by default a comma, in a ``.tsv`` a tab; a blank stands for any number of
    them), `decimal` that before decimals (a point), `encoding` that of the text (UTF-8).

    Raises FileNotFoundError, or ValueError of one sentence for a file that is no such table: another separator or
    encoding, a name that occurs twice in the header, rows that are longer than the header.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no table {path}: check the path.")
    if path.suffix.lower() == ".parquet":
        if sep or decimal or encoding:
            raise ValueError(f"{path} is a Parquet file: leave sep, decimal and encoding out.")
        with _one_sentence(path, ""):
            return pd.read_parquet(path)
    tabs = ".tsv" in path.name.lower()
    mark, decimal, encoding = _mark("sep", sep or ",\t"[tabs]), _mark("decimal", decimal or "."), encoding or "utf-8"
    how: Any = {"sep": r"\s+" if mark == " " else mark, "encoding": encoding}
    with _one_sentence(path, encoding):
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **how).iloc[0]
    _check_header(path, header, mark, told=sep is not None)
    with _one_sentence(path, encoding):
        pd.read_csv(path, header=None, nrows=2, **how)  # raises if the second line is longer: an index to pandas
        return pd.read_csv(path, decimal=decimal, low_memory=False, **how)


def _mark(name: str, text: str) -> str:
    """The one character that a separator is; a shell hands on a tab as a backslash and a t."""
    mark = text.replace("\\t", "\t")
    if len(mark) != 1:
        raise ValueError(f"{name} is one character, got {text!r}: give that which stands in the file.")
    return mark


def _check_header(path: Path, cells: pd.Series, mark: str, told: bool) -> None:
    """Raise if the file has another separator, no header, or a name twice in it."""
    counts = {other: int(cells.str.count(re.escape(other)).sum()) for other in SEPARATORS if other not in (" ", mark)}
    likely = max(counts, key=lambda other: counts[other])
    if len(cells) == 1 and not any(counts.values()) and " " in cells.str.strip().iloc[0]:
        likely, counts[" "] = " ", 1
    if counts[likely] > len(cells) - 1 and not (told and len(cells) > 1):
        raise ValueError(
            f"{path} is separated by {SEPARATORS[likely]}, not by {SEPARATORS.get(mark, repr(mark))}: say "
            f"sep={likely!r} (--sep {likely!r}), and decimal=',' (--decimal ',') where decimals have a comma."
        )
    numbers = pd.Series(pd.to_numeric(cells, errors="coerce"))
    if numbers.notna().all() and (numbers % 1 != 0).any():
        raise ValueError(f"the first line of {path} holds numbers, not names: put a header line before it.")
    check_names(cells)


@contextmanager
def _one_sentence(path: Path, encoding: str) -> Iterator[None]:
    """What pandas says of a file that it cannot read, in one sentence with the fix."""
    kind = path.name.rpartition(".")[2]
    try:
        yield
    except ImportError:
        raise ImportError(f"reading {path} needs pyarrow: pip install pyarrow, or save the table as CSV.") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty: it needs a header line and rows.") from None
    except LookupError:
        raise ValueError(f"there is no encoding {encoding!r}: name another, such as latin-1.") from None
    except UnicodeError:
        likely = "utf-16" if path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
        raise ValueError(
            f"{path} is not {encoding} text: name its encoding, such as encoding={likely!r} (--encoding {likely})."
        ) from None
    except Exception as error:  # what reads Parquet or a broken gzip raises many kinds
        if longer := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
            expected, line, saw = longer.groups()
            raise ValueError(
                f"line {line} of {path} has {saw} cells, more than the {expected} before it: name every column in the "
                "header, and put text with a separator in it in quotes."
            ) from None
        raise ValueError(f"{path} is not a readable {kind} table ({type(error).__name__}).") from None
