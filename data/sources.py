"""The raw tables: one reader per origin, each giving a pandas table in the catalogue's columns and order."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

from .catalogue import CATALOGUE, Entry
from .files import find

MNIST_TRAIN = 60_000


def read(name: str) -> pd.DataFrame:
    """All rows of the catalogued data set `name`; the target, in its own units, is the last column."""
    entry = CATALOGUE[name]
    if entry.origin == "scikit-learn":
        return _read_embedded(name, entry)
    return _read_mnist(entry) if entry.origin == "mnist" else _read_uci(entry)


def _read_embedded(name: str, entry: Entry) -> pd.DataFrame:
    bunch: Any
    if name == "diabetes":
        bunch = datasets.load_diabetes(scaled=False)  # in the units of the patients, not scikit-learn's scaled columns
        target = bunch.target
    elif name == "breast_cancer":
        bunch = datasets.load_breast_cancer()
        target = pd.Categorical.from_codes(bunch.target, bunch.target_names)
    else:
        bunch = datasets.load_digits()
        target = bunch.target
    return _table(bunch.data, target, entry)


def _read_uci(entry: Entry) -> pd.DataFrame:
    values = np.loadtxt(find(entry, "data.txt"))
    return _table(values[:, :-1], values[:, -1], entry)


def _read_mnist(entry: Entry) -> pd.DataFrame:
    paths = {file: find(entry, file) for file in entry.files}
    images = [_idx(paths[f"{part}-images-idx3-ubyte.gz"], 16).reshape(-1, 784) for part in ("train", "t10k")]
    labels = [_idx(paths[f"{part}-labels-idx1-ubyte.gz"], 8) for part in ("train", "t10k")]
    return _table(np.concatenate(images), np.concatenate(labels), entry)


def _idx(path: Path, header: int) -> np.ndarray:
    """The bytes of an idx file after its header."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def _table(x: np.ndarray, y, entry: Entry) -> pd.DataFrame:
    return pd.DataFrame(x, columns=list(entry.features)).assign(**{entry.target: y})
