"""Hamiltonian Monte Carlo, BlackJAX's: a second sampler beside NumPyro's NUTS, of which it shares no code.

Each transition takes a number of leapfrog steps that is uniform up to a longest one, and is accepted or not (Neal 2011,
section 5.5.3).  Step size and diagonal mass matrix come from the warmup of BlackJAX's NUTS.
"""

from collections.abc import Callable
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

from ..target.numpyro.density import constrain, potential, sites, start
from ..target.sites import Arrays

LONGEST = 4.0  # of a trajectory, in units of the scales of the posterior: its mean length, 2, is about a quarter turn
MOST = 512  # leapfrog steps of a trajectory


def hmc(
    model: Callable, x: Any, y: Any, *, warmup: int, draws: int, chains: int, target_accept: float, seed: int
) -> tuple[Arrays, Arrays]:
    """Draws (chain, draw, ...) of the sites of a NumPyro program, and statistics (chain, draw)."""
    latent = sites(model, x, y)

    def log_density(z: Any) -> Any:
        return -potential(model, z, x, y)

    def chain(key: Any) -> tuple[Any, Any]:
        at_start, at_warmup, at_draws = jax.random.split(key, 3)
        adapt: Any = blackjax.window_adaptation(blackjax.nuts, log_density, target_acceptance_rate=target_accept)
        (state, tuned), _ = adapt.run(at_warmup, start(model, latent, at_start, x, y), warmup)
        longest = jnp.clip(jnp.ceil(LONGEST / tuned["step_size"]), 1, MOST).astype(int)
        kernel = blackjax.dynamic_hmc(
            log_density,
            tuned["step_size"],
            tuned["inverse_mass_matrix"],
            next_random_arg_fn=lambda key: jax.random.split(key, 2)[1],
            integration_steps_fn=lambda key: jax.random.randint(key, (), 1, longest + 1),
        )

        def transition(state: Any, key: Any) -> tuple[Any, Any]:
            info: Any
            state, info = kernel.step(key, state)
            return state, (state.position, info.is_divergent, info.energy, info.acceptance_rate)

        to_init, to_steps = jax.random.split(at_draws)
        _, recorded = jax.lax.scan(transition, kernel.init(state.position, to_init), jax.random.split(to_steps, draws))
        return recorded

    run = jax.jit(chain)
    recorded = [jax.device_get(run(key)) for key in jax.random.split(jax.random.key(seed), chains)]
    positions, diverging, energy, rate = jax.tree.map(lambda *parts: np.stack(parts), *recorded)
    to_sites = jax.jit(jax.vmap(jax.vmap(lambda z: constrain(model, z, x, y))))
    found = {name: np.asarray(values) for name, values in to_sites(positions).items()}
    return found, {"diverging": diverging, "energy": energy, "acceptance_rate": rate}
