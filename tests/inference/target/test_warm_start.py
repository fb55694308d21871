"""A guide of independent normals that begins at an earlier fit."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from exact_fits import exact_data
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import save, to_datatree
from noisezoo.inference.strategies.guides.local import Local
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy
from noisezoo.models.weights.parametrisation import prior

DATA = exact_data()
X, Y = jnp.asarray(DATA.x_train), jnp.asarray(DATA.y_train)
MODEL = gaussian(mlp(3), prior(half_cauchy(), form="hierarchical"))
ONE_STEP = svi(guide="local", steps=1, lr=1e-12, draws=2)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    found = fit(MODEL, svi(guide="mean_field", steps=50, draws=2), X, Y, progress=False)
    path = tmp_path_factory.mktemp("run") / "svi-map.nc"
    save(to_datatree(found, MODEL, DATA), path)
    return path, found


def test_the_means_begin_at_those_of_the_earlier_fit(saved):
    path, earlier = saved
    found = fit(MODEL, dataclasses.replace(ONE_STEP, guide=Local(start=str(path))), X, Y, progress=False)
    for name in ("layer0.weight", "layer1.weight", "layer0.bias"):
        np.testing.assert_allclose(found.loc[name][0], earlier.loc[name][0], rtol=1e-5)


def test_a_start_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        fit(MODEL, dataclasses.replace(ONE_STEP, guide=Local(start=str(tmp_path / "no.nc"))), X, Y, progress=False)


def test_a_start_of_another_network(saved):
    other = gaussian(mlp(4), prior(half_cauchy(), form="hierarchical"))
    with pytest.raises(ValueError, match=r"layer0.weight has shape \(\d+, 3\), and this program needs \(\d+, 4\)"):
        fit(other, dataclasses.replace(ONE_STEP, guide=Local(start=str(saved[0]))), X, Y, progress=False)
