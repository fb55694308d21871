"""Rules for trimming a fitted guide of independent normals: which weights they keep, and how much that compresses.

A guide is two dicts of one chain, `loc` and `scale`: site -> array of the site's shape, the mean and the standard
deviation of each weight (``layer0.weight``, (..., unit_in, unit_out)) and bias.  A *rule* says which weights are kept:

- ``log_alpha``: those with log(sigma^2 / mu^2) < 3 (Molchanov, Ashukha & Vetrov 2017);
- ``magnitude``: those with abs(mu) >= 0.01 (Kharitonov, Molchanov & Vetrov 2018, appendix A).

Predictions are those of the mean weights, nothing being drawn (the deterministic mode of the second paper, appendix A).
*Compression* is the number of weights over the number that is not zero after trimming; neither counts biases, as in
both papers.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import unknown
from ..judging.functionals import log_alpha
from ..target.sites import NETWORK_SITES, Arrays

TOTAL = "total"


class Rule(NamedTuple):
    """Which weights stay.

    keep : ``(loc, scale, threshold) -> mask``, elementwise.
    threshold : the default.
    text : the rule in words, with ``{threshold}``.
    """

    keep: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    threshold: float
    text: str


RULES = {
    "log_alpha": Rule(lambda loc, scale, t: log_alpha(loc, scale) < t, 3.0, "log alpha below {threshold:g}"),
    "magnitude": Rule(lambda loc, scale, t: np.abs(loc) >= t, 0.01, "size of the mean at least {threshold:g}"),
}


def kept(loc: Arrays, scale: Arrays, rule: str = "log_alpha", threshold: float | None = None) -> Arrays:
    """Which weights a rule keeps: site -> mask, for the weight sites; biases always stay.

    Raises ValueError for an unknown rule, a threshold that is not finite, a guide without weights, standard deviations
    that are missing or of another shape, and values that are NaN or negative.
    """
    threshold = checked_threshold(rule, threshold)
    masks = {}
    for site in weights(loc):
        if site not in scale:
            raise ValueError(
                f"the guide has no standard deviations for {site}; only independent normals have a sparsity"
            )
        mean, sd = np.asarray(loc[site]), np.asarray(scale[site])
        if mean.shape != sd.shape:
            raise ValueError(
                f"{site} has means of shape {mean.shape} and sds of shape {sd.shape}; give those of one chain"
            )
        if np.isnan(mean).any() or not (sd >= 0).all():
            raise ValueError(f"{site} has means that are NaN or sds that are NaN or negative; fit the guide again")
        masks[site] = RULES[rule].keep(mean, sd, threshold)
    return masks


def weights(sites: Iterable[str]) -> list[str]:
    """The weight sites in the order of their layers; raises ValueError if there are none."""
    names = [site for site in sites if site.endswith(".weight")]
    if not names:
        raise ValueError(
            "the guide has no weight sites (layer0.weight, ...); in the expanded form the weight is not a site of the "
            "guide, so fit the hierarchical or the marginal form"
        )
    return sorted(names, key=lambda site: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", site)])


def network_sites(loc: Arrays) -> Arrays:
    """Only the sites that make the function."""
    return {site: v for site, v in loc.items() if site.endswith(NETWORK_SITES)}


def trimmed(loc: Arrays, masks: Arrays) -> Arrays:
    """The means with zeros where a mask says so; other sites, such as biases, as they are.

    Raises ValueError if a weight site has no mask of its shape.
    """
    for site in weights(loc):
        if site not in masks or np.shape(masks[site]) != np.shape(loc[site]):
            raise ValueError(
                f"there is no mask of shape {np.shape(loc[site])} for {site}; take those that kept() gives"
            )
    return {site: np.where(masks[site], v, 0).astype(v.dtype) if site in masks else v for site, v in loc.items()}


def compression(loc: Arrays, masks: Arrays) -> float:
    """All weights over those that are not zero after trimming, biases not counted; inf if none is left."""
    return float(table(loc, masks).loc[TOTAL, "compression"])  # type: ignore[arg-type]


def table(loc: Arrays, masks: Arrays) -> pd.DataFrame:
    """One row per layer and one for all of them.

    ``kept``, ``total`` : weights that are not zero after trimming, and all.
    ``share`` : kept / total.
    ``compression`` : total / kept, inf if nothing is kept.
    ``in_use``, ``out_use`` : units with a kept weight that leaves them, or that enters them; ``of_in``, ``of_out``
        how many there are.  Of a kernel (kh, kw, in, out), channels.  Missing in the total.
    """
    remaining = trimmed(loc, masks)
    rows = {}
    for site in weights(loc):
        kept = remaining[site] != 0
        in_use, out_use = (kept.any(axis=tuple(i for i in range(kept.ndim) if i != kept.ndim + a)) for a in (-2, -1))
        units = {"units_in": in_use.sum(), "of_in": in_use.size, "units_out": out_use.sum(), "of_out": out_use.size}
        rows[site.removesuffix(".weight")] = {"kept": kept.sum(), "total": kept.size, **units}
    frame = pd.DataFrame.from_dict(rows, orient="index").astype("Int64")
    frame.loc[TOTAL, ["kept", "total"]] = frame[["kept", "total"]].sum()
    share = (frame["kept"] / frame["total"]).astype(float)
    frame.insert(2, "share", share)
    frame.insert(3, "compression", np.divide(1.0, share, out=np.full(len(share), np.inf), where=share > 0))
    return frame.rename_axis("layer")


def rule_facts(rule: str, threshold: float | None = None) -> dict[str, Any]:
    """``rule``, ``threshold`` and ``text``, the rule in words."""
    value = checked_threshold(rule, threshold)
    return {"rule": rule, "threshold": value, "text": RULES[rule].text.format(threshold=value)}


def checked_threshold(rule: str, threshold: float | None) -> float:
    """The threshold of a rule, by default its own; raises ValueError unless it is finite."""
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    value = RULES[rule].threshold if threshold is None else float(threshold)
    if not math.isfinite(value):
        raise ValueError(
            f"the threshold of {rule} must be a finite number, got {value}; by default {RULES[rule].threshold:g}"
        )
    return value
