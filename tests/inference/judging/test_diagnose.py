"""Every number of the table against what is exactly known, and the verdicts that follow from them."""

from dataclasses import replace

import numpy as np
import pytest
from exact_fits import (
    CHAINS,
    DRAWS,
    TEST,
    Y_MEAN,
    Y_SCALE,
    exact_data,
    guide,
    log_joint,
    model,
    normal,
    nuts,
    predictive,
    sites,
    theta_draws,
)
from linear_model import PRECISION, SIGMA0, data
from made_trees import made_tree
from noisezoo.inference.judging import accuracy
from noisezoo.inference.judging.accuracy import calibration_error
from noisezoo.inference.judging.datatree import to_datatree
from noisezoo.inference.judging.diagnose import diagnose
from noisezoo.inference.judging.distance import Moments
from noisezoo.inference.judging.sampler.exact import first_exact
from noisezoo.inference.judging.verdict import verdict
from noisezoo.inference.sparsity import evaluation
from noisezoo.inference.target.geometry.importance import EQUAL, khat
from scipy.stats import multivariate_normal, norm

FOUND = exact_data()
PROGRAM = model()  # one for all, so that it is compiled once
OBSERVED = Y_MEAN + Y_SCALE * FOUND.y_test.astype(float)


def tree(fit, found):
    return to_datatree(fit, PROGRAM, found)


@pytest.fixture(scope="module")
def reference():
    return tree(nuts(FOUND), FOUND)


@pytest.fixture(scope="module")
def exact(reference):
    return diagnose(reference)


@pytest.mark.parametrize("size", [1e18, 1e30, 1e38])
def test_values_that_are_far_off_are_judged_without_a_warning(size):
    fit = nuts(FOUND)
    far = {name: (size * values).astype(np.float32) for name, values in fit.draws.items()}
    row = diagnose(tree(replace(fit, draws=far), FOUND))
    f = Y_SCALE * FOUND.x_test.astype(float) @ far["layer0.weight"].astype(float).mean((0, 1))[:, 0]
    finite = size < 1e38  # of f in single precision
    assert row["rmse"] == (pytest.approx(np.sqrt(np.mean(f**2)), rel=0.2) if finite else np.inf)
    assert np.isinf(row["mlpd"]) == (size > 1e20)


@pytest.mark.parametrize(("size", "expected"), [(1e30, 1e30), (1e160, np.inf), (1e308, np.inf)])
def test_rmse_of_any_size_has_no_warning(size, expected):
    f, y = np.full((20, 3), size), np.zeros(3)
    found = accuracy.regression(y, f, f, 0 * f)
    assert found["rmse"] == accuracy.rmse(f, y) == accuracy.error_and_density(y, f, 0 * f)["rmse"]
    assert found["rmse"] == pytest.approx(expected) and found["mae"] == pytest.approx(size if size < 1e300 else np.inf)
    assert evaluation.error_of(f[0], y) == pytest.approx(expected)


def judged(fit, reference=None, trusted=True):
    found = tree(fit, FOUND)
    return verdict(diagnose(found, reference), found, "nuts" if reference else "", trusted)


def test_errors_of_the_exact_predictive(exact):
    mean, _, sd = predictive(FOUND)
    assert exact["rmse"] == pytest.approx(np.sqrt(np.mean((mean - OBSERVED) ** 2)), rel=5e-3)
    assert exact["mae"] == pytest.approx(np.mean(np.abs(mean - OBSERVED)), rel=5e-3)
    assert exact["mlpd"] == pytest.approx(norm.logpdf(OBSERVED, mean, sd).mean(), abs=5e-3)
    assert np.isnan(exact["accuracy"])


def test_coverage_of_the_exact_predictive(exact, reference):
    mean, _, sd = predictive(FOUND)
    expected = np.mean(np.abs(OBSERVED - mean) <= norm.ppf(0.95) * sd)
    assert exact["calibration"] == pytest.approx(expected, abs=0.02)
    assert 0.85 < exact["calibration"] < 0.95
    too_wide = nuts(FOUND, width=30.0)
    assert diagnose(tree(too_wide, FOUND))["calibration"] > 0.97


