"""Heat maps of weights, read back from the figure."""

import numpy as np
import pytest
import xarray as xr
from made_trees import made_tree
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


def permuted(weights, seed):
    """The same network, its hidden units in another order."""
    first, second = weights
    order = np.random.default_rng(seed).permutation(first.shape[1])
    return first[:, order], second[order]


def test_a_permutation_of_hidden_units_leaves_the_picture_as_it_was():
    network = RNG.normal(size=(6, 8)) * np.arange(6)[:, None] * 2.0 ** -np.arange(8), RNG.normal(size=(8, 1))
    trees = []
    for turns in ([0] * 10, range(10)):
        draws = zip(*(permuted(network, seed) for seed in turns), strict=True)
        sites = {f"layer{i}.weight": np.stack(layer)[None] for i, layer in enumerate(draws)}
        dims = {name: ("chain", "draw", f"{name} in", f"{name} out") for name in sites}
        trees.append(xr.DataTree.from_dict({"posterior": xr.Dataset({k: (dims[k], v) for k, v in sites.items()})}))
    (same, same_out), (mixed, mixed_out) = (images(weights._small({"nuts": tree})) for tree in trees)
    np.testing.assert_allclose(mixed.get_array(), same.get_array())
    np.testing.assert_allclose(mixed_out.get_array(), same_out.get_array())
    flat = np.mean([np.abs(permuted(network, seed)[0]) for seed in range(200)], axis=0)  # what a mean over units shows
    assert np.ptp(flat[-1]) < 0.5 * np.ptp(mixed.get_array()[0])


def test_inputs_have_their_names_and_the_bar_says_what_it_is():
    figure = weights._small({"nuts": made_tree("nuts", seed=2)})
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == [f"feature {i}" for i in range(6)] and labels[0] == "feature 5"  # made the largest
    assert figure.axes[-1].get_xlabel() == "mean |w|" and figure.axes[0].get_xlabel() == "1 unit out"
    assert figure.axes[0].get_ylabel() == "nuts\n6 in"
