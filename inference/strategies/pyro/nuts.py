"""The No-U-Turn sampler, Pyro's, stepped by hand.  A cross-check of the NumPyro one, which is some 300 times faster.

Source: Hoffman & Gelman (2014).  The warmup adapts the step size and the mass matrix (Stan's windows).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pyro.infer import NUTS as PyroNUTS

from ...target.pyro.density import initial, log_density, on_device, refuse_discrete
from ...target.sites import Sites, refuse_improper
from ..algorithm import Algorithm
from ..nuts import NUTS


class State(NamedTuple):
    """The kernel, which keeps its adaptation; where the chain is (unconstrained); the transforms to the supports."""

    kernel: Any
    z: dict
    transforms: dict


def algorithm(config: NUTS, model: Callable, sites: Sites) -> Algorithm:
    """Bind `nuts` to a Pyro program ``model(x, y)``; raises ValueError if a site is discrete or its prior improper.

    Chains run one after another, whatever the config's `method`.
    """
    refuse_improper("nuts", sites)
    refuse_discrete("nuts", sites)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        z, transforms = initial(model, x, y)
        kernel = _Recorder(
            potential_fn=lambda z: -log_density(model, transforms, z, x, y)[0],
            full_mass=config.mass == "dense",
            target_accept_prob=config.target_accept,
            max_tree_depth=config.max_tree_depth,
        )
        kernel.initial_params = z
        kernel.setup(config.warmup)
        return State(kernel, z, transforms)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        return state._replace(z=state.kernel.sample(state.z)), {}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        lp, sites = log_density(model, state.transforms, state.z, x, y)
        return sites, {"lp": lp, **state.kernel.stats()}

    return Algorithm(init, step, draw, config.warmup, 1, config.draws, config.chains, method="sequential")


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
