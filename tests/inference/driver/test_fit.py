"""The driver: traced once, compiled once, resumable, seeded, clear when it fails."""

import dataclasses
from functools import cache

import compiles
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import data, model
from noisezoo.inference.driver import engine
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies import svi as svi_module
from noisezoo.inference.strategies.mclmc import MCLMC
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.strategies.sgnht import SGNHT
from noisezoo.inference.target.numpyro.density import sites
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import prior

X, Y = (jnp.asarray(a) for a in data())
CONFIGS = {
    "svi": svi(steps=300, draws=50, batch_size=20),
    "nuts": NUTS(warmup=100, draws=60, chains=2),
    "nuts vectorised": NUTS(warmup=100, draws=60, chains=2, method="vectorised"),
    "sgld": SGLD(warmup=300, draws=50, thin=3, step_size=0.01, chains=2, batch_size=20),
    "sgnht": SGNHT(warmup=300, draws=50, thin=3, step_size=0.01, chains=2, batch_size=20),
    "mclmc": MCLMC(warmup=1000, draws=50, thin=3, chains=2),
}


@cache
def whole(name):
    """An uninterrupted run with seed 3."""
    return fit(model(), CONFIGS[name], X, Y, seed=3, progress=False)


@pytest.mark.parametrize("guide", ["mean_field", "map", "low_rank", "full_rank"])
def test_a_program_is_fitted_to_data_of_another_type(guide):
    """A guide holds on to the first data that it saw."""
    program, config = model(), svi(guide=guide, steps=5, draws=2)
    for x, y in ((X, Y), (X, Y.astype(jnp.int32)), (X.astype(jnp.float16), Y), (X, Y)):
        assert np.isfinite(fit(program, config, x, y, progress=False).history["loss"]).all()


@pytest.mark.parametrize("guide", ["mean_field", "map", "flow"])
def test_a_fit_is_the_same_after_jax_has_forgotten_what_it_traced(guide):
    """The state of a guide is no part of what is traced again."""
    program, config = model(), svi(guide=guide, steps=5, draws=2)
    first = fit(program, config, X, Y, progress=False).draws
    jax.clear_caches()
    for name, values in fit(program, config, X, Y, progress=False).draws.items():
        np.testing.assert_array_equal(values, first[name])


def counted_program():
    """A program and the list of the times its prior was asked for a weight."""
    traces, weight = [], prior(noises.half_cauchy())

    def counted(p, site, shape):
        traces.append(site)
        return weight(p, site, shape)

    return likelihoods.gaussian(mlp(), counted), traces


@pytest.mark.parametrize("name", CONFIGS)
def test_traced_once(name, monkeypatch):
    """A longer run traces the program no more often than a short one, and a second run not at all."""
    config, counts = CONFIGS[name], []
    for draws in (20, 150):
        program, traces = counted_program()
        settings = dataclasses.replace(config, draws=draws)
        fit(program, settings, X, Y, progress=False)
        counts.append(len(traces))
    assert counts[0] == counts[1]
    compiled, start = compiles.counted(monkeypatch), len(traces)
    fit(program, settings, X, Y, seed=9, progress=False)
    assert not compiled and len(traces) == start


