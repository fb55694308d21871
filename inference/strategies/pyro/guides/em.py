"""Variational EM in Pyro: the counterpart of `..guides.em`."""

from collections.abc import Callable
from typing import Any

import torch
from pyro import poutine

from ....target.sites import Sites
from ...algorithm import Algorithm
from ...guides import m_step
from .local import LocalNormal, bind


def algorithm(config: Any, model: Callable, sites: Sites, rate: Callable[[int], float]) -> Algorithm:
    """Bind the guide to a Pyro program; `config` is an `SVI`, `rate` scales its lr."""
    return bind(config, model, sites, rate, LocalNormal, lambda x, y: chosen(model, config.guide, x, y))


def chosen(model: Callable, own: Any, x: Any, y: Any) -> Callable:
    """As `m_step.chosen`, for a Pyro program; `own` are the settings of the guide."""

    def choose(steps: dict, shapes: dict, values: dict, second: dict) -> dict[str, tuple[Any, Any]]:
        def trace(logs: dict) -> Any:
            data = {**values, **{name: v.exp() for name, v in logs.items()}}
            with poutine.block():  # the guide that asks is being traced itself
                return poutine.trace(poutine.condition(model, data=data)).get_trace(x[:1], y[:1]).nodes

        def back(logs: dict) -> tuple[dict, Callable]:
            with torch.enable_grad():
                leaves = {name: v.detach().requires_grad_() for name, v in logs.items()}
                log_sds = m_step.log_sds(torch, trace(leaves), second)

            def pull(of: dict) -> dict:
                with torch.enable_grad():
                    found = torch.autograd.grad(
                        list(log_sds.values()), list(leaves.values()), [of[w] for w in log_sds], create_graph=True
                    )
                return dict(zip(leaves, found, strict=True))

            return m_step.log_sds(torch, trace(logs), second), pull

        first = {name: torch.zeros(shapes[name]) for name in steps}
        logs = m_step.optimum(torch, back, steps, first, second, own.sweeps)
        sites = trace(logs)
        in_kl = own.kl == "sum"
        log_p = {name: m_step.log_prob(torch, sites, name) for name in steps}
        return {name: (v.exp(), m_step.density(torch, steps[name], v, log_p[name], in_kl)) for name, v in logs.items()}

    return choose
