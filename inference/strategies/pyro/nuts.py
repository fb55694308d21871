"""The No-U-Turn sampler, Pyro's, stepped by hand.  A cross-check of the NumPyro one, which is some 300 times faster.

Source: Hoffman & Gelman (2014).  The warmup adapts the step size and the mass matrix (Stan's windows).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from pyro.infer import NUTS as PyroNUTS

from ...target.geometry.coordinates import Coordinates, place, variances
from ...target.pyro.density import initial, log_density, on_device, refuse_discrete
from ...target.pyro.energy import energy
from ...target.sites import Sites, refuse_improper
from ...target.warm_start import draws_of
from ..algorithm import Algorithm
from ..hamiltonian.start import SEARCHES, Start, covariance, keeps_metric, of_draws, resolved
from ..nuts import NUTS


class State(NamedTuple):
    """The kernel, which keeps its adaptation; where the chain is (unconstrained); the transforms to the supports."""

    kernel: Any
    z: dict
    transforms: dict


def algorithm(config: NUTS, model: Callable, sites: Sites) -> Algorithm:
    """Bind `nuts` to a Pyro program ``model(x, y)``; raises ValueError if a site is discrete or its prior improper.

    Chains run one after another, whatever the config's `method`.  There is no ``mass=low_rank``.
    """
    refuse_improper("nuts", sites)
    refuse_discrete("nuts", sites)
    if config.mass == "low_rank":
        raise ValueError("nuts:mass=low_rank runs in NumPyro only; use mass=dense, or JAX arrays (--ppl numpyro)")
    config = replace(config, start=resolved(config.start, sites))
    dense, adapt = config.mass == "dense", not keeps_metric(config.start)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        z, transforms = initial(model, x, y)
        kernel = _Recorder(
            potential_fn=lambda z: -log_density(model, transforms, z, x, y)[0],
            adapt_mass_matrix=adapt,
            full_mass=dense,
            target_accept_prob=config.target_accept,
            max_tree_depth=config.max_tree_depth,
        )
        kernel.initial_params = z
        kernel.setup(config.warmup)
        return State(kernel, z, transforms)

    @on_device
    def prepare(key: int, state: State, x: Any, y: Any) -> State:
        kernel, names = state.kernel, sorted(state.z)
        if config.start in SEARCHES:
            start = SEARCHES[config.start](energy(model, key, x, y), key)
            if start is None:
                return state
        else:
            start = of_draws(_unconstrained(str(config.start), state), key, dense, str(config.start))
        u, coordinates = _by_name(start, state.z)
        matrix = covariance(coordinates) if dense else variances(coordinates)
        position, matrix = (torch.as_tensor(a).to(x) for a in (place(coordinates, u), matrix))
        parts = position.split([state.z[name].numel() for name in names])
        z = {k: part.reshape(state.z[k].shape) for k, part in zip(names, parts, strict=True)}
        kernel.initial_params = z
        kernel.setup(config.warmup)
        kernel.mass_matrix_adapter.inverse_mass_matrix = {tuple(names): matrix}
        kernel._adapter.reset_step_size_adaptation(z)
        return state._replace(z=z)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        state = state._replace(z=state.kernel.sample(state.z))
        return state, {"n_steps": float(len(state.kernel.leaves))}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        lp, sites = log_density(model, state.transforms, state.z, x, y)
        return sites, {"lp": lp, **state.kernel.stats()}

    optional: dict[str, Any] = {"prepare": prepare} if config.start else {}
    return Algorithm(init, step, draw, config.warmup, 1, config.draws, config.chains, method="sequential", **optional)


def _by_name(start: Start, z: dict) -> Start:
    """A start with the sites in the order of their names, which is that of Pyro's mass matrix."""
    ends = dict(zip(z, np.cumsum([value.numel() for value in z.values()]), strict=True))
    order = np.concatenate([np.arange(ends[name] - z[name].numel(), ends[name]) for name in sorted(z)])
    loc, diag, basis, stretch = start.coordinates
    return Start(start.u[order], Coordinates(loc[order], diag[order], basis[order], stretch))


def _unconstrained(path: str, state: State) -> np.ndarray:
    """The draws in a fit's file, unconstrained and flat, (chain, draw, n)."""
    like = {name: state.transforms[name](z) for name, z in state.z.items()}
    draws = draws_of(path, {name: tuple(value.shape) for name, value in like.items()})
    flat = [state.transforms[name].inv(torch.as_tensor(draws[name]).to(value)) for name, value in like.items()]
    return torch.cat([values.reshape(*values.shape[:2], -1) for values in flat], dim=-1).detach().cpu().numpy()


class _Recorder(PyroNUTS):
    """Pyro's kernel, which forgets its trees, with their leaves kept until the next sample."""

    def sample(self, params: dict) -> dict:
        self.leaves: list = []
        return super().sample(params)

    def _build_basetree(self, z: Any, r: Any, grads: Any, log_slice: Any, direction: int, energy: Any) -> Any:
        leaf = super()._build_basetree(z, r, grads, log_slice, direction, energy)
        self.leaves.append((bool(leaf.diverging), float(leaf.sum_accept_probs), float(energy)))
        return leaf

    def stats(self) -> dict:
        """ArviZ's names for what is known of the last sample; the energy is that of its starting point."""
        diverging, accepted, energies = zip(*self.leaves, strict=True)
        return {
            "diverging": any(diverging),
            "energy": energies[0],
            "n_steps": len(self.leaves),
            "acceptance_rate": sum(accepted) / len(self.leaves),
            "step_size": float(self.step_size),
        }
