"""Pictures of units, read back from the figures."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from direction_fits import made
from noisezoo.inference.judging.direction_posterior import QUARTER, by_unit
from noisezoo.inference.judging.pictures import directions


def density(ax):
    """The points of the drawn law."""
    return ax.lines[0].get_data()


def test_the_laws_are_densities_of_units_in_the_order_of_their_size():
    found = made((6, 9, 3))
    found.scale["layer0.magnitude"][0, 4], found.loc["layer0.magnitude"][0, 4] = 1e-6, 1e-5  # nearly a delta
    found.scale["layer0.angle"][0, 4], found.loc["layer0.angle"][0, 4] = 1e-6, 0.3
    figure = directions.laws(found, chosen=3)
    table = by_unit(found)[:9].sort_values("size").iloc[[0, 4, 8]]
    axes = np.reshape(figure.axes, (3, 2))
    for (left, right), (_, row) in zip(axes, table.iterrows(), strict=True):
        assert left.get_title(loc="left").startswith(f"layer0, unit {row['unit']}: alpha = ")
        for ax, mean, sd in ((left, row["m"], row["sd"]), (right, *np.degrees(row[["angle", "angle_sd"]].to_list()))):
            at, p = density(ax)
            assert np.trapezoid(p, at) == pytest.approx(1, abs=2e-3)
            assert np.trapezoid(p * at, at) == pytest.approx(mean, rel=2e-3, abs=2e-3)
            assert np.trapezoid(p * (at - mean) ** 2, at) == pytest.approx(sd**2, rel=1e-2)
        assert set(right.lines[-1].get_ydata()) == {1 / 90} and right.lines[-1].get_linestyle() == "--"
        assert right.get_xlim() == (0, 90) and left.get_xlim()[0] < 0 < left.get_xlim()[1]
    assert table["unit"].iloc[0] == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["zero", "prior of e"]
    assert len(directions.laws(found, chosen=50, layer="layer1").axes) == 2 * 3  # it has no more units
    assert len(directions.laws(found, chosen=1).axes) == 2


def test_draws_alone_are_histograms():
    found = replace(made((3, 2), draws=400), loc={}, scale={})
    figure = directions.laws(found)
    for ax, site, unit in zip(
        figure.axes, ("magnitude", "angle"), (by_unit(found)["size"].argmin(),) * 2, strict=False
    ):
        values, edges, _ = ax.patches[0].get_data()
        draws = found.draws[f"layer0.{site}"][0, :, unit] * (np.degrees(1) if site == "angle" else 1)
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)
        assert edges[0] == pytest.approx(draws.min()) and edges[-1] == pytest.approx(draws.max())
    figure.savefig(io.BytesIO(), format="png")


def test_every_unit_is_a_point_of_its_layer():
    found = made((6, 9, 7, 5, 3))
    found.loc["layer1.magnitude"][0, 0] = 0.0  # which a log axis lacks
    figure = directions.magnitudes(found)
    table = by_unit(found)
    panels = [ax for ax in figure.axes if ax.get_xscale() == "log"]
    assert [ax.get_title(loc="left") for ax in panels] == [f"layer{i}: {n} units" for i, n in enumerate((9, 7, 5, 3))]
    for ax, (_, part) in zip(panels, table.groupby("layer"), strict=True):
        points, size = np.asarray(ax.collections[0].get_offsets()), np.abs(part["m"])
        np.testing.assert_allclose(points[:, 1], np.degrees(part["angle"]))
        np.testing.assert_allclose(points[:, 0], np.where(size > 0, size, 1e-4 * size.max()))
        np.testing.assert_allclose(ax.collections[0].get_array(), np.clip(part["log_alpha"], -5, 5))
        low, high = ax.get_xlim()
        assert low < points[:, 0].min() and points[:, 0].max() < high and high / low >= 9.99
    figure.savefig(io.BytesIO(), format="png")
    directions.magnitudes(replace(found, loc={k: 0 * v for k, v in found.loc.items()})).savefig(io.BytesIO())


@pytest.mark.parametrize("error, label", [("accuracy", "accuracy"), ("rmse", "RMSE")])
def test_a_curve_has_its_points_and_the_whole_network(error, label):
    table = pd.DataFrame(
        {"fraction": [0, 0.5, 1], "removed": [0, 4, 8], error: [0.9, 0.8, 0.1], "mlpd": [-0.1, -1, -2]}
    )
    figure = directions.curve(table)
    assert [ax.get_ylabel() for ax in figure.axes] == [label, "mean log predictive density"]
    for ax, what in zip(figure.axes, (error, "mlpd"), strict=True):
        np.testing.assert_allclose(ax.lines[0].get_xydata(), table[["fraction", what]])
        assert set(ax.lines[1].get_ydata()) == {table[what][0]}
    assert [len(ax.lines) for ax in directions.curve(table[1:]).axes] == [1, 1]
    figure.savefig(io.BytesIO(), format="png")


def test_what_cannot_be_drawn_is_refused():
    found = made((3, 2))
    with pytest.raises(ValueError, match="unknown layer 'layer3'"):
        directions.laws(found, layer="layer3")
    with pytest.raises(ValueError, match="chosen, how many units are drawn, must be 1 or more, got 0"):
        directions.laws(found, chosen=0)
    assert QUARTER == pytest.approx(np.radians(90))
