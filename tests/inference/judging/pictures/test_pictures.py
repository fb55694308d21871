"""Pictures say what the draws say: what is drawn is compared with what was put in."""

import numpy as np
import pytest
from made_trees import AWKWARD, made_data, made_tree, renamed
from matplotlib import rcParams
from matplotlib.text import Text
from noisezoo.inference.judging import pictures
from noisezoo.inference.judging.diagnose import diagnose
from noisezoo.inference.judging.pictures import agreement, chains, predictions, scales, style, weights

TASKS = [("regression", 6), ("regression", 1), ("binary", 6), ("categorical", 6)]


def trees_of(task="regression", features=6):
    return {
        "svi": made_tree("svi", task, features, spread=0.4, chains=1, seed=1),
        "nuts": made_tree("nuts", task, features, seed=2),
        "sgld": made_tree("sgld", task, features, apart=0.05, seed=3),
    }


@pytest.mark.parametrize("task, features", TASKS)
def test_every_picture_can_be_saved_and_read(task, features, tmp_path):
    shown = list(pictures.pictures(trees_of(task, features)))
    names = [picture.name for picture in shown]
    wanted = ["predictions", "calibration", "agreement", "scales", "trace-nuts", "trace-sgld", "loss"]
    assert names == [name for name in wanted if name != "calibration" or task == "regression"]
    for picture in shown:
        assert picture.title and picture.caption.endswith(".")
        figure = picture.draw()
        figure.savefig(tmp_path / "figure.png")  # a warning, such as a layout that does not fit, is an error
        for ax in figure.axes:
            assert ax.get_xlabel() or ax.get_ylabel() or ax is not figure.axes[0]


@pytest.mark.parametrize("task, features", TASKS)
def test_names_are_never_formulas(task, features, tmp_path):
    trees = {f"{label}:init={AWKWARD}": renamed(tree) for label, tree in trees_of(task, features).items()}
    for picture in [*pictures.pictures(trees), *weights.pictures(trees)]:
        figure = picture.draw()
        figure.savefig(tmp_path / "figure.png")  # a formula that cannot be read is an error
        shown = [text.get_text() for text in figure.findobj(Text)]
        assert any("\\$_per_" in text for text in shown) or picture.name.startswith("trace")


def test_nothing_of_nothing():
    assert list(pictures.pictures({})) == []
    assert chains.loss({"nuts": made_tree("nuts")}) is None


def test_a_strategy_has_one_colour_and_no_other_has_it():
    found = style.colours(["svi:low_rank", "nuts", "svi:flow", "sgld"])
    assert found["nuts"] == style.OWN["nuts"] and found["svi:low_rank"] == style.OWN["svi"]
    assert len(set(found.values())) == 4
    assert style.colours(["nuts"])["nuts"] == style.colours(["sgld", "nuts"])["nuts"]
    assert len(style.colours([f"svi:{i}" for i in range(30)])) == 30


@pytest.mark.parametrize(
    "labels", [["svi"], ["svi:guide=low_rank,rank=20,steps=50000", "nuts", "sgld:step_size=0.01,thin=100"]]
)
def test_legends_lie_within_their_figures(labels):
    one, many = (
        {"nuts": made_tree("nuts", "regression", 1, seed=2)},
        dict(zip(labels, trees_of().values(), strict=False)),
    )
    for figure in (predictions.predictions(one), scales.scales(many)):
        figure.draw_without_rendering()
        inside, outer = figure.legends[0].get_window_extent(), figure.bbox
        assert outer.x0 <= inside.x0 and inside.x1 <= outer.x1


def test_pyplot_is_left_alone():
    before = dict(rcParams)
    predictions.predictions(trees_of())
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == [] and dict(rcParams) == before


def test_coverage_is_that_of_the_draws():
    tree = made_tree("nuts", seed=2)
    line = next(line for line in predictions.coverage({"nuts": tree}).axes[0].lines if line.get_label() == "nuts")
    y, observed = tree["predictions"]["y"].values.reshape(-1, 60), made_data().original(made_data().y_test)
    for level in (0.2, 0.5, 0.9):
        low, high = np.quantile(y, [(1 - level) / 2, (1 + level) / 2], axis=0)
        inside = np.mean((low <= observed) & (observed <= high))
        assert np.interp(level, line.get_xdata(), line.get_ydata()) == pytest.approx(inside, abs=1.01 / 60)


