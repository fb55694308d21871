"""Funnels: whether divergent draws gather at an end of a scale, and the form of the prior that has no funnel there.

Where a weight is drawn from N(0, scale^2), as in the hierarchical form, it is squeezed as the scale goes to zero, and a
leapfrog step that suits the rest cannot follow (Neal 2003; Betancourt & Girolami 2015).  In the expanded form, weight =
scale * base, there is no such neck; but where data fix the weight, it is the base that is squeezed, as the scale grows.
"""

from typing import Any

import numpy as np

LEAST = 10  # divergent draws, below which nothing is said
SHARE = 0.65  # of pairs of a divergent draw and another in which the divergent one is nearer to the neck
LEVEL = 1e-5  # of the rank test, all scales of the program together; draws are not independent
ADVICE = {  # whether the weight is sampled as base: the end where its neck is, and the form without it
    False: (-1, "small", "expanded"),
    True: (1, "large", "hierarchical"),
}


def funnel(tree: Any) -> str:
    """Where divergent draws gather and which form to try, in words; "" if they gather at no neck.

    Every scale is ranked by itself: divergent draws against the others, by a Mann-Whitney test.
    """
    from scipy.stats import mannwhitneyu

    diverging = tree["sample_stats"]["diverging"].transpose("chain", "draw").values
    if not LEAST <= diverging.sum() < diverging.size:
        return ""
    found = []
    scales = _log_scales(tree["posterior"])
    level = LEVEL / max(sum(values.shape[-1] for values in scales.values()), 1)
    for name, values in scales.items():
        end, where, form = ADVICE[f"{name.partition('.')[0]}.base" in tree["posterior"]]
        divergent, others = end * values[diverging], end * values[~diverging]
        test = mannwhitneyu(divergent, others, axis=0, alternative="greater")
        share = np.where(test.pvalue < level, test.statistic / (len(divergent) * len(others)), 0.0).max()
        found.append((share, f"where {name} is {where}: a funnel; try --form {form}"))
    share, words = max(found, default=(0.0, ""))
    return words if share > SHARE else ""


def _log_scales(posterior: Any) -> dict[str, np.ndarray]:
    """The logarithms (chain, draw, scale) of the scales by site; discrete ones, which may be zero, are left out."""
    sites = {k: np.abs(v.transpose("chain", "draw", ...).values) for k, v in posterior.items() if ".scale" in k}
    return {k: np.log(v).reshape(*v.shape[:2], -1) for k, v in sites.items() if (v > 0).all()}
