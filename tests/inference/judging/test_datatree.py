"""The DataTree of a fit, and its file."""

import os
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from exact_fits import (
    CHAINS,
    DRAWS,
    FEATURES,
    TEST,
    TRAIN,
    Y_MEAN,
    Y_SCALE,
    exact_data,
    guide,
    normal,
    nuts,
    theta_draws,
    tree,
)
from linear_model import PRECISION
from made_trees import made_tree
from noisezoo.data import load as load_data
from noisezoo.inference.driver.result import Fit
from noisezoo.inference.judging.datatree import PRIOR_DRAWS, save, to_datatree
from noisezoo.inference.judging.direction_posterior import direction_layers
from noisezoo.inference.judging.functionals import functionals
from noisezoo.inference.judging.predict import prior_draws
from noisezoo.inference.target.warm_start import load
from noisezoo.models import catalogue
from noisezoo.models.likelihoods import bernoulli, categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import gaussian_dropout, half_cauchy, log_uniform
from noisezoo.models.weights.parametrisation import prior
from scipy.integrate import simpson
from scipy.special import log_softmax
from scipy.stats import norm

FOUND = exact_data()
PARTS = {"x_train": 20, "y_train": 20, "x_test": 10, "y_test": 10}  # rows of real data that are kept
GROUPS = {
    *("posterior", "posterior_predictive", "log_likelihood", "sample_stats", "prior", "prior_predictive"),
    *("observed_data", "constant_data", "predictions", "predictions_constant_data"),
}


@pytest.fixture(scope="module")
def exact():
    return tree(nuts(FOUND), FOUND)


def test_every_group_is_there_with_named_dimensions(exact):
    assert GROUPS <= set(exact.children)
    assert exact["posterior"]["layer0.weight"].dims == ("chain", "draw", "layer0.unit_in", "layer0.unit_out")
    assert exact["posterior"]["layer0.bias"].dims == ("chain", "draw", "layer0.unit_out")
    assert list(exact["posterior"]["layer0.unit_in"].values) == list(FOUND.features)
    for group, rows in {"log_likelihood": TRAIN, "posterior_predictive": TRAIN, "predictions": TEST}.items():
        assert exact[group]["y"].dims == ("chain", "draw", "row")
        assert exact[group]["y"].shape == (CHAINS, DRAWS, rows)
    assert exact["constant_data"]["x"].dims == ("row", "feature")
    assert exact["observed_data"].sizes["row"] == TRAIN


@pytest.mark.parametrize("structure, dims", [("ard", "layer0.unit_in"), ("output", "layer0.unit_out")])
def test_a_hidden_unit_never_has_the_name_of_a_feature(structure, dims):
    width = len(FOUND.features)  # as many hidden units as features
    program = gaussian(mlp(width), prior(half_cauchy(), structure))
    draws = prior_draws(program, jnp.asarray(FOUND.x_train), 4)
    made = to_datatree(Fit("nuts", {}, "numpyro", draws), program, FOUND)
    assert made["posterior"]["layer0.scale"].dims == ("chain", "draw", dims)
    assert list(made["posterior"]["layer0.unit_out"].values) == list(range(width))


