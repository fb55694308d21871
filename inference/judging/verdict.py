"""A plain verdict with its reason, from the numbers of a fit."""

import json
from typing import Any

import numpy as np

from ..target.geometry.importance import KHAT
from .convergence import EBFMI, ESS, RHAT, not_converged
from .sampler.exact import is_exact
from .sampler.funnel import funnel

DIVERGENT = 0.01  # share of divergent transitions above which the verdict speaks of them
DISTANCE = 0.5  # posterior sds between the predictive means of a fit and of the reference
STEADIER = "raise target_accept, or use a lighter-tailed noise"
WIDTH = (0.7, 1.4)  # ratio of the predictive sds within which a fit is as wide as the reference
ERRORS = 2  # Monte-Carlo errors of a stored reference by which these may be missed


SEVERITY = (  # worst first
    *("not converged", "divergent", "off", "too narrow", "too wide", "step bias", "too few draws", "unchecked"),
)
Finding = tuple[str, str]  # a word and a reason


def verdict(row: dict[str, Any], tree: Any, reference: str = "", trusted: bool = True) -> Finding:
    """A word and a reason; `reference` names the fit that distances are to, `trusted` is whether to believe that one.

    The words: ``ok``, those of `SEVERITY`, of which ``unchecked`` is where nothing here can tell.  The word is the
    worst that holds, and the reason has all that hold, that of the word first.
    """
    if not np.isfinite(row["mlpd"]):
        return "off", "the test rows have no finite predictive density"
    chains, draws = tree["posterior"].sizes["chain"], tree["posterior"].sizes["draw"]
    if tree.attrs["independent_chains"]:
        neck = funnel(tree) if row.get("divergences", 0) > DIVERGENT * chains * draws else ""
        found = chain_problems(row, chains, chains * draws, neck)
    else:
        found = [("not converged", reason) for reason in [not_converged(tree)] if reason]
    found += _step_bias(row, tree)
    if not np.isnan(row["distance_mean"]):
        found += _against(row, reference) if trusted else [_untrusted(reference)]
    elif not found:
        return _without_reference(row, tree)
    if not found:
        mean, sd = (_number(row, name) for name in ("distance_mean", "distance_sd"))
        return "ok", f"predictive mean {mean} sd from {reference}, sd {sd} of it"
    found.sort(key=lambda finding: SEVERITY.index(finding[0]))
    return found[0][0], "; ".join(reason for _, reason in found)


def chain_problems(row: dict[str, Any], chains: int, draws: int, neck: str = "") -> list[Finding]:
    """What is wrong with the chains of a sampler; `draws` are those of all chains, `neck` where they diverged, if it is
    known (see `funnel`)."""
    found: list[Finding] = []
    if chains < 2:
        found.append(("unchecked", "one chain cannot show convergence; run two or more"))
    elif np.isnan(row["rhat_f"]):
        found.append(("not converged", "R-hat of f(x) is not defined: there are too few draws"))
    elif np.isinf(row["rhat_f"]):
        found.append(("not converged", "a chain stands still: all its draws of f(x) are the same"))
    elif row["rhat_f"] > RHAT:
        found.append(("not converged", f"R-hat {row['rhat_f']:.2f} on f(x)"))
    elif row["ess_bulk_f"] < ESS * chains:  # says nothing of chains that disagree
        found.append(("too few draws", f"bulk ESS {row['ess_bulk_f']:.0f} of f(x), {ESS * chains} wanted"))
    if row.get("ebfmi", np.nan) < EBFMI:
        found.append(("not converged", f"E-BFMI {row['ebfmi']:.2f}: the sampler explores the energy too slowly"))
    if row.get("divergences", np.nan) > DIVERGENT * draws:
        share = f"{row['divergences']:.0f} of {draws} transitions diverged"
        found.append(("divergent", f"{share} {neck}" if neck else f"{share}; {STEADIER}"))
    return found


