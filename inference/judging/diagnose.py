"""All the numbers that judge a fit, in function space: convergence, accuracy, calibration, distance to a reference.

The weights of a network are not identified (units can be permuted, signs flipped), so R-hat and ESS are those of f(x)
at the test rows, the worst row counting.  Everything is computed from a DataTree, so that a saved fit can be judged
again.  A number that has no meaning for a fit is NaN.
"""

from typing import Any

import numpy as np

from .accuracy import accuracy_of
from .convergence import RHAT, convergence
from .distance import distance
from .psis import guide, loo
from .sampler.step_bias import step_bias

COLUMNS = (
    *("model", "strategy", "ppl", "rmse", "mae", "mlpd", "accuracy", "calibration"),
    *("elpd_loo", "elpd_loo_se", "pareto_k", "rhat_f", "ess_bulk_f", "ess_tail_f", "ess_per_second"),
    *("divergences", "ebfmi", "steps", "elbo", "elbo_se", "khat", "distance_mean", "distance_sd"),
    *("step_bias_mean", "step_bias_sd", "step_bias_error", "sparsity"),
    *("seconds_compile", "seconds_adapt", "seconds_sample", "verdict", "reason"),
)


def diagnose(tree: Any, reference: Any = None) -> dict[str, Any]:
    """All the numbers of one fit, without the verdict; `reference` is what to measure it against, as `distance` has it.

    rmse, mae : of the predictive mean at the test rows, in the target's units (regression).
    accuracy : of the likeliest class (classification).
    mlpd : mean over test rows of log p(y given data), in the target's units.
    calibration : coverage of the 90% predictive interval (regression), expected calibration error (classification).
    elpd_loo, elpd_loo_se, pareto_k : PSIS-LOO on the training rows and the share of its k above 0.7; for a guide with a
        density the approximate-posterior form (Magnusson et al. 2019).
    rhat_f, ess_bulk_f, ess_tail_f : worst test row of f(x); only for independent chains.
    divergences, ebfmi : of the sampler; the number of divergent transitions, the smallest chain's E-BFMI.
    steps : of the optimisation that fitted a guide.
    elbo, elbo_se, khat : of a guide with a density; the mean of log p - log q over its draws, in standardised units,
        the standard error of that mean, and the Pareto k of its importance weights p / q, of the worst restart;
        infinite if no tail can be fitted to them.
    distance_mean : root mean square over test rows of (mean - reference mean) / reference sd, of f(x);
        distance_sd : median ratio of their sds.
    step_bias_mean, step_bias_sd : the same of a fit of a stochastic-gradient sampler to what it would be with steps of
        no size, estimated by its run at half the step; step_bias_error : the Monte Carlo error of either.
    sparsity : share of the weights' square that is idle, mean over layers (see `functionals`).
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS, np.nan)
    row.update(strategy=tree.attrs["strategy"], ppl=tree.attrs["ppl"], model=tree.attrs.get("model", ""))
    row.update(accuracy_of(tree), **loo(tree), **convergence(tree), **guide(tree), **step_bias(tree))
    if reference is not None and reference is not tree:
        row.update(distance(tree, reference))
    if "functionals" in tree.children and "sparsity" in tree["functionals"]:
        row["sparsity"] = float(tree["functionals"]["sparsity"].mean())
    if not tree.attrs["independent_chains"] and "step" in tree.children.get("history", {}):
        row["steps"] = int(tree["history"]["step"].values.max())
    seconds = {f"seconds_{k}": tree.attrs.get(f"seconds_{k}", np.nan) for k in ("compile", "adapt", "sample")}
    row.update(seconds)
    if row["rhat_f"] <= RHAT and seconds["seconds_sample"] > 0:
        row["ess_per_second"] = row["ess_bulk_f"] / seconds["seconds_sample"]
    return row