def test_elpd_loo_is_that_of_refitting_without_each_row(exact):
    """The exact leave-one-out density of a linear model, row by row."""
    x, y = FOUND.x_train.astype(float), FOUND.y_train.astype(float)
    terms = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        design = np.c_[x[rest], np.ones(rest.sum())]
        prior = np.diag(np.r_[np.full(x.shape[1], SIGMA0**-2.0), 1.0])
        covariance = np.linalg.inv(PRECISION * design.T @ design + prior)
        mean, row = covariance @ (PRECISION * design.T @ y[rest]), np.r_[x[i], 1.0]
        terms.append(norm.logpdf(y[i], row @ mean, np.sqrt(row @ covariance @ row + 1 / PRECISION)))
    terms = np.array(terms) - np.log(Y_SCALE)
    assert exact["elpd_loo"] == pytest.approx(terms.sum(), abs=0.5)
    assert exact["elpd_loo_se"] == pytest.approx(terms.std() * np.sqrt(len(terms)), rel=0.05)
    assert exact["pareto_k"] == 0
    narrow = tree(guide(FOUND, width=0.9), FOUND)
    assert diagnose(narrow)["elpd_loo"] == pytest.approx(terms.sum(), abs=0.5)


def test_nuts_is_not_advised_where_it_refuses():
    found = tree(guide(FOUND, width=0.3), FOUND)
    row = diagnose(found) | {"khat": 2.0}
    assert "run nuts beside it" in verdict(row, found)[1]
    found.attrs["no_nuts"] = "the log-uniform prior is improper"
    assert verdict(row, found)[1].endswith("nuts is no reference: the log-uniform prior is improper")


def test_independent_draws_have_converged(exact):
    assert 1 <= exact["rhat_f"] < 1.01
    assert 0.6 * CHAINS * DRAWS < exact["ess_bulk_f"] < 1.4 * CHAINS * DRAWS
    assert exact["ess_tail_f"] > 0.6 * CHAINS * DRAWS
    assert exact["divergences"] == 0
    assert exact["ebfmi"] == pytest.approx(2, abs=0.2)  # of independent energies
    assert exact["ess_per_second"] == pytest.approx(exact["ess_bulk_f"] / 4.0)


def test_chains_apart_have_not_converged():
    found = tree(nuts(FOUND, apart=1.5), FOUND)
    row = diagnose(found)
    assert row["rhat_f"] > 1.1
    assert np.isnan(row["ess_per_second"])
    word, reason = verdict(row, found)
    assert word == "not converged" and f"R-hat {row['rhat_f']:.2f} on f(x)" in reason


def test_too_few_draws_are_said_to_be_too_few():
    assert judged(nuts(FOUND, draws=40))[0] == "too few draws"


def test_one_chain_cannot_show_convergence():
    word, reason = judged(nuts(FOUND, chains=1))
    assert word == "unchecked" and "one chain" in reason


def test_where_the_target_begins_changes_no_number(exact):
    """Single precision knows 1.7e9 to a hundred or so."""
    for start in (59_000.0, 1.7e9):
        moved = replace(FOUND, y_mean=Y_MEAN + start)
        row = diagnose(tree(nuts(moved), moved))
        for name in ("rmse", "mae", "mlpd", "calibration", "elpd_loo", "rhat_f", "ess_bulk_f"):
            assert row[name] == pytest.approx(exact[name], rel=1e-4), name


def test_a_row_that_is_known_is_no_sign_of_anything(reference):
    """Such as f(0) of a net without biases: it has no spread, nor does it need any."""
    one = reference.copy(deep=True)
    one["predictions"]["f"][..., 0] = 3.0
    row = diagnose(one)
    assert 1 <= row["rhat_f"] < 1.01 and verdict(row, one)[0] == "ok"


def test_one_chain_that_stands_still_is_enough(reference):
    one = reference.copy(deep=True)
    one["predictions"]["f"][0] = one["predictions"]["f"][0, 0]
    row = diagnose(one)
    assert row["rhat_f"] == np.inf and row["ess_bulk_f"] == 0
    assert verdict(row, one) == ("not converged", "a chain stands still: all its draws of f(x) are the same")


def test_a_function_that_stands_still_has_not_converged():
    fit = nuts(FOUND)
    still = {name: np.ones_like(values) for name, values in fit.draws.items()}
    word, reason = judged(replace(fit, draws=still))
    assert word == "not converged" and "stands still" in reason


