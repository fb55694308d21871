"""How far the steps of a sampler that rejects none have moved the posterior, from its run at half the step."""

from importlib import import_module
from typing import Any

import numpy as np

from ..convergence import ROWS, flat, values

FEWEST = 10  # draws of a chain at half the step that make an estimate
SETTLING = 0.2  # of the draws at half the step, its share of the beginning, which still have the law of the whole one


def step_bias(tree: Any) -> dict[str, float]:
    """How far the steps of a sampler have moved the posterior of f(x), from its run at half the step.

    The bias of a small step is proportional to it, so it is twice the difference between the two runs.  Both have Monte
    Carlo errors; their share of the mean square over test rows is taken off.  `ROWS` test rows at most are looked at.
    """
    if "half_step" not in tree.children:
        return {}
    ours, half = values(tree), flat(tree["half_step"]["f"].transpose("chain", "draw", "row", ...).values)
    half = half[:, int(SETTLING * half.shape[1]) :]
    rows = np.flatnonzero((np.ptp(ours, axis=(0, 1)) > 0) & (np.ptp(half, axis=(0, 1)) > 0))
    rows = rows[:: -(-len(rows) // ROWS) or 1]
    if not len(rows) or half.shape[1] < FEWEST:
        return {}
    mean, sd, mean_error, sd_error = zip(*(_moments(f[..., rows]) for f in (ours, half)), strict=True)
    gap = 2 * (mean[0] - mean[1]) / sd[1]
    gap_error = 2 * np.hypot(mean_error[0], mean_error[1]) / sd[1]
    ratio_error = 2 * np.hypot(sd_error[0] / sd[0], sd_error[1] / sd[1])
    return {
        "step_bias_mean": float(np.sqrt(max(np.mean(gap**2 - gap_error**2), 0.0))),
        "step_bias_sd": float(np.median((sd[0] / sd[1]) ** 2)),
        "step_bias_error": float(max(np.sqrt(np.mean(gap_error**2)), np.median(ratio_error))),
    }


def _moments(f: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and sd of values (chain, draw, value) over all draws, and the Monte Carlo errors of both."""
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function
    errors = (arviz_stats.mcse(f, method=method, chain_axis=0, draw_axis=1) for method in ("mean", "sd"))
    return f.mean((0, 1)), f.std((0, 1)), *errors
