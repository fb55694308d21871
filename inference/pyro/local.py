"""The mean-field ELBO with weights that are not sampled, in Pyro, and `svi` with it: the counterpart of `..local`.

Parameters live in a store of the chain's own and are stepped by one Adam, not by one for each as `pyro.optim` does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.infer import TraceMeanField_ELBO
from torch.distributions import biject_to, kl_divergence

from ...models.local import Unsampled
from ...models.ppl import language
from .. import normals, scales
from ..algorithm import Algorithm, of_guide
from ..local import Parts
from ..target import Sites, kept
from .target import aside, draw_rows, latent, made, on_device, on_rows, started


class LocalMeanField_ELBO(TraceMeanField_ELBO):
    """For `pyro.infer.SVI`: minus the ELBO, the divergence multiplied by `kl_weight`; for reparameterised guides."""

    def __init__(self, num_particles: int = 1, kl_weight: Any = 1.0) -> None:
        self.kl_weight = kl_weight
        super().__init__(num_particles=num_particles)

    def _get_trace(self, model: Callable, guide: Callable, args: Any, kwargs: Any) -> tuple[Any, Any]:
        return traces(model, guide, args, kwargs)

    def _differentiable_loss_particle(self, model_trace: Any, guide_trace: Any) -> tuple[Any, Any]:
        found = parts(model_trace, guide_trace)
        loss = self.kl_weight * found.kl - found.log_lik
        return loss.item(), loss


def traces(model: Callable, guide: Callable, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """One draw of the guide and what the program makes of it: the traces of the program and of the guide."""
    q = poutine.trace(guide).get_trace(*args, **kwargs)
    return poutine.trace(poutine.replay(model, trace=q)).get_trace(*args, **kwargs), q


def parts(p: Any, q: Any) -> Parts:
    """The two parts of the ELBO, from the traces of program and guide; sampled sites count by log q - log p."""
    log_lik = kl = torch.zeros(())
    for name, site in p.nodes.items():
        if site["type"] != "sample" or poutine.util.site_is_subsample(site) or site["infer"].get("_deterministic"):
            continue
        if site["infer"].get("guide") == "point":  # its law is constant in what the program uses of it
            continue
        if not site["is_observed"]:
            kl = kl + _divergence(q.nodes[name], site)
        elif poutine.util.site_is_factor(site):  # a factor belongs to the prior
            kl = kl - _log_prob(site)
        else:
            log_lik = log_lik + _log_prob(site)
    for name, site in q.nodes.items():
        if site["type"] == "sample" and name not in p.nodes:  # auxiliary
            kl = kl + _log_prob(site)
    return Parts(log_lik, kl)


def _divergence(q: dict, p: dict) -> Any:
    try:
        return scale_and_mask(kl_divergence(q["fn"], p["fn"]), q["scale"], q["mask"]).sum()
    except NotImplementedError:
        return _log_prob(q) - _log_prob(p)


def _log_prob(site: dict) -> Any:
    return scale_and_mask(site["fn"].log_prob(site["value"]), site["scale"], site["mask"]).sum()


class LocalNormal(dist.Normal):
    """A normal whose draw is the unsampled weight."""

    flipout = False

    def rsample(self, sample_shape: Any = ()) -> Any:
        return Unsampled(self.loc, self.scale, torch.randn, self.flipout)


class FlipoutNormal(LocalNormal):
    """A normal whose draw is the unsampled weight, to be perturbed alike in all rows up to signs."""

    flipout = True


LAWS = {"local": LocalNormal, "em": LocalNormal, "flipout": FlipoutNormal}


class State(NamedTuple):
    """The number of the step, Adam, and the content of a parameter store of the chain's own."""

    number: int
    adam: torch.optim.Adam
    params: Any