def test_predictions_count_the_rows_inside():
    figure = predictions.predictions({"nuts": made_tree("nuts", seed=2)})
    y, observed = made_tree("nuts", seed=2)["predictions"]["y"].values.reshape(-1, 60), made_data().y_test
    low, high = np.quantile(y, [0.05, 0.95], axis=0)
    inside = np.sum((low <= made_data().original(observed)) & (made_data().original(observed) <= high))
    assert figure.axes[0].get_title(loc="left") == f"nuts\n{inside} of 60 inside the 90% interval"
    assert figure.axes[0].get_xlabel() == "observed strength (MPa)"


def test_the_function_is_drawn_between_the_rows_and_beyond_them_in_the_units_of_the_feature():
    data, tree = made_data("regression", 1), made_tree("nuts", "regression", 1, seed=2)
    ax = predictions.predictions({"svi": made_tree("svi", "regression", 1, seed=1), "nuts": tree}).axes[1]
    mean, train, test = ax.lines
    rows = np.concatenate([train.get_xdata(), test.get_xdata()])
    np.testing.assert_allclose(train.get_xdata(), data.x_train[:, 0] * data.x_scale[0] + data.x_mean[0], rtol=1e-6)
    np.testing.assert_allclose(test.get_ydata(), data.original(data.y_test), rtol=1e-6)
    x = mean.get_xdata()
    assert x[0] == pytest.approx(rows.min() - 0.25 * np.ptp(rows), rel=1e-5)
    assert x[-1] == pytest.approx(rows.max() + 0.25 * np.ptp(rows), rel=1e-5)
    assert np.diff(x).max() < 0.01 * np.ptp(x)  # no gap is bridged by a line
    posterior = tree["posterior"]
    weight, bias = (posterior[f"layer0.{name}"].values.reshape(-1, 1) for name in ("weight", "bias"))
    f = data.original(weight * (x - data.x_mean[0]) / data.x_scale[0] + bias)
    np.testing.assert_allclose(mean.get_ydata(), f.mean(axis=0), rtol=1e-5)
    band = ax.collections[1].get_paths()[0].vertices  # of f, over that of y
    low, high = np.quantile(f, [0.05, 0.95], axis=0)
    width = [np.ptp(band[np.isclose(band[:, 0], x[i]), 1]) for i in (1, 100, 198)]
    np.testing.assert_allclose(width, (high - low)[[1, 100, 198]], rtol=1e-3)
    assert ax.get_xlabel() == "feature 0"


def test_a_band_without_end_does_not_hide_the_rows():
    tree = made_tree("nuts", "regression", 1, seed=2).copy(deep=True)
    tree["grid"] = tree["grid"].to_dataset().map(lambda values: 1e9 * values, keep_attrs=True)
    ax = predictions.predictions({"nuts": tree}).axes[0]
    y = np.concatenate([tree["observed_data"]["y"].values, style.test_target(tree)])
    assert ax.get_ylim() == pytest.approx((y.min() - np.ptp(y), y.max() + np.ptp(y)), rel=0.1)


def test_a_fit_without_a_grid_shows_predictions_against_what_was_observed():
    tree = made_tree("nuts", "regression", 1, seed=2).copy(deep=True)
    del tree["grid"]
    assert predictions.predictions({"nuts": tree}).axes[0].get_xlabel() == "observed strength (MPa)"


def test_agreement_shows_a_narrow_guide_below_the_line():
    means, sds = agreement.agreement(trees_of(), "nuts").axes
    points = {c.get_label(): np.asarray(c.get_offsets()) for c in sds.collections}
    assert set(points) == {"svi", "sgld"}
    ratio = points["svi"][:, 1] / points["svi"][:, 0]
    assert np.all(ratio < 0.75) and 0.3 < np.median(ratio) < 0.55  # made with 0.4 of the spread
    points = {c.get_label(): np.asarray(c.get_offsets()) for c in means.collections}
    np.testing.assert_allclose(points["svi"][:, 0], points["svi"][:, 1], atol=3)