def test_divergences_and_a_low_ebfmi_are_told():
    diverging = np.zeros((CHAINS, DRAWS), bool)
    diverging[:, ::20] = True
    fit = nuts(FOUND)
    word, reason = judged(replace(fit, stats=fit.stats | {"diverging": diverging}))
    assert word == "divergent" and "200 of 4000" in reason
    walk = np.cumsum(np.random.default_rng(0).normal(size=(CHAINS, DRAWS)), axis=1)
    word, reason = judged(replace(fit, stats=fit.stats | {"energy": walk}))
    assert word == "not converged" and "E-BFMI" in reason


def test_k_hat_is_small_for_an_exact_guide():
    row = diagnose(tree(guide(FOUND), FOUND))
    assert row["khat"] < 0.3
    assert judged(guide(FOUND))[0] == "ok"


def test_k_hat_tells_a_guide_that_is_too_narrow_from_one_that_is_too_wide():
    narrow = diagnose(tree(guide(FOUND, width=0.4), FOUND))
    wide = diagnose(tree(guide(FOUND, width=1.5), FOUND))
    assert narrow["khat"] > 0.7  # the weights p / q have no upper bound
    assert wide["khat"] < 0.5  # they have one
    assert judged(guide(FOUND, width=0.4))[0] == "unchecked"


def test_k_hat_of_equal_weights_is_zero_and_of_nearly_equal_ones_small():
    """Log joints are rounded to single precision, so that the exact log weights of an exact guide are not equal."""
    rng = np.random.default_rng(0)
    assert khat(np.full(1000, -1234.5)) == 0
    assert khat(np.full(1000, -1234.5) + rng.uniform(0, 0.9 * EQUAL, 1000)) == 0
    assert khat((-1234.5 + rng.normal(0, 1e-4, 1000)).astype(np.float32)) == 0  # many ties
    assert khat(rng.normal(0, 0.3, 1000)) < 0.3


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9, 1.5])
def test_k_hat_is_the_shape_of_pareto_weights(shape):
    """Weights (1 - u)^-k have the tail index k; the fit shrinks it to 1/2 as if it had 10 more draws than its tail."""
    u = np.random.default_rng(0).uniform(size=40_000)
    tail = 3 * 200
    assert khat(-shape * np.log1p(-u)) == pytest.approx((tail * shape + 10 * 0.5) / (tail + 10), abs=0.12)


@pytest.mark.parametrize("excess", [800.0, 5000.0, 1e6])
def test_weight_on_a_single_draw_is_never_a_small_k_hat(excess):
    """Any RuntimeWarning is an error here."""
    rng = np.random.default_rng(0)
    for rest in (rng.normal(size=999), np.zeros(999)):
        assert khat(np.r_[rest, excess]) == np.inf
    assert khat(excess * rng.normal(size=1000)) > 10


def test_k_hat_does_not_fall_as_log_weights_spread():
    spread = np.random.default_rng(0).normal(size=1000)
    found = [khat(scale * spread) for scale in (0.1, 1, 3, 10, 30, 100, 300, 1e3, 1e4, 1e6)]
    assert found[1] < 0.7 < found[2] and found[-1] == np.inf
    assert all(a <= b for a, b in zip(found[:-1], found[1:], strict=True))


def test_k_hat_without_a_tail_is_infinite():
    rest = np.random.default_rng(0).normal(size=999)
    for bad in (np.nan, np.inf):
        assert khat(np.r_[rest, bad]) == np.inf
    assert khat(np.full(1000, -np.inf)) == np.inf
    assert khat(np.r_[rest, -np.inf]) < 0.7  # a weight of zero does no harm
    for count in (1, 4, 29):
        assert khat(rest[:count]) == np.inf
    assert np.isfinite(khat(rest[:30]))


def spread_apart(count, nats):
    """A guide around the exact posterior, with so many draws, whose log p is off by so many nats (sd)."""
    fit = guide(FOUND)
    stats = {name: values[:, :count] for name, values in fit.stats.items()}
    stats["log_p"] = stats["log_p"] + nats * np.random.default_rng(0).normal(size=(1, count))
    return replace(fit, draws={name: values[:, :count] for name, values in fit.draws.items()}, stats=stats)


