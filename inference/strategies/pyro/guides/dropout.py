"""The dropout family in Pyro: the counterpart of `..guides.dropout`, which says what its settings mean."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from torch.distributions import biject_to

from .....models.ppl import language
from ....target.pyro.density import deterministic, draw_rows, on_device, on_rows, started
from ....target.sites import Sites, without_function
from ...algorithm import Algorithm, of_guide
from ...guides.dropout import (
    NO_MEAN,
    NoKnownMean,
    explain_shared_scales,
    is_noise,
    known_place,
    objective,
    per_example_noise,
    points_without_prior,
    refuse_for_dropout,
)
from ...optimisation.schedule import falling


class State(NamedTuple):
    """The number of the step, the points in unconstrained space by site, and Adam."""

    number: int
    z: dict[str, Any]
    adam: torch.optim.Adam


class Filled(Messenger):
    """Gives a latent site the value that ``fill(site)`` says, where that is not None."""

    def __init__(self, fill: Callable) -> None:
        super().__init__()
        self.fill = fill

    def _pyro_sample(self, msg: Any) -> None:
        if not (msg["done"] or msg["is_observed"] or poutine.util.site_is_subsample(msg)):
            msg["value"] = self.fill(msg)
            msg["done"] = msg["value"] is not None


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide ``dropout`` to a Pyro program in expanded form; `config` is an `SVI`."""
    refuse_for_dropout(sites)
    program, xp, settings = on_rows(model), language("pyro").xp, config.guide
    points = [name for name in sites.latent if not is_noise(name)]

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        nodes: Any = poutine.trace(started(model, radius=0.1)).get_trace(x, y).nodes
        z = {k: biject_to(nodes[k]["fn"].support).inv(nodes[k]["value"]).detach() for k in points}
        z |= {k: nodes[k]["infer"]["spread"] * torch.randn(z[k].shape) for k in points_without_prior(nodes, points)}
        z = {k: v.requires_grad_() for k, v in z.items()}
        return State(0, z, torch.optim.Adam(list(z.values()), fused=True))

    def particle(z: dict, x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        """Log likelihoods of the rows under one draw of the noise, and the log prior of the points."""
        count = x.shape[0] if rows is None else len(rows)

        def fill(site: dict) -> Any:
            if site["name"] in z:
                return biject_to(site["fn"].support)(z[site["name"]])
            if settings.mask == "example" and is_noise(site["name"]):
                return per_example_noise(site, torch.randn, lambda: site["fn"].sample((count,)))
            return None

        with explain_shared_scales():
            nodes: Any = poutine.trace(Filled(fill)(program)).get_trace(x, y, rows).nodes
        with_prior = [name for name in points if name not in points_without_prior(nodes, points)]
        log_prior = sum(nodes[name]["fn"].log_prob(nodes[name]["value"]).sum() for name in with_prior)
        return nodes["y"]["fn"].log_prob(nodes["y"]["value"]), log_prior

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(x.shape[0], config.batch_size)
        scale = 1.0 if rows is None else x.shape[0] / len(rows)
        particles = [particle(state.z, x, y, rows) for _ in range(config.particles)]
        fit = objective(xp, settings, torch.stack([log_lik for log_lik, _ in particles]), scale)
        loss = -fit - particles[0][1]
        state.adam.zero_grad()
        loss.backward()
        state.adam.param_groups[0]["lr"] = config.lr * falling(config, state.number)
        state.adam.step()
        return state._replace(number=state.number + 1), {"loss": loss.detach(), "log_lik": fit.detach()}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        def fill(site: dict) -> Any:
            if site["name"] in state.z:
                return biject_to(site["fn"].support)(state.z[site["name"]])
            return noise_without_draws(site, settings.prediction) if is_noise(site["name"]) else None

        trace: Any = poutine.trace(Filled(fill)(model)).get_trace(x[:1], y[:1])
        latent = {name: trace.nodes[name]["value"] for name in sites.latent}
        return without_function({**latent, **deterministic(trace)}), {}

    return of_guide(config, init, step, draw, method="sequential")


def noise_without_draws(site: dict, prediction: str) -> Any:
    """As `..dropout.put`."""
    if prediction == "average":
        return None
    place = site["infer"].get("centre" if prediction == "centre" else "mean", site["infer"].get("mean"))
    return mean(site) if place is None else torch.full(site["fn"].shape(), known_place(site, place))


def mean(site: dict) -> Any:
    """The mean of a noise at its site; raises `NoKnownMean` if it has none that is known."""
    try:
        value = site["fn"].mean
    except NotImplementedError:
        value = torch.tensor(torch.nan)
    if not torch.isfinite(value).all():
        raise NoKnownMean(NO_MEAN.format(site["name"]))
    return value
