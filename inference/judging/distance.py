"""The distance of a posterior of f(x) to that of a reference."""

from typing import Any, NamedTuple

import numpy as np

from .convergence import thinned, values


class Moments(NamedTuple):
    """Mean and sd of f(x) at the test rows under a reference, with their Monte-Carlo errors, as `thinned` has them."""

    mean: np.ndarray
    sd: np.ndarray
    mean_mcse: np.ndarray
    sd_mcse: np.ndarray


def distance(tree: Any, reference: Any) -> dict[str, float]:
    """How far the posterior of f(x) at the test rows is from the reference's, a DataTree or its `Moments`.

    Moments have errors, and so have the distances to them, ``distance_mean_mcse`` and ``distance_sd_mcse``: what the
    distance of the posterior itself would be, about.
    """
    known = isinstance(reference, Moments)
    ours = thinned(values(tree)) if known else values(tree)
    ours = ours.reshape(-1, ours.shape[-1])
    if not known:
        theirs = values(reference).reshape(-1, ours.shape[-1])
        reference = Moments(theirs.mean(axis=0), theirs.std(axis=0), *np.zeros((2, ours.shape[-1])))
    rows = reference.sd > 0  # of the others the reference gives no unit
    if not rows.any():
        return {}
    ours, (mean, sd, mean_mcse, sd_mcse) = ours[:, rows], (part[rows] for part in reference)
    found = {
        "distance_mean": float(np.sqrt(np.mean(((ours.mean(axis=0) - mean) / sd) ** 2))),
        "distance_sd": float(np.median(ours.std(axis=0) / sd)),
    }
    if known:
        found["distance_mean_mcse"] = float(np.sqrt(np.mean((mean_mcse / sd) ** 2)))
        found["distance_sd_mcse"] = float(np.median(sd_mcse / sd))
    return found
