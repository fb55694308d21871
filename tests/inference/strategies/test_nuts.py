"""NUTS: where it starts, its metrics.  Its law is in test_exact_problems."""

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from exact_fits import exact_data
from linear_model import model, posterior, stacked
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import save, to_datatree
from noisezoo.inference.strategies.hamiltonian.start import automatic, covariance, of_draws
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.target.geometry.coordinates import place, variances
from noisezoo.inference.target.geometry.pathfinder import Energy
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.ppl import ppl
from noisezoo.models.weights.parametrisation import prior
from scipy.stats import ortho_group

SIZE, STIFF, SHORT = 50, 3, 0.03  # coordinates; directions of a shorter sd, at an angle to all of them
AXES = ortho_group.rvs(SIZE, random_state=0)
SDS = np.r_[np.full(STIFF, SHORT), np.ones(SIZE - STIFF)]
COVARIANCE = (AXES * SDS**2) @ AXES.T
ONE = jnp.ones((1, 1)), jnp.zeros(1)


def stiff(x, y=None, batch_size=None):
    """A normal of which three directions are stiff, none of them along a coordinate."""
    p = ppl(x)
    w = p.sample("w", p.dist.Normal(0.0, 1e6).expand((SIZE,)).to_event(1))
    p.factor("normal", -0.5 * w @ (jnp.asarray((AXES / SDS**2) @ AXES.T, jnp.float32) @ w))
    with p.plate("data", 1, dim=-1):
        p.sample("y", p.dist.Normal(0.0, 1.0), obs=y)


def run(config):
    """Draws of w, effective draws for a gradient (of the worst coordinate and direction), gradients of the warmup."""
    found = fit(stiff, config, *ONE, progress=False)
    w = found.draws["w"].astype(float)
    values = np.concatenate([w, w @ AXES], axis=-1)
    ess = np.min(arviz_stats.ess(values, chain_axis=0, draw_axis=1))
    warmup = found.history["n_steps"].mean() * config.warmup
    return w.reshape(-1, SIZE), ess / found.stats["n_steps"].sum(), warmup


@pytest.fixture(scope="module")
def diagonal():
    return run(NUTS(warmup=300, draws=150, chains=2, start=None))


def is_right(w):
    sd, found = np.sqrt(np.diag(COVARIANCE)), w @ AXES
    return (
        np.allclose(w.std(0) / sd, 1, atol=0.25)
        and np.allclose(found.std(0) / SDS, 1, atol=0.25)
        and np.all(np.abs(w.mean(0)) < 0.25 * sd)
    )


@pytest.mark.parametrize(
    "config, better",
    [
        (NUTS(warmup=300, draws=300, chains=2, mass="low_rank", start=None), 5),
        (NUTS(warmup=100, draws=300, chains=2), 5),
        (NUTS(warmup=100, draws=300, chains=2, start="pathfinder"), 5),
        (NUTS(warmup=100, draws=300, chains=2, start="pathfinder", mass="low_rank"), 5),
    ],
)
def test_stiff_directions_are_found(diagonal, config, better):
    w, ess_per_gradient, warmup = run(config)
    assert is_right(w)
    assert ess_per_gradient > better * diagonal[1]
    assert warmup < diagonal[2] / 2


DATA = exact_data()
X, Y = jnp.asarray(DATA.x_train), jnp.asarray(DATA.y_train)
PROGRAM = model()


def two_modes(x, y=None, batch_size=None):
    """A mixture of two normals, at -10 and 10, of six numbers, about; the data say nothing."""
    w = numpyro.sample("w", dist.Normal(0.0, 1e3).expand((6,)).to_event(1))
    each = jnp.stack([dist.Normal(place, 1.0).log_prob(w).sum() for place in (-10.0, 10.0)])
    numpyro.factor("mixture", jax.nn.logsumexp(each))


def test_chains_of_the_automatic_start_begin_in_different_modes():
    """So that R-hat shows that there are some, and what every chain finds in its own is right."""
    config = NUTS(warmup=100, draws=400, chains=6)
    w = fit(two_modes, config, X, Y, progress=False).draws["w"].astype(float)
    places = w.mean(axis=(1, 2))
    assert set(np.round(places / 10)) == {-1.0, 1.0}
    assert np.allclose(w.std(axis=1), 1, atol=0.25)


def test_the_automatic_start_is_that_of_a_normal_that_can_stand_for_the_posterior():
    def energy_of(nats):  # of two numbers
        def value_and_gradient(z):
            value, gradient = jax.value_and_grad(nats)(jnp.asarray(z))
            return float(value), np.asarray(gradient, float)

        values, hessian = jax.vmap(nats), jax.hessian(nats)
        begin = np.random.default_rng(0).normal(size=2)
        return Energy(lambda path: begin, value_and_gradient, lambda z: np.asarray(values(z)), hessian)

    normal = automatic(energy_of(lambda z: 0.5 * ((z[0] / 1e3) ** 2 + (z[1] / 1e-3) ** 2)), 0)
    assert normal is not None
    np.testing.assert_allclose(np.sqrt(variances(normal.coordinates)), [1e3, 1e-3], rtol=0.01)
    funnel = automatic(energy_of(lambda z: z[0] ** 2 / 18 + 20 * (z[1] ** 2 * jnp.exp(-z[0]) + z[0]) / 2), 0)
    assert funnel is None


