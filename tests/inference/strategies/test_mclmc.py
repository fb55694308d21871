"""Microcanonical Langevin: its steps and tuning, and what it says where it does not apply.

Its law is in test_exact_problems; that it resumes, is seeded and compiles once is in test_fit.
"""

import itertools
from dataclasses import replace

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from linear_model import PRECISION, SIGMA0, data, model, posterior, stacked
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies import parse
from noisezoo.inference.strategies.mclmc import GRADIENTS, MCLMC
from scipy.stats import norm

X, Y = (jnp.asarray(a) for a in data())
CONFIG = MCLMC(warmup=4000, draws=2000, thin=10)
SIZE = 4  # three weights and a bias


def run(config):
    return fit(model(), config, X, Y, progress=False)


@pytest.fixture(scope="module")
def found():
    return run(CONFIG)


def errors(found):
    """Of the means, in posterior sds, and of the sds, as fractions: the largest."""
    mean, covariance = posterior(X, Y)
    sd, draws = np.sqrt(np.diag(covariance)), stacked(found)
    return np.abs((draws.mean(0) - mean) / sd).max(), np.abs(draws.std(0) / sd - 1).max()


def test_smaller_steps_have_less_bias(found):
    coarse = run(replace(CONFIG, energy_variance=1.0))
    assert coarse.stats["step_size"].min() > 1.5 * found.stats["step_size"].max()
    assert coarse.stats["energy_change"].std() > 10 * found.stats["energy_change"].std()
    assert errors(coarse)[1] > 2 * errors(found)[1]


def test_the_energy_changes_about_as_much_as_was_asked(found):
    """Far from exactly: the step goes as the sixth root of the variance."""
    ratio = found.stats["energy_change"].var(axis=1) / SIZE / CONFIG.energy_variance
    assert np.all((0.05 < ratio) & (ratio < 20))


def test_chains_are_their_own(found):
    """Each tunes itself and walks by itself."""
    weight = found.draws["layer0.weight"][..., 0]
    assert len(np.unique(found.stats["step_size"])) == len(np.unique(found.stats["L"])) == CONFIG.chains
    for i, j in itertools.combinations(range(CONFIG.chains), 2):
        assert not np.isclose(weight[i], weight[j]).all(axis=-1).any()
        assert abs(np.corrcoef(weight[i, :, 0], weight[j, :, 0])[0, 1]) < 0.2


def test_stats_and_history(found):
    assert set(found.stats) == {"lp", "energy_change", "n_steps", "step_size", "L"}
    assert all(values.shape == (CONFIG.chains, CONFIG.draws) for values in found.stats.values())
    assert np.all(found.stats["n_steps"] == GRADIENTS * CONFIG.thin)
    assert np.all(np.ptp(found.stats["step_size"], axis=1) == 0) and np.all(np.ptp(found.stats["L"], axis=1) == 0)
    assert found.independent_chains and not found.approximation
    assert found.seconds["adapt"] > 0


def test_the_integrator_takes_two_gradients():
    """So many calls of the density, each of them differentiated, are in a step of BlackJAX's kernel."""
    calls = []

    def log_density(z):
        calls.append(z)
        return -(z**2).sum()

    chain = blackjax.mclmc.init(jnp.ones(3), log_density, jax.random.PRNGKey(0))
    calls.clear()
    blackjax.mclmc.build_kernel()(jax.random.PRNGKey(1), chain, log_density, jnp.ones(3), 1.0, 0.1)
    assert len(calls) == GRADIENTS


def test_lp_is_that_of_the_draw(found):
    w, b = found.draws["layer0.weight"][..., 0], found.draws["layer0.bias"]
    lp = norm.logpdf(Y, w @ np.asarray(X).T + b, PRECISION**-0.5).sum(-1)
    lp += norm.logpdf(w, 0, SIGMA0).sum(-1) + norm.logpdf(b[..., 0])
    shift = found.stats["lp"] - lp  # of the constants of another parameterisation
    np.testing.assert_allclose(shift, shift[0, 0], atol=1e-2)


def test_a_density_that_is_not_finite_is_said_in_one_sentence():
    with pytest.raises(FloatingPointError, match="^mclmc stopped before its first draw: [^\n]* not finite[^\n]*$"):
        fit(model(), MCLMC(warmup=1000, draws=10, chains=1), X * 1e30, Y, progress=False)


def test_a_step_off_the_support_while_drawing_is_an_error():
    """Half of the normal is cut away by a density that is not a number there: no step may be made of that."""

    def cut(x, y):
        w = numpyro.sample("w", dist.Normal(jnp.zeros(3), 1.0).to_event(1))
        with numpyro.plate("data", x.shape[0]):
            numpyro.sample("y", dist.Normal(0.0, 1.0), obs=y)
        numpyro.factor("cut", jnp.where(w[0] > -2.0, 0.0, jnp.nan))

    with pytest.raises(FloatingPointError, match="mclmc stopped"):
        fit(cut, MCLMC(warmup=1000, draws=3000, chains=1), X, Y, seed=2, progress=False)


def test_one_coordinate_is_refused():
    def one(x, y):
        w = numpyro.sample("w", dist.Normal())
        with numpyro.plate("data", x.shape[0]):
            numpyro.sample("y", dist.Normal(w, 1.0), obs=y)

    with pytest.raises(ValueError, match="two coordinates or more; use nuts"):
        fit(one, MCLMC(), X, Y, progress=False)


def test_it_is_in_the_catalogue():
    assert parse.parse("mclmc:draws=10,mass=unit") == {"mclmc": MCLMC(draws=10, mass="unit")}
    with pytest.raises(ValueError, match="unknown setting of mclmc 'batch_size'"):  # it needs all rows
        parse.parse("mclmc:batch_size=10")


def test_the_command_line_lists_it():
    from noisezoo.cli import app
    from typer.testing import CliRunner

    assert "mclmc" in CliRunner().invoke(app, ["list"]).output


def test_pyro_is_told_where_it_runs():
    torch = pytest.importorskip("torch")
    pytest.importorskip("pyro")
    x, y = (torch.tensor(np.asarray(a)) for a in (X, Y))
    with pytest.raises(ValueError, match="NumPyro only"):
        fit(model(), MCLMC(), x, y, progress=False)
