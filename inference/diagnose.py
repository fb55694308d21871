"""Judging a fit in function space: convergence, accuracy, calibration, distance to a reference, and a plain verdict.

The weights of a network are not identified (units can be permuted, signs flipped), so R-hat and ESS are those of f(x)
at the test rows, the worst row counting.  Everything is computed from a DataTree of `draws`, so that a saved fit can be
judged again.  A number that has no meaning for a fit is NaN.
"""

import warnings
from importlib import import_module
from typing import Any

import numpy as np
from scipy.special import expit, logsumexp, softmax

RHAT = 1.05  # above it chains have not mixed, and no ESS per second is given (Vehtari et al., 2021: 1.01 for a scalar)
ESS = 100  # per chain (Vehtari et al. 2021)
DIVERGENT = 0.01  # share of divergent transitions above which the verdict speaks of them
EBFMI = 0.3  # Betancourt (2016)
KHAT = 0.7  # Vehtari et al. (2024)
LAST = 5  # records of the history, a twentieth of it, that make the ELBO of a guide whose weights are not drawn
TAIL = 5  # importance weights at least to fit a Pareto tail to (ibid.)
EQUAL = 0.1  # range of log weights, in nats, within which they are equal to rounding (log joints are float32)
DISTANCE = 0.5  # posterior sds between the predictive means of a fit and of the reference
WIDTH = (0.7, 1.4)  # ratio of the predictive sds within which a fit is as wide as the reference
TAILS = (0.05, 0.95)  # of the tail ESS
INTERVAL = 0.9  # the predictive interval whose coverage is measured
ROWS = 500  # at most so many test rows for R-hat and ESS
BINS = 10  # of the expected calibration error

COLUMNS = (
    *("model", "strategy", "ppl", "rmse", "mae", "mlpd", "accuracy", "calibration"),
    *("elpd_loo", "elpd_loo_se", "pareto_k", "rhat_f", "ess_bulk_f", "ess_tail_f", "ess_per_second"),
    *("divergences", "ebfmi", "elbo", "khat", "distance_mean", "distance_sd", "sparsity"),
    *("seconds_compile", "seconds_adapt", "seconds_sample", "verdict", "reason"),
)


def diagnose(tree: Any, reference: Any = None) -> dict[str, Any]:
    """All the numbers of one fit, without the verdict; `reference` is the DataTree of the fit to measure it against.

    rmse, mae : of the predictive mean at the test rows, in the target's units (regression).
    accuracy : of the likeliest class (classification).
    mlpd : mean over test rows of log p(y given data), in the target's units.
    calibration : coverage of the 90% predictive interval (regression), expected calibration error (classification).
    elpd_loo, elpd_loo_se, pareto_k : PSIS-LOO on the training rows and the share of its k above 0.7; for a guide with a
        density the approximate-posterior form (Magnusson et al. 2019).
    rhat_f, ess_bulk_f, ess_tail_f : worst test row of f(x); only for independent chains.
    divergences, ebfmi : of the sampler; the number of divergent transitions, the smallest chain's E-BFMI.
    elbo, khat : of a guide with a density; the mean of log p - log q over its draws, in standardised units, and the
        Pareto k of its importance weights p / q, of the worst restart; infinite if no tail can be fitted to them.
    distance_mean : root mean square over test rows of (mean - reference mean) / reference sd, of f(x);
        distance_sd : median ratio of their sds.
    sparsity : share of the weights' square that is idle, mean over layers (see `functionals`).
    """
    found: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan)
    found.update(strategy=tree.attrs["strategy"], ppl=tree.attrs["ppl"], model=tree.attrs.get("model", ""))
    found.update(accuracy_of(tree), **loo(tree), **convergence(tree), **guide(tree))
    if reference is not None and reference is not tree:
        found.update(distance(tree, reference))
    if "functionals" in tree.children and "sparsity" in tree["functionals"]:
        found["sparsity"] = float(tree["functionals"]["sparsity"].mean())
    seconds = {f"seconds_{k}": tree.attrs.get(f"seconds_{k}", np.nan) for k in ("compile", "adapt", "sample")}
    found.update(seconds)
    if found["rhat_f"] <= RHAT and seconds["seconds_sample"] > 0:
        found["ess_per_second"] = found["ess_bulk_f"] / seconds["seconds_sample"]
    return found


def _draws(tree: Any, group: str, name: str) -> np.ndarray:
    """(sample, row, ...) of all chains."""
    values = tree[group][name].transpose("chain", "draw", ...).values
    return values.reshape(-1, *values.shape[2:])


def _observed(tree: Any) -> np.ndarray:
    return tree["predictions_constant_data"]["y"].values


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


def accuracy_of(tree: Any) -> dict[str, float]:
    """Error, log predictive density and calibration at the test rows."""
    y, f, log_lik = _observed(tree), _draws(tree, "predictions", "f"), _draws(tree, "predictions", "log_lik")
    if tree.attrs["task"] == "regression":
        return regression(y, f, _draws(tree, "predictions", "y"), log_lik)
    return classification(y, f, log_lik)


