"""Independent normals whose layers sample pre-activations, in Pyro: the counterpart of `..guides.local`.

Parameters live in a store of the chain's own and are stepped by one Adam, not by one for each as `pyro.optim` does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch.distributions import biject_to, kl_divergence

from .....models.ppl import language
from .....models.unsampled.local_reparameterisation import Unsampled
from ....target.pyro.density import (
    deterministic,
    draw_rows,
    latent,
    on_device,
    on_rows,
    refuse_discrete,
    started,
    untouched,
)
from ....target.sites import Sites, without_function
from ...algorithm import Algorithm, of_guide
from ...guides import normals
from ...optimisation.schedule import falling
from .elbo import parts, traces


class LocalNormal(dist.Normal):
    """A normal whose draw is the unsampled weight."""

    flipout = False

    def rsample(self, sample_shape: Any = ()) -> Any:
        return Unsampled(self.loc, self.scale, torch.randn, self.flipout)


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide to a Pyro program; `config` is an `SVI`."""
    return bind(config, model, sites, LocalNormal)


class State(NamedTuple):
    """The number of the step, Adam, and the content of a parameter store of the chain's own."""

    number: int
    adam: torch.optim.Adam
    params: Any


def bind(
    config: Any,
    model: Callable,
    sites: Sites,
    unsampled: Any,
    scales: Callable | None = None,
) -> Algorithm:
    """Bind independent normals to a Pyro program.

    `unsampled` is the law of weights that are not sampled, `scales` says by ``(x, y)`` how scales become points.
    """
    refuse_discrete(f"svi with guide {config.guide.name}", sites)
    program, p, store, settings = on_rows(model), language("pyro"), pyro.get_param_store(), config.guide
    laid_out: dict[str, normals.Site] = {}
    means: dict[str, Any] = {}
    start = _start(means)

    def guide(x: Any, y: Any, rows: Any = None) -> None:
        normals.sample(p, laid_out, settings, start, unsampled, scales(x, y) if scales else None)

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        if not laid_out:  # alike for all chains
            laid_out.update(layout(model, x, y))
            normals.report_unregistered(laid_out)
            means.update(normals.means(settings.start, laid_out) if settings.start else {})
        with store.scope() as params:
            traces(program, guide, (x, y, draw_rows(x.shape[0], config.batch_size)), {})
        return State(0, torch.optim.Adam(params["params"].values(), fused=True), params)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        args = x, y, draw_rows(x.shape[0], config.batch_size)
        with store.scope(state.params):
            elbos = [parts(*traces(program, guide, args, {})) for _ in range(config.particles)]
        log_lik, kl = (sum(part) / config.particles for part in zip(*elbos, strict=True))
        weight = settings.kl_weight * ramp(state.number, settings.pretrain, settings.kl_warmup)
        if settings.kl == "mean":
            weight *= x.shape[0] / normals.weights(laid_out)
        loss = weight * kl - log_lik
        state.adam.zero_grad()
        loss.backward()
        state.adam.param_groups[0]["lr"] = config.lr * falling(config, state.number)
        state.adam.step()
        info = {"loss": loss, "log_lik": log_lik, "kl": kl}
        return state._replace(number=state.number + 1), {name: value.detach() for name, value in info.items()}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        with store.scope(state.params):
            optimise = scales(x, y) if scales else None
            drawn: Any = poutine.trace(normals.sample).get_trace(p, laid_out, settings, start, None, optimise)
            values = {name: drawn.nodes[name]["value"].detach() for name in sites.latent}
            trace = poutine.trace(poutine.condition(model, data=values)).get_trace(x[:1], y[:1])
        return without_function({**values, **deterministic(trace)}), {}

    @on_device
    @torch.no_grad()
    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        names = normals.with_moments(laid_out, settings)
        with store.scope(state.params):
            by_name = {name: normals.moments(p, name, laid_out[name], settings, start) for name in names}
        return {name: loc for name, (loc, _) in by_name.items()}, {name: scale for name, (_, scale) in by_name.items()}

    return of_guide(config, init, step, draw, moments=moments, method="sequential")


def ramp(step: int, pretrain: int, warmup: int) -> float:
    """The weight of the divergence at a step: 0 for `pretrain` steps, then linear to 1 over `warmup` steps."""
    return min(max((step - pretrain + 1) / max(warmup, 1), 0.0), 1.0)


def layout(model: Callable, x: Any, y: Any) -> dict[str, normals.Site]:
    """What the guide needs to know of the latent sites; weights may stay unsampled if their divergence is known."""
    with untouched(x):
        traced = latent(poutine.trace(started(model)).get_trace(x[:2], y[:2]))
    return normals.layout(language("pyro"), traced, biject_to, kl_divergence)


def _start(means: dict[str, Any]) -> Callable:
    """Initial values of the guide's parameters: those of a warm start, else normal draws."""

    def start(name: str, shape: tuple[int, ...], mean: float, sd: float) -> Callable:
        if name in means:
            return lambda: torch.tensor(means[name], dtype=torch.get_default_dtype())
        return lambda: mean + sd * torch.randn(shape)

    return start
