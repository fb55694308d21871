"""Stochastic-gradient samplers on Pyro programs: stationary laws, minibatch gradient, density, moments."""

import itertools

import numpy as np
import pytest
import torch
from linear_model import model
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.strategies.sghmc import SGHMC
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.inference.strategies.sgnht import SGNHT
from noisezoo.inference.target.pyro import density
from noisezoo.inference.target.schedule import schedule
from noisezoo.models import likelihoods, noises
from noisezoo.models.networks import mlp
from noisezoo.models.ppl import language, ppl
from noisezoo.models.weights.parametrisation import prior
from pyro_driver import X, Y, bind, run

ROWS, MANY, PRECISION = 20, 4000, 4.0


def many_gaussians(x, y=None, batch_size=None):
    """w ~ N(0, 1), y ~ N(w x, 1 / PRECISION), and as many independent copies of w as make its law visible at once."""
    p = ppl(x)
    w = p.sample("w", p.dist.Normal(0.0, 1.0).expand((MANY,)).to_event(1))
    with p.plate("data", x.shape[0], subsample_size=batch_size, dim=-1):
        x, y = p.subsample(x, event_dim=1), p.subsample(y, event_dim=0)
        p.sample("y", p.dist.Normal(x * w, PRECISION**-0.5).to_event(1), obs=y[:, None].expand(-1, MANY))


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_stationary_mean_and_variance(temperature):
    """A step e / N on a Gaussian of curvature h has the stationary variance T / (h (1 - e h / 2N)) exactly."""
    x = np.linspace(-1, 1.5, ROWS, dtype=np.float32)[:, None]
    y = 0.7 * x[:, 0]
    curvature = PRECISION * (x**2).sum() + 1
    mean, e = PRECISION * (x[:, 0] @ y) / curvature, 0.2 * ROWS / curvature
    config = SGLD(warmup=100, draws=50, thin=2, step_size=e, temperature=temperature, chains=1)
    w = run(config, many_gaussians, x, y)[0]["w"]
    variance = temperature / (curvature * (1 - 0.1))
    np.testing.assert_allclose(w.mean(), mean, atol=0.01 * np.sqrt(variance))
    np.testing.assert_allclose(w.var(), variance, rtol=0.02)


