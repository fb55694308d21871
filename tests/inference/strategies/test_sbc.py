"""Simulation-based calibration (Talts et al. 2018): data from the prior, ranks of the truth among posterior draws.

The ranks are uniform if and only if the inference is right on average.  All simulated data sets run at once: the
driver's block, vmapped over data as well as keys.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.driver.engine import _block
from noisezoo.inference.strategies import nuts, svi
from noisezoo.inference.strategies.svi import SVI
from noisezoo.inference.target.numpyro import density
from noisezoo.models import noises
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior
from numpyro import handlers
from scipy.stats import kstest

SIMULATIONS, DRAWS = 240, 63
ROWS = np.random.default_rng(1).normal(size=(12, 1)) + 0.4 * np.random.default_rng(2).normal(size=(12, 2))
X = jnp.asarray(ROWS, jnp.float32)  # two features that go together, so that their weights are correlated


def simulate(model, keys):
    """Truth and data of each simulation, from the prior."""

    def one(key):
        sites = handlers.trace(handlers.seed(model, key)).get_trace(X)
        return {k: s["value"] for k, s in sites.items() if s["type"] in ("sample", "deterministic")}

    return jax.jit(jax.vmap(one))(keys)


def posterior(algorithm, keys, y, thin):
    """Draws (simulation, draw, ...) of every simulated data set."""
    state = jax.jit(jax.vmap(algorithm.init, (0, None, 0)))(keys, X, y)
    block = jax.jit(jax.vmap(_block(algorithm, DRAWS), (0, 0, None, 0) + 5 * (None,)))
    never = np.iinfo(np.int32).max
    state, _ = block(keys, state, X, y, 0, 0, 1, algorithm.warmup, algorithm.warmup)
    return block(keys, state, X, y, algorithm.warmup, 0, DRAWS, thin, never)[1]["sites"]


def p_values(strategy, config, model, thin):
    """Smallest p-value of uniformity for each site: Kolmogorov-Smirnov on the jittered ranks of each coordinate."""
    truth_keys, fit_keys = (jax.random.split(jax.random.PRNGKey(s), SIMULATIONS) for s in (1, 2))
    truth = simulate(model, truth_keys)
    found = density.sites(model, X, truth["y"][0])
    draws = posterior(strategy.algorithm(config, model, found), fit_keys, truth["y"], thin)
    functionals = {name: (draws[name], truth[name]) for name in draws}
    value = lambda d: jnp.einsum("nf,s...fo->s...n", X[:3], d["layer0.weight"]) + d["layer0.bias"]  # noqa: E731
    functionals["f"] = value(draws), value(truth)
    jitter = np.random.default_rng(0)
    result = {}
    for name, (drawn, true) in functionals.items():
        ranks = np.asarray((drawn < true[:, None]).sum(1)).reshape(SIMULATIONS, -1)
        uniform = (ranks + jitter.uniform(size=ranks.shape)) / (DRAWS + 1)
        result[name] = min(kstest(column, "uniform").pvalue for column in uniform.T)
    return result


PAIRS = [
    (noises.half_cauchy(scale=0.5), "ard"),
    (noises.inverse_gamma(), "ard_add"),
    (noises.rayleigh(), "iid"),
    (noises.log_normal(), "add"),
]


@pytest.mark.parametrize("law, structure", PAIRS, ids=[f"{n.name}-{s}" for n, s in PAIRS])
def test_nuts_is_calibrated(law, structure):
    model = gaussian(mlp(), prior(law, structure, sigma0=1.0), precision=4.0)
    found = p_values(nuts, nuts.NUTS(warmup=300, target_accept=0.95, max_tree_depth=7), model, thin=6)
    assert min(found.values()) > 1e-3, found


def test_mean_field_is_not_where_weights_are_correlated():
    model = gaussian(mlp(), prior(noises.rayleigh(), "iid", sigma0=1.0), precision=4.0)
    found = p_values(svi, SVI(steps=4000, particles=4), model, thin=0)
    assert found["layer0.weight"] < 1e-6, found
