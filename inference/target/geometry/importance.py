"""Pareto k-hat: whether a density can stand for another, by the tail of their importance weights."""

from importlib import import_module
from typing import Any

import numpy as np

KHAT = 0.7  # Vehtari et al. (2024)
TAIL = 6  # importance weights at least to fit a Pareto tail to: its first quartile is not its least
EQUAL = 0.1  # range of log weights, in nats, within which they are equal to rounding (log joints are float32)


def khat(log_weights: np.ndarray) -> float:
    """Pareto k of importance weights; 0 where they are equal to rounding, infinite where no tail can be fitted to them:
    one draw outweighs all others, there are too few, or a density is not finite."""
    array_stats: Any = import_module("arviz_stats.base").array_stats
    if len(log_weights) < 5 * TAIL:  # the tail is a fifth of so few
        return np.inf
    try:
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            if np.ptp(log_weights) < EQUAL:
                return 0.0
            k = float(array_stats.psislw(-log_weights)[1])  # psislw takes the negative, as in leave-one-out
    except (ArithmeticError, ValueError):
        return np.inf
    return k if np.isfinite(k) else np.inf