@pytest.mark.parametrize("name", ["diabetes", "breast_cancer", "digits"])
def test_real_data_of_every_task_fill_every_group(name):
    whole = load_data(name)
    few = {part: getattr(whole, part)[:size] for part, size in PARTS.items()}
    found = replace(whole, **few)
    classes = len(found.classes)
    likelihood = {"regression": gaussian, "binary": bernoulli, "categorical": categorical}[found.task]
    program = likelihood(mlp(2), prior(half_cauchy()), *([classes] if found.task == "categorical" else []))
    draws = prior_draws(program, jnp.asarray(found.x_train), PRIOR_DRAWS["numpyro"])  # the tree's own: compiled once
    draws = {site: values[:, :6].reshape(2, 3, *values.shape[2:]) for site, values in draws.items()}
    stats = {"diverging": np.zeros((2, 3), bool)}
    made = to_datatree(Fit("nuts", {}, "numpyro", draws, stats=stats), program, found)

    assert GROUPS | {"functionals"} <= set(made.children)
    assert made.attrs["task"] == found.task and made.attrs["data"] == name
    posterior, tests = made["posterior"], made["predictions"]
    assert posterior["layer0.scale"].dims == ("chain", "draw", "layer0.unit_in")
    assert posterior["layer1.weight"].dims == ("chain", "draw", "layer1.unit_in", "layer1.unit_out")
    assert list(posterior["layer0.unit_in"].values) == list(found.features)
    assert list(made["functionals"]["layer"].values) == ["layer0", "layer1"]
    assert made["functionals"]["layer0.scale.sorted"].dims == ("chain", "draw", "layer0.rank")
    assert tests["f"].dims == ("chain", "draw", "row", "class")[: 4 if found.task == "categorical" else 3]
    assert tests["log_lik"].dims == made["log_likelihood"]["y"].dims == ("chain", "draw", "row")
    assert made["log_likelihood"].sizes["row"] == 20 and tests.sizes["row"] == 10
    assert list(made["constant_data"]["feature"].values) == list(found.features)
    if found.task == "regression":
        np.testing.assert_allclose(made["observed_data"]["y"], found.original(found.y_train))
        return
    assert made.attrs["classes"] == [str(c) for c in found.classes]
    np.testing.assert_array_equal(made["observed_data"]["y"], found.y_train)
    assert set(np.unique(tests["y"])) <= set(range(classes))
    logits = tests["f"].values.astype(float)
    if found.task == "binary":
        logits = np.stack([0 * logits, logits], axis=-1)
    else:
        assert list(tests["class"].values) == [str(c) for c in found.classes]
    expected = np.take_along_axis(log_softmax(logits, -1), found.y_test[None, None, :, None], -1)[..., 0]
    np.testing.assert_allclose(tests["log_lik"], expected, rtol=1e-3, atol=1e-3)


def test_the_loss_along_the_way_is_kept():
    found = made_tree("svi")["history"]
    assert found["loss"].dims == found["step"].dims == ("chain", "record")
    assert found.sizes["record"] == 100


@pytest.mark.parametrize(
    "given",
    [
        prior(gaussian_dropout(0.1), "output", "weight_norm"),
        catalogue.prior("rotation_normal:alpha=0.3,on=both,over=inputs,magnitude=normal"),
        catalogue.prior("projected:alpha=0.3"),
        catalogue.prior("direction_magnitude:magnitude=half_cauchy"),
    ],
    ids=["output", "rotation", "projected", "posterior"],
)
def test_what_belongs_to_a_unit_or_a_vector_lies_along_it(given):
    """In a layer of other widths on either side."""
    found = load_data("diabetes")
    program = gaussian(mlp(3), given)
    draws = prior_draws(program, jnp.asarray(found.x_train), 4)
    made = to_datatree(Fit("nuts", {}, "numpyro", draws, stats={"diverging": np.zeros((1, 4), bool)}), program, found)
    expected = {"scale": "unit_out", "magnitude": "vector", "angle": "vector", "noise.angle": "vector"}
    expected |= {
        "noise.radius": "vector",
        "noise.magnitude": "vector",
        "signal.noise.plane": "unit_in",
        "bias": "unit_out",
    }
    sites = {site.removeprefix("layer0."): v.dims[2:] for site, v in made["posterior"].items()}
    for what, dim in expected.items():
        assert sites.get(what, (f"layer0.{dim}",)) == (f"layer0.{dim}",)
    assert sum(what in sites for what in expected) >= 3
    assert sorted(direction_layers(made["posterior"].data_vars)) == (["layer0", "layer1"] if "angle" in sites else [])


def test_what_would_be_very_large_at_the_training_rows_is_left_out(monkeypatch, caplog):
    from noisezoo.inference.judging import datatree
    from noisezoo.inference.judging.diagnose import diagnose

    monkeypatch.setattr(datatree, "AT_ROWS", 4 * 4 * TRAIN - 1)
    found = tree(nuts(FOUND, draws=4), FOUND)
    assert not {"log_likelihood", "posterior_predictive"} & set(found.children)
    assert "there is no elpd_loo; 15 draws would be" in caplog.text
    row = diagnose(found)
    assert np.isnan(row["elpd_loo"]) and row["rmse"] > 0


def test_a_missing_site_is_named():
    fit = nuts(FOUND, draws=4)
    lacking = {site: values for site, values in fit.draws.items() if site != "layer0.bias"}
    with pytest.raises(ValueError, match=r"lack the site layer0\.bias"):
        tree(replace(fit, draws=lacking), FOUND)


