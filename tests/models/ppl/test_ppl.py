"""The array chooses the language."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.models import likelihoods
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy
from noisezoo.models.ppl import language, ppl
from noisezoo.models.ppl.programs import simulate
from noisezoo.models.weights.parametrisation import prior

X, Y = jnp.ones((5, 2)), jnp.arange(5.0)


def test_tracers_too():
    names = []
    jax.jit(lambda x: names.append(ppl(x).name))(X)
    jax.vmap(lambda x: names.append(ppl(x).name))(X)
    assert names == ["numpyro", "numpyro"]


@pytest.mark.needs_pyro
def test_torch_is_pyro_and_a_mixture_is_refused():
    import torch

    assert ppl(torch.ones(2)).name == "pyro"
    with pytest.raises(TypeError, match="all JAX .* or all torch"):
        ppl(torch.ones(2), X)


@pytest.mark.parametrize("wrong", [np.ones(2), [1.0], None, 1.0])
def test_anything_else_is_refused_with_the_fix(wrong):
    with pytest.raises(TypeError, match=r"pass jax\.numpy\.asarray\(x\) for NumPyro or torch\.as_tensor\(x\) for Pyro"):
        ppl(wrong)


def test_no_arrays_and_unknown_languages():
    with pytest.raises(TypeError, match="no arrays"):
        ppl()
    with pytest.raises(ValueError, match="'numpyro' or 'pyro'"):
        language("stan")


def test_missing_pyro_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyro", None)
    language.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'noisezoo\[pyro\]'"):
        language("pyro")
    language.cache_clear()


def test_a_model_is_an_ordinary_numpyro_model():
    from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal
    from numpyro.optim import Adam

    model = likelihoods.gaussian(mlp(3), prior(half_cauchy()))
    mcmc = MCMC(NUTS(model), num_warmup=5, num_samples=5, progress_bar=False)
    mcmc.run(jax.random.PRNGKey(0), X, Y)
    drawn = Predictive(model, mcmc.get_samples())(jax.random.PRNGKey(1), X)
    assert drawn["y"].shape == (5, 5)
    svi = SVI(model, AutoNormal(model), Adam(0.01), Trace_ELBO())
    run = svi.run(jax.random.PRNGKey(0), 5, X, Y, batch_size=2, progress_bar=False)
    assert np.isfinite(run.losses).all()


@pytest.mark.needs_pyro
def test_a_model_is_an_ordinary_pyro_model():
    import pyro
    import torch
    from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
    from pyro.infer.autoguide import AutoNormal

    pyro.clear_param_store()
    x, y = torch.ones(5, 2), torch.arange(5.0)
    model = likelihoods.gaussian(mlp(3), prior(half_cauchy()))
    mcmc = MCMC(NUTS(model), num_samples=3, warmup_steps=3, disable_progbar=True)
    mcmc.run(x, y)
    drawn = Predictive(model, mcmc.get_samples())(x)
    assert drawn["y"].shape[0] == 3
    svi = SVI(model, AutoNormal(model), pyro.optim.Adam({"lr": 0.01}), Trace_ELBO())
    assert np.isfinite(svi.step(x, y, batch_size=2))


def test_simulate_is_a_function_of_its_seed(language):
    if language == "pyro":
        import torch

        x = torch.ones(5, 2)
    else:
        x = X
    model = likelihoods.gaussian(mlp(3), prior(half_cauchy()))
    one, same, other = (np.asarray(simulate(model, seed, x)["y"]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
