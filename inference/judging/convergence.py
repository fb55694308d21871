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


def not_converged(tree: Any) -> str:
    """Why the optimisation that fitted a guide has not converged, in a few words; "" if it has, or there was none.

    A guide that ends by itself has judged that; of others, the ELBO (or what else was maximised) must not rise within
    the last fifth of the steps by more than its noise and more than a nat.
    """
    ended = tree.children.get("optimisation", {})
    if "history" not in tree.children or "loss" not in tree["history"] or (len(ended) and ended["converged"].all()):
        return ""
    history, steps = tree["history"], int(tree["history"]["step"].values.max())
    target = history["log_lik"] - history["kl"] if "kl" in history else -history["loss"]
    rise, error, per_step = _rise(target.transpose("chain", ...).values, history["step"].values[0])
    name = "ELBO" if tree.attrs["approximation"] or "kl" in history else "log density"
    if rise > max(3 * error, 1.0):
        return f"{name} still rises by {1000 * per_step:.2g} nats per 1000 steps"
    if not len(ended):
        return ""
    rhat, change = (float(ended[part].values.max()) for part in ("rhat", "change"))
    moves = f"R-hat of its iterates {rhat:.2f}" if np.isinf(change) else f"a lower lr still moves it by {change:.2g} sd"
    return f"the guide still moves after {steps} steps ({moves})"


def _rise(target: np.ndarray, step: np.ndarray) -> tuple[float, float, float]:
    """By how much a history (chain, record) rises between the halves of its last fifth, in the chain where it rises
    most: nats, their standard error, and nats per step."""
    late = target.shape[1] - max(target.shape[1] // 5, 4)
    if late < 0:
        return 0.0, 0.0, 0.0
    halves, places = np.array_split(target[:, late:], 2, axis=1), np.array_split(step[late:], 2)
    rise = halves[1].mean(1) - halves[0].mean(1)
    error = np.sqrt(sum(half.var(1, ddof=1) / half.shape[1] for half in halves))
    most = int(np.argmax(rise - 3 * error))
    return float(rise[most]), float(error[most]), float(rise[most] / (places[1].mean() - places[0].mean()))


def mixing(f: np.ndarray) -> dict[str, float]:
    """R-hat and ESS of the worst of some values, (chain, draw, value), of which `ROWS` at most are looked at.

    A value that all draws of all chains share is known, and left out, as is one that is not finite; where a chain does
    not move in any of the others R-hat is infinite and the ESS zero.
    """
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function

    f = f[..., np.isfinite(f).all(axis=(0, 1))]
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