@pytest.mark.parametrize("task, what", [("binary", "p(yes)"), ("categorical", "p(observed class)")])
def test_agreement_of_classes_is_of_probabilities(task, what):
    means, _ = agreement.agreement(trees_of(task), "nuts").axes
    assert what in means.get_xlabel()
    assert np.all((means.collections[0].get_offsets() >= 0) & (means.collections[0].get_offsets() <= 1))


def test_reliability_of_classes_that_come_as_predicted():
    tree = made_tree("nuts", "binary", seed=2).copy(deep=True)
    rng = np.random.default_rng(0)
    rows = 4000
    logit = rng.normal(size=rows)
    came_true = rng.uniform(size=rows) < 1 / (1 + np.exp(-logit))
    for group in ("predictions", "predictions_constant_data"):
        first = tree[group].to_dataset().isel(row=np.zeros(rows, int)).drop_vars("row")
        values = {"f": 0 * first["f"] + logit} if "f" in first else {"y": ("row", came_true.astype(int))}
        tree[group] = first.assign_coords(row=np.arange(rows)).assign(values)
    ax = predictions.predictions({"nuts": tree}).axes[0]
    curve = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata(), atol=0.08)
    assert float(ax.get_title(loc="left").split()[-1].rstrip("%")) < 4


@pytest.mark.parametrize("task", ["binary", "categorical"])
def test_the_calibration_error_of_the_picture_is_that_of_the_table(task):
    trees = trees_of(task)
    titles = [ax.get_title(loc="left") for ax in predictions.predictions(trees).axes]
    said = [f"{label}\ncalibration error {diagnose(tree)['calibration']:.1%}" for label, tree in trees.items()]
    assert titles == said and len({title[-4:] for title in titles}) > 1


def test_scales_are_sorted_by_size_with_the_names_of_features():
    ax = scales.scales(trees_of()).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()][0] == "feature 5"  # its weight was made the largest
    assert ax.get_xscale() == "log"


def test_scales_of_layers_and_discrete_ones_are_drawn():
    tree = made_tree("nuts", seed=2).copy(deep=True)
    posterior = tree["posterior"].to_dataset()
    draws = posterior["precision"]
    posterior["layer1.scale"] = draws * (draws > draws.median())
    posterior["layer0.scale"] = (posterior["layer0.scale"] > 0.1).astype("float32")
    tree["posterior"] = posterior
    units, layers = scales.scales({"nuts": tree}).axes
    assert units.get_xlabel() == "P(scale = 1)" and layers.get_title(loc="left") == "single scales"
    means = np.sort(posterior["layer0.scale"].mean(("chain", "draw")).values)
    np.testing.assert_allclose(np.sort(units.lines[0].get_xdata()), means)
    tree["posterior"] = posterior.drop_vars(["layer0.scale", "layer1.scale"])
    assert scales.scales({"nuts": tree}) is None


def test_trace_shows_the_worst_row():
    tree = made_tree("sgld", apart=0.05, seed=3)
    label = chains.trace(tree, "sgld").axes[0].get_ylabel()
    from arviz_stats.sampling_diagnostics import rhat

    worst = float(rhat(tree["predictions"]["f"]).max())
    assert worst > 1.1 and label == f"f(x), worst row\nR-hat {worst:.2f}"


def test_ranks_of_equal_chains_are_level_and_of_unequal_ones_not():
    rng = np.random.default_rng(0)
    figure = style.new_figure(4, 4)
    level, tilted = figure.subplots(1, 2)
    chains._ranks(level, rng.normal(size=(2, 4000)), ["k", "k"])
    chains._ranks(tilted, rng.normal(size=(2, 4000)) + np.array([[0], [1]]), ["k", "k"])
    heights = [np.concatenate([p.get_data().values for p in ax.patches]) for ax in (level, tilted)]
    assert np.abs(heights[0] - 1).max() < 0.3 and np.abs(heights[1] - 1).max() > 0.6


def test_the_loss_is_drawn_for_every_restart():
    ax = chains.loss({"svi": made_tree("svi", chains=2, seed=1)}).axes[0]
    assert len(ax.lines) == 2 and ax.get_xlabel() == "step"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), made_tree("svi", chains=2, seed=1)["history"]["loss"].values[0])