@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_is_a_function_of_its_seed(name):
    same, other = (fit(model(), CONFIGS[name], X, Y, seed=s, progress=False) for s in (3, 4))
    weights = [f.draws["layer0.weight"] for f in (whole(name), same, other)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize("method", ["vectorised", "sequential"])
def test_chain_methods_agree(method):
    """The same keys, hence the same chains up to rounding: compare the first draws, before rounding has grown."""
    configs = [NUTS(warmup=5, draws=2, chains=2, method=m) for m in ("parallel", method)]
    parallel, other = (fit(model(), c, X, Y, progress=False).draws["layer0.weight"] for c in configs)
    np.testing.assert_allclose(parallel[:, :1], other[:, :1], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["nuts", "nuts vectorised", "sgld", "mclmc"])
def test_ctrl_c_keeps_the_draws_there_are(name):
    def press(done, total, message):
        if message != "warmup":
            raise KeyboardInterrupt

    part = fit(model(), CONFIGS[name], X, Y, seed=3, progress=press)
    kept = part.draws["layer0.weight"].shape[1]
    assert 0 < kept < CONFIGS[name].draws
    assert part.stopped == f"interrupted after {kept} of {CONFIGS[name].draws} draws" and not whole(name).stopped
    np.testing.assert_array_equal(part.draws["layer0.weight"], whole(name).draws["layer0.weight"][:, :kept])


def test_ctrl_c_before_the_first_draw_is_raised():
    def press(done, total, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model(), CONFIGS["nuts"], X, Y, progress=press)


def test_progress_reaches_the_end():
    told = []
    fit(model(), CONFIGS["svi"], X, Y, progress=lambda done, total, message: told.append((done, total, message)))
    assert told[-1][0] == told[-1][1]
    assert any(message.startswith("loss") for _, _, message in told)


def test_the_draws_of_a_warmup_stay_where_they_are():
    config, program = CONFIGS["svi"], model()
    started = engine.Engine(svi_module.algorithm(config, program, sites(program, X, Y)), 0, X, Y)
    warm = started.block(0, 0, 2, 150, config.steps)
    assert not warm["sites"] and not warm["stats"] and warm["info"]["loss"].shape == (1, 2)
    assert warm["finite"] and all(values.tolist() == [[True, True]] for values in warm["finite"].values())
    drawn = started.block(300, 0, 3, 0, 2**31 - 1)
    assert all(np.std(values[0], axis=0).min() > 0 for values in drawn["sites"].values())


def test_loss_history_falls():
    history = fit(model(), svi(guide="local", steps=3000), X, Y, progress=False).history
    assert history["loss"].shape == (1, 100)
    assert history["step"][0, -1] == 3000
    assert history["loss"][0, -10:].mean() < history["loss"][0, 0] - 10


def test_divergence_is_said_in_one_sentence():
    says = "soon after step 0: .* smaller step_size, or tolerance if it is auto, may help"
    with pytest.raises(FloatingPointError, match=says):
        fit(model(), SGLD(step_size=1e6, warmup=5000, draws=10), X, Y, progress=False)


@pytest.mark.parametrize(
    "x, y, config, says",
    [
        (X.at[0, 0].set(jnp.nan), Y, svi(), "x holds NaN"),
        (X, Y.at[3].set(jnp.inf), svi(), "y holds NaN or inf"),
        (X[:0], Y[:0], svi(), "no rows"),
        (X, Y, svi(batch_size=1000), "batch_size 1000 is more than the 60 rows"),
    ],
)
def test_bad_data(x, y, config, says):
    with pytest.raises(ValueError, match=says):
        fit(model(), config, x, y, progress=False)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: svi(guide="meanfield"), "mean_field"),
        (lambda: svi(steps=0), "steps must be positive"),
        (lambda: svi(batch_size=0), "batch_size must be positive"),
        (lambda: NUTS(mass="full"), "dense"),
        (lambda: NUTS(target_accept=1.0), "between 0 and 1"),
        (lambda: NUTS(chains=0), "at least 1"),
        (lambda: SGLD(step_size=-1.0), "step_size must be positive"),
        (lambda: SGLD(decay=-1.0), "decay"),
        (lambda: MCLMC(warmup=10), "warmup must be at least 1000"),
        (lambda: MCLMC(thin=0), "thin must be positive"),
        (lambda: MCLMC(energy_variance=0.0), "energy_variance must be positive"),
        (lambda: MCLMC(mass="dense"), "unit"),
        (lambda: MCLMC(method="paralel"), "parallel"),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("config", [NUTS(), SGLD(), MCLMC()])
def test_an_improper_prior_has_no_posterior_to_sample(config):
    program = likelihoods.gaussian(mlp(), prior(noises.log_uniform()))
    with pytest.raises(ValueError, match="improper"):
        fit(program, config, X, Y, progress=False)


@pytest.mark.parametrize("config", [SGLD(), svi(), MCLMC()])
def test_gradients_need_continuous_scales(config):
    program = likelihoods.gaussian(mlp(), prior(noises.bernoulli(), form="expanded"))
    with pytest.raises(ValueError, match="discrete"):
        fit(program, config, X, Y, progress=False)


def test_dropout_needs_the_expanded_form():
    program = likelihoods.gaussian(mlp(), prior(noises.gaussian_dropout(), form="hierarchical"))
    with pytest.raises(ValueError, match="expanded"):
        fit(program, svi(guide="dropout"), X, Y, progress=False)


LOCAL = svi(guide="local", steps=200, draws=3, init_scale=0.01)


def test_what_is_watched_goes_into_the_history_and_changes_nothing():
    seen = []

    def watch(loc, scale):
        seen.append(loc["layer0.base"])
        return {"size": float(np.abs(loc["layer0.base"]).sum()), "sd": float(scale["layer0.base"].mean())}

    watched, plain = (fit(model(), LOCAL, X, Y, seed=1, progress=False, **w) for w in ({"watch": watch}, {}))
    assert len(seen) == watched.history["size"].shape[1] == watched.history["loss"].shape[1] == 100
    np.testing.assert_allclose(watched.history["size"][0, -1], np.abs(watched.loc["layer0.base"]).sum(), rtol=1e-6)
    np.testing.assert_array_equal(watched.loc["layer0.base"], plain.loc["layer0.base"])
    np.testing.assert_allclose(watched.history["loss"], plain.history["loss"], rtol=1e-6)


def test_only_a_guide_of_normals_can_be_watched():
    with pytest.raises(ValueError, match="watch needs a guide of independent normals"):
        fit(model(), CONFIGS["svi"], X, Y, progress=False, watch=lambda loc, scale: {})