def language_arrays(language):
    if language == "pyro":
        import torch

        return torch.as_tensor(DATA.x_train), torch.as_tensor(DATA.y_train)
    return X, Y


def saved(found, program, path):
    save(to_datatree(found, program, DATA), path)
    return str(path)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A fit of NUTS, and its file."""
    found = fit(PROGRAM, NUTS(warmup=150, draws=500, chains=2), X, Y, progress=False)
    return found, saved(found, PROGRAM, tmp_path_factory.mktemp("fit") / "nuts.nc")


@pytest.mark.parametrize("start, mass", [("file", "dense"), ("pathfinder", "diagonal"), ("file", "diagonal")])
def test_a_start_leaves_the_posterior_as_it_is(language, earlier, start, mass):
    if (language, start, mass) == ("pyro", "file", "diagonal"):
        pytest.skip("slow, and like the dense one")
    start = earlier[1] if start == "file" else start
    draws = 800 if language == "numpyro" else 200
    config = NUTS(warmup=40, draws=draws, chains=2, start=start, mass=mass, target_accept=0.8)
    values = stacked(fit(PROGRAM, config, *language_arrays(language), progress=False))
    mean, exact = posterior(DATA.x_train, DATA.y_train)
    sd = np.sqrt(np.diag(exact))
    assert np.all(np.abs(values.mean(0) - mean) < 0.2 * sd), (values.mean(0) - mean) / sd
    assert np.all(np.abs(values.std(0) / sd - 1) < 0.15), values.std(0) / sd


def test_chains_begin_at_draws_of_the_earlier_fit(earlier):
    """Two steps of depth one from there they are still among them; uniform starts are tens of sds away."""
    config = NUTS(warmup=1, draws=1, chains=3, start=earlier[1], target_accept=0.999999, max_tree_depth=1)
    found = fit(PROGRAM, config, X, Y, progress=False)
    known = stacked(earlier[0])
    sd = known.std(0)
    nearest = [np.linalg.norm((known - value) / sd, axis=1).min() for value in stacked(found)]
    assert max(nearest) < 3.0


@pytest.mark.parametrize("dense", [False, True])
def test_coordinates_of_draws(dense):
    """One of the draws, in coordinates that have the covariance within chains; chains apart say nothing about it."""
    rng = np.random.default_rng(0)
    exact = np.array([[4.0, 1.9], [1.9, 1.0]])
    z = rng.multivariate_normal([0, 0], exact, (2, 20_000)) + np.array([[[100.0, 0]], [[-100.0, 0]]])
    u, coordinates = of_draws(z, 0, dense, "fit.nc")
    assert np.abs(z - place(coordinates, u)).max(-1).min() < 1e-8
    np.testing.assert_allclose(variances(coordinates), np.diag(exact), rtol=0.03)
    np.testing.assert_allclose(covariance(coordinates), exact if dense else np.diag(np.diag(exact)), rtol=0.03)


def test_few_draws_have_a_covariance_too():
    z = np.random.default_rng(0).normal(size=(2, 5, 20))
    assert np.linalg.eigvalsh(covariance(of_draws(z, 0, True, "fit.nc").coordinates)).min() > 0


def test_refused(earlier, tmp_path):
    def start(path, program=PROGRAM, **settings):
        fit(program, NUTS(warmup=10, draws=2, start=str(path), **settings), X, Y, progress=False)

    with pytest.raises(FileNotFoundError, match="there is no file"):
        start(tmp_path / "no.nc")
    other = likelihoods.gaussian(mlp(), prior(noises.half_cauchy(), form="hierarchical"), precision=4.0)
    with pytest.raises(ValueError, match="lacks the site layer0.scale of this program; start from a fit of the same"):
        start(earlier[1], other)
    point = fit(PROGRAM, svi(guide="map", steps=1, draws=2), X, Y, progress=False)
    with pytest.raises(ValueError, match="the draws in .* do not vary; start from a fit of nuts"):
        start(saved(point, PROGRAM, tmp_path / "map.nc"))
    discrete = likelihoods.gaussian(mlp(), prior(noises.bernoulli()), precision=4.0)
    with pytest.raises(ValueError, match="discrete; use nuts without start"):
        start("pathfinder", discrete)
    with pytest.raises(ValueError, match="discrete; use nuts:mass=diagonal"):
        fit(discrete, NUTS(mass="low_rank"), X, Y, progress=False)


@pytest.mark.needs_pyro
def test_pyro_has_no_low_rank():
    with pytest.raises(ValueError, match="use mass=dense, or JAX arrays"):
        fit(PROGRAM, NUTS(mass="low_rank"), *language_arrays("pyro"), progress=False)
