"""Variational EM in Pyro: the counterpart of `..guides.em`."""

from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine

from ....target.sites import Sites
from ...algorithm import Algorithm
from ...optimisation import m_step
from .local import LocalNormal, bind


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide to a Pyro program; `config` is an `SVI`."""
    return bind(config, model, sites, LocalNormal, lambda x, y: scale_optimiser(model, config.guide, x, y))


def scale_optimiser(model: Callable, settings: Any, x: Any, y: Any) -> Callable:
    """As `m_step.scale_optimiser`, for a Pyro program; `settings` are the settings of the guide."""

    def optimise(steps: dict, shapes: dict, values: dict, second: dict) -> dict[str, tuple[Any, Any]]:
        def trace(log_scales: dict) -> Any:
            data = {**values, **{name: v.exp() for name, v in log_scales.items()}}
            with poutine.block():  # the guide that asks is being traced itself
                return poutine.trace(poutine.condition(model, data=data)).get_trace(x[:1], y[:1]).nodes

        def linearise(log_scales: dict) -> tuple[dict, Callable]:
            with torch.enable_grad():
                leaves = {name: v.detach().requires_grad_() for name, v in log_scales.items()}
                log_sds = m_step.log_sds(torch, trace(leaves), second)

            def vjp(v: dict) -> dict:
                with torch.enable_grad():
                    gradients = torch.autograd.grad(
                        list(log_sds.values()), list(leaves.values()), [v[w] for w in log_sds], create_graph=True
                    )
                return dict(zip(leaves, gradients, strict=True))

            return m_step.log_sds(torch, trace(log_scales), second), vjp

        first = {name: torch.zeros(shapes[name]) for name in steps}
        log_scales = m_step.optimum(torch, linearise, steps, first, second, settings.sweeps)
        sites = trace(log_scales)
        in_kl = settings.kl == "sum"
        log_p = {name: m_step.log_prob(torch, sites, name) for name in steps}
        density = {k: m_step.density(torch, steps[k], v, log_p[k], in_kl) for k, v in log_scales.items()}
        return {name: (v.exp(), density[name]) for name, v in log_scales.items()}

    return optimise
