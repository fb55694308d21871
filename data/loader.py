"""`load`: a data set by its name, or a table by its file and target column."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import unknown
from . import splits
from .catalogue import CATALOGUE
from .frame import Data, arrays, from_frame
from .reading import TABLE, foreign, read_table
from .sources import read


def load(
    name: str,
    split: int = 0,
    seed: int | None = None,
    *,
    task: str | None = None,
    drop: Sequence[str] = (),
    test_fraction: float | None = None,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
) -> Data:
    """One train/test split of a data set, standardised by its training rows.

    Parameters
    ----------
    name
        A name in `CATALOGUE`, or a table of your own and its target column: ``"my.csv:price"``, ``"my.tsv.gz:price"``,
        ``"my.parquet:label"``.
    split
        The number of the split.  The UCI sets have the 20 standard ones (Hernandez-Lobato & Adams 2015); scikit-learn's
        sets and your own tables 20 shuffled 90/10 splits, stratified by class; MNIST and CIFAR-10 one, their own
        training and test rows.
    seed
        Another series of splits than the data set's own; MNIST and CIFAR-10 have none.
    task, drop, test_fraction
        Of a table of your own: see `from_frame`.
    sep, decimal, encoding
        Of a CSV file: the character between cells, that before decimals, and how the text is encoded; by default a
        comma (a tab in a ``.tsv``), a point and UTF-8.

    Files are looked up in ``$NOISEZOO_DATA``, then in the user's cache, then downloaded from their public source; their
    sha256 is checked.

    Raises
    ------
    ValueError
        Unknown name (with the nearest known ones), unknown split, a file with the wrong checksum, a bad table.
    FileNotFoundError
        No such table; or a data file that is not here and cannot be downloaded: the message says what to put where.
    """
    if not isinstance(name, str):
        raise TypeError(f"load takes a name or 'FILE:TARGET', not {type(name).__name__} (DataFrame: from_frame).")
    as_table = {"task": task, "drop": drop or None, "test_fraction": test_fraction}
    as_table = {option: value for option, value in as_table.items() if value is not None}
    as_text = {"sep": sep, "decimal": decimal, "encoding": encoding}
    as_text = {option: value for option, value in as_text.items() if value is not None}
    if table := TABLE.fullmatch(name):
        path, target = Path(table["path"]), table["target"]
        if target is None:
            raise ValueError(f"say which column of {path} is the target: '{path}:COLUMN'.")
        frame, stem = read_table(path, **as_text), Path(path.name.removesuffix(".gz")).stem
        return from_frame(frame, target, split=split, seed=seed or 0, name=stem, **as_table)
    if name not in CATALOGUE:
        raise no_data(name)
    if given := [*as_table, *as_text]:
        raise ValueError(f"data set {name!r} is read as it was published: leave {' and '.join(given)} out.")
    return _from_catalogue(name, split, seed)


def no_data(name: str, named: Iterable[str] = ()) -> ValueError:
    """The error to raise for a name that is neither in the catalogue nor `named`, nor that of a table to be read."""
    return foreign(name) or unknown("data set", name, [*named, *CATALOGUE])


def _from_catalogue(name: str, split: int, seed: int | None) -> Data:
    entry = CATALOGUE[name]
    splits.check(name, split, entry.splits)
    if entry.train and seed is not None:
        raise ValueError(f"data set {name!r} has its own training and test rows: leave the seed out.")
    frame = read(name)
    if entry.train:
        train, test = np.arange(entry.train), np.arange(entry.train, len(frame))
    elif entry.origin == "uci":
        train, test = splits.standard(len(frame), split, seed)
    else:
        train, test = splits.shuffled(frame[entry.target], entry.task != "regression", 0.1, seed or 0, split)
    return arrays(
        *(frame, entry.target, entry.task, train, test), name=name, unit=entry.unit, split=split, pixels=entry.pixels
    )