def algorithm(config: Any, model: Callable, found: Sites, rate: Callable[[int], float]) -> Algorithm:
    """Bind the guides ``local`` and ``flipout`` to a Pyro program; `config` is an `SVI`, `rate` scales its lr."""
    program, p, store = on_rows(model), language("pyro"), pyro.get_param_store()
    sites: dict[str, normals.Site] = {}
    known: dict[str, Any] = {}
    start = _start(known)

    def guide(x: Any, y: Any, rows: Any = None) -> None:
        normals.sample(p, sites, config, start, LAWS[config.guide], _choose(model, config, x, y))

    @on_device
    def init(key: int, x: Any, y: Any) -> State:
        if not sites:  # alike for all chains
            sites.update(layout(model, x, y))
            normals.report_unregistered(sites)
            known.update(normals.means(config.start, sites) if config.start else {})
        with store.scope() as params:
            traces(program, guide, (x, y, draw_rows(x.shape[0], config.batch_size)), {})
        return State(0, torch.optim.Adam(params["params"].values(), fused=True), params)

    @on_device
    def step(key: int, state: State, x: Any, y: Any) -> tuple[State, dict]:
        args = x, y, draw_rows(x.shape[0], config.batch_size)
        with store.scope(state.params):
            each = [parts(*traces(program, guide, args, {})) for _ in range(config.particles)]
        log_lik, kl = (sum(part) / config.particles for part in zip(*each, strict=True))
        weight = config.kl_weight * ramp(state.number, config.pretrain, config.kl_warmup)
        if config.kl == "mean":
            weight *= x.shape[0] / normals.weights(sites)
        loss = weight * kl - log_lik
        state.adam.zero_grad()
        loss.backward()
        state.adam.param_groups[0]["lr"] = config.lr * rate(state.number)
        state.adam.step()
        info = {"loss": loss, "log_lik": log_lik, "kl": kl}
        return state._replace(number=state.number + 1), {name: value.detach() for name, value in info.items()}

    @on_device
    @torch.no_grad()
    def draw(key: int, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        with store.scope(state.params):
            choose = _choose(model, config, x, y)
            drawn: Any = poutine.trace(normals.sample).get_trace(p, sites, config, start, None, choose)
            values = {name: drawn.nodes[name]["value"].detach() for name in found.latent}
            trace = poutine.trace(poutine.condition(model, data=values)).get_trace(x[:1], y[:1])
        return kept({**values, **made(trace)}), {}

    @on_device
    @torch.no_grad()
    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        told = normals.told(sites, config)
        with store.scope(state.params):
            both = {name: normals.moments(p, name, sites[name], config, start) for name in told}
        return {name: loc for name, (loc, _) in both.items()}, {name: scale for name, (_, scale) in both.items()}

    return of_guide(config, init, step, draw, moments=moments, method="sequential")


def ramp(step: int, pretrain: int, warmup: int) -> float:
    """The weight of the divergence at a step: 0 for `pretrain` steps, then linear to 1 over `warmup` steps."""
    return min(max((step - pretrain + 1) / max(warmup, 1), 0.0), 1.0)


def layout(model: Callable, x: Any, y: Any) -> dict[str, normals.Site]:
    """What the guide needs to know of the latent sites; weights of a layer may wait if their divergence is known."""
    with aside(x):
        found = latent(poutine.trace(started(model)).get_trace(x[:2], y[:2]))
    return normals.layout(language("pyro"), found, biject_to, kl_divergence)


def _choose(model: Callable, config: Any, x: Any, y: Any) -> Callable | None:
    """As `scales.chosen`, for a Pyro program; None for the guides whose scales have normals of their own."""
    if config.guide != "em":
        return None

    def choose(steps: dict, shapes: dict, values: dict, second: dict) -> dict[str, tuple[Any, Any]]:
        def trace(logs: dict) -> Any:
            data = {**values, **{name: v.exp() for name, v in logs.items()}}
            with poutine.block():  # the guide that asks is being traced itself
                return poutine.trace(poutine.condition(model, data=data)).get_trace(x[:1], y[:1]).nodes

        def back(logs: dict) -> tuple[dict, Callable]:
            with torch.enable_grad():
                leaves = {name: v.detach().requires_grad_() for name, v in logs.items()}
                made = scales.log_sds(torch, trace(leaves), second)

            def pull(of: dict) -> dict:
                with torch.enable_grad():
                    found = torch.autograd.grad(
                        list(made.values()), list(leaves.values()), [of[w] for w in made], create_graph=True
                    )
                return dict(zip(leaves, found, strict=True))

            return scales.log_sds(torch, trace(logs), second), pull

        first = {name: torch.zeros(shapes[name]) for name in steps}
        logs = scales.optimum(torch, back, steps, first, second, config.sweeps)
        sites = trace(logs)
        in_kl = config.kl == "sum"
        own = {name: scales.log_prob(torch, sites, name) for name in steps}
        return {name: (v.exp(), scales.density(torch, steps[name], v, own[name], in_kl)) for name, v in logs.items()}

    return choose


def _start(known: dict[str, Any]) -> Callable:
    """Initial values of the guide's parameters: those that are known, else normal draws."""

    def start(name: str, shape: tuple[int, ...], mean: float, sd: float) -> Callable:
        if name in known:
            return lambda: torch.tensor(known[name], dtype=torch.get_default_dtype())
        return lambda: mean + sd * torch.randn(shape)

    return start
