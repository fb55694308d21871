"""From posterior draws to function values, predictive draws and log likelihoods, in either language."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..models.ppl import ppl, simulate
from .fit import Arrays

SEEDS = 1_000_003  # apart: the seeds of chunks of rows
BATCH = 50  # draws that are evaluated at once, at most
ROWS = 100_000  # rows that are evaluated at once, at most, those of all draws of a batch together
CELLS = 2_000_000  # features that are evaluated at once: convolutions take some hundred times as much memory


class Prediction(NamedTuple):
    """Arrays `f` (chain, draw, rows[, classes]), `y` and `log_lik` (chain, draw, rows); `log_lik` is None without y."""

    f: np.ndarray
    y: np.ndarray
    log_lik: np.ndarray | None


def predict(model: Callable, draws: Arrays, x: Any, y: Any = None, seed: int = 0) -> Prediction:
    """Run a program at `x` (rows, features) under each draw of its latent sites.

    The program must have the sites ``f`` and ``y``; what is in `draws` beyond its latent sites is ignored.  `draws` are
    NumPy arrays (chain, draw, ...), `x` and `y` arrays of the language to run in.  Raises ValueError if a latent site
    is missing.
    """
    chains, count = next(iter(draws.values())).shape[:2]
    flat = {name: values.reshape(chains * count, *values.shape[2:]) for name, values in draws.items()}
    run = _numpyro if ppl(x).name == "numpyro" else _pyro
    parts: list[Any] = [
        a if a is None else a.reshape(chains, count, *a.shape[1:]) for a in run(model, flat, x, y, seed)
    ]
    return Prediction(*parts)


def prior_draws(model: Callable, x: Any, count: int, seed: int = 0) -> Arrays:
    """Draws (1, count, ...) of the latent and deterministic sites of a program from its prior, without f and y.

    Raises NotImplementedError, as both languages do, if the prior is improper.
    """
    one_row = x[:1]  # the prior does not depend on the data
    if ppl(x).name == "numpyro":
        import jax

        keys = jax.random.split(jax.random.key(seed, impl="rbg"), count)  # compiles in a quarter of threefry's time
        found = _simulate(model)(keys, one_row)
    else:
        import torch

        rows = [simulate(model, seed * count + i, one_row) for i in range(count)]
        found = {name: torch.stack([row[name] for row in rows]).detach().cpu() for name in rows[0]}
    return {name: np.asarray(v)[None] for name, v in found.items() if name not in ("f", "y", "data")}


@lru_cache(maxsize=32)
def _simulate(model: Callable) -> Callable:
    import jax
    from numpyro import handlers

    def one(key: Any, x: Any) -> dict:
        sites = handlers.trace(handlers.seed(model, key)).get_trace(x)
        return {name: s["value"] for name, s in sites.items() if s["type"] in ("sample", "deterministic")}

    return jax.jit(jax.vmap(one, (0, None)))


def _numpyro(model: Callable, draws: Arrays, x: Any, y: Any, seed: int) -> tuple:
    import jax

    latent = _latent(model, x)
    _check(latent, draws)
    count, rows, size = len(next(iter(draws.values()))), x.shape[0], _rows(x)
    draws_at_once = int(np.clip(_most(x) // size, 1, BATCH))
    evaluate, parts = _evaluate(model), []
    for i, first in enumerate(range(0, rows, size)):
        chunk = np.arange(first, first + size) % rows  # the last chunk is filled up, so that shapes stay the same
        some = (x, y) if size == rows else (x[chunk], y if y is None else y[chunk])
        keys = np.asarray(jax.random.split(jax.random.PRNGKey(seed + i * SEEDS), count))
        batches = []
        for start in range(0, count, draws_at_once):
            batch = np.arange(start, start + draws_at_once) % count  # so is the last batch
            batches.append(jax.device_get(evaluate(keys[batch], {name: draws[name][batch] for name in latent}, *some)))
        parts.append(_joined(batches, 0, count))
    return _joined(parts, 1, rows)


def _most(x: Any) -> int:
    """How many rows are evaluated at once, those of all draws of a batch together."""
    return int(np.clip(CELLS // x.shape[1], 1, ROWS))


def _rows(x: Any) -> int:
    """How many rows of `x` are evaluated at once."""
    return min(x.shape[0], _most(x))


def _joined(parts: list, axis: int, size: int) -> tuple:
    """f, y and log_lik of several parts, each cut to `size` along `axis`."""
    return tuple(
        None if p[0] is None else np.take(np.concatenate(p, axis), np.arange(size), axis)
        for p in zip(*parts, strict=True)
    )


def _latent(model: Callable, x: Any) -> tuple[str, ...]:
    """Names of the sites to fill in: all that `model` samples without data, but y."""
    import jax
    from numpyro.infer.gibbs import latent_sample_sites, prototype_trace

    found: list[str] = []

    def look(x: Any) -> None:
        found.extend(latent_sample_sites(prototype_trace(model, jax.random.PRNGKey(0), (x,), {})))

    jax.eval_shape(look, x)
    return tuple(name for name in found if name != "y")


@lru_cache(maxsize=32)
def _evaluate(model: Callable) -> Callable:
    """The program under a batch of draws, compiled: ``(keys, draws, x, y) -> (f, y, log_lik)``."""
    import jax
    from numpyro import handlers

    def one(key: Any, draw: dict, x: Any, y: Any) -> tuple:
        sites = handlers.trace(handlers.seed(handlers.substitute(model, data=draw), key)).get_trace(x)
        log_lik = None if y is None else sites["y"]["fn"].log_prob(y)
        return sites["f"]["value"], sites["y"]["value"], log_lik

    return jax.jit(jax.vmap(one, (0, 0, None, None)))


def _pyro(model: Callable, draws: Arrays, x: Any, y: Any, seed: int) -> tuple:
    import torch
    from pyro import poutine

    def one(draw: dict, x: Any, y: Any) -> tuple:
        sites: Any = poutine.trace(poutine.condition(model, data=draw)).get_trace(x).nodes
        _check([name for name, site in sites.items() if _is_latent(site) and name != "y"], draw)
        log_lik = None if y is None else sites["y"]["fn"].log_prob(y.to(sites["f"]["value"].dtype))
        return sites["f"]["value"], sites["y"]["value"], log_lik

    def tensor(values: np.ndarray) -> Any:
        found = torch.tensor(values, device=x.device)
        return found.to(x.dtype) if found.is_floating_point() else found

    tensors = {name: tensor(values) for name, values in draws.items()}
    count = len(next(iter(draws.values())))
    with torch.no_grad(), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        first = {name: values[0] for name, values in tensors.items()}
        sites: Any = poutine.trace(poutine.condition(model, data=first)).get_trace(x[:1]).nodes
        for name in [k for k, site in sites.items() if site.get("infer", {}).get("_deterministic")]:
            tensors.pop(name, None)  # condition would put it in place of what the program makes
        torch.manual_seed(seed)
        chunks = list(zip(x.split(_rows(x)), [None] * x.shape[0] if y is None else y.split(_rows(x)), strict=False))
        rows = [
            [one({name: values[i] for name, values in tensors.items()}, *chunk) for chunk in chunks]
            for i in range(count)
        ]
    whole = [[None if p[0] is None else torch.cat(p) for p in zip(*parts, strict=True)] for parts in rows]
    return tuple(None if part[0] is None else torch.stack(part).cpu().numpy() for part in zip(*whole, strict=True))


def _is_latent(site: dict) -> bool:
    """Whether Pyro drew the site itself: not given, not deterministic, not the rows of a plate."""
    made = site.get("is_observed") or site.get("infer", {}).get("_deterministic")
    return site["type"] == "sample" and not made and type(site["fn"]).__name__ != "_Subsample"


def _check(latent: Any, draws: Arrays) -> None:
    if missing := [name for name in latent if name not in draws]:
        raise ValueError(f"the draws lack the site {missing[0]} of this program; were they made by another one?")
