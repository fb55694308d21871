"""Sparsity against counts made by hand, predictions against matrix products, pictures against what was put in."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from made_trees import made_data, made_model, made_tree
from nets import by_hand, guided, random_net
from noisezoo.inference.judging.predict import predict
from noisezoo.inference.sparsity import evaluation, report, trimming
from noisezoo.inference.sparsity.pictures import sparsity as sparsity_module
from noisezoo.models import catalogue
from noisezoo.models.views import divergences

ACT = {"tanh": np.tanh, "relu": lambda h: np.maximum(h, 0)}


def model_of(network, task="regression", classes=3, noise="half_cauchy", form="hierarchical"):
    return catalogue.model(catalogue.prior(noise, "ard", form), catalogue.network(network), task, classes)


def test_log_alpha_is_that_of_the_definition():
    found = trimming.log_alpha([[2.0, -0.5]], [[1.0, 3.0]])
    np.testing.assert_allclose(found, np.log([[1 / 4, 36]]), rtol=1e-14)
    np.testing.assert_array_equal(trimming.log_alpha([0, 0, 1], [1, 0, 0]), [np.inf, np.inf, -np.inf])
    tiny = np.array([1e-30], np.float32)  # its square is zero in single precision
    np.testing.assert_allclose(trimming.log_alpha(tiny, tiny), 0, atol=1e-6)


def test_each_rule_keeps_what_its_paper_keeps():
    loc = {"layer0.weight": np.array([[0.5, 0.001, -0.02, 0.0, -0.01]]), "layer0.bias": np.zeros(5)}
    scale = {"layer0.weight": np.array([[0.1, 1e-4, 1.0, 0.1, 0.1]]), "layer0.bias": np.ones(5)}
    by_alpha, by_size = (trimming.kept(loc, scale, rule) for rule in ("log_alpha", "magnitude"))
    assert set(by_alpha) == {"layer0.weight"}  # biases stay
    np.testing.assert_array_equal(by_alpha["layer0.weight"], [[True, True, False, False, False]])
    np.testing.assert_array_equal(by_size["layer0.weight"], [[True, False, True, False, True]])


def test_thresholds_are_where_the_papers_put_them():
    loc = {"layer0.weight": np.ones((1, 2))}
    scale = {"layer0.weight": np.exp([[1.499, 1.501]])}
    np.testing.assert_array_equal(trimming.kept(loc, scale)["layer0.weight"], [[True, False]])
    equal = {"layer0.weight": np.ones((1, 2))}  # log alpha = 0
    assert not trimming.kept(loc, equal, threshold=0.0)["layer0.weight"].any()
    assert trimming.kept(loc, equal, threshold=1e-9)["layer0.weight"].all()
    assert trimming.kept(loc, equal, "magnitude", 1.0)["layer0.weight"].all()


def test_a_rule_can_be_added(monkeypatch):
    def signal(loc, scale, t):  # Graves (2011)
        return np.abs(loc) >= t * scale

    monkeypatch.setitem(trimming.RULES, "signal", trimming.Rule(signal, 0.5, "signal to noise at least {threshold:g}"))
    loc, scale = {"layer0.weight": np.array([[1.0, -1.0]])}, {"layer0.weight": np.array([[1.0, 3.0]])}
    np.testing.assert_array_equal(trimming.kept(loc, scale, "signal")["layer0.weight"], [[True, False]])


ONE = {"layer0.weight": np.ones((2, 1))}


@pytest.mark.parametrize(
    "loc, scale, words, said",
    [
        (ONE, ONE, {"rule": "log_alhpa"}, "did you mean 'log_alpha'"),
        (ONE, ONE, {"threshold": float("nan")}, "must be a finite number, got nan"),
        (ONE, ONE, {"threshold": float("inf")}, "must be a finite number, got inf"),
        ({"layer0.base": np.ones((2, 1))}, ONE, {}, "no weight sites .* hierarchical"),
        ({}, {}, {}, "no weight sites"),
        (ONE, {}, {}, "no standard deviations for layer0.weight"),
        (ONE, {"layer0.weight": np.ones(2)}, {}, "means of shape .2, 1. and sds of shape .2,."),
        (ONE, {"layer0.weight": -np.ones((2, 1))}, {}, "negative"),
        ({"layer0.weight": np.full((2, 1), np.nan)}, ONE, {}, "NaN"),
    ],
)
def test_bad_guides_are_one_sentence(loc, scale, words, said):
    with pytest.raises(ValueError, match=said):
        trimming.kept(loc, scale, **words)


HAND = {
    "layer0.weight": np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]]),
    "layer0.bias": np.ones(3),
    "layer1.weight": np.array([[1.0], [2.0], [3.0]]),
    "layer1.bias": np.ones(1),
}
HAND_MASKS = {
    "layer0.weight": np.array([[True, False, True], [False, False, False]]),  # the third weight is zero, though kept
    "layer1.weight": np.array([[True], [True], [False]]),
}


def test_the_table_counts_what_was_counted_by_hand():
    found = trimming.table(HAND, HAND_MASKS)
    assert list(found.index) == ["layer0", "layer1", "total"]
    assert list(found["kept"]) == [1, 2, 3] and list(found["total"]) == [6, 3, 9]
    np.testing.assert_allclose(found["share"], [1 / 6, 2 / 3, 1 / 3])
    np.testing.assert_allclose(found["compression"], [6, 1.5, 3])
    assert list(found["units_in"])[:2] == [1, 2] and list(found["units_out"])[:2] == [1, 1]
    assert list(found["of_in"])[:2] == [2, 3] and list(found["of_out"])[:2] == [3, 1]
    assert found.loc["total", ["units_in", "of_in", "units_out", "of_out"]].isna().all()
    assert trimming.compression(HAND, HAND_MASKS) == 3.0  # no bias is counted: 12 / 7 with them


def test_nothing_left_is_an_infinite_compression():
    masks = {site: np.zeros_like(mask) for site, mask in HAND_MASKS.items()}
    assert trimming.compression(HAND, masks) == np.inf


def test_channels_are_the_units_of_a_kernel():
    weight = np.zeros((3, 3, 2, 4))
    weight[0, 1, 0, 2] = weight[2, 2, 0, 3] = 1
    row = trimming.table({"layer0.weight": weight}, {"layer0.weight": weight != 0}).loc["layer0"]
    assert (row["units_in"], row["units_out"], row["of_in"], row["of_out"]) == (1, 2, 2, 4)


def test_layers_are_in_the_order_of_their_numbers():
    assert trimming.weights([f"layer{i}.weight" for i in (10, 2, 0)]) == [f"layer{i}.weight" for i in (0, 2, 10)]


def test_trimming_leaves_biases_and_the_masks_must_fit():
    left = trimming.trimmed(HAND, HAND_MASKS)
    np.testing.assert_array_equal(left["layer0.weight"], [[1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(left["layer0.bias"], HAND["layer0.bias"])
    for masks in ({}, HAND_MASKS | {"layer1.weight": np.ones((1, 3), bool)}):
        with pytest.raises(ValueError, match="there is no mask of shape"):
            trimming.trimmed(HAND, masks)


@pytest.mark.parametrize("act", ["tanh", "relu"])
@pytest.mark.parametrize("form, noise", [("hierarchical", "half_cauchy"), ("marginal", "gamma_precision")])
def test_outputs_are_matrix_products(act, form, noise, monkeypatch):
    loc = random_net(4, 6, 5, 1)
    x = np.random.default_rng(1).normal(size=(2300, 4))
    monkeypatch.setattr(evaluation, "ROWS", 1000)  # three batches, the last one short
    found = evaluation.outputs(model_of(f"mlp:6-5,activation={act}", noise=noise, form=form), loc, x)
    assert found.shape == (2300,)
    np.testing.assert_allclose(found, by_hand(loc, x, act), rtol=1e-4, atol=1e-5)


def test_outputs_are_those_of_predict():
    loc, x = random_net(4, 6, 3), np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    model = model_of("mlp:6", "categorical")
    draws = {site: v[None, None] for site, v in loc.items()}
    draws |= {f"layer{i}.scale": np.ones((1, 1, n), np.float32) for i, n in enumerate((4, 6))}
    wanted = predict(model, draws, jnp.asarray(x)).f[0, 0]
    np.testing.assert_allclose(evaluation.outputs(model, loc, x), wanted, rtol=1e-5, atol=1e-5)


def test_a_guide_of_another_program_is_refused():
    x, loc = np.zeros((3, 4)), random_net(4, 6, 1)
    cases = {
        "no value for layer2.weight": ("mlp:6-1", loc),
        "no value for layer1.bias": ("mlp:6", {k: v for k, v in loc.items() if k != "layer1.bias"}),
        r"layer0.weight has shape \(4, 6\), and \(4, 7\)": ("mlp:7", loc),
        "no site layer2.weight": ("mlp:6", loc | random_net(1, 1, 1, 1)),
    }
    cases["no site layer2.weight"] = ("mlp:6", {**loc, "layer2.weight": np.ones((1, 1))})
    for said, (network, values) in cases.items():
        with pytest.raises(ValueError, match=said):
            evaluation.outputs(model_of(network), values, x)


def test_errors_are_percent_and_root_mean_squares():
    x = np.array([[1.0], [2.0], [3.0], [-4.0]])
    one = {"layer0.weight": np.array([[2.0]]), "layer0.bias": np.array([1.0])}
    linear = model_of("linear")
    wanted = np.sqrt(np.mean((2 * x[:, 0] + 1 - np.array([3.0, 5.0, 7.0, -3.0])) ** 2))  # only the last is off
    assert evaluation.error(linear, one, x, np.array([3.0, 5.0, 7.0, -3.0])) == pytest.approx(wanted) and wanted == 2
    assert evaluation.error(model_of("linear", "binary"), one, x, np.array([1, 1, 0, 0])) == 25.0
    three = {"layer0.weight": np.array([[1.0, 0.0, -1.0]]), "layer0.bias": np.zeros(3)}
    assert evaluation.error(model_of("linear", "categorical"), three, x, np.array([0, 0, 0, 0])) == 25.0
    assert evaluation.error(model_of("linear", "categorical"), three, x, np.array([0, 1, 0, 2])) == 25.0


def test_errors_need_rows_and_whole_numbers_for_classes():
    three = {"layer0.weight": np.array([[1.0, 0.0, -1.0]]), "layer0.bias": np.zeros(3)}
    model = model_of("linear", "categorical")
    for x, y, said in [
        (np.zeros((0, 1)), np.zeros(0, int), "at least one; got 0 and 0"),
        (np.zeros((2, 1)), np.zeros(3, int), "got 2 and 3"),
        (np.zeros((2, 1)), np.zeros(2), "class numbers as integers"),
    ]:
        with pytest.raises(ValueError, match=said):
            evaluation.error(model, three, x, y)
    with pytest.raises(ValueError, match="layer0.bias holds NaN"):
        evaluation.error(model, {**three, "layer0.bias": np.full(3, np.nan)}, np.zeros((2, 1)), np.zeros(2, int))


def test_a_linear_model_without_its_useless_features():
    data = made_data()  # y = 300 + 10 (x @ linspace(0, 2) + noise)
    best = np.linalg.lstsq(data.x_train, data.y_train, rcond=None)[0][:, None]
    loc = {"layer0.weight": best.astype(np.float32), "layer0.bias": np.zeros(1, np.float32)}
    scale = {"layer0.weight": np.full((6, 1), 0.1, np.float32)}
    found = report.report(made_model(), loc, scale, data, threshold=0.0, network="linear")
    stays = np.abs(best[:, 0]) > 0.1  # log alpha < 0
    assert 0 < stays.sum() < 6 and found["layers"]["layer0"]["kept"] == stays.sum()
    for when, weight in (("before", best[:, 0]), ("after", best[:, 0] * stays)):
        rmse = data.y_scale * np.sqrt(np.mean((data.x_test @ weight - data.y_test) ** 2))
        assert found["error"][when] == pytest.approx(rmse, rel=1e-5)
    assert found["error"]["unit"] == "RMSE" and found["text"] == "log alpha below 0"
    assert found["structured"]["text"] == f"6-1 -> {stays.sum()}-1"
    assert found["compression"] == pytest.approx(6 / stays.sum())
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_report_of_a_net_that_lost_everything_is_still_json():
    data, loc = made_data("categorical"), random_net(6, 4, 3)
    scale = {site: np.full_like(v, 1e3) for site, v in loc.items()}
    found = report.report(model_of("mlp:4", "categorical"), loc, scale, data, network="mlp:4")
    assert found["compression"] is None and found["kept"] == 0 and found["structured"]["text"] == "6-4-3 -> 0-0-3"
    constant = 100 * np.mean(data.y_test != np.argmax(loc["layer1.bias"]))
    assert found["error"]["after"] == pytest.approx(constant)
    json.dumps(found, allow_nan=False)


def test_a_residual_net_is_not_cut():
    data, loc = made_data(), random_net(6, 4, 4, 1)
    scale = {site: np.full_like(v, 1e-3) for site, v in loc.items()}
    scale["layer1.weight"][:, 1] = 1e3  # nothing enters this unit, but the skip connection goes on
    model = model_of("residual_mlp:4-4,activation=tanh")
    found = report.report(model, loc, scale, data, network="residual_mlp:4-4,activation=tanh")
    assert found["structured"] is None and "not a plain sequence" in found["why"]
    plain = report.report(model_of("mlp:4-4"), loc, scale, data, network="mlp:4-4")
    assert plain["structured"]["text"] == "6-4-4-1 -> 6-4-3-1" and plain["why"] == ""
    assert report.report(model, loc, scale, data)["structured"] is None


def test_the_guide_of_a_tree_is_that_of_the_best_restart():
    tree = guided()
    loc, scale = report.moments(tree)
    assert set(loc) == set(scale) == {"layer0.weight", "layer0.bias"}
    np.testing.assert_array_equal(loc["layer0.weight"], tree["guide"]["layer0.weight"].values[1])
    np.testing.assert_array_equal(scale["layer0.weight"], tree["guide"]["layer0.weight.sd"].values[1])
    np.testing.assert_array_equal(report.moments(tree, 0)[0]["layer0.bias"], tree["guide"]["layer0.bias"].values[0])
    with pytest.raises(ValueError, match="svi:guide=local"):
        report.moments(made_tree("nuts", seed=2))


def test_what_is_watched_is_the_net_as_if_it_were_trimmed_now():
    data, loc = made_data(), random_net(6, 4, 1)
    scale = {site: np.full_like(v, 2.0) for site, v in loc.items()}
    masks = {site: np.abs(loc[site]) >= 0.5 for site in trimming.weights(loc)}
    found = report.watch(model_of("mlp:4"), data, "magnitude", 0.5)(loc | {"other": np.ones(3)}, scale)
    off = by_hand(trimming.trimmed(loc, masks), data.x_test) - data.y_test
    assert found["compression"] == pytest.approx(28 / sum(m.sum() for m in masks.values()))
    assert found["error"] == pytest.approx(data.y_scale * np.sqrt(np.mean(off**2)), rel=1e-4)
    with pytest.raises(ValueError, match="did you mean 'magnitude'"):
        report.watch(model_of("mlp:4"), data, "magnitud")


def test_pictures_of_fits_with_a_guide_only(tmp_path):
    found = list(sparsity_module.pictures({"svi:local": guided(), "nuts": made_tree("nuts", seed=2)}))
    assert [p.name for p in found] == ["log-alpha-svi:local", "first-layer-svi:local", "sparsity-training"]
    for picture in found:
        assert picture.title and picture.caption.endswith(".")
        picture.draw().savefig(tmp_path / "figure.png")  # a warning is an error
    assert [t.get_text() for t in found[1].draw().axes[0].get_xticklabels()] == [f"feature {i}" for i in range(6)]
    assert [picture.draw() for picture in sparsity_module.pictures({"nuts": made_tree("nuts", seed=2)})] == [None]


def test_the_histogram_holds_every_weight_and_is_cut_at_the_threshold():
    loc, rng = random_net(20, 30, 5), np.random.default_rng(1)
    scale = {site: np.exp(3 * rng.normal(size=v.shape)) for site, v in loc.items()}
    loc["layer0.weight"][0, 0] = 0  # log alpha is infinite
    figure = sparsity_module.log_alpha(loc, scale, threshold=1.7)
    for ax, site in zip(figure.axes, ("layer0.weight", "layer1.weight"), strict=True):
        stays = trimming.kept(loc, scale, threshold=1.7)[site]
        below = [p for p in ax.patches if p.get_x() + p.get_width() <= 1.7 + 1e-9]
        assert sum(p.get_height() for p in ax.patches) == stays.size
        assert sum(p.get_height() for p in below) == stays.sum()
        assert f"{stays.mean():.2%} of {stays.size}" in ax.get_title(loc="left")


def test_the_first_layer_is_drawn_where_it_is_alive():
    weight = np.random.default_rng(0).normal(size=(16, 5))
    mask = np.zeros((16, 5), bool)
    mask[[1, 6], [0, 3]] = mask[6, 4] = True
    image, matrix, *_ = sparsity_module.first_layer(weight, mask).axes
    drawn = image.images[0].get_array()
    assert drawn.shape == (4, 4) and (~np.ma.getmaskarray(drawn)).sum() == 2
    assert drawn[0, 1] == pytest.approx(abs(weight[1, 0]))
    assert drawn[1, 2] == pytest.approx(np.abs(weight[6, 3:]).sum())
    assert "2 of 16 inputs alive" in image.get_title(loc="left") and "3 of 80" in matrix.get_title(loc="left")
    assert np.sum(~np.ma.getmaskarray(matrix.images[0].get_array())) == 3


def test_first_layers_of_every_kind_can_be_drawn(tmp_path):
    rng = np.random.default_rng(0)
    for shape in [(784, 300), (7, 3), (5, 5, 1, 20), (5, 5, 3, 8), (1, 1), (900, 2)]:
        for mask in (rng.uniform(size=shape) < 0.3, np.zeros(shape, bool)):
            sparsity_module.first_layer(rng.normal(size=shape), mask).savefig(tmp_path / "figure.png")


def test_names_of_inputs_are_never_formulas(tmp_path):
    names = ["pay_$_per_$_won", "age"]
    figure = sparsity_module.first_layer(np.ones((2, 3)), np.ones((2, 3), bool), "layer_$_$_0", names)
    figure.savefig(tmp_path / "figure.png")  # a formula that cannot be read is an error
    assert figure.axes[0].get_xticklabels()[0].get_text() == r"pay_\$_per_\$_won"


def test_a_large_image_loses_no_live_row_or_column():
    image = np.zeros((1000, 2001))
    image[999, 2000], image[3, 6], image[3, 7] = -2.0, 0.5, -0.7
    small = sparsity_module._visible(image)
    assert small.shape[0] <= 160 and small.shape[1] <= 400
    assert sorted(small[small != 0]) == [-2.0, -0.7]  # the largest of neighbours


def test_training_draws_what_is_there():
    step = np.arange(1, 6) * 10.0
    both = {"step": step, "compression": step / 10, "error": np.array([5.0, 4.0, np.nan, 3.0, 2.0])}
    figure = sparsity_module.training({"a": both, "b": {"step": step, "error": both["error"]}})
    assert [(ax.get_xlabel(), len(ax.lines)) for ax in figure.axes][1] == ("step", 2)
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_xdata(), [1, 2, 4, 5])
    np.testing.assert_array_equal(figure.axes[2].lines[0].get_ydata(), [5, 4, 3, 2])
    assert len(sparsity_module.training({"b": {"step": step, "error": both["error"]}}).axes) == 1
    assert (
        sparsity_module.training({"c": {"step": step, "loss": step}}) is None and sparsity_module.training({}) is None
    )


def test_the_three_constants_are_off_by_what_is_known():
    left, right = divergences.plot_divergences().axes
    exact, approximate, ard = left.lines
    np.testing.assert_allclose(np.interp(1.0, exact.get_xdata(), exact.get_ydata()), 0.173194, atol=1e-4)
    assert np.all(ard.get_ydata() <= exact.get_ydata() + 1e-8)
    assert np.abs(right.lines[0].get_ydata()).max() == pytest.approx(0.00937, abs=2e-5)
    np.testing.assert_allclose(right.lines[0].get_ydata(), approximate.get_ydata() - exact.get_ydata())