def regression(y: np.ndarray, f: np.ndarray, draws: np.ndarray, log_lik: np.ndarray) -> dict[str, float]:
    """Error, density and calibration from the target `y` (row,) and posterior draws (sample, row).

    `f` are function values, `draws` the predictive draws of the target, `log_lik` its log density.
    """
    error = f.mean(axis=0) - y
    low, high = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2], axis=0)
    return {
        "mlpd": _mean_log_density(log_lik),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "calibration": float(np.mean((low <= y) & (y <= high))),
    }


def classification(y: np.ndarray, f: np.ndarray, log_lik: np.ndarray) -> dict[str, float]:
    """The same of classes: `f` are logits, (sample, row) of two classes and (sample, row, class) of more."""
    p = _probabilities(f)
    right = p.argmax(axis=-1) == y
    return {
        "mlpd": _mean_log_density(log_lik),
        "accuracy": float(right.mean()),
        "calibration": calibration_error(p.max(axis=-1), right),
    }


def error_and_density(y: np.ndarray, f: np.ndarray, log_lik: np.ndarray) -> dict[str, float]:
    """``accuracy``, or ``rmse`` where the target is real, and ``mlpd``, from function values and log densities."""
    if not np.issubdtype(y.dtype, np.floating):
        found = classification(y, f, log_lik)
        return {"accuracy": found["accuracy"], "mlpd": found["mlpd"]}
    rmse = float(np.sqrt(np.mean((f.mean(axis=0, dtype=np.float64) - y) ** 2)))
    return {"rmse": rmse, "mlpd": _mean_log_density(log_lik)}


def _mean_log_density(log_lik: np.ndarray) -> float:
    """The mean over rows of the log of the mean density over the draws."""
    return float(np.mean(logsumexp(log_lik, axis=0) - np.log(len(log_lik))))


def _probabilities(f: np.ndarray) -> np.ndarray:
    """Predictive class probabilities (row, class)."""
    if f.ndim == 3:
        return softmax(f, axis=-1).mean(axis=0)
    p = expit(f).mean(axis=0)
    return np.stack([1 - p, p], axis=-1)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error in equal-width bins (Guo et al. 2017): mean of |share right - mean confidence|."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(right[bins == b].sum() - confidence[bins == b].sum()) for b in np.unique(bins)]
    return float(sum(gaps) / len(confidence))


def loo(tree: Any) -> dict[str, float]:
    """PSIS-LOO on the training rows; nothing for a point, whose densities do not come from a posterior."""
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function

    stats = tree.children.get("sample_stats", {})
    with warnings.catch_warnings():  # the share of high Pareto k has a column of its own
        warnings.simplefilter("ignore")
        try:
            if "log_q" in stats:
                found = arviz_stats.loo_approximate_posterior(tree, stats["log_p"], stats["log_q"], pointwise=True)
            elif tree.attrs["independent_chains"]:
                found = arviz_stats.loo(tree, pointwise=True)
            else:
                return {}
        except (IndexError, ValueError):  # draws that stand still, or few of them, have no tail to smooth
            return {}
    if not np.isfinite(found.elpd):  # nor do weights of which one outweighs all others; their k is no k either
        return {}
    share = float(np.mean(np.asarray(found.pareto_k) > KHAT))
    return {"elpd_loo": float(found.elpd), "elpd_loo_se": float(found.se), "pareto_k": share}


def convergence(tree: Any) -> dict[str, float]:
    """R-hat and ESS of f(x) at the worst test row, divergences and E-BFMI; nothing for draws that are no chains."""
    if not tree.attrs["independent_chains"]:
        return {}
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function
    found = mixing(values(tree))
    stats = tree.children.get("sample_stats", {})
    if "diverging" in stats:
        found["divergences"] = int(stats["diverging"].sum())
    if "energy" in stats:
        found["ebfmi"] = float(np.min(arviz_stats.bfmi(stats["energy"].values, chain_axis=0, draw_axis=1)))
    return found


