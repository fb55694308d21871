"""f(x) of a net at given weights, in NumPyro, and its test error."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..judging.accuracy import rmse
from ..target.numpyro.evaluation import function_of_weights
from ..target.sites import Arrays

ROWS, CELLS = 10_000, 500_000  # rows and features that are evaluated at once, at most
SAME = 1e-4  # of the size of f, or of 1: two nets that differ by less are one function in two orders of adding


def outputs(model: Callable, values: Arrays, x: Any) -> np.ndarray:
    """f(x) (rows[, classes]) of a program with `values` for its weights and biases, in NumPyro; nothing is drawn.

    Sites that f does not depend on once the weights are given (a scale, the noise precision) need no value.  Raises
    ValueError if a weight or bias is missing, has another shape, is not finite, or is not one of the program's,
    and if x has no rows.
    """
    if not_finite := [site for site, v in values.items() if not np.isfinite(v).all()]:
        raise ValueError(f"{not_finite[0]} holds NaN or infinite values; fit the guide again")
    x, compiled = np.asarray(x, np.float32), function_of_weights(model)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"x must have shape (rows, features) and at least one row, got {x.shape}")
    size = min(len(x), max(1, min(ROWS, CELLS // x.shape[1])))
    values = {site: np.asarray(v) for site, v in values.items()}
    parts = []
    for first in range(0, len(x), size):
        chunk = np.arange(first, first + size) % len(x)  # the last one is filled up, so that shapes stay the same
        parts.append(np.asarray(compiled(values, x[chunk])))
    return np.concatenate(parts)[: len(x)]


def error(model: Callable, loc: Arrays, x: Any, y: Any) -> float:
    """Test error at the mean weights.

    For classes (`y` whole numbers) the percentage of rows that are classified wrongly, for a regression (`y` floating
    point) the root mean square error in units of `y`.  Raises ValueError for no rows, or a `y` that does not go with f.
    """
    y = np.asarray(y)
    if not len(y) or np.shape(x)[0] != len(y):
        raise ValueError(f"x and y must have the same number of rows, at least one; got {np.shape(x)[0]} and {len(y)}")
    return error_of(outputs(model, loc, x), y)


def same(f: np.ndarray, g: np.ndarray) -> bool:
    """Whether two nets are one function, up to the order in which 32-bit numbers are added."""
    return bool(np.max(np.abs(f - g)) <= SAME * max(1.0, float(np.abs(g).max())))


def error_of(f: np.ndarray, y: np.ndarray) -> float:
    """The `error` of function values `f` against `y`."""
    if f.ndim == 1 and np.issubdtype(y.dtype, np.floating):
        return rmse(f[None], y)
    if not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"y holds {y.dtype} and f has {f.shape[-1]} classes; give class numbers as integers")
    return float(100 * np.mean((f.argmax(axis=-1) if f.ndim == 2 else f > 0) != y))