def test_the_target_is_in_its_own_units(exact):
    theta = theta_draws(FOUND)
    f = Y_MEAN + Y_SCALE * (theta[..., :-1] @ FOUND.x_test.T + theta[..., -1:])
    np.testing.assert_allclose(exact["predictions"]["f"].values, f, atol=1e-3)
    np.testing.assert_allclose(exact["observed_data"]["y"].values, Y_MEAN + Y_SCALE * FOUND.y_train, rtol=1e-5)
    np.testing.assert_allclose(
        exact["predictions_constant_data"]["y"].values, Y_MEAN + Y_SCALE * FOUND.y_test, rtol=1e-5
    )
    noise = (exact["predictions"]["y"] - exact["predictions"]["f"]).values
    assert noise.std() == pytest.approx(Y_SCALE * PRECISION**-0.5, rel=0.01)


def test_log_likelihood_is_the_density_in_the_targets_units(exact):
    f = exact["posterior_predictive"]["f"].values
    y = exact["observed_data"]["y"].values
    expected = norm.logpdf(y, f, Y_SCALE * PRECISION**-0.5)
    np.testing.assert_allclose(exact["log_likelihood"]["y"].values, expected, rtol=1e-3, atol=1e-3)


def test_the_density_of_a_row_integrates_to_one_over_the_targets_units():
    """Every training row is the same one, and its targets are a grid of y."""
    middle = Y_MEAN + Y_SCALE * (normal(FOUND).mean @ np.r_[FOUND.x_train[0], 1])
    grid = middle + np.linspace(-30, 30, TRAIN)  # more than 8 sds to either side
    x = np.repeat(FOUND.x_train[:1], TRAIN, axis=0)
    swept = replace(FOUND, x_train=x, y_train=((grid - Y_MEAN) / Y_SCALE).astype(np.float32))
    density = np.exp(tree(nuts(FOUND, draws=5), swept)["log_likelihood"]["y"].values)
    np.testing.assert_allclose(simpson(density, x=grid, axis=-1), 1, atol=1e-3)


def test_prior_draws_have_the_law_of_the_prior(exact):
    weight = exact["prior"]["layer0.weight"].values
    assert weight.std() == pytest.approx(0.8, rel=0.1)
    assert exact["prior"]["layer0.bias"].values.std() == pytest.approx(1, rel=0.15)
    assert exact["prior_predictive"]["y"].sizes["row"] == TRAIN


def test_an_improper_prior_has_no_draws_and_says_why():
    program = gaussian(mlp(), prior(log_uniform()))
    shapes = {"layer0.scale": (FEATURES,), "layer0.base": (FEATURES, 1), "layer0.weight": (FEATURES, 1)}
    draws = {k: np.ones((1, 4, *s), np.float32) for k, s in (shapes | {"layer0.bias": (1,), "precision": ()}).items()}
    found = to_datatree(Fit("svi", {}, "numpyro", draws, independent_chains=False), program, FOUND)
    assert "improper" in found.attrs["prior_note"]
    for group in ("prior", "prior_predictive"):
        assert group not in found.children or not found[group].data_vars
    assert found["log_likelihood"]["y"].shape == (1, 4, TRAIN)


def test_functionals_are_what_they_say():
    rng = np.random.default_rng(0)
    draws = {
        "layer0.scale": rng.normal(size=(2, 3, 5)),
        "layer0.weight": np.broadcast_to(np.eye(4)[0][:, None], (2, 3, 4, 1)),
        "layer1.weight": np.ones((2, 3, 4, 2)),
        "precision": np.full((2, 3), 4.0),
    }
    found = functionals(draws, y_scale=3.0)
    np.testing.assert_array_equal(found["layer0.scale.sorted"], np.sort(np.abs(draws["layer0.scale"]))[..., ::-1])
    np.testing.assert_allclose(found["sparsity"][0, 0], [0.75, 0.0], atol=1e-12)
    np.testing.assert_allclose(found["noise_sd"], 1.5)


def test_scales_of_single_weights_are_sorted_too():
    scales = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    found = functionals({"layer0.scale": scales})["layer0.scale.sorted"]
    np.testing.assert_array_equal(found, np.sort(np.abs(scales).reshape(2, 3, 8))[..., ::-1])