@pytest.mark.parametrize(("count", "nats"), [(1000, 3000.0), (4, 0.0), (20, 0.0)])
def test_where_no_tail_can_be_fitted_there_is_no_loo_and_no_ok(count, nats):
    fit = spread_apart(count, nats)
    row = diagnose(tree(fit, FOUND))
    assert row["khat"] == np.inf
    for name in ("elpd_loo", "elpd_loo_se", "pareto_k"):
        assert np.isnan(row[name]), name
    word, reason = judged(fit)
    assert word == "unchecked" and "k-hat inf" in reason


def test_bad_weights_show_in_the_share_of_pareto_k():
    row = diagnose(tree(spread_apart(1000, 30.0), FOUND))
    assert row["pareto_k"] == 1 and 1 < row["khat"] < np.inf


def test_elbo_is_that_of_a_normal_guide():
    """log p(y) for an exact guide; less by KL(q, p) otherwise."""
    found = diagnose(tree(guide(FOUND), FOUND))
    law = normal(FOUND)
    evidence = log_joint(FOUND, law.mean) - law.logpdf(law.mean)
    assert found["elbo"] == pytest.approx(evidence, abs=0.05)
    size, width = len(law.mean), 0.5
    kl = size * (width**2 / 2 - 0.5 - np.log(width))
    assert diagnose(tree(guide(FOUND, width=width), FOUND))["elbo"] == pytest.approx(evidence - kl, abs=0.1)


def test_one_bad_restart_of_a_guide_is_enough_for_a_high_k_hat():
    good, bad = guide(FOUND), guide(FOUND, width=0.3)
    both = {name: np.concatenate([good.stats[name], bad.stats[name]]) for name in good.stats}
    draws = {name: np.concatenate([good.draws[name], bad.draws[name]]) for name in good.draws}
    assert diagnose(tree(replace(good, draws=draws, stats=both), FOUND))["khat"] > 0.7


def test_a_point_has_no_elbo_no_loo_and_no_chains():
    fit = guide(FOUND, approximation=False)
    step = np.arange(1, 101)[None]
    fit = replace(fit, stats={}, history={"step": step, "loss": 100.0 / step})
    row = diagnose(tree(fit, FOUND))
    for name in ("elbo", "khat", "elpd_loo", "elpd_loo_se", "pareto_k", "rhat_f", "ess_bulk_f", "ess_per_second"):
        assert np.isnan(row[name]), name
    for name in ("divergences", "ebfmi", "distance_mean", "distance_sd"):
        assert np.isnan(row[name]), name
    assert np.isfinite(row["mlpd"])
    assert judged(fit)[0] == "unchecked"


def test_distance_to_the_reference_is_in_its_sds(reference):
    half = diagnose(tree(nuts(FOUND, width=0.5, seed=1), FOUND), reference)
    assert half["distance_sd"] == pytest.approx(0.5, abs=0.02)
    assert half["distance_mean"] < 0.1
    theta = theta_draws(FOUND, seed=2) + [0, 0, 0, 0.1]
    sd = predictive(FOUND)[1]
    shifted = tree(replace(nuts(FOUND), draws=sites(theta)), FOUND)
    expected = np.sqrt(np.mean((0.1 * Y_SCALE / sd) ** 2))
    assert diagnose(shifted, reference)["distance_mean"] == pytest.approx(expected, abs=0.1)


def test_equal_draws_have_no_distance(reference):
    row = diagnose(reference.copy(), reference)
    assert row["distance_mean"] == 0 and row["distance_sd"] == 1


def test_a_reference_that_stands_still_gives_no_unit(reference):
    still = reference.copy(deep=True)
    still["predictions"]["f"] = 0 * still["predictions"]["f"]
    row = diagnose(reference, still)
    assert np.isnan(row["distance_mean"]) and np.isnan(row["distance_sd"])


def test_a_reference_has_no_distance_to_itself(reference):
    assert np.isnan(diagnose(reference, reference)["distance_mean"])


