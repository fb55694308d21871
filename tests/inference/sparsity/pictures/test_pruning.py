"""Pictures of pruning, read back from the figures."""

import io

import numpy as np
import pandas as pd
import pytest
from noisezoo.inference.sparsity.pictures import pruning

AT = np.linspace(0, 1, 11)


def made_curve(unit="%", **errors):
    rows = [
        (rule, at, e, e - 1, e + 1, unit) for rule, error in errors.items() for at, e in zip(AT, error, strict=True)
    ]
    return pd.DataFrame(rows, columns=["rule", "fraction", "error", "low", "high", "unit"])


CURVE = made_curve(snr=2 + 88 * AT**8, spr=2 + 88 * AT**16, log_alpha=2 + 88 * AT**8, random=2 + 88 * AT)


def lines(ax):
    return {line.get_label(): line for line in ax.lines}


def test_every_rule_has_its_line_in_both_panels_and_the_unpruned_error_is_there():
    figure = pruning.curves(CURVE, "a title")
    for ax in figure.axes:
        assert list(lines(ax)) == ["snr", "spr", "log_alpha", "random", "nothing removed"]
        for rule, part in CURVE.groupby("rule"):
            np.testing.assert_allclose(lines(ax)[rule].get_xydata(), part[["fraction", "error"]])
        assert set(lines(ax)["nothing removed"].get_ydata()) == {2.0}
    found = lines(figure.axes[0])
    assert found["random"].get_linestyle() == "--" and found["snr"].get_linewidth() > found["random"].get_linewidth()
    assert len({line.get_color() for line in found.values()}) == 5
    assert figure.axes[0].get_title(loc="left") == "a title" and "(%)" in figure.axes[0].get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(found)


def test_the_bands_are_drawn_once_for_each_order():
    whole, near = pruning.curves(CURVE).axes
    assert len(whole.collections) == 3 and not near.collections  # log_alpha has that of snr
    band = whole.collections[1].get_paths()[0].vertices
    part = CURVE[CURVE["rule"] == "spr"]
    assert band[:, 1].min() == part["low"].min() and band[:, 1].max() == part["high"].max()


def test_an_error_that_explodes_does_not_flatten_the_rest():
    bump = np.where(AT == 0.8, 1e6, 50 + 20 * AT)
    whole, near = pruning.curves(made_curve("RMSE", snr=bump, spr=50 + 20 * AT)).axes
    assert 70 < whole.get_ylim()[1] < 100 and whole.get_ylim()[0] < 49
    assert near.get_ylim()[1] == pytest.approx(62.5) and 40 < near.get_ylim()[0] < 50
    assert whole.get_ylabel() == "test error (RMSE)"
    assert pruning.curves(CURVE).axes[0].get_ylim() == (0, pytest.approx(94.5))


def test_a_curve_without_a_band_or_of_one_point_can_be_drawn():
    bare = CURVE.assign(low=np.nan, high=np.nan)
    for curve in (bare, bare[bare["fraction"] == 0], made_curve(mine=0 * AT)):
        pruning.curves(curve).savefig(io.BytesIO(), format="png")


def net(count, seed):
    rng = np.random.default_rng(seed)
    loc = {"layer0.weight": rng.normal(size=(count, 1)), "layer0.bias": np.full(1, 1e6)}
    return loc, {site: np.abs(rng.normal(size=v.shape)) for site, v in loc.items()}


def test_the_moments_of_every_net_are_points():
    pairs = {"with noise": net(40, 0), "without": net(30, 1)}
    figure = pruning.moments(pairs)
    (main,) = [ax for ax in figure.axes if ax.get_xlabel() == "mean of the weight"]
    assert [text.get_text() for text in main.get_legend().get_texts()] == list(pairs)
    points = main.collections[-1]
    shown = {tuple(point) for point in np.asarray(points.get_offsets())}
    columns = [np.hstack([part["layer0.weight"] for part in pair]) for pair in pairs.values()]
    wanted = {tuple(row) for row in np.concatenate(columns)}
    assert shown == wanted  # no bias among them
    assert len({tuple(colour) for colour in points.get_facecolors()}) == 2


def test_of_a_large_net_some_weights_are_shown_and_always_the_same():
    big = {"net": net(pruning.POINTS + 500, 0)}
    first, second = (
        np.asarray(pruning.moments(big).axes[1].collections[-1].get_offsets())  # the main panel
        for _ in range(2)
    )
    assert len(first) == pruning.POINTS
    np.testing.assert_array_equal(first, second)


def test_names_are_never_formulas():
    name = "pay_$_per_$_won"
    figure = pruning.curves(made_curve(snr=2 + AT, **{name: 2 + AT}), name)
    figure.savefig(io.BytesIO(), format="png")  # a formula that cannot be read is an error
    assert figure.axes[0].get_title(loc="left") == r"pay_\$_per_\$_won"
    rng = np.random.default_rng(0)
    sites = {"layer0.weight": rng.normal(size=(4, 3))}
    pruning.moments({name: (sites, {"layer0.weight": np.ones((4, 3))})}).savefig(io.BytesIO(), format="png")
