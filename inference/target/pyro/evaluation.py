"""A Pyro program at draws of its sites."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pyro import poutine

from ....models.ppl.programs import simulate
from ..batches import rows_at_once
from ..sites import Arrays, check_draws


def prior_draws(model: Callable, x: Any, count: int, seed: int) -> dict[str, Any]:
    """Draws (count, ...) of all sites of a program from its prior, at these inputs."""
    rows = [simulate(model, seed * count + i, x) for i in range(count)]
    return {name: torch.stack([row[name] for row in rows]).detach().cpu() for name in rows[0]}


def predict_at_draws(model: Callable, draws: Arrays, x: Any, y: Any, seed: int) -> tuple:
    """f, y and log_lik, each (draw, row, ...), of a program at draws (draw, ...) of its sites (see `predict`)."""

    def evaluate(draw: dict, x: Any, y: Any) -> tuple:
        sites: Any = poutine.trace(poutine.condition(model, data=draw)).get_trace(x).nodes
        check_draws([name for name, site in sites.items() if _is_latent(site) and name != "y"], draw)
        log_lik = None if y is None else sites["y"]["fn"].log_prob(y.to(sites["f"]["value"].dtype))
        return sites["f"]["value"], sites["y"]["value"], log_lik

    tensors = _tensors(draws, x)
    count = len(next(iter(draws.values())))
    with torch.no_grad(), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        tensors = _sampled(model, tensors, x)
        torch.manual_seed(seed)
        chunks = list(
            zip(x.split(rows_at_once(x)), [None] * x.shape[0] if y is None else y.split(rows_at_once(x)), strict=False)
        )
        rows = [
            [evaluate({name: values[i] for name, values in tensors.items()}, *chunk) for chunk in chunks]
            for i in range(count)
        ]
    joined = [[None if p[0] is None else torch.cat(p) for p in zip(*parts, strict=True)] for parts in rows]
    return tuple(None if part[0] is None else torch.stack(part).cpu().numpy() for part in zip(*joined, strict=True))


def log_prior_at_draws(model: Callable, draws: Arrays, x: Any) -> Arrays:
    """The log prior density (draw,) of every site, and of every factor, at draws (draw, ...) of the sites."""

    def evaluate(draw: dict) -> dict:
        sites: Any = poutine.trace(poutine.condition(model, data=draw)).get_trace(x[:1]).nodes
        prior = {name: site for name, site in sites.items() if _has_density(site) and name != "y"}
        check_draws([name for name, site in prior.items() if _is_latent(site)], draw)
        return {name: float(site["fn"].log_prob(site["value"]).sum()) for name, site in prior.items()}

    count = len(next(iter(draws.values())))
    with torch.no_grad(), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        tensors = _sampled(model, _tensors(draws, x), x)
        rows = [evaluate({name: values[i] for name, values in tensors.items()}) for i in range(count)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _tensors(draws: Arrays, x: Any) -> dict[str, Any]:
    """The draws as tensors, floats of the kind of x."""
    tensors = {name: torch.tensor(values, device=x.device) for name, values in draws.items()}
    return {name: t.to(x.dtype) if t.is_floating_point() else t for name, t in tensors.items()}


def _sampled(model: Callable, tensors: dict[str, Any], x: Any) -> dict[str, Any]:
    """Without deterministic sites, which condition would put in place of what the program makes."""
    first = {name: values[0] for name, values in tensors.items()}
    sites: Any = poutine.trace(poutine.condition(model, data=first)).get_trace(x[:1]).nodes
    made = [name for name, site in sites.items() if site.get("infer", {}).get("_deterministic")]
    return {name: values for name, values in tensors.items() if name not in made}


def _has_density(site: dict) -> bool:
    """Whether a site has a density or is a factor: not deterministic, not the rows of a plate."""
    deterministic = site.get("infer", {}).get("_deterministic")
    return site["type"] == "sample" and not deterministic and type(site["fn"]).__name__ != "_Subsample"


def _is_latent(site: dict) -> bool:
    """Whether Pyro drew the site itself: not given, not deterministic, not the rows of a plate."""
    return _has_density(site) and not site.get("is_observed")