@pytest.mark.parametrize("kernel", [SGLD, SGHMC])
def test_moments_of_the_steps_are_those_of_the_draws_if_every_step_is_a_draw(kernel):
    config = kernel(warmup=20, draws=30, thin=1, step_size=0.01, chains=2)
    found = fit(model(), config, torch.as_tensor(X), torch.as_tensor(Y), progress=False)
    for name in ("layer0.weight", "layer0.bias"):
        np.testing.assert_allclose(found.loc[name], found.draws[name].mean(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.scale[name], found.draws[name].std(1), rtol=1e-3)


@pytest.mark.parametrize("config", [SGLD(), SGLD(preconditioner="rmsprop", step_size=1e-3), SGHMC(), SGNHT()])
def test_a_kernel_is_the_same_in_both_languages(config):
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    z, gradient, noise, first = ({"a": rng.normal(size=3), "b": rng.normal(size=(2, 2))} for _ in range(4))
    kernel = config.kernel()

    def moved(array, xp):
        def arrays(values):
            return {k: array(v.astype(np.float32)) for k, v in values.items()}

        size = array(np.float32(0.01))
        carried = kernel.init(xp, arrays(first), size)
        now, _ = schedule(xp, config, array(np.float32(0.03)), array(np.int32(3)), 5)
        for _ in range(3):
            now_z, carried = kernel.update(xp, arrays(z), carried, arrays(gradient), arrays(noise), now)
        return now_z

    ours, theirs = moved(torch.as_tensor, language("pyro").xp), moved(jnp.asarray, jnp)
    for name in z:
        np.testing.assert_allclose(ours[name].numpy(), theirs[name], rtol=1e-5)


def test_steps_decay():
    """With decay 1 the step after 3 warmups is a quarter of the first, and so its noise is half as wide."""
    config = SGLD(warmup=100, draws=1, step_size=0.01, decay=1.0, chains=1)
    x = torch.zeros(ROWS, 1)
    algorithm = bind(config, many_gaussians, x, x[:, 0])
    state = algorithm.init(0, x, x[:, 0])
    moves = []
    for t in range(301):
        new, _ = algorithm.step(t, state, x, x[:, 0])
        moves.append(float((new.z["w"] - state.z["w"]).std()))
        state = new
    np.testing.assert_allclose(moves[300] / moves[0], 0.5, rtol=0.06)
    np.testing.assert_allclose(moves[0], np.sqrt(2 * 0.01 / ROWS), rtol=0.06)


def test_minibatch_gradient_is_unbiased():
    """The mean over all minibatches that can be drawn, with replacement, is the gradient on all rows."""
    x, y = torch.as_tensor(X[:4]), torch.as_tensor(Y[:4])
    program = likelihoods.gaussian(mlp(3), prior(noises.half_cauchy(), "ard_add", "expanded"))
    torch.manual_seed(0)
    z, transforms = density.initial(program, x, y)

    def gradient(rows):
        return torch.func.grad(lambda z: density.log_density(program, transforms, z, x, y, rows)[0])(z)

    full = gradient(None)
    batches = [gradient(torch.tensor(rows)) for rows in itertools.product(range(4), repeat=2)]
    for name, value in full.items():
        torch.testing.assert_close(torch.stack([b[name] for b in batches]).mean(0), value, rtol=1e-4, atol=1e-4)
    assert any(not torch.allclose(b["layer0.base"], full["layer0.base"], rtol=1e-2) for b in batches)


def test_rows_are_uniform():
    torch.manual_seed(0)
    counts = torch.bincount(torch.cat([density.draw_rows(10, 5) for _ in range(4000)]), minlength=10)
    assert ((counts - 2000).abs() < 4 * np.sqrt(2000)).all()
    assert density.draw_rows(10, None) is None


@pytest.mark.parametrize("form", ["hierarchical", "expanded"])
@pytest.mark.parametrize("rows", [None, [5, 0, 5]])
def test_density_equals_numpyros(form, rows):
    """The same log density, Jacobian included, at the same unconstrained point, on all rows and on a minibatch."""
    import jax.numpy as jnp
    from noisezoo.inference.target.numpyro.density import constrain, potential

    program = likelihoods.gaussian(mlp(3), prior(noises.half_cauchy(), "ard", form))
    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    torch.manual_seed(1)
    z, transforms = density.initial(program, x, y)
    pyro_rows, numpyro_rows = (None, None) if rows is None else (torch.tensor(rows), jnp.array(rows))
    ours, made = density.log_density(program, transforms, z, x, y, pyro_rows)
    there = {name: jnp.asarray(value.numpy()) for name, value in z.items()}
    theirs = -potential(program, there, jnp.asarray(X), jnp.asarray(Y), numpyro_rows)
    np.testing.assert_allclose(float(ours), float(theirs), rtol=1e-5)
    assert set(made) == set(constrain(program, there, jnp.asarray(X), jnp.asarray(Y)))


def test_sites_leave_the_random_state_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    program = likelihoods.gaussian(mlp(), prior(noises.bernoulli(), form="expanded"))
    found = density.sites(program, torch.as_tensor(X), torch.as_tensor(Y))
    assert torch.equal(before, torch.random.get_rng_state())
    assert found.latent == ("layer0.scale", "layer0.base", "layer0.bias", "precision")
    assert found.discrete == ("layer0.scale",) and not found.improper and found.size == 6


def test_no_start():
    def impossible(x, y=None):
        p = ppl(x)
        p.sample("w", p.dist.Normal(0.0, 1.0))
        p.factor("never", torch.tensor(-torch.inf))

    x, y = torch.as_tensor(X), torch.as_tensor(Y)
    with pytest.raises(ValueError, match="not finite at any"):
        bind(SGLD(), impossible, x, y).init(0, x, y)


@pytest.mark.parametrize(
    "weight, says",
    [
        (prior(noises.log_uniform()), "improper"),
        (prior(noises.bernoulli(), form="expanded"), "discrete"),
    ],
)
def test_refused(weight, says):
    with pytest.raises(ValueError, match=says):
        run(SGLD(), likelihoods.gaussian(mlp(), weight))


def test_double_precision_is_refused():
    with pytest.raises(TypeError, match="float64.*float32"):
        run(SGLD(), model(), X.astype(np.float64), Y)
