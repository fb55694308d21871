"""What importance weights tell: leave-one-out, the ELBO of a guide and its k-hat."""

import warnings
from importlib import import_module
from typing import Any

import numpy as np

from ..driver.result import LAST, last_elbo
from ..target.geometry.importance import KHAT, khat


def loo(tree: Any) -> dict[str, float]:
    """PSIS-LOO on the training rows; nothing for a point, whose densities do not come from a posterior."""
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function

    if tree.attrs["prior_note"] or "log_likelihood" not in tree.children:  # no posterior, or too large to keep
        return {}
    stats = tree.children.get("sample_stats", {})
    if "log_q" in stats and not np.isfinite(khat(_log_weights(stats).ravel())):
        return {}  # weights of which one outweighs all others tell nothing; nor does the k of any row
    with warnings.catch_warnings():  # the share of high Pareto k has a column of its own
        warnings.simplefilter("ignore")
        try:
            if "log_q" in stats:
                estimate = arviz_stats.loo_approximate_posterior(tree, stats["log_p"], stats["log_q"], pointwise=True)
            elif tree.attrs["independent_chains"]:
                estimate = arviz_stats.loo(tree, pointwise=True)
            else:
                return {}
        except (IndexError, ValueError):  # draws that stand still, or few of them, have no tail to smooth
            return {}
    if not np.isfinite(estimate.elpd):
        return {}
    share = float(np.mean(np.asarray(estimate.pareto_k) > KHAT))
    return {"elpd_loo": float(estimate.elpd), "elpd_loo_se": float(estimate.se), "pareto_k": share}


def guide(tree: Any) -> dict[str, float]:
    """ELBO, and Pareto k-hat of the importance weights p / q (Yao et al. 2018), of a guide that has a density.

    The loss along the way is no ELBO for a point (its entropy is infinite) nor for Laplace (it is the log joint).
    """
    if tree.attrs["prior_note"]:  # without a density of the prior there is no ELBO
        return {}
    if "guide" in tree.children:
        log_lik, kl = (tree["history"][part].values for part in ("log_lik", "kl"))
        return {"elbo": last_elbo(log_lik, kl), "elbo_se": _error((log_lik - kl)[:, -LAST:])}
    stats = tree.children.get("sample_stats", {})
    if not tree.attrs["approximation"] or "log_q" not in stats:
        return {}
    ratio = _log_weights(stats)
    return {
        "elbo": float(ratio.mean()),
        "elbo_se": _error(ratio),
        "khat": max(khat(chain) for chain in ratio),
    }  # a chain is a guide of its own


def _error(values: np.ndarray) -> float:
    """The standard error of the mean of independent values."""
    with np.errstate(invalid="ignore"):
        return float(values.std() / np.sqrt(values.size))


def _log_weights(stats: Any) -> np.ndarray:
    """log p - log q of every draw (chain, draw)."""
    with np.errstate(invalid="ignore"):  # infinite less infinite
        return stats["log_p"].values.astype(np.float64) - stats["log_q"].values
