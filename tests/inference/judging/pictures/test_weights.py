"""Heat maps of weights, read back from the figure."""

import numpy as np
import pytest
from noisezoo.inference.judging.pictures import weights

RNG = np.random.default_rng(0)
SIZES = {
    "ard": {"layer0": RNG.uniform(size=(6, 50)), "layer1": RNG.uniform(size=(50, 50))},
    "add": {"layer0": RNG.uniform(size=(6, 50)), "layer1": 0.01 * RNG.uniform(size=(50, 50))},
}


def images(figure):
    return [ax.images[0] for ax in figure.axes if ax.images]


def test_every_layer_of_every_fit_has_a_panel_and_a_layer_one_colour_scale():
    found = images(weights.weights(SIZES))
    assert [image.get_array().shape for image in found] == [(6, 50), (50, 50), (6, 50), (50, 50)]
    assert found[1].get_clim() == found[3].get_clim() == pytest.approx((0, np.quantile(SIZES["ard"]["layer1"], 0.99)))
    assert found[3].get_array().max() < 0.02


def test_rows_and_columns_are_in_order_and_nothing_is_lost():
    shown = images(weights.weights(SIZES))[0].get_array()
    assert (np.diff(shown.mean(axis=1)) <= 0).all() and (np.diff(shown.mean(axis=0)) <= 0).all()
    np.testing.assert_allclose(np.sort(shown.ravel()), np.sort(SIZES["ard"]["layer0"].ravel()))
