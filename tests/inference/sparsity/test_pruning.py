"""Pruning: orders against those written down by hand, errors against nets multiplied out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_trees import made_data, made_model, made_tree
from nets import by_hand, guided, made_run, random_net, random_tree
from noisezoo.inference.judging import datatree
from noisezoo.inference.runs import folder, prune
from noisezoo.inference.sparsity import evaluation, pruning, report, trimming
from noisezoo.inference.sparsity import scores as scores_module
from noisezoo.inference.target import warm_start
from noisezoo.models import catalogue
from noisezoo.models.networks import bare

LOC = {"layer0.weight": np.array([[1.0, -0.1], [0.5, 0.0]]), "layer0.bias": np.ones(2)}
SCALE = {"layer0.weight": np.array([[2.0, 0.01], [0.5, 3.0]]), "layer0.bias": np.ones(2)}
GONE = {  # which of the four weights, row by row, goes first, second, ...
    "snr": [3, 0, 2, 1],  # 0, 0.5, 1, 10
    "spr": [1, 2, 0, 3],  # 0.11, 1, 3, 3: the first place goes first
    "second_moment": [1, 2, 0, 3],  # 0.01, 0.5, 5, 9
    "magnitude": [3, 1, 2, 0],
    "log_alpha": [3, 0, 2, 1],
}


def rows(count=50, features=6, classes=3, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, features)).astype(np.float32)
    return SimpleNamespace(x_test=x, y_test=rng.integers(0, classes, count), task="categorical", y_scale=1.0)


def program(words="mlp:8", out=3):
    return bare.bare_program(catalogue.network(words), out)


def order(found, n=4):
    """The places in the order in which they go."""
    gone = [set(np.flatnonzero(~scores_module.masks_at(found, k / n)["layer0.weight"].ravel())) for k in range(n + 1)]
    assert [len(g) for g in gone] == list(range(n + 1))
    return [(after - before).pop() for before, after in zip(gone[:-1], gone[1:], strict=True)]


@pytest.mark.parametrize("rule", GONE)
def test_each_rule_goes_in_the_order_written_down(rule):
    assert order(scores_module.scores((LOC, SCALE), rule)) == GONE[rule]


def test_snr_and_spr_disagree_on_a_weight_that_is_large_and_uncertain():
    loc, scale = {"layer0.weight": np.array([[1.0, 0.3]])}, {"layer0.weight": np.array([[2.0, 0.1]])}
    assert order(scores_module.scores((loc, scale), "snr"), 2) == [0, 1]
    assert order(scores_module.scores((loc, scale), "spr"), 2) == [1, 0]


def test_log_alpha_is_that_of_sparsity_and_goes_as_snr_does():
    found = scores_module.moments(random_tree())
    scores = scores_module.scores(found, "log_alpha")
    for site in trimming.weights(found[0]):
        np.testing.assert_allclose(scores[site], -trimming.log_alpha(found[0][site], found[1][site]), rtol=1e-9)
    for fraction in (0.1, 0.5, 0.9):
        ours, theirs = (
            scores_module.masks_at(scores_module.scores(found, rule), fraction) for rule in ("log_alpha", "snr")
        )
        assert all((ours[site] == theirs[site]).all() for site in ours)


def test_a_weight_without_sd_stays_and_one_that_is_always_zero_goes():
    loc, scale = {"layer0.weight": np.array([[1.0, 2.0, 0.0]])}, {"layer0.weight": np.array([[1.0, 0.0, 0.0]])}
    np.testing.assert_array_equal(scores_module.scores((loc, scale), "snr")["layer0.weight"], [[1, np.inf, 0]])
    np.testing.assert_array_equal(
        scores_module.scores((loc, scale), "log_alpha")["layer0.weight"], [[0, np.inf, -np.inf]]
    )


def test_moments_of_draws_are_those_of_one_chain_and_not_of_all():
    tree = random_tree()
    for chain in (0, 1):
        loc, scale = scores_module.moments(tree, chain)
        values = tree["posterior"]["layer0.weight"].values[chain].astype(float)
        np.testing.assert_allclose(loc["layer0.weight"], values.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(scale["layer0.weight"], values.std(axis=0), rtol=1e-5)
    pooled = tree["posterior"]["layer0.weight"].values.mean(axis=(0, 1))
    assert np.abs(scores_module.moments(tree, 0)[0]["layer0.weight"] - pooled).max() > 0.02
    assert set(scores_module.moments(made_tree())[0]) == {"layer0.weight", "layer0.bias"}  # no scale, no precision


def test_the_chain_is_that_of_the_lowest_loss_or_the_highest_lp():
    tree = random_tree()
    first, second = (scores_module.moments(tree, chain)[0]["layer0.weight"] for chain in (0, 1))
    np.testing.assert_array_equal(scores_module.moments(tree)[0]["layer0.weight"], first)
    tree["sample_stats"] = xr.DataTree(xr.Dataset({"lp": (("chain", "draw"), np.array([[-5.0, -9.0], [-6.0, -2.0]]))}))
    np.testing.assert_array_equal(scores_module.moments(tree)[0]["layer0.weight"], second)
    tree["history"] = xr.DataTree(xr.Dataset({"loss": (("chain", "record"), np.array([[3.0, 1.0], [1.0, 2.0]]))}))
    np.testing.assert_array_equal(scores_module.moments(tree)[0]["layer0.weight"], first)


def test_the_guide_comes_first_then_the_streamed_moments_then_the_draws():
    tree = guided()
    loc, scale = scores_module.moments(tree)
    np.testing.assert_array_equal(loc["layer0.weight"], report.moments(tree)[0]["layer0.weight"])
    np.testing.assert_array_equal(scale["layer0.weight"], report.moments(tree)[1]["layer0.weight"])
    tree["moments"] = xr.DataTree(2 * tree["guide"].to_dataset())
    np.testing.assert_array_equal(scores_module.moments(tree)[0]["layer0.weight"], loc["layer0.weight"])
    del tree["guide"]
    np.testing.assert_array_equal(scores_module.moments(tree)[1]["layer0.weight"], 2 * scale["layer0.weight"])
    tree["guide"] = xr.DataTree(xr.Dataset({"layer0.base": ("chain", [0.0, 0.0])}))  # of the expanded form
    np.testing.assert_array_equal(scores_module.moments(tree)[1]["layer0.weight"], 2 * scale["layer0.weight"])
    del tree["moments"]
    drawn = tree["posterior"]["layer0.weight"].values[1].mean(axis=0)
    np.testing.assert_allclose(scores_module.moments(tree, 1)[0]["layer0.weight"], drawn, rtol=1e-5)


def test_inclusion_is_the_share_of_draws_that_are_not_zero():
    tree = random_tree(zeros=0.3)
    found = scores_module.scores(tree, "inclusion", chain=1)
    wanted = (tree["posterior"]["layer1.weight"].values[1] != 0).mean(axis=0)
    np.testing.assert_array_equal(found["layer1.weight"], wanted)
    assert 0 < wanted.min() < 1 and "inclusion" in scores_module.applicable(tree)


def test_what_applies_is_what_the_posterior_has_enough_for():
    everything = list(scores_module.RULES)
    assert scores_module.applicable(random_tree(zeros=0.3)) == everything
    assert scores_module.applicable(random_tree()) == [rule for rule in everything if rule != "inclusion"]
    point = random_tree(spread=0)
    assert not np.any(scores_module.moments(point)[1]["layer0.weight"])  # zero exactly
    assert scores_module.applicable(point) == ["magnitude", "random"]
    for rule in ("snr", "spr", "second_moment", "log_alpha"):
        with pytest.raises(ValueError, match=f"{rule} does not apply, the sd of every weight is zero; use one of magn"):
            scores_module.scores(point, rule)
    with pytest.raises(ValueError, match="inclusion does not apply, no draw .* zero; use one of snr, spr, second"):
        scores_module.scores(random_tree(), "inclusion")


def test_random_is_a_function_of_the_seed():
    found = [scores_module.scores((LOC, SCALE), "random", seed=seed)["layer0.weight"] for seed in (0, 0, 1)]
    assert (found[0] == found[1]).all() and (found[0] != found[2]).all()


@pytest.mark.parametrize("rule", ["snr", "spr", "second_moment", "magnitude", "log_alpha"])
def test_a_unit_goes_by_its_root_mean_squares(rule):
    found = scores_module.moments(random_tree())
    scores, site = scores_module.scores(found, rule, "unit"), "layer1.weight"
    mu2, s2 = (np.mean(part[site].astype(float) ** 2, axis=1, keepdims=True) for part in found)
    wanted = {
        "snr": np.sqrt(mu2 / s2),
        "spr": np.sqrt(mu2) + np.sqrt(s2),
        "second_moment": mu2 + s2,  # s_j, and that is the mean of the elementwise rule
        "magnitude": np.sqrt(mu2),
        "log_alpha": -np.log(s2 / mu2),
    }[rule]
    np.testing.assert_allclose(scores[site], np.broadcast_to(wanted, scores[site].shape), rtol=1e-6)
    if rule == "second_moment":
        elementwise = scores_module.scores(found, rule)[site].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(scores[site][:, :1], elementwise, rtol=1e-6)


def test_a_channel_goes_with_all_that_leaves_it():
    loc = {"layer0.weight": np.random.default_rng(0).normal(size=(3, 3, 4, 5))}
    loc["layer0.weight"][:, :, 2] *= 0.01
    scale = {"layer0.weight": np.ones((3, 3, 4, 5))}
    mask = scores_module.masks_at(scores_module.scores((loc, scale), "magnitude", "unit"), 0.25, "unit")
    assert not mask["layer0.weight"][:, :, 2].any() and mask["layer0.weight"].sum() == 3 * 3 * 3 * 5


@pytest.mark.parametrize("fraction", [0, 1 / 3, 0.5, 0.77, 0.98, 1])
def test_exactly_so_many_weights_go_over_all_layers_and_biases_stay(fraction):
    scores = scores_module.scores(random_tree(), "spr")
    masks = scores_module.masks_at(scores, fraction)
    gone, values = (np.concatenate([part[s].ravel() for s in sorted(scores)]) for part in (masks, scores))
    assert set(masks) == {"layer0.weight", "layer1.weight"}
    assert np.sum(~gone) == round(fraction * (6 * 8 + 8 * 3))
    if 0 < fraction < 1:
        assert values[~gone].max() < values[gone].min()


def test_ties_go_in_the_order_of_their_places():
    scores = {"layer10.weight": np.zeros((2, 2)), "layer2.weight": np.zeros((1, 3))}
    masks = scores_module.masks_at(scores, 4 / 7)
    assert not masks["layer2.weight"].any()
    np.testing.assert_array_equal(masks["layer10.weight"], [[False, True], [True, True]])


def test_units_go_whole_and_as_many_as_fit():
    scores = {"layer0.weight": np.array([[3.0] * 4, [1.0] * 4]), "layer1.weight": np.array([[2.0], [5], [0], [5]])}
    for number, left in [(0, (2, 4)), (1, (2, 3)), (4, (2, 3)), (5, (1, 3)), (6, (1, 2)), (9, (1, 2)), (12, (0, 0))]:
        masks = scores_module.masks_at(scores, number / 12, "unit")
        assert tuple(mask.any(axis=1).sum() for mask in masks.values()) == left
        assert all((mask.all(axis=1) == mask.any(axis=1)).all() for mask in masks.values())


@pytest.mark.parametrize("by", scores_module.BY)
def test_the_curve_is_the_error_of_nets_multiplied_out(by):
    tree, data, fractions = random_tree(zeros=0.2), rows(), [0, 0.3, 0.5, 0.8, 1]
    found = pruning.curve(program(), tree, data, fractions=fractions, by=by, draws=7, chain=1)
    assert list(found["rule"].unique()) == list(scores_module.RULES) and len(found) == 5 * len(scores_module.RULES)
    loc, nets = scores_module.moments(tree, 1)[0], scores_module.some_draws(tree, 7, 1)
    assert len(nets) == 7 and set(found["unit"]) == {"%"}

    def wrong(net, masks):
        return 100 * np.mean(by_hand(trimming.trimmed(net, masks), data.x_test).argmax(axis=1) != data.y_test)

    for row in found.itertuples():
        masks = scores_module.masks_at(scores_module.scores(tree, row.rule, by, chain=1), row.fraction, by)
        assert row.removed == sum((~mask).sum() for mask in masks.values())
        assert row.error == pytest.approx(wrong(loc, masks))
        band = np.quantile([wrong(net, masks) for net in nets], pruning.BAND)
        np.testing.assert_allclose([row.low, row.high], band, rtol=1e-12)
    assert found.groupby("rule")["error"].nunique().max() > 2


def test_a_regression_is_told_in_units_of_the_target():
    tree, data = made_tree(), made_data()
    found = pruning.curve(made_model(), tree, data, ["spr"], [0, 0.5, 0.9])
    loc = scores_module.moments(tree)[0]
    wanted = data.y_scale * np.sqrt(np.mean((by_hand(loc, data.x_test) - data.y_test) ** 2))
    assert found["error"][0] == pytest.approx(wanted, rel=1e-5) and set(found["unit"]) == {"RMSE"}
    assert found["low"][0] < found["high"][0] < found["error"][2]


def test_one_logit_is_two_classes():
    tree, data = made_tree(task="binary"), made_data("binary")
    found = pruning.curve(made_model("binary"), tree, data, ["snr"], [0])
    wrong = 100 * np.mean((by_hand(scores_module.moments(tree)[0], data.x_test) > 0) != data.y_test)
    assert found["error"][0] == pytest.approx(wrong)


def test_many_rows_go_in_parts_and_the_band_looks_at_some(monkeypatch):
    tree, data, words = random_tree(), rows(103), {"rules": ["snr", "random"], "fractions": [0, 0.4, 0.8]}
    whole = pruning.curve(program(), tree, data, **words)
    monkeypatch.setattr(evaluation, "CELLS", 6 * 20)
    pd.testing.assert_frame_equal(pruning.curve(program(), tree, data, **words), whole)
    monkeypatch.setattr(pruning, "BAND_ROWS", 40)
    some = pruning.curve(program(), tree, data, **words)
    same = ["rule", "fraction", "removed", "error", "unit"]
    pd.testing.assert_frame_equal(some[same], whole[same])
    few = np.linspace(0, 102, 40).round().astype(int)
    nets, y = scores_module.some_draws(tree, pruning.DRAWS, 0), data.y_test[few]
    wrong = [
        100 * np.mean(by_hand(net, data.x_test[few]).argmax(axis=1) != y)
        for net in (scores_module.moments(tree)[0], *nets)
    ]
    moved = np.quantile(wrong[1:], pruning.BAND) + some["error"][0] - wrong[0]
    np.testing.assert_allclose(some.loc[0, ["low", "high"]].astype(float), moved)


def test_without_spread_or_draws_there_is_no_band():
    for tree, draws_ in [(random_tree(spread=0), 20), (random_tree(), 0), (random_tree(draws=1), 20)]:
        found = pruning.curve(program(), tree, rows(), ["magnitude"], [0, 0.5], draws=draws_)
        assert found[["low", "high"]].isna().all(axis=None) and found["error"].notna().all()
    pair = pruning.curve(program(), scores_module.moments(random_tree()), rows(), fractions=[0, 0.5])
    assert pair["low"].isna().all() and "snr" in set(pair["rule"])


def test_rules_of_one_order_are_computed_once(monkeypatch):
    seen, outputs = [], pruning._pruned(program())
    monkeypatch.setattr(pruning, "_pruned", lambda model: lambda *words: seen.append(1) or outputs(*words))
    pruning.curve(program(), random_tree(), rows(), ["snr", "log_alpha", "spr"], [0, 0.5], draws=0)
    assert len(seen) == 4


CURVE = pd.DataFrame(
    {
        "rule": ["spr"] * 4 + ["snr"] * 4,
        "fraction": [0, 0.5, 0.9, 1.0] * 2,
        "error": [2.0, 3.0, 3.5, 90.0, 2.0, 8.0, 2.5, 90.0],
        "unit": "%",
    }
)


def test_a_curve_in_short_is_what_was_computed_by_hand():
    assert pruning.area(CURVE)["spr"] == pytest.approx(0.5 * 2.5 + 0.4 * 3.25 + 0.1 * 46.75)
    assert dict(pruning.removable(CURVE)) == {"spr": 0.5, "snr": 0.0}  # 2.5 at 90% comes after 8
    assert pruning.removable(CURVE, 1.5)["spr"] == 0.9 and pruning.removable(CURVE, 100)["snr"] == 1
    assert dict(pruning.removable(CURVE.assign(unit="RMSE"), 50)) == {"spr": 0.5, "snr": 0.0}  # up to 3
    found = pruning.summary(CURVE)
    assert list(found.index) == ["spr", "snr"]
    assert list(found.columns) == ["area", "removable", "0%", "50%", "80%", "90%", "95%"]
    assert found.loc["snr", "50%"] == 8 and np.isnan(found.loc["snr", "80%"])
    part = pruning.area(CURVE[CURVE["fraction"] < 1])
    assert part["spr"] == pytest.approx((0.5 * 2.5 + 0.4 * 3.25) / 0.9)  # a mean, however wide the curve is
    with pytest.raises(ValueError, match="begins at fraction 0.5; give it one that begins at 0"):
        pruning.removable(CURVE[CURVE["fraction"] > 0])


def test_the_default_fractions_hold_those_of_the_summary():
    assert set(pruning.AT) <= set(pruning.FRACTIONS) and pruning.FRACTIONS[-1] == 1
    assert list(pruning.FRACTIONS) == sorted(set(pruning.FRACTIONS))


def without_weights():
    return xr.DataTree.from_dict({"posterior": made_tree()["posterior"].to_dataset().drop_vars("layer0.weight")})


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: scores_module.moments(without_weights()), "this posterior has no weights .* hierarchical or expanded"),
        (lambda: scores_module.moments(random_tree(), 2), "there is no chain 2; choose one from 0 to 1"),
        (lambda: scores_module.scores((LOC, SCALE), "spt"), "unknown rule 'spt'; did you mean 'spr'"),
        (lambda: scores_module.scores((LOC, SCALE), "spr", "units"), "did you mean 'unit'"),
        (
            lambda: scores_module.scores((LOC, {}), "magnitude"),
            "layer0.weight has no sds of the shape of its means, .2, 2.",
        ),
        (lambda: scores_module.scores(({"layer0.weight": np.full((2, 2), np.nan)}, SCALE), "spr"), "not finite"),
        (lambda: scores_module.scores((LOC, {"layer0.weight": -SCALE["layer0.weight"]}), "spr"), "negative sds"),
        (lambda: scores_module.masks_at({"layer0.weight": np.full((1, 2), np.nan)}, 0.5), "scores that are NaN"),
        (lambda: scores_module.masks_at(LOC, 1.01), "between 0 and 1, got 1.01"),
        (lambda: scores_module.masks_at(LOC, -0.01), "between 0 and 1, got -0.01"),
        (lambda: scores_module.masks_at(LOC, float("nan")), "between 0 and 1, got nan"),
        (lambda: pruning.curve(program(), random_tree(), rows(), fractions=[0, 2]), "between 0 and 1, got 2"),
        (lambda: pruning.curve(program(), random_tree(), rows(), fractions=[]), "between 0 and 1"),
        (lambda: pruning.curve(program(), random_tree(), rows(), []), "name some of snr, spr"),
        (lambda: pruning.curve(program(), random_tree(), rows(), ["spt"]), "did you mean 'spr'"),
        (lambda: pruning.curve(program(), random_tree(), rows(0)), "at least one row"),
        (
            lambda: pruning.curve(program("mlp:9"), random_tree(), rows()),
            r"shape \(6, 8\), and \(6, 9\) in this program",
        ),
        (lambda: pruning.curve(program("mlp:8-8"), random_tree(), rows()), r"layer1.weight has shape \(8, 3\)"),
    ],
)
def test_bad_input_is_one_sentence(call, said):
    with pytest.raises(ValueError, match=said) as error:
        call()
    assert "\n" not in str(error.value) and str(error.value).count(". ") <= 1


def test_a_fit_of_a_run_is_pruned(tmp_path):
    data = made_run(tmp_path)
    found, files = prune.prune(tmp_path)
    assert [file.name for file in files] == ["prune-svi.csv", "prune-svi.png"] and files[0].parent == tmp_path
    pd.testing.assert_frame_equal(pd.read_csv(files[0]), found)
    assert files[1].read_bytes().startswith(b"\x89PNG")
    off = by_hand(random_net(10, 5, 1), data.x_test) - data.y_test
    assert found["error"][0] == pytest.approx(data.y_scale * np.sqrt(np.mean(off**2)), rel=1e-5)
    found, files = prune.prune(tmp_path, "svi", ["spr"], "unit", tmp_path / "a" / "b")
    assert files[0] == tmp_path / "a" / "b" / "prune-svi-unit.csv" and set(found["rule"]) == {"spr"}


def test_a_run_that_cannot_be_pruned_is_one_sentence(tmp_path):
    made_run(tmp_path, ("svi:a", "svi:b"))
    for words, said in [
        ({}, r"several fits .*svi:a, svi:b.*--strategy"),
        ({"strategy": "svi:c"}, "unknown strategy of this run 'svi:c'; did you mean"),
        ({"strategy": "svi:a", "rules": ["size"]}, "unknown rule 'size'"),
        ({"strategy": "svi:a", "rules": ["inclusion"]}, "inclusion does not apply"),
    ]:
        with pytest.raises(ValueError, match=said):
            prune.prune(tmp_path, **words)
    run = folder.read_run(tmp_path)
    run["fits"]["svi:a"]["status"] = "failed"
    folder.write_run(tmp_path, {**run, "data_sha256": "other"})
    with pytest.raises(ValueError, match="svi:a has no fit in this run .failed."):
        prune.prune(tmp_path, "svi:a")
    with pytest.raises(ValueError, match="no longer those of the run"):
        prune.prune(tmp_path)
    folder.write_run(tmp_path, {**run, "options": {**run["options"], "network": "mlp:6"}})
    with pytest.raises(ValueError, match=r"shape \(10, 5\), and \(10, 6\) in this program"):
        prune.prune(tmp_path)
    tree = warm_start.load(tmp_path / "svi:b.nc")
    del tree["guide"]
    run["fits"]["svi:b"]["sha256"] = datatree.save(tree, tmp_path / "svi:b.nc")
    folder.write_run(tmp_path, run)
    with pytest.raises(ValueError, match="no fit with weights to prune"):
        prune.prune(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        prune.prune(tmp_path / "nowhere")
    assert not list(tmp_path.glob("prune-*"))


@pytest.mark.parametrize("tree", [{"layer0.weight": np.ones((2, 2))}, (1, 2), [{}, {}, {}], None])
def test_what_is_no_fit(tree):
    with pytest.raises(TypeError, match="give a fit's DataTree, or a pair"):
        scores_module.scores(tree, "magnitude")


def test_limits_that_mean_nothing():
    table = pd.DataFrame({"rule": "snr", "fraction": [0.0, 0.5], "error": [1.0, np.nan], "unit": "RMSE"})
    assert pruning.removable(table)["snr"] == 0.0
    with pytest.raises(ValueError, match="must not be negative"):
        pruning.removable(table, -1.0)
    with pytest.raises(ValueError, match="no finite error"):
        pruning.removable(table.assign(error=np.nan))
    with pytest.raises(ValueError, match="there are no fractions"):
        pruning.curve(lambda x: x, (LOC, SCALE), None, ["random"], fractions=[])
