"""Predictions against closed forms, in both languages."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from exact_fits import exact_data, model, sites, theta_draws
from linear_model import PRECISION
from noisezoo.inference.judging.predict import predict, prior_draws
from noisezoo.models.likelihoods import bernoulli, categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import bernoulli as bernoulli_noise
from noisezoo.models.noises import half_cauchy
from noisezoo.models.weights.parametrisation import prior
from scipy.special import log_softmax
from scipy.stats import kstest, norm

LANGUAGES = {"numpyro": jnp.asarray, "pyro": lambda a: pytest.importorskip("torch").as_tensor(a)}
FOUND = exact_data()
THETA = theta_draws(FOUND, chains=2, draws=33)  # 66 draws: no multiple of a batch
DRAWS = sites(THETA)
both = pytest.mark.parametrize("ppl", LANGUAGES)


def run(ppl, program, draws, x=FOUND.x_test, y=FOUND.y_test, seed=0):
    array = LANGUAGES[ppl]
    return predict(program, draws, array(x), y=None if y is None else array(y), seed=seed)


@both
def test_function_values_and_log_likelihood_are_the_closed_forms(ppl):
    found = run(ppl, model(), DRAWS)
    f = THETA[..., :-1] @ FOUND.x_test.T + THETA[..., -1:]
    np.testing.assert_allclose(found.f, f, atol=1e-5)
    np.testing.assert_allclose(found.log_lik, norm.logpdf(FOUND.y_test, f, PRECISION**-0.5), rtol=1e-4, atol=1e-4)
    assert found.f.shape == found.y.shape == found.log_lik.shape == (2, 33, len(FOUND.y_test))


@both
def test_predictive_draws_have_the_law_of_y_given_f(ppl):
    found = run(ppl, model(), DRAWS, y=None)
    assert found.log_lik is None
    assert kstest((found.y - found.f).ravel() * PRECISION**0.5, "norm").pvalue > 1e-3
    np.testing.assert_array_equal(found.y, run(ppl, model(), DRAWS, y=None).y)
    assert np.abs(found.y - run(ppl, model(), DRAWS, y=None, seed=1).y).min() > 0


@pytest.mark.parametrize("task", ["binary", "categorical", "discrete"])
def test_both_languages_agree_on_a_network(task):
    rng = np.random.default_rng(0)
    weights = prior(bernoulli_noise() if task == "discrete" else half_cauchy())
    program, y = {
        "discrete": (gaussian(mlp(4), weights), rng.normal(size=7).astype(np.float32)),
        "binary": (bernoulli(mlp(4), weights), rng.integers(0, 2, 7).astype(np.int32)),
        "categorical": (categorical(mlp(4), weights, 3), rng.integers(0, 3, 7).astype(np.int32)),
    }[task]
    x = rng.normal(size=(7, 3)).astype(np.float32)
    draws = prior_draws(program, jnp.asarray(x), 5)
    one, other = (run(ppl, program, draws, x, y) for ppl in LANGUAGES)
    np.testing.assert_allclose(one.f, other.f, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(one.log_lik, other.log_lik, rtol=1e-3, atol=1e-3)
    if task == "categorical":
        expected = np.take_along_axis(log_softmax(one.f, axis=-1), y[None, None, :, None], axis=-1)[..., 0]
        np.testing.assert_allclose(one.log_lik, expected, rtol=1e-4, atol=1e-4)


@both
def test_whatever_is_not_a_latent_site_is_ignored(ppl):
    program = gaussian(mlp(), prior(half_cauchy()))
    draws = prior_draws(program, LANGUAGES[ppl](FOUND.x_test), 3)
    wrong = {name: values + 1 if name.endswith(".weight") else values for name, values in draws.items()}
    needed = {name: values for name, values in draws.items() if not name.endswith(".weight")}
    assert len(needed) == len(draws) - 1
    found = run(ppl, program, needed).f
    np.testing.assert_array_equal(run(ppl, program, wrong | {"other": np.ones((1, 3))}).f, found)


@both
def test_double_precision_draws_are_as_good(ppl):
    found = run(ppl, model(), {name: values.astype(np.float64) for name, values in DRAWS.items()})
    np.testing.assert_allclose(found.f, run(ppl, model(), DRAWS).f, atol=1e-6)


@both
def test_a_missing_site_is_named(ppl):
    with pytest.raises(ValueError, match="layer0.bias"):
        run(ppl, model(), {"layer0.base": DRAWS["layer0.base"]})


def test_torch_random_state_is_left_alone():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    run("pyro", model(), DRAWS)
    assert torch.equal(before, torch.get_rng_state())


def test_a_second_prediction_compiles_nothing():
    traced = []

    def program(x, y=None):
        traced.append(1)
        w = numpyro.sample("w", dist.Normal(0, 1))
        f = numpyro.deterministic("f", x[:, 0] * w)
        numpyro.sample("y", dist.Normal(f, 1), obs=y)

    def draws(seed):
        return {"w": np.random.default_rng(seed).normal(size=(1, 70)).astype(np.float32)}

    first = run("numpyro", program, draws(0))
    np.testing.assert_allclose(first.f[0], draws(0)["w"][0][:, None] * FOUND.x_test[:, 0], rtol=1e-5)
    count = len(traced)
    run("numpyro", program, draws(1))
    assert len(traced) - count <= 1  # to look for its sites, which computes nothing


@both
def test_rows_in_chunks_are_the_same_rows(ppl, monkeypatch):
    whole = run(ppl, model(), DRAWS)
    monkeypatch.setattr("noisezoo.inference.target.batches.CELLS", 7 * FOUND.x_test.shape[1])  # seven rows at once
    cut = run(ppl, model(), DRAWS)
    np.testing.assert_allclose(cut.f, whole.f, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cut.log_lik, whole.log_lik, rtol=1e-5, atol=1e-5)
    noise = (cut.y - cut.f).reshape(-1, cut.y.shape[-1])
    assert abs(np.corrcoef(noise[:, 0], noise[:, 7])[0, 1]) < 0.5  # rows of two chunks have noise of their own
