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

    def tensor(values: np.ndarray) -> Any:
        array = torch.tensor(values, device=x.device)
        return array.to(x.dtype) if array.is_floating_point() else array

    tensors = {name: tensor(values) for name, values in draws.items()}
    count = len(next(iter(draws.values())))
    with torch.no_grad(), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        first = {name: values[0] for name, values in tensors.items()}
        sites: Any = poutine.trace(poutine.condition(model, data=first)).get_trace(x[:1]).nodes
        for name in [k for k, site in sites.items() if site.get("infer", {}).get("_deterministic")]:
            tensors.pop(name, None)  # condition would put it in place of what the program makes
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


def _is_latent(site: dict) -> bool:
    """Whether Pyro drew the site itself: not given, not deterministic, not the rows of a plate."""
    given = site.get("is_observed") or site.get("infer", {}).get("_deterministic")
    return site["type"] == "sample" and not given and type(site["fn"]).__name__ != "_Subsample"
