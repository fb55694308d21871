"""`load`: a data set by its name, or a table by its file and target column."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import unknown
from . import splits
from .catalogue import CATALOGUE
from .frame import Data, arrays, from_frame
from .sources import read

TABLE = re.compile(r"(?P<path>.+?\.(?:csv|parquet))(?::(?P<target>.+))?", re.IGNORECASE)


def load(name: str, split: int = 0, seed: int | None = None) -> Data:
    """One train/test split of a data set, standardised by its training rows.

    Parameters
    ----------
    name
        A name in `CATALOGUE`, or a table of your own and its target column: ``"my.csv:price"``,
        ``"my.parquet:label"`` (see `from_frame`).
    split
        The number of the split.  The UCI sets have the 20 standard ones (Hernandez-Lobato & Adams 2015); scikit-learn's
        sets and your own tables 20 shuffled 90/10 splits, stratified by class; MNIST and CIFAR-10 one, their own
        training and test rows.
    seed
        Another series of splits than the data set's own; MNIST and CIFAR-10 have none.

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
    if table := TABLE.fullmatch(name):
        return _from_file(Path(table["path"]), table["target"], split, seed)
    if name not in CATALOGUE:
        raise unknown("data set", name, CATALOGUE)
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


def _from_file(path: Path, target: str | None, split: int, seed: int | None) -> Data:
    if target is None:
        raise ValueError(f"say which column of {path} is the target: '{path}:COLUMN'.")
    if not path.is_file():
        raise FileNotFoundError(f"there is no table {path}: check the path.")
    return from_frame(_read_table(path), target, split=split, seed=seed or 0, name=path.stem)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except ImportError:
        raise ImportError(f"reading {path} needs pyarrow: pip install pyarrow, or save the table as CSV.") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path} is empty: it needs a header line and rows.") from None
    except Exception as error:  # what reads Parquet raises many kinds for a broken file
        raise ValueError(f"{path} is not a readable {path.suffix[1:]} table ({type(error).__name__}).") from None