def test_sparsity_carries_the_names_of_its_layers():
    """In whatever order the draws come; layer2 before layer10."""
    program = gaussian(mlp(2), prior(lambda p, name, shape: p.xp.ones(shape)))
    draws = prior_draws(program, jnp.asarray(FOUND.x_train), 3)
    draws |= {name: np.ones_like(draws[name]) for name in ("layer1.weight", "layer1.base")}
    found = to_datatree(Fit("nuts", {}, "numpyro", dict(reversed(draws.items()))), program, FOUND)["functionals"]
    np.testing.assert_allclose(found["sparsity"].sel(layer="layer1"), 0, atol=1e-6)
    assert (found["sparsity"].sel(layer="layer0") > 1e-3).all()
    weights = {name: np.ones((1, 1, 4, 1)) for name in ("layer10.weight", "layer2.weight")}
    weights["layer2.weight"] = np.eye(4)[None, None, :, :1]
    np.testing.assert_allclose(functionals(weights)["sparsity"][0, 0], [0.75, 0])


@pytest.mark.parametrize("task", ["regression", "categorical"])
def test_a_file_gives_back_exactly_what_was_saved(task, tmp_path):
    saved = made_tree("svi", task=task)
    save(saved, tmp_path / "fit.nc")
    found = load(tmp_path / "fit.nc")
    xr.testing.assert_identical(found, saved)
    for node in saved.subtree:
        for name, values in node.data_vars.items():
            assert found[node.path][name].dtype == values.dtype
    assert os.listdir(tmp_path) == ["fit.nc"]


def test_truth_values_come_back_as_such(exact, tmp_path):
    save(exact, tmp_path / "fit.nc")
    assert load(tmp_path / "fit.nc")["sample_stats"]["diverging"].dtype == bool


def test_a_file_that_is_not_whole_is_named(exact, tmp_path):
    path = tmp_path / "fit.nc"
    save(exact, path)
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="fit.nc is not a whole netCDF file; run the fit again"):
            load(path)


def test_a_foreign_file_is_named(tmp_path):
    (tmp_path / "text.nc").write_text("not netCDF")
    xr.Dataset({"a": ("b", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    for name, why in {"text.nc": "not a whole netCDF file", "other.nc": "not a fit of noisezoo"}.items():
        with pytest.raises(ValueError, match=f"{name} is {why}"):
            load(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no file .*none.nc"):
        load(tmp_path / "none.nc")


def test_a_failed_save_leaves_the_old_file(exact, tmp_path):
    path = tmp_path / "fit.nc"
    save(exact, path)
    before = path.read_bytes()
    broken = exact.copy()
    broken.attrs["bad"] = object()
    with pytest.raises(TypeError):
        save(broken, path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["fit.nc"]


def test_a_guides_densities_are_kept():
    found = tree(guide(FOUND), FOUND)
    assert {"log_p", "log_q"} <= set(found["sample_stats"])
    assert not found.attrs["independent_chains"] and found.attrs["approximation"]


@pytest.mark.filterwarnings("ignore:Deleting a single level of a MultiIndex:FutureWarning")  # inside arviz-plots
def test_arviz_takes_the_tree_as_it_is(exact):
    import arviz_plots
    import arviz_stats
    from matplotlib import pyplot

    weights = {"var_names": ["layer0.weight"], "backend": "matplotlib"}
    for plot in (arviz_plots.plot_trace, arviz_plots.plot_forest, arviz_plots.plot_dist, arviz_plots.plot_rank):
        plot(exact, **weights)
    arviz_plots.plot_ppc_dist(exact, backend="matplotlib")
    arviz_plots.plot_energy(exact, backend="matplotlib")
    pyplot.close("all")
    assert arviz_stats.summary(exact, var_names=["layer0.weight"]).shape[0] == FEATURES
    assert np.isfinite(arviz_stats.loo(exact).elpd)


@pytest.mark.parametrize(
    "form, structure, site", [("marginal", "add", "layer0.row"), ("expanded", "ard", "layer0.base")]
)
def test_moments_of_any_site(form, structure, site):
    """Of sites too whose axes have no names of their own."""
    from noisezoo.inference.driver.fit import fit
    from noisezoo.inference.strategies.sgld import SGLD
    from noisezoo.models.noises import inverse_gamma

    table = exact_data()
    program = gaussian(mlp(), prior(inverse_gamma(), structure, form))
    x, y = jnp.asarray(table.x_train), jnp.asarray(table.y_train)
    found = fit(program, SGLD(warmup=5, draws=4, thin=1, chains=2, step_size=1e-3), x, y, progress=False)
    tree = to_datatree(found, program, table)
    assert tree["moments"][site].shape == found.loc[site].shape == found.draws[site][:, 0].shape
