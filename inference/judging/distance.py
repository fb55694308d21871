"""The distance of a posterior of f(x) to that of a reference."""

from typing import Any

import numpy as np

from .convergence import values


def distance(tree: Any, reference: Any) -> dict[str, float]:
    """How far the posterior of f(x) at the test rows is from the reference's."""
    ours, theirs = (v.reshape(-1, v.shape[-1]) for v in (values(tree), values(reference)))
    rows = theirs.std(axis=0) > 0  # of the others the reference gives no unit
    if not rows.any():
        return {}
    ours, theirs = ours[:, rows], theirs[:, rows]
    sd = theirs.std(axis=0)
    return {
        "distance_mean": float(np.sqrt(np.mean(((ours.mean(axis=0) - theirs.mean(axis=0)) / sd) ** 2))),
        "distance_sd": float(np.median(ours.std(axis=0) / sd)),
    }
