"""Which rows are for training and which for testing: two arrays of row numbers."""

import math
from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

SPLITS = 20

Rows = tuple[np.ndarray, np.ndarray]


def check(name: str, split: int, splits: int) -> None:
    """Raise if the data set has no such split."""
    if split not in range(splits):
        numbered = f"splits 0 to {splits - 1}" if splits > 1 else "one split, 0"
        raise ValueError(f"data set {name!r} has {numbered}; there is no split {split!r}.")


def standard(rows: int, split: int, seed: int | None = None) -> Rows:
    """The UCI splits of Hernandez-Lobato & Adams (2015): permutation number `split`, its first 90 % for training.

    The published index files are the permutations that ``numpy.random.RandomState(1)`` draws one after another;
    another `seed` gives another series.
    """
    random = np.random.RandomState(1 if seed is None else seed)
    order = [random.permutation(rows) for _ in range(split + 1)][-1]
    cut = round(0.9 * rows)
    return order[:cut], order[cut:]


def shuffled(target: Any, stratify: bool, test_fraction: float, seed: int, split: int) -> Rows:
    """scikit-learn's ``ShuffleSplit`` number `split` of the series `seed`; stratified by class where asked.

    `target` is a pandas Series.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction is {test_fraction}; it must lie between 0 and 1.")
    if math.ceil(test_fraction * len(target)) == len(target):
        raise ValueError(f"test_fraction is {test_fraction}: of {len(target)} rows none is left to train on.")
    if stratify:
        _check_classes(target, test_fraction)
    shuffle = StratifiedShuffleSplit if stratify else ShuffleSplit
    splitter = shuffle(split + 1, test_size=test_fraction, random_state=seed)
    return list(splitter.split(target, target))[-1]


def _check_classes(target: Any, test_fraction: float) -> None:
    counts = target.value_counts()
    counts = counts[counts > 0]
    if counts.iloc[-1] < 2:
        raise ValueError(f"class {str(counts.index[-1])!r} of {target.name!r} has one row; each class needs 2.")
    test = math.ceil(test_fraction * len(target))
    if min(test, len(target) - test) < len(counts):
        raise ValueError(
            f"{test} test rows of {len(target)} cannot hold each of the {len(counts)} classes of {target.name!r}: "
            "add rows or change test_fraction."
        )
