"""Data sets made harder on purpose: labels replaced at random, fewer rows."""

from dataclasses import replace

import numpy as np

from .frame import Data


def randomise_labels(data: Data, fraction: float, seed: int = 0) -> Data:
    """The same data with the training labels of a random `fraction` of the rows replaced by uniform random ones.

    All classes may come, the right one too, so that of C classes fraction * (1 - 1/C) of the labels are wrong in the
    mean.  Test labels stay.  A net that memorises fits them, one that only learns cannot (Zhang et al. 2017).

    Raises ValueError for a regression, and for a fraction outside [0, 1].
    """
    if data.task == "regression":
        raise ValueError(f"{data.name} is a regression: it has no labels to replace")
    if not 0 <= fraction <= 1:
        raise ValueError(f"the fraction of random labels must lie between 0 and 1, got {fraction}")
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.y_train))[: round(fraction * len(data.y_train))]
    y = data.y_train.copy()
    y[rows] = rng.integers(0, len(data.classes), len(rows))
    return replace(data, y_train=y)


def subset(data: Data, rows: int, seed: int = 0) -> Data:
    """The same data with only so many of the training rows, drawn at random; it stays standardised by all of them.

    Raises ValueError for fewer than one row or more than there are.
    """
    if not 1 <= rows <= len(data.y_train):
        raise ValueError(f"rows must lie between 1 and the {len(data.y_train)} of {data.name}, got {rows}")
    kept = np.sort(np.random.default_rng(seed).permutation(len(data.y_train))[:rows])
    return replace(data, x_train=data.x_train[kept], y_train=data.y_train[kept])
