"""Accuracy at the test rows: errors, log predictive density, calibration."""

from typing import Any

import numpy as np
from scipy.special import expit, logsumexp, softmax

INTERVAL = 0.9  # the predictive interval whose coverage is measured
BINS = 10  # of the expected calibration error


def samples(tree: Any, group: str, name: str) -> np.ndarray:
    """(sample, row, ...) of all chains, in double precision, as are all sums of them."""
    values = tree[group][name].transpose("chain", "draw", ...).values
    return values.reshape(-1, *values.shape[2:]).astype(np.float64)


def test_target(tree: Any) -> np.ndarray:
    """The targets (rows,) at the test rows, in their own units."""
    return tree["predictions_constant_data"]["y"].values


def accuracy_of(tree: Any) -> dict[str, float]:
    """Error, log predictive density and calibration at the test rows."""
    y, f, log_lik = test_target(tree), samples(tree, "predictions", "f"), samples(tree, "predictions", "log_lik")
    if tree.attrs["task"] == "regression":
        return regression(y, f, samples(tree, "predictions", "y"), log_lik)
    return classification(y, f, log_lik)


def regression(y: np.ndarray, f: np.ndarray, draws: np.ndarray, log_lik: np.ndarray) -> dict[str, float]:
    """Error, density and calibration from the target `y` (row,) and posterior draws (sample, row).

    `f` are function values, `draws` the predictive draws of the target, `log_lik` its log density.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # as in `rmse`
        low, high = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
        mae = float(np.mean(np.abs(f.mean(axis=0, dtype=np.float64) - y)))
    return {
        "mlpd": _mean_log_density(log_lik),
        "rmse": rmse(f, y),
        "mae": mae,
        "calibration": float(np.mean((low <= y) & (y <= high))),
    }


def classification(y: np.ndarray, f: np.ndarray, log_lik: np.ndarray) -> dict[str, float]:
    """The same of classes: `f` are logits, (sample, row) of two classes and (sample, row, class) of more."""
    p = predictive_probabilities(f)
    right = p.argmax(axis=-1) == y
    return {
        "mlpd": _mean_log_density(log_lik),
        "accuracy": float(right.mean()),
        "calibration": calibration_error(p.max(axis=-1), right),
    }


def error_and_density(y: np.ndarray, f: np.ndarray, log_lik: np.ndarray) -> dict[str, float]:
    """``accuracy``, or ``rmse`` where the target is real, and ``mlpd``, from function values and log densities."""
    if not np.issubdtype(y.dtype, np.floating):
        scores = classification(y, f, log_lik)
        return {"accuracy": scores["accuracy"], "mlpd": scores["mlpd"]}
    return {"rmse": rmse(f, y), "mlpd": _mean_log_density(log_lik)}


def rmse(f: np.ndarray, y: np.ndarray) -> float:
    """Root mean square of the mean of `f` (sample, row) less `y` (row,); infinite where no number holds the squares."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean((f.mean(axis=0, dtype=np.float64) - y) ** 2)))


def _mean_log_density(log_lik: np.ndarray) -> float:
    """The mean over rows of the log of the mean density over the draws."""
    return float(np.mean(logsumexp(log_lik.astype(np.float64), axis=0) - np.log(len(log_lik))))


def predictive_probabilities(f: np.ndarray) -> np.ndarray:
    """Predictive class probabilities (row, class) from logits, (sample, row) of two classes or (sample, row, class)."""
    f = f.astype(np.float64)
    if f.ndim == 3:
        return softmax(f, axis=-1).mean(axis=0)
    p = expit(f).mean(axis=0)
    return np.stack([1 - p, p], axis=-1)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error in equal-width bins (Guo et al. 2017): mean of |share right - mean confidence|."""
    if not np.isfinite(confidence).all():
        return np.nan
    stated, share, rows = reliability(confidence, right)
    return float(np.sum(rows * np.abs(share - stated)) / rows.sum())


def reliability(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean confidence, share right and number of rows of each of the equal-width bins that has any."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = [bins == b for b in np.unique(bins)]
    stated, share = ([values[b].mean(dtype=np.float64) for b in found] for values in (confidence, right))
    return np.array(stated), np.array(share), np.array([b.sum() for b in found])
