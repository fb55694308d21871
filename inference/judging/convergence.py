"""Convergence of chains in function space: R-hat and ESS of f(x), divergences, E-BFMI.

See ``docs/gotchas.md#r-hat-of-a-weight-says-nothing``.
"""

from importlib import import_module
from typing import Any

import numpy as np

RHAT = 1.05  # above it chains have not mixed, and no ESS per second is given (Vehtari et al., 2021: 1.01 for a scalar)
ESS = 100  # per chain (Vehtari et al. 2021)
EBFMI = 0.3  # Betancourt (2016)
TAILS = (0.05, 0.95)  # of the tail ESS
ROWS = 500  # at most so many test rows for R-hat and ESS


def values(tree: Any) -> np.ndarray:
    """What is compared at the test rows, (chain, draw, row): f(x), several logits less their mean, side by side.

    Not probabilities: where classes separate they are exactly 0 or 1 in single precision, and have no spread.
    """
    return flat(tree["predictions"]["f"].transpose("chain", "draw", "row", ...).values)


def flat(f: np.ndarray) -> np.ndarray:
    """`values` of an array (chain, draw, row) or (chain, draw, row, class)."""
    f = f.astype(np.float64)
    if f.ndim == 4:
        f = f - f.mean(axis=-1, keepdims=True)  # softmax does not see a shift
    return f.reshape(*f.shape[:2], -1)


def thinned(f: np.ndarray) -> np.ndarray:
    """At most `ROWS` of the values in the last axis, evenly spaced."""
    return f[..., :: -(-f.shape[-1] // ROWS)]


def convergence(tree: Any) -> dict[str, float]:
    """R-hat and ESS of f(x) at the worst test row, divergences and E-BFMI; nothing for draws that are no chains."""
    if not tree.attrs["independent_chains"]:
        return {}
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function
    diagnostics = mixing(values(tree))
    stats = tree.children.get("sample_stats", {})
    if "diverging" in stats:
        diagnostics["divergences"] = int(stats["diverging"].sum())
    if "energy" in stats:
        diagnostics["ebfmi"] = float(np.min(arviz_stats.bfmi(stats["energy"].values, chain_axis=0, draw_axis=1)))
    return diagnostics


def mixing(f: np.ndarray) -> dict[str, float]:
    """R-hat and ESS of the worst of some values, (chain, draw, value), of which `ROWS` at most are looked at.

    A value that all draws of all chains share is known, and left out; where a chain does not move in any of the others
    R-hat is infinite and the ESS zero.
    """
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function

    f = f[..., np.ptp(f, axis=(0, 1)) > 0]
    if f.shape[-1] == 0 or (np.ptp(f, axis=1) == 0).all(axis=-1).any():
        return {"rhat_f": np.inf, "ess_bulk_f": 0.0, "ess_tail_f": 0.0}
    f = thinned(f)
    axes = {"chain_axis": 0, "draw_axis": 1}
    with np.errstate(divide="ignore", invalid="ignore"):  # of a row that stands still
        return {
            "rhat_f": float(np.max(arviz_stats.rhat(f, **axes))),
            "ess_bulk_f": float(np.min(arviz_stats.ess(f, method="bulk", **axes))),
            "ess_tail_f": float(np.min(arviz_stats.ess(f, method="tail", prob=TAILS, **axes))),
        }
