"""A mode is looked for only where the density has one; a law that is a divergence only is not drawn from."""

import jax.numpy as jnp
import numpy as np
import pytest
from noisezoo import fit
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.target.pole import refuse_pole
from noisezoo.inference.target.sites import sites_of
from noisezoo.models import catalogue
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = X[:, 0]
POLES = [  # a noise, a form, and whether p(weights, scales) is unbounded
    ("half_cauchy", "expanded", False),
    ("half_cauchy", "hierarchical", True),  # lambda^-2 of the two weights of an input, and p(0) > 0
    ("regularised_half_cauchy", "hierarchical", True),
    ("inverse_gamma", "hierarchical", False),  # p(lambda) vanishes faster than any power
    ("log_normal", "hierarchical", False),
    ("gamma_precision", "marginal", False),  # Student t
    ("rayleigh", "hierarchical", True),  # lambda lambda^-2
    ("rayleigh", "marginal", False),  # a Laplace law
    ("uniform", "hierarchical", True),
    ("gaussian", "hierarchical", True),  # a scale of either sign
    ("beta:a=0.5,b=1", "expanded", True),  # at 0
    ("beta:a=1,b=0.5", "expanded", True),  # at 1
    ("beta:a=2,b=2", "expanded", False),
    ("log_uniform", "expanded", True),
    ("log_uniform", "hierarchical", True),
]


def net(spec, form="expanded"):
    return gaussian(mlp(2), catalogue.prior(spec, "iid" if form == "marginal" else "ard", form))


def arrays(language):
    if language == "pyro":
        import torch

        return torch.tensor(X), torch.tensor(Y)
    return jnp.asarray(X), jnp.asarray(Y)


@pytest.mark.parametrize("spec, form, pole", POLES)
def test_map_is_refused_where_the_density_has_a_pole(spec, form, pole, language):
    program, (x, y) = net(spec, form), arrays(language)
    described = sites_of(program, x, y)
    if not pole:
        return refuse_pole("map", program, described, x, y)
    with pytest.raises(ValueError, match="finds no mode: the density grows without bound as layer0"):
        refuse_pole("map", program, described, x, y)


@pytest.mark.parametrize("spec", ["sparse_vd", "log_uniform"])
def test_the_guide_map_asks(spec, language):
    with pytest.raises(ValueError, match="svi with guide map finds no mode"):
        fit(net(spec), svi(guide="map", steps=2, draws=2), *arrays(language), progress=False)


@pytest.mark.parametrize("guide", ["map", "mean_field", "low_rank", "full_rank", "flow", "laplace"])
@pytest.mark.parametrize("spec", ["empirical_bayes", "empirical_bayes:a=0.51,b=1e-8"])
def test_guides_that_draw_weights_refuse_a_law_that_is_a_divergence_only(spec, guide, language):
    with pytest.raises(ValueError, match="defined by what a normal guide pays for it.* use svi:guide=local"):
        fit(net(spec), svi(guide=guide, steps=2, draws=2), *arrays(language), progress=False)


def test_the_advice_can_be_followed(language):
    for guide in ("local", "flipout"):
        found = fit(net("empirical_bayes"), svi(guide=guide, steps=2, draws=2), *arrays(language), progress=False)
        assert np.isfinite(found.history["loss"]).all()
