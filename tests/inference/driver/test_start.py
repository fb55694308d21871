"""No strategy goes on from a start where the log joint is not finite, and none says nothing of it."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo import fit
from noisezoo.inference.strategies.mclmc import MCLMC
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sghmc import SGHMC
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.strategies.sgnht import SGNHT
from noisezoo.models import noises
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import normal, prior

X = np.linspace(-2, 2, 30, dtype=np.float32)[:, None]
FAR = (1e20 * X[:, 0]).astype(np.float32)  # its square is infinite in single precision
MODEL = gaussian(mlp(), normal())
SHORT = {"warmup": 20, "draws": 5, "chains": 2}
SAMPLERS = [NUTS(**SHORT), SGLD(**SHORT), SGHMC(**SHORT), SGNHT(**SHORT)]
# Not laplace and pathfinder, which look for the mode in double precision, and find it.
GUIDES = [svi(guide=name, steps=20, draws=5) for name in ("map", "mean_field", "local", "flipout")]


def arrays(language, y=FAR):
    if language == "pyro":
        import torch

        return torch.tensor(X), torch.tensor(y)
    return jnp.asarray(X), jnp.asarray(y)


@pytest.mark.parametrize("config", [*SAMPLERS, *GUIDES], ids=lambda c: getattr(c, "guide", c).name)
def test_no_finite_start_is_one_sentence(config, language):
    with pytest.raises((FloatingPointError, ValueError), match="finite"):
        fit(MODEL, config, *arrays(language), progress=False)


@pytest.mark.parametrize("name", ["mclmc", "nuts vectorised", "gibbs", "dropout"])
def test_nor_are_there_others(name):
    masks = gaussian(mlp(2), prior(noises.bernoulli()))
    model, config = {
        "mclmc": (MODEL, MCLMC(warmup=1000, draws=5, chains=2)),
        "nuts vectorised": (MODEL, NUTS(**SHORT, method="vectorised")),
        "gibbs": (masks, NUTS(**SHORT)),
        "dropout": (masks, svi(guide="dropout", steps=20, draws=5)),
    }[name]
    with pytest.raises(FloatingPointError, match="stopped .* is not finite.*; standardise x and y"):
        fit(model, config, *arrays("numpyro"), progress=False)


def test_a_likelihood_of_zero_is_no_start():
    """Where every start has the log density -inf."""

    def outcome(p):
        return lambda f, y: p.sample("y", p.dist.Uniform(f - 1e-3, f + 1e-3), obs=y)

    from noisezoo.models.likelihoods.model import model_of

    with pytest.raises((FloatingPointError, ValueError), match="finite"):
        fit(model_of(mlp(), normal(), 1, outcome), NUTS(**SHORT), *arrays("numpyro", 5 + 0 * X[:, 0]), progress=False)


def test_the_warmup_of_nuts_has_its_log_density():
    found = fit(MODEL, NUTS(**SHORT), *arrays("numpyro", X[:, 0]), progress=False)
    assert found.history["lp"].shape == (2, 20) and np.isfinite(found.history["lp"]).all()