def test_guides_are_judged_against_the_reference(reference):
    assert judged(guide(FOUND), reference)[0] == "ok"
    word, reason = judged(guide(FOUND, width=0.41), reference)
    assert word == "too narrow" and "0.4" in reason and "nuts" in reason
    few = replace(nuts(FOUND, width=2.0, draws=40), strategy="sgld", stats={})
    word, reason = judged(few, reference)
    assert word == "too wide" and "predictive sd 2.0" in reason and "; bulk ESS" in reason  # all that hold, worst first
    assert judged(guide(FOUND, width=2.5), reference)[0] == "too wide"
    far = guide(FOUND)
    far = replace(far, draws=sites(theta_draws(FOUND, chains=1) + [0, 0, 0, 1.0]))
    assert judged(far, reference)[0] == "off"
    word, reason = judged(guide(FOUND), reference, trusted=False)
    assert word == "unchecked" and "nuts" in reason


def moments(error=0.0):
    """The exact ones, as a reference with Monte-Carlo errors of so many sds has them."""
    mean, sd, _ = predictive(FOUND)
    return Moments(mean, sd, error * sd, error * sd)


def test_moments_are_a_reference(reference):
    row = diagnose(reference, moments(0.1))
    assert row["distance_mean"] < 0.1 and row["distance_sd"] == pytest.approx(1, abs=0.05)
    assert row["distance_mean_mcse"] == pytest.approx(0.1) and row["distance_sd_mcse"] == pytest.approx(0.1)
    word, reason = verdict(row, reference, "it")
    assert word == "ok" and "± 0.10 sd from it, sd" in reason and "± 0.10 of it" in reason
    assert "±" not in verdict(diagnose(reference, moments()), reference, "it")[1]


@pytest.mark.parametrize(
    "width, shift, word", [(1.0, 0.7, "off"), (0.6, 0.0, "too narrow"), (1.6, 0.0, "too wide"), (1.0, 0.0, "ok")]
)
def test_a_difference_within_the_errors_of_a_reference_is_no_fault(width, shift, word):
    mean, sd, error, _ = moments(0.01)
    off = Moments(mean + shift * sd, sd, error, error)
    fit = tree(guide(FOUND, width=width), FOUND)
    assert verdict(diagnose(fit, off), fit, "it")[0] == word
    unsure = off._replace(mean_mcse=0.2 * sd, sd_mcse=0.2 * sd)
    assert verdict(diagnose(fit, unsure), fit, "it")[0] == "ok"


def halved(width=1.0, half=1.0, apart=0.0, draws=500, step_size="auto"):
    """A fit of `sgld` whose draws are `width` times too wide, those at half the step `half` times and `apart` off."""
    at_half = sites(theta_draws(FOUND, width=half, seed=7, draws=draws) + [0, 0, 0, apart])
    fitted = replace(nuts(FOUND, width=width), strategy="sgld", stats={}, half=at_half)
    return replace(fitted, settings={"step_size": step_size})


def test_a_run_at_half_the_step_shows_its_bias(reference):
    assert judged(halved())[0] == "ok"
    row = diagnose(tree(halved(1.2, 1.1), FOUND))
    assert row["step_bias_sd"] == pytest.approx((1.2 / 1.1) ** 2, abs=2 * row["step_bias_error"])
    assert row["step_bias_mean"] < 2 * row["step_bias_error"] < 0.3
    word, reason = judged(halved(1.6, 1.2))
    assert word == "step bias" and "sd 1.7" in reason and "take a smaller tolerance" in reason
    assert "take a smaller step_size" in judged(halved(1.6, 1.2, step_size=0.1))[1]
    sd = np.sqrt(normal(FOUND).cov_object.covariance[-1, -1])
    assert judged(halved(apart=0.5 * sd))[0] == "step bias"
    assert judged(halved(1.6, 1.2), reference)[0] == "too wide"  # the reference knows it too
    word, reason = judged(halved(draws=15))
    assert word == "unchecked" and "take more draws" in reason
    assert judged(replace(halved(), half={}))[0] == "unchecked"


def test_no_finite_density_is_off(reference):
    broken = reference.copy(deep=True)
    broken["predictions"]["log_lik"] = broken["predictions"]["log_lik"] - np.inf
    row = diagnose(broken)
    assert row["mlpd"] == -np.inf and verdict(row, broken)[0] == "off"


