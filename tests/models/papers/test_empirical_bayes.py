"""Empirical-Bayes ARD's programs: tau in closed form, as a parameter, drawn, integrated out."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models.laws import divergences
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.papers import empirical_bayes
from noisezoo.models.ppl import language as language_of
from noisezoo.models.ppl.programs import log_joint, simulate, trace
from scipy import optimize, stats

X = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
Y = np.linspace(-1, 1, 7, dtype=np.float32)
W = np.array([[-2.0, 0.3, 1.1], [0.01, 4.0, -0.7]], np.float32)
SCALE = np.array([[0.5, 0.3, 2.0], [0.1, 0.01, 1.0]], np.float32)
GAMMAS = [(1.0, 0.0), (1.0, 0.3), (0.51, 1e-8), (0.6, 0.0), (2.5, 1.7)]


def arrays(language, *values):
    if language == "numpyro":
        return [jnp.asarray(v) for v in values]
    import torch

    return [torch.tensor(v) for v in values]


def law(language, prior):
    found = []
    p = language_of(language)._replace(sample=lambda name, law, **_: found.append(law))
    prior(p, "layer0", W.shape)
    return found[0]


def log_hyperprior(tau, a, b):
    return stats.gamma(a, scale=1 / b).logpdf(tau) if b > 0 else (a - 1) * np.log(tau)


def highest(w, a, b):
    """max over tau of log N(w; 0, 1 / tau) + log Gamma(tau; a, b), by search."""

    def minus(log_tau):
        tau = math.exp(log_tau)
        return -stats.norm(0, tau**-0.5).logpdf(w) - log_hyperprior(tau, a, b)

    return -optimize.minimize_scalar(minus, bounds=(-40, 40), method="bounded", options={"xatol": 1e-9}).fun


@pytest.mark.parametrize("a, b", GAMMAS)
def test_log_density_is_the_highest_over_tau(language, a, b):
    [w] = arrays(language, W)
    expected = sum(highest(v, a, b) for v in W.ravel())
    np.testing.assert_allclose(float(law(language, empirical_bayes.prior(a, b)).log_prob(w)), expected, rtol=1e-4)


@pytest.mark.parametrize("a, b", GAMMAS)
def test_the_divergence_is_registered(language, a, b):
    if language == "numpyro":
        from numpyro.distributions import kl_divergence
    else:
        from torch.distributions import kl_divergence
    loc, scale = arrays(language, W, SCALE)
    q = language_of(language).dist.Normal(loc, scale).to_event(2)
    expected = divergences.empirical_bayes_gamma(np, W.astype(float), SCALE.astype(float), a, b).sum()
    found = float(kl_divergence(q, law(language, empirical_bayes.prior(a, b))))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_no_draws(language):
    import jax

    arguments = (jax.random.PRNGKey(0),) if language == "numpyro" else ()
    with pytest.raises(NotImplementedError, match="the empirical-Bayes prior is improper"):
        law(language, empirical_bayes.prior()).sample(*arguments)


@pytest.mark.parametrize("make", [empirical_bayes.prior, empirical_bayes.learned])
@pytest.mark.parametrize("a, b", [(0.5, 0.0), (1.0, -1.0), (math.inf, 0.0)])
def test_settings_out_of_range(make, a, b):
    with pytest.raises(ValueError, match="empirical_bayes: (a|b) must be"):
        make(a, b)


def values(prefix="layer0"):
    return {f"{prefix}.weight": W[:, :1].repeat(2, 0)[:3], f"{prefix}.bias": np.array([0.4], np.float32)}


@pytest.mark.parametrize("a, b", [(1.0, 0.0), (0.7, 0.2)])
def test_the_learned_program_at_its_best_scale_is_the_closed_form(language, a, b):
    """log joint with tau a parameter at (2a - 1) / (w^2 + 2b) = log joint of `prior`; at another tau it is lower."""
    x, y, *known = arrays(language, X, Y, *values().values())
    known = dict(zip(values(), known, strict=True))
    closed = log_joint(gaussian(mlp(), empirical_bayes.prior(a, b), 4.0), known, x, y)
    learned = gaussian(mlp(), empirical_bayes.learned(a, b), 4.0)
    best = ((values()["layer0.weight"] ** 2 + 2 * b) / (2 * a - 1)) ** 0.5
    at_best, elsewhere = (with_scale(language, learned, known, s, x, y) for s in (best, 1.1 * best))
    np.testing.assert_allclose(at_best, float(closed), rtol=1e-5)
    assert elsewhere < at_best - 1e-3


def with_scale(language, model, known, scale, x, y):
    """The log joint with the parameter `layer0.scale` at this value."""
    if language == "numpyro":
        return float(log_joint(model, {**known, "layer0.scale": jnp.asarray(scale)}, x, y))
    import pyro
    import torch

    pyro.clear_param_store()
    pyro.param("layer0.scale", torch.tensor(scale), constraint=pyro.distributions.constraints.positive)
    found = log_joint(model, known, x, y).item()
    pyro.clear_param_store()
    return found


def test_the_learned_scale_is_a_positive_parameter_per_weight():
    sites = trace(gaussian(mlp(), empirical_bayes.learned(), 4.0), 0, jnp.asarray(X), jnp.asarray(Y))
    scale = sites["layer0.scale"]
    assert scale["type"] == "param" and scale["value"].shape == (3, 1)
    assert scale["kwargs"]["constraint"] is language_of("numpyro").dist.constraints.positive


@pytest.mark.parametrize("form", ["hierarchical", "marginal"])
def test_fully_bayesian_weights_are_student_t(language, form):
    """2a degrees of freedom and scale sqrt(b / a) (appendix C), at settings where nothing else fits."""
    [x] = arrays(language, np.zeros((1, 3000), np.float32))
    prior = empirical_bayes.student_t(2.0, 0.7, form)
    weight = np.ravel(simulate(gaussian(mlp(), prior, 4.0), 3, x)["layer0.weight"])
    assert weight.shape == (3000,)
    assert stats.kstest(weight, stats.t(4.0, scale=math.sqrt(0.35)).cdf).pvalue > 1e-3
    assert stats.kstest(weight, stats.t(4.0, scale=1.15 * math.sqrt(0.35)).cdf).pvalue < 1e-3


def test_student_t_in_the_limit_is_scale_free():
    """As a = b goes to zero abs(w) p(w) becomes flat: the prior of sparse variational dropout (section 5)."""
    at = np.logspace(0, 3, 7)  # far above sqrt(2 xi), where it bends

    def spread(xi):
        one = law("numpyro", empirical_bayes.student_t(xi, xi, "marginal"))
        weighted = [w * math.exp(float(one.log_prob(jnp.full(W.shape, w))) / W.size) for w in at]
        return max(weighted) / min(weighted) - 1

    assert spread(1e-4) < 2e-3 < 0.5 < spread(0.1)


def test_the_same_settings_give_the_same_prior():
    assert empirical_bayes.prior() is empirical_bayes.prior() and empirical_bayes.learned() is empirical_bayes.learned()
