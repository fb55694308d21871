"""Stochastic-gradient samplers: schedules, moments along the way.  Their laws are in test_exact_problems."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from linear_model import data, model
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import save, to_datatree
from noisezoo.inference.strategies.sghmc import SGHMC
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.strategies.sgnht import SGNHT
from noisezoo.inference.target.schedule import Step, schedule
from noisezoo.inference.target.warm_start import load

X, Y = data()


def run(config, **more):
    return fit(model(), config, jnp.asarray(X), jnp.asarray(Y), progress=False, **more)


SHORT = {"warmup": 50, "draws": 30, "thin": 4, "chains": 2, "step_size": 0.01}


@pytest.mark.parametrize("config", [SGLD(**{**SHORT, "thin": 1}), SGHMC(**{**SHORT, "thin": 1})])
def test_moments_of_the_steps_are_those_of_the_draws_if_every_step_is_a_draw(config):
    found = run(config)
    for name in ("layer0.weight", "layer0.bias"):
        np.testing.assert_allclose(found.loc[name], found.draws[name].mean(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.scale[name], found.draws[name].std(1), rtol=1e-3)


def test_moments_are_weighted_by_the_step_size():
    found = run(SGLD(**{**SHORT, "thin": 1}, decay=1.0))
    weight = (1 + (50 + np.arange(30)) / 50) ** -1.0
    draws = found.draws["layer0.weight"]
    mean = np.average(draws, axis=1, weights=weight)
    np.testing.assert_allclose(found.loc["layer0.weight"], mean, rtol=1e-4, atol=1e-5)
    sd = np.sqrt(np.average((draws - mean[:, None]) ** 2, axis=1, weights=weight))
    np.testing.assert_allclose(found.scale["layer0.weight"], sd, rtol=1e-3)


def test_moments_use_all_steps():
    """Of 30 draws, 4 steps apart, with 120 steps in the moments: near the draws' own, and not the same."""
    found = run(SGLD(**SHORT))
    gap = np.abs(found.loc["layer0.weight"] - found.draws["layer0.weight"].mean(1)).max()
    assert 0 < gap < 2 * found.scale["layer0.weight"].max()


def test_moments_are_kept_apart_from_the_guides(tmp_path):
    from exact_fits import exact_data

    table = exact_data()
    found = fit(model(), SGLD(**SHORT), jnp.asarray(table.x_train), jnp.asarray(table.y_train), progress=False)
    save(to_datatree(found, model(), table), tmp_path / "sgld.nc")
    tree = load(tmp_path / "sgld.nc")
    assert "guide" not in tree.children
    np.testing.assert_array_equal(tree["moments"]["layer0.weight.sd"], found.scale["layer0.weight"])
    assert tree["moments"]["layer0.weight"].dims == tree["posterior"]["layer0.weight"].dims[:1] + tuple(
        tree["posterior"]["layer0.weight"].dims[2:]
    )


def test_cyclical_steps_fall_to_zero_and_begin_again():
    config = SGLD(warmup=10, thin=8, step_size=0.4, schedule="cyclical", explore=0.5)
    t = jnp.arange(10, 26)
    now, weight = schedule(jnp, config, 0.4, t, 4)
    np.testing.assert_allclose(now.size[:8], 0.05 * (1 + np.cos(np.pi * np.arange(8) / 8)), rtol=1e-5)
    np.testing.assert_array_equal(now.size[:8], now.size[8:])
    np.testing.assert_array_equal(now.temperature, np.tile([0, 0, 0, 0, 1, 1, 1, 1], 2))
    np.testing.assert_allclose(weight, 4 * now.size * now.temperature, rtol=1e-5)
    assert float(schedule(jnp, config, 0.4, jnp.asarray(3), 4)[1]) == 0.0  # the warmup has no weight


def test_the_preconditioner_stays_as_the_warmup_left_it():
    import jax
    from noisezoo.inference.strategies import stochastic_gradient
    from noisezoo.inference.target.numpyro import density

    x, y = jnp.asarray(X), jnp.asarray(Y)
    config = SGLD(**SHORT, preconditioner="rmsprop")
    algorithm = stochastic_gradient.algorithm(config, program := model(), density.sites(program, x, y))
    state, step = algorithm.init(jax.random.PRNGKey(0), x, y), jax.jit(algorithm.step)
    squares = []
    for t in range(60):
        state, _ = step(jax.random.PRNGKey(t), state, x, y)
        squares.append(np.asarray(state.auxiliary[0]["layer0.bias"]))
    assert squares[48] != squares[49] and squares[49] == squares[59]


def test_langevin_is_that_of_blackjax():
    import blackjax
    import jax

    z, gradient = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}, {"a": -jnp.arange(3.0), "b": 0.3 * jnp.ones((2, 2))}
    key = jax.random.PRNGKey(4)
    theirs = blackjax.sgld(lambda *_: gradient).step(key, z, None, 0.01, 0.25)
    noise = blackjax.util.generate_gaussian_noise(key, z)
    step = Step(jnp.asarray(0.01), 0.25, True, 10)
    ours, _ = SGLD().kernel().update(jnp, z, {}, gradient, noise, step)
    for name in z:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)


def test_a_warm_start(tmp_path):
    from exact_fits import exact_data

    table = exact_data()
    x, y = jnp.asarray(table.x_train), jnp.asarray(table.y_train)
    first = fit(model(), SGLD(**SHORT), x, y, progress=False)
    save(to_datatree(first, model(), table), path := tmp_path / "first.nc")
    config = SGLD(warmup=1, draws=1, thin=1, step_size=1e-12, start=str(path))
    found = fit(model(), config, x, y, progress=False)
    best = first.stats["lp"].mean(1).argmax()
    np.testing.assert_allclose(found.draws["layer0.weight"][3, 0], first.loc["layer0.weight"][best], rtol=1e-4)
    fives = dataclasses.replace(first, loc={k: np.full_like(v, 5.0) for k, v in first.loc.items()})
    save(to_datatree(fives, model(), table), path)  # another file at the same place
    found = fit(model(), config, x, y, progress=False)
    np.testing.assert_allclose(found.draws["layer0.weight"], 5.0, rtol=1e-4)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: SGLD(schedule="cyclic"), "unknown schedule 'cyclic'; did you mean .cyclical.\\?"),
        (lambda: SGLD(schedule="cyclical", decay=0.5), "sgld: decay is a setting of the polynomial schedule"),
        (lambda: SGHMC(explore=1.0), "sghmc: explore, a share of a cycle"),
        (lambda: SGLD(explore=0.5), "sgld: explore is a setting of the cyclical schedule"),
        (lambda: SGLD(schedule="cyclical", thin=1), "a cycle of thin=1 steps with explore=0.0 has no noise"),
        (lambda: SGLD(schedule="cyclical", thin=4, explore=0.9), "a cycle of thin=4 steps with explore=0.9 has no"),
        (lambda: SGLD(step_size=float("inf")), "sgld: step_size must be finite"),
        (lambda: SGHMC(friction=1.5), "sghmc: friction must lie between 0 and 1, got 1.5"),
        (lambda: SGNHT(thin=0), "sgnht: thin must be positive"),
        (lambda: SGLD(preconditioner="adam"), "unknown preconditioner 'adam'"),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(ValueError, match=says):
        make()