def _untrusted(reference: str) -> Finding:
    return "unchecked", f"{reference}, the reference, cannot be trusted itself"


def _without_reference(row: dict[str, Any], tree: Any) -> Finding:
    if is_exact(tree):
        return "ok", f"R-hat {row['rhat_f']:.2f} and bulk ESS {row['ess_bulk_f']:.0f} on f(x)"
    if tree.attrs["independent_chains"]:
        agree = f"chains agree (R-hat {row['rhat_f']:.2f})"
        if np.isnan(row.get("step_bias_mean", np.nan)):
            return "unchecked", f"{agree}, but only a reference shows the step's bias"
        if not _is_small(row):
            return "unchecked", f"{agree}, but {_bias(row)} is known too roughly; take more draws"
        return "ok", f"R-hat {row['rhat_f']:.2f} and bulk ESS {row['ess_bulk_f']:.0f} on f(x); {_bias(row)}"
    if row["khat"] <= KHAT:
        return "ok", f"k-hat {row['khat']:.2f}"
    if "guide" in tree.children:
        why = "weights that are not drawn have no k-hat"
    else:
        why = "a point has no spread" if np.isnan(row["khat"]) else f"k-hat {row['khat']:.1f} over the weights"
    refusal = tree.attrs.get("no_nuts")
    reference = f"nuts is no reference: {refusal}" if refusal else "run nuts beside it as a reference"
    return "unchecked", f"{why}; {reference}"


def _step_bias(row: dict[str, Any], tree: Any) -> list[Finding]:
    """Whether the step has moved f(x) by more than is allowed against a reference, and that is no Monte Carlo error."""
    mean, ratio, error = (row.get(f"step_bias_{name}", np.nan) for name in ("mean", "sd", "error"))
    off = mean > DISTANCE and mean > 2 * error
    wide = not WIDTH[0] <= ratio <= WIDTH[1] and abs(np.log(ratio)) > 2 * error  # NaN is neither
    automatic = json.loads(tree.attrs["settings"]).get("step_size") == "auto"
    advice = f"take a smaller {'tolerance' if automatic else 'step_size'}"
    return [("step bias", f"{_bias(row)}: {advice}")] if off or wide else []


def _is_small(row: dict[str, Any]) -> bool:
    """Whether the bias of the step is within what is allowed against a reference, its Monte Carlo error included."""
    error = 2 * row["step_bias_error"]
    low, high = (row["step_bias_sd"] * np.exp(sign * error) for sign in (-1, 1))
    return row["step_bias_mean"] + error <= DISTANCE and low >= WIDTH[0] and high <= WIDTH[1]


def _bias(row: dict[str, Any]) -> str:
    moved = f"{row['step_bias_mean']:.2f} sd off, sd {row['step_bias_sd']:.2f} of that without"
    return f"step bias: {moved}, each ± {row['step_bias_error']:.2f}"


def _against(row: dict[str, Any], reference: str) -> list[Finding]:
    width, distance = row["distance_sd"], row["distance_mean"]
    error, width_error = (ERRORS * row.get(f"{name}_mcse", 0.0) for name in ("distance_mean", "distance_sd"))
    found: list[Finding] = []
    if distance > DISTANCE + error:
        found.append(("off", f"predictive mean {_number(row, 'distance_mean')} sd from {reference}"))
    if width < WIDTH[0] - width_error:
        found.append(("too narrow", f"predictive sd {_number(row, 'distance_sd')} of {reference}"))
    if width > WIDTH[1] + width_error:
        found.append(("too wide", f"predictive sd {_number(row, 'distance_sd')} of {reference}"))
    return found


def _number(row: dict[str, Any], name: str) -> str:
    """A distance, with the Monte-Carlo error that the reference leaves in it where two digits show it."""
    error = row.get(f"{name}_mcse", 0.0)
    return f"{row[name]:.2f} ± {error:.2f}" if error >= 0.005 else f"{row[name]:.2f}"