def mixing(f: np.ndarray) -> dict[str, float]:
    """R-hat and ESS of the worst of some values, (chain, draw, value), of which `ROWS` at most are looked at."""
    arviz_stats: Any = import_module("arviz_stats")  # slow to import, and its types name no function

    f = f[..., :: -(-f.shape[-1] // ROWS)]
    axes = {"chain_axis": 0, "draw_axis": 1}
    with np.errstate(divide="ignore", invalid="ignore"):  # of a row that stands still
        return {
            "rhat_f": float(np.max(arviz_stats.rhat(f, **axes))),
            "ess_bulk_f": float(np.min(arviz_stats.ess(f, method="bulk", **axes))),
            "ess_tail_f": float(np.min(arviz_stats.ess(f, method="tail", prob=TAILS, **axes))),
        }


def guide(tree: Any) -> dict[str, float]:
    """ELBO, and Pareto k-hat of the importance weights p / q (Yao et al. 2018), of a guide that has a density.

    The loss along the way is no ELBO for a point (its entropy is infinite) nor for Laplace (it is the log joint).
    """
    if "guide" in tree.children and not tree.attrs["prior_note"]:  # under an improper prior there is no ELBO
        return {"elbo": last_elbo(tree["history"]["log_lik"].values, tree["history"]["kl"].values)}
    stats = tree.children.get("sample_stats", {})
    if not tree.attrs["approximation"] or "log_q" not in stats:
        return {}
    with np.errstate(invalid="ignore"):  # infinite less infinite
        ratio = stats["log_p"].values.astype(np.float64) - stats["log_q"].values
    return {"elbo": float(ratio.mean()), "khat": max(_khat(chain) for chain in ratio)}  # a chain is a guide of its own


def last_elbo(log_lik: np.ndarray, kl: np.ndarray) -> float:
    """The ELBO over the last records of a history, (chain, record)."""
    return float((log_lik - kl)[:, -LAST:].mean())


def _khat(log_weights: np.ndarray) -> float:
    """Pareto k of importance weights; 0 where they are equal to rounding, infinite where no tail can be fitted to them:
    one draw outweighs all others, there are too few, or a density is not finite."""
    array_stats: Any = import_module("arviz_stats.base").array_stats
    if len(log_weights) < 5 * TAIL:  # the tail is a fifth of so few
        return np.inf
    try:
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            if np.ptp(log_weights) < EQUAL:
                return 0.0
            k = float(array_stats.psislw(-log_weights)[1])  # psislw takes the negative, as in leave-one-out
    except (ArithmeticError, ValueError):
        return np.inf
    return k if np.isfinite(k) else np.inf


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


def verdict(found: dict[str, Any], tree: Any, reference: str = "", trusted: bool = True) -> tuple[str, str]:
    """A word and a reason; `reference` names the fit that distances are to, `trusted` is whether to believe that one.

    The words: ``ok``, ``not converged``, ``too few draws``, ``divergent``, ``too narrow``, ``too wide``, ``off``, and
    ``unchecked`` where nothing here can tell.
    """
    if not np.isfinite(found["mlpd"]):
        return "off", "the test rows have no finite predictive density"
    chains, draws = tree["posterior"].sizes["chain"], tree["posterior"].sizes["draw"]
    if tree.attrs["independent_chains"]:
        problem = _chain_problem(found, chains, chains * draws)
        if problem is not None:
            return problem
    if np.isnan(found["distance_mean"]):
        return _without_reference(found, tree)
    if not trusted:
        return "unchecked", f"{reference}, the reference, cannot be trusted itself"
    return _against(found, reference)


def _chain_problem(found: dict[str, Any], chains: int, draws: int) -> tuple[str, str] | None:
    """What is wrong with the chains of a sampler, if anything is."""
    if chains < 2:
        return "unchecked", "one chain cannot show convergence; run two or more"
    if np.isnan(found["rhat_f"]):
        return "not converged", "R-hat of f(x) is not defined: it stands still, or there are too few draws"
    if found["rhat_f"] > RHAT:
        return "not converged", f"R-hat {found['rhat_f']:.2f} on f(x)"
    if found["ess_bulk_f"] < ESS * chains:
        return "too few draws", f"bulk ESS {found['ess_bulk_f']:.0f} of f(x), {ESS * chains} wanted"
    if found["ebfmi"] < EBFMI:
        return "not converged", f"E-BFMI {found['ebfmi']:.2f}: the sampler explores the energy too slowly"
    if found["divergences"] > DIVERGENT * draws:
        share = f"{found['divergences']} of {draws} transitions diverged"
        return "divergent", f"{share}; raise target_accept, or use a lighter-tailed noise"
    return None


def _without_reference(found: dict[str, Any], tree: Any) -> tuple[str, str]:
    if tree.attrs["strategy"] == "nuts":
        return "ok", f"R-hat {found['rhat_f']:.2f} and bulk ESS {found['ess_bulk_f']:.0f} on f(x)"
    if tree.attrs["independent_chains"]:
        return "unchecked", f"chains agree (R-hat {found['rhat_f']:.2f}), but only a reference shows the step's bias"
    if found["khat"] <= KHAT:
        return "ok", f"k-hat {found['khat']:.2f}"
    if "guide" in tree.children:
        of = "weights that are not drawn have no k-hat"
    else:
        of = "a point has no spread" if np.isnan(found["khat"]) else f"k-hat {found['khat']:.1f} over the weights"
    return "unchecked", f"{of}; run nuts beside it as a reference"


def _against(found: dict[str, Any], reference: str) -> tuple[str, str]:
    width, away = found["distance_sd"], found["distance_mean"]
    if width < WIDTH[0]:
        return "too narrow", f"predictive sd {width:.2f} of {reference}"
    if width > WIDTH[1]:
        return "too wide", f"predictive sd {width:.2f} of {reference}"
    if away > DISTANCE:
        return "off", f"predictive mean {away:.2f} sd from {reference}"
    return "ok", f"predictive mean {away:.2f} sd from {reference}, sd {width:.2f} of it"