def test_without_a_reference_only_nuts_and_k_hat_earn_an_ok():
    assert judged(nuts(FOUND))[0] == "ok"
    assert judged(replace(nuts(FOUND), strategy="sgld", stats={}))[0] == "unchecked"


def test_only_a_sampler_that_rejects_is_ok_by_itself_and_measures_others(reference):
    by = {
        adjusted: replace(nuts(FOUND), strategy="mclmc", settings={"adjusted": adjusted}, stats={})
        for adjusted in (0, 1)
    }
    assert [judged(by[adjusted])[0] for adjusted in (0, 1)] == ["unchecked", "ok"]
    trees = {"biased": tree(by[0], FOUND), "adjusted": tree(by[1], FOUND)}
    assert first_exact(trees) == "adjusted"
    assert first_exact(trees | {"nuts": reference}) == "nuts"
    assert first_exact({"biased": trees["biased"]}) is None
    assert judged(guide(FOUND))[0] == "ok"
    assert judged(guide(FOUND, width=0.3))[0] == "unchecked"


def test_calibration_error_of_known_confidences():
    assert calibration_error(np.full(100, 0.75), np.arange(100) < 75) == pytest.approx(0)
    assert calibration_error(np.full(100, 0.95), np.arange(100) < 75) == pytest.approx(0.2)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0
    two_bins = np.repeat([0.65, 0.95], [20, 80]), np.arange(100) < 80  # one too timid, one too sure
    assert calibration_error(*two_bins) == pytest.approx(0.2 * 0.35 + 0.8 * 0.2)


@pytest.mark.parametrize("task", ["binary", "categorical"])
def test_classes_have_accuracy_and_no_rmse(task):
    found = made_tree(task=task)
    row = diagnose(found)
    f = found["predictions"]["f"].values.astype(float)
    p = 1 / (1 + np.exp(-f)) if f.ndim == 3 else np.exp(f) / np.exp(f).sum(-1, keepdims=True)
    p = p.mean((0, 1))
    y = found["predictions_constant_data"]["y"].values
    guess = p > 0.5 if task == "binary" else p.argmax(-1)
    assert row["accuracy"] == pytest.approx(np.mean(guess == y))
    assert np.isnan(row["rmse"]) and np.isnan(row["mae"])
    sure = np.maximum(p, 1 - p) if task == "binary" else p.max(-1)
    tenth, right = np.digitize(sure, np.arange(1, 10) / 10), guess == y
    gaps = [abs(right[tenth == b].mean() - sure[tenth == b].mean()) * np.mean(tenth == b) for b in set(tenth)]
    assert row["calibration"] == pytest.approx(sum(gaps), abs=1e-6)
    chance = np.where(y == 1, p, 1 - p) if task == "binary" else p[np.arange(len(y)), y]
    assert row["mlpd"] == pytest.approx(np.log(chance).mean(), rel=1e-4)
    assert row["rhat_f"] < 1.05


def test_saturated_probabilities_do_not_hide_convergence_or_blow_up_distances():
    """Classes that separate: in single precision every probability is exactly 0 or 1, while f(x) moves freely."""
    one, other = (made_tree(task="binary", seed=seed).copy(deep=True) for seed in (0, 1))
    for found in (one, other):
        f = found["predictions"]["f"]
        found["predictions"]["f"] = f + 200 * np.sign(f.mean(("chain", "draw")))
    row = diagnose(one, other)
    assert 1 <= row["rhat_f"] < 1.05
    assert row["distance_mean"] < 0.5 and 0.8 < row["distance_sd"] < 1.25


def test_a_multivariate_normal_is_what_the_tests_take_it_for():
    """The exact posterior against brute force: log joint minus log posterior is the evidence everywhere."""
    theta = theta_draws(FOUND, chains=1, draws=5)[0]
    x, y = data(60 + TEST, 3, seed=3)
    design = np.c_[x[:60], np.ones(60)]
    covariance = design @ np.diag(np.r_[np.full(3, SIGMA0**2), 1.0]) @ design.T + np.eye(60) / PRECISION
    evidence = multivariate_normal(np.zeros(60), covariance).logpdf(y[:60])
    np.testing.assert_allclose(log_joint(FOUND, theta) - normal(FOUND).logpdf(theta), evidence, atol=1e-6)
