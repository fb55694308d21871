"""What runs of record say together: whether each is sound, whether they agree, and their moments and quantiles.

A run is quantities, name -> (chain, draw, value), and facts about how they came about.  A run that diverged is set
aside: its sampler says itself that it could not follow the posterior in that form, as on most data in the hierarchical
form of a horseshoe.  It has to be about the same posterior all the same, and two samplers must be left.
"""

from importlib import import_module
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from ..judging.convergence import EBFMI, TAILS
from ..judging.convergence import RHAT as CONVERGED
from ..target.sites import Arrays

RHAT, ESS = 1.01, 400  # of every quantity, for a run of record and for all of them together (Vehtari et al. 2021)
DIVERGENT = 1e-3  # share of transitions that may diverge
LEVEL = 0.01  # of the test that any two runs have the same means and sds, for all quantities together
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
AXES = {"chain_axis": 0, "draw_axis": 1}


class Run(NamedTuple):
    """Quantities, and facts: sampler, form, seed, settings, transitions, divergences, ebfmi, seconds."""

    found: Arrays
    facts: dict[str, Any]


class Judged(NamedTuple):
    """What is to be thought of runs.

    runs : the facts of each, with R-hat and ESS of its worst quantity, and ``used``, False where it is set aside.
    agreement : how far those that are used lie apart, see `apart`; ``rhat`` of all their chains together, ``rhat_all``
        with those of the runs that are set aside.
    why : what is wrong; "" where they agree.
    """

    runs: dict[str, dict[str, Any]]
    agreement: dict[str, float]
    why: str


def judge(runs: dict[str, Run]) -> Judged:
    """Whether runs are sound and agree."""
    checked = {name: run.facts | mixing([run.found]) | {"used": not _diverged(run.facts)} for name, run in runs.items()}
    used = {name: facts for name, facts in checked.items() if facts["used"]}
    everything = mixing([run.found for run in runs.values()])["rhat"]
    if len({facts["sampler"] for facts in used.values()}) < 2:
        doubts = [f"{name}: {_divergences(facts)}" for name, facts in checked.items() if not facts["used"]]
        doubts += [f"all chains together: R-hat {everything:.2f}"] if everything > RHAT else []
        return Judged(checked, {"rhat_all": everything}, "; ".join(doubts) or "there is one sampler only")
    found = [runs[name].found for name in used]
    agreement = {"rhat": mixing(found)["rhat"], "rhat_all": everything, **apart(found)}
    doubts = [f"{name}: {doubt}" for name, facts in used.items() if (doubt := _doubt(facts))]
    if agreement["rhat"] > RHAT:
        doubts.append(f"all chains together: R-hat {agreement['rhat']:.2f}")
    elif everything > CONVERGED:
        doubts.append(f"all chains, with those that diverged: R-hat {everything:.2f}")
    if agreement["z"] > agreement["z_limit"]:
        doubts.append(f"two runs lie {agreement['z']:.1f} Monte-Carlo errors apart")
    return Judged(checked, agreement, "; ".join(doubts))


def mixing(runs: list[Arrays]) -> dict[str, float]:
    """R-hat and ESS of the worst value of any quantity, all chains of these runs together."""
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function
    found = [values[..., np.ptp(values, axis=(0, 1)) > 0] for values in _together(runs).values()]
    return {
        "rhat": float(max(np.max(arviz_stats.rhat(v, **AXES)) for v in found)),
        "ess_bulk": float(min(np.min(arviz_stats.ess(v, method="bulk", **AXES)) for v in found)),
        "ess_tail": float(min(np.min(arviz_stats.ess(v, method="tail", prob=TAILS, **AXES)) for v in found)),
    }


def apart(runs: list[Arrays]) -> dict[str, float]:
    """The largest difference of two runs in a mean or an sd, in Monte-Carlo errors, and the most that chance explains.

    `z_limit` is Bonferroni's, for all values, moments and pairs of runs; `f_mean` is the largest difference of two
    means of f(x), in posterior sds.
    """
    of_runs = [{name: moments(values) for name, values in run.items()} for run in runs]
    z, f_mean = [], [0.0]
    for one, other in combinations(of_runs, 2):
        for name in set(one) & set(other):
            a, b = one[name], other[name]
            for part in ("mean", "sd"):
                error = np.hypot(a[f"{part}_mcse"], b[f"{part}_mcse"])
                z += list(np.abs(a[part] - b[part])[error > 0] / error[error > 0])
        f_mean += list(np.abs(one["f"]["mean"] - other["f"]["mean"]) / one["f"]["sd"])
    limit = norm.isf(LEVEL / 2 / max(len(z), 1))
    return {"z": float(max(z, default=0.0)), "z_limit": float(limit), "f_mean": float(max(f_mean))}


def moments(values: np.ndarray) -> Arrays:
    """Mean and sd of values (chain, draw, value), with their Monte-Carlo errors.

    That of the sd comes from that of the mean square deviation.  ArviZ 0.8 takes the ESS of the values instead, which
    for NUTS, whose draws alternate about their mean, is several times too large.
    """
    arviz_stats: Any = import_module("arviz_stats")
    mean, sd = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    square = (values - mean) ** 2
    return {
        "mean": mean,
        "mean_mcse": arviz_stats.mcse(values, method="mean", **AXES),
        "sd": sd,
        "sd_mcse": arviz_stats.mcse(square, method="mean", **AXES) / np.where(sd > 0, 2 * sd, 1.0),
    }


def summary(runs: list[Arrays]) -> dict[str, dict[str, list[float]]]:
    """Moments and quantiles of each quantity, all chains together, to six digits, with their errors to two."""
    arviz_stats: Any = import_module("arviz_stats")
    summarised = {}
    for name, values in _together(runs).items():
        found = moments(values)
        for q in QUANTILES:
            key = f"q{100 * q:02.0f}"
            found[key] = np.quantile(values, q, axis=(0, 1))
            found[f"{key}_mcse"] = arviz_stats.mcse(values, method="quantile", prob=q, **AXES)
        digits = {key: 2 if key.endswith("_mcse") else 6 for key in found}
        summarised[name] = {k: [float(f"{x:.{digits[k]}g}") for x in v] for k, v in found.items()}
    return summarised


def _together(runs: list[Arrays]) -> Arrays:
    """The quantities that all runs have, all chains one after another."""
    names = [name for name in runs[0] if all(name in run for run in runs)]
    return {name: np.concatenate([run[name] for run in runs]) for name in names}


def _doubt(facts: dict[str, Any]) -> str:
    """What is wrong with a run of record; "" for nothing."""
    if not facts["rhat"] <= RHAT:
        return f"R-hat {facts['rhat']:.2f}"
    if not min(facts["ess_bulk"], facts["ess_tail"]) >= ESS:
        return f"ESS {min(facts['ess_bulk'], facts['ess_tail']):.0f}"
    if not facts["ebfmi"] >= EBFMI:
        return f"E-BFMI {facts['ebfmi']:.2f}"
    return ""


def _diverged(facts: dict[str, Any]) -> bool:
    return facts["divergences"] > DIVERGENT * facts["transitions"]


def _divergences(facts: dict[str, Any]) -> str:
    return f"{facts['divergences']} of {facts['transitions']} transitions diverged"
