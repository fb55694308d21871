"""A plain verdict with its reason, from the numbers of a fit."""

from typing import Any

import numpy as np

from .convergence import EBFMI, ESS, RHAT
from .psis import KHAT

DIVERGENT = 0.01  # share of divergent transitions above which the verdict speaks of them
DISTANCE = 0.5  # posterior sds between the predictive means of a fit and of the reference
WIDTH = (0.7, 1.4)  # ratio of the predictive sds within which a fit is as wide as the reference


def verdict(row: dict[str, Any], tree: Any, reference: str = "", trusted: bool = True) -> tuple[str, str]:
    """A word and a reason; `reference` names the fit that distances are to, `trusted` is whether to believe that one.

    The words: ``ok``, ``not converged``, ``too few draws``, ``divergent``, ``too narrow``, ``too wide``, ``off``, and
    ``unchecked`` where nothing here can tell.
    """
    if not np.isfinite(row["mlpd"]):
        return "off", "the test rows have no finite predictive density"
    chains, draws = tree["posterior"].sizes["chain"], tree["posterior"].sizes["draw"]
    if tree.attrs["independent_chains"]:
        problem = _chain_problem(row, chains, chains * draws)
        if problem is not None:
            return problem
    if np.isnan(row["distance_mean"]):
        return _without_reference(row, tree)
    if not trusted:
        return "unchecked", f"{reference}, the reference, cannot be trusted itself"
    return _against(row, reference)


def _chain_problem(row: dict[str, Any], chains: int, draws: int) -> tuple[str, str] | None:
    """What is wrong with the chains of a sampler, if anything is."""
    if chains < 2:
        return "unchecked", "one chain cannot show convergence; run two or more"
    if np.isnan(row["rhat_f"]):
        return "not converged", "R-hat of f(x) is not defined: it stands still, or there are too few draws"
    if row["rhat_f"] > RHAT:
        return "not converged", f"R-hat {row['rhat_f']:.2f} on f(x)"
    if row["ess_bulk_f"] < ESS * chains:
        return "too few draws", f"bulk ESS {row['ess_bulk_f']:.0f} of f(x), {ESS * chains} wanted"
    if row["ebfmi"] < EBFMI:
        return "not converged", f"E-BFMI {row['ebfmi']:.2f}: the sampler explores the energy too slowly"
    if row["divergences"] > DIVERGENT * draws:
        share = f"{row['divergences']} of {draws} transitions diverged"
        return "divergent", f"{share}; raise target_accept, or use a lighter-tailed noise"
    return None


def _without_reference(row: dict[str, Any], tree: Any) -> tuple[str, str]:
    if tree.attrs["strategy"] == "nuts":
        return "ok", f"R-hat {row['rhat_f']:.2f} and bulk ESS {row['ess_bulk_f']:.0f} on f(x)"
    if tree.attrs["independent_chains"]:
        return "unchecked", f"chains agree (R-hat {row['rhat_f']:.2f}), but only a reference shows the step's bias"
    if row["khat"] <= KHAT:
        return "ok", f"k-hat {row['khat']:.2f}"
    if "guide" in tree.children:
        why = "weights that are not drawn have no k-hat"
    else:
        why = "a point has no spread" if np.isnan(row["khat"]) else f"k-hat {row['khat']:.1f} over the weights"
    refusal = tree.attrs.get("no_nuts")
    return (
        "unchecked",
        f"{why}; {f'nuts is no reference: {refusal}' if refusal else 'run nuts beside it as a reference'}",
    )


def _against(row: dict[str, Any], reference: str) -> tuple[str, str]:
    width, distance = row["distance_sd"], row["distance_mean"]
    if width < WIDTH[0]:
        return "too narrow", f"predictive sd {width:.2f} of {reference}"
    if width > WIDTH[1]:
        return "too wide", f"predictive sd {width:.2f} of {reference}"
    if distance > DISTANCE:
        return "off", f"predictive mean {distance:.2f} sd from {reference}"
    return "ok", f"predictive mean {distance:.2f} sd from {reference}, sd {width:.2f} of it"
