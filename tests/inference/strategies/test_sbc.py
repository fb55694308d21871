"""NUTS is calibrated (Talts et al. 2018) under four noises and structures, where the weights are correlated."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo.inference.calibration import simulations
from noisezoo.inference.calibration.calibrate import calibrate
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.models import noises
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior

ROWS = np.random.default_rng(1).normal(size=(12, 1)) + 0.4 * np.random.default_rng(2).normal(size=(12, 2))
X = jnp.asarray(ROWS, jnp.float32)  # two features that go together
SHORT = NUTS(warmup=300, draws=200, chains=1, target_accept=0.95, max_tree_depth=7, start=None, method="vectorised")
PAIRS = [
    (noises.half_cauchy(scale=0.5), "ard"),
    (noises.inverse_gamma(), "ard_add"),
    (noises.rayleigh(), "iid"),
    (noises.log_normal(), "add"),
]


@pytest.mark.parametrize("law, structure", PAIRS, ids=[f"{n.name}-{s}" for n, s in PAIRS])
def test_nuts_is_calibrated(law, structure):
    model = gaussian(mlp(), prior(law, structure, sigma0=1.0), precision=4.0)
    found = calibrate(model, SHORT, simulations.of_prior(model, X, 128, seed=1), X[:3], seed=2)
    assert found.p > 0.01, found.p_values
