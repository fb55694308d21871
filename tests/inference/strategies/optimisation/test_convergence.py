"""A stochastic optimisation that ends by itself: the rule, and Adam under it in both languages."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from noisezoo.inference.strategies.optimisation import adam
from noisezoo.inference.strategies.optimisation.convergence import (
    BATCHES,
    FACTOR,
    FIRST,
    Window,
    batch_means,
    rhat_squared,
)
from noisezoo.inference.strategies.svi import SVI

TARGET = np.array([1.0, -2.0, 0.5], np.float32)


def test_rhat_of_a_window():
    values = np.random.default_rng(0).normal(size=(BATCHES, 50, 3)) + np.arange(BATCHES)[:, None, None] / 5
    origin = values[0, 0]
    deviations = values - origin
    window = Window(origin, deviations.sum(1), (deviations**2).sum((0, 1)))
    np.testing.assert_allclose(batch_means(window, BATCHES * 50), values.mean(1))
    within = values.var((0, 1)) - values.mean(1).var(0)
    between = values.mean(1).var(0, ddof=1)
    np.testing.assert_allclose(rhat_squared(window, BATCHES * 50), 1 + between / within)


def distance(params, others):
    """Of two normals of sd 1 with these means, for each number."""
    return ((params["loc"] - others["loc"]) ** 2).mean()


def optimised(config, steps, noise=1.0):
    """The parameters after so many noisy gradients of a quadratic, and the optimiser's state."""
    optimiser = adam.adam(config, distance)
    params = {"loc": jnp.full(3, 8.0)}

    def step(carry, key):
        params, state = carry
        gradient = {"loc": params["loc"] - TARGET + noise * jax.random.normal(key, (3,))}
        updates, state = optimiser.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.PRNGKey(0), steps)
    return jax.jit(lambda carry: jax.lax.scan(step, carry, keys)[0])((params, optimiser.init(params)))


CONFIG = SVI(steps=50_000, lr=0.02, tolerance=0.1)


def test_it_ends_at_the_optimum_and_stays_there():
    params, state = optimised(CONFIG, 20_000)
    assert bool(state.converged) and float(state.change) < CONFIG.tolerance
    assert np.sqrt(np.mean((np.asarray(params["loc"]) - TARGET) ** 2)) < CONFIG.tolerance
    longer, _ = optimised(CONFIG, 24_000)
    np.testing.assert_array_equal(params["loc"], longer["loc"])
    assert float(state.lr) <= CONFIG.lr / FACTOR


def test_a_run_that_is_cut_short_has_not_converged():
    _, state = optimised(CONFIG, 1000)
    assert not bool(state.converged) and np.isinf(float(state.change))


def test_a_tighter_tolerance_takes_more_steps():
    loose, tight = (optimised(SVI(lr=0.02, tolerance=tolerance), 20_000)[1] for tolerance in (0.5, 0.003))
    assert bool(loose.converged) and not bool(tight.converged)


def test_without_a_tolerance_it_is_adam_of_a_falling_rate():
    config = SVI(steps=1000, lr=0.05, tolerance=None)
    params, state = optimised(config, 1000)
    assert adam.summary(state) == {} == adam.ended(state)
    theirs = optax.adam(optax.linear_schedule(0.05, 0.0, 500, 500))
    mine = adam.adam(config, None)
    a, b = ({"loc": jnp.zeros(3)},) * 2
    states = theirs.init(a), mine.init(b)
    for i in range(3):
        gradient = {"loc": jnp.arange(3.0) - i}
        ua, sa = theirs.update(gradient, states[0], a)
        ub, sb = mine.update(gradient, states[1], b)
        a, b, states = optax.apply_updates(a, ua), optax.apply_updates(b, ub), (sa, sb)
    np.testing.assert_allclose(a["loc"], b["loc"], rtol=1e-6)


def test_chains_side_by_side_end_each_by_itself():
    optimiser = adam.adam(CONFIG, distance)
    starts = jnp.stack([jnp.asarray(TARGET), TARGET + 1000.0])

    def run(start):
        def step(carry, key):
            params, state = carry
            gradient = {"loc": params["loc"] - TARGET + jax.random.normal(key, (3,))}
            updates, state = optimiser.update(gradient, state, params)
            return (optax.apply_updates(params, updates), state), None

        params = {"loc": start}
        keys = jax.random.split(jax.random.PRNGKey(1), 15_000)
        return jax.lax.scan(step, (params, optimiser.init(params)), keys)[0][1]

    together = jax.jit(jax.vmap(run))(starts)
    np.testing.assert_array_equal(together.converged, [True, False])  # the second is still on its way
    alone = jax.jit(run)(starts[0])
    np.testing.assert_allclose(together.change[0], alone.change, rtol=1e-2)


@pytest.mark.needs_pyro
def test_the_same_rule_in_torch():
    import torch
    from noisezoo.inference.strategies.pyro.optimisation import Adam

    torch.manual_seed(0)
    loc = torch.full((3,), 8.0, requires_grad=True)
    optimiser = Adam(CONFIG, [loc], lambda a, b: float(((a - b) ** 2).mean()))
    target = torch.as_tensor(TARGET)
    steps = 0
    while not optimiser.converged and steps < 20_000:
        loc.grad = loc.detach() - target + torch.randn(3)
        optimiser.step()
        steps += 1
    assert optimiser.converged and steps > 2 * FIRST
    assert float(((loc.detach() - target) ** 2).mean().sqrt()) < CONFIG.tolerance
    before = loc.detach().clone()
    loc.grad = torch.ones(3)
    optimiser.step()
    assert torch.equal(loc.detach(), before)
