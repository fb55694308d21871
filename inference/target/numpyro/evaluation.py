"""A NumPyro program at given values of its sites, compiled: for draws of them, and for the weights of one net."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import handlers
from numpyro.infer.gibbs import latent_sample_sites, prototype_trace

from ....models.ppl.compiled import kept
from ..batches import BATCH, SEEDS, most_rows, rows_at_once
from ..sites import NETWORK_SITES, Arrays, check_draws


def prior_draws(model: Callable, x: Any, count: int, seed: int) -> dict[str, Any]:
    """Draws (count, ...) of all sites of a program from its prior, at these inputs."""
    keys = jax.random.split(jax.random.key(seed, impl="rbg"), count)  # compiles in a quarter of threefry's time
    return _prior_sampler(model)(keys, x)


def predict_at_draws(model: Callable, draws: Arrays, x: Any, y: Any, seed: int) -> tuple:
    """f, y and log_lik, each (draw, row, ...), of a program at draws (draw, ...) of its sites (see `predict`)."""
    latent = _latent_sites(model, x)
    check_draws(latent, draws)
    count, rows, size = len(next(iter(draws.values()))), x.shape[0], rows_at_once(x)
    draws_at_once = int(np.clip(most_rows(x) // size, 1, BATCH))
    evaluate, parts = _predictive(model), []
    for i, first in enumerate(range(0, rows, size)):
        chunk = np.arange(first, first + size) % rows  # the last chunk is filled up, so that shapes stay the same
        data = (x, y) if size == rows else (x[chunk], y if y is None else y[chunk])
        keys = np.asarray(jax.random.split(jax.random.PRNGKey(seed + i * SEEDS), count))
        batches = []
        for start in range(0, count, draws_at_once):
            batch = np.arange(start, start + draws_at_once) % count  # so is the last batch
            batches.append(jax.device_get(evaluate(keys[batch], {name: draws[name][batch] for name in latent}, *data)))
        parts.append(_joined(batches, 0, count))
    return _joined(parts, 1, rows)


def log_prior_at_draws(model: Callable, draws: Arrays, x: Any) -> Arrays:
    """The log prior density (draw,) of every site, and of every factor, at draws (draw, ...) of the sites."""
    latent, count = _latent_sites(model, x), len(next(iter(draws.values())))
    check_draws(latent, draws)
    parts = []
    for start in range(0, count, BATCH):
        batch = np.arange(start, start + BATCH) % count  # the last batch is filled up, so that shapes stay the same
        parts.append(jax.device_get(_log_prior(model)({name: draws[name][batch] for name in latent}, x[:1])))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def _joined(parts: list, axis: int, size: int) -> tuple:
    """f, y and log_lik of several parts, each cut to `size` along `axis`."""
    return tuple(
        None if p[0] is None else np.take(np.concatenate(p, axis), np.arange(size), axis)
        for p in zip(*parts, strict=True)
    )


@kept
def _prior_sampler(model: Callable) -> Callable:
    def draw_sites(key: Any, x: Any) -> dict:
        sites = handlers.trace(handlers.seed(model, key)).get_trace(x)
        return {name: s["value"] for name, s in sites.items() if s["type"] in ("sample", "deterministic")}

    return jax.jit(jax.vmap(draw_sites, (0, None)))


def _latent_sites(model: Callable, x: Any) -> tuple[str, ...]:
    """Names of the sites to fill in: all that `model` samples without data, but y."""
    names: list[str] = []

    def trace_sites(x: Any) -> None:
        names.extend(latent_sample_sites(prototype_trace(model, jax.random.PRNGKey(0), (x,), {})))

    jax.eval_shape(trace_sites, x)
    return tuple(name for name in names if name != "y")


@kept
def _predictive(model: Callable) -> Callable:
    """The program under a batch of draws, compiled: ``(keys, draws, x, y) -> (f, y, log_lik)``."""

    def evaluate(key: Any, draw: dict, x: Any, y: Any) -> tuple:
        sites = handlers.trace(handlers.seed(handlers.substitute(model, data=draw), key)).get_trace(x)
        log_lik = None if y is None else sites["y"]["fn"].log_prob(y)
        return sites["f"]["value"], sites["y"]["value"], log_lik

    return jax.jit(jax.vmap(evaluate, (0, 0, None, None)))


@kept
def _log_prior(model: Callable) -> Callable:
    """The prior of a program at a batch of draws, compiled: ``(draws, x) -> {site: log density}``."""

    def evaluate(draw: dict, x: Any) -> dict:
        sites = handlers.trace(handlers.seed(handlers.substitute(model, data=draw), 0)).get_trace(x)
        prior = {name: s for name, s in sites.items() if s["type"] == "sample" and name != "y"}
        return {name: jnp.sum(s["fn"].log_prob(s["value"])) for name, s in prior.items()}

    return jax.jit(jax.vmap(evaluate, (0, None)))


@kept
def function_of_weights(model: Callable) -> Callable:
    """``(values, x) -> f`` of a program, compiled; names and shapes are checked where it is traced."""

    def run(values: dict, x: Any) -> Any:
        seen = set()

        def value(site: dict) -> Any:
            name = site["name"]
            if site["type"] not in ("sample", "deterministic") or name == "f":
                return None
            shape = tuple(site["fn"].shape()) if site["type"] == "sample" else jnp.shape(site["value"])
            if name in values:
                if values[name].shape != shape:
                    given, why = values[name].shape, "is it a fit of another program?"
                    raise ValueError(f"{name} has shape {given}, and {shape} in this program; {why}")
                seen.add(name)
                return values[name]
            if name.endswith(NETWORK_SITES):
                raise ValueError(f"there is no value for {name} of this program; is it a fit of another program?")
            return jnp.ones(shape) if site["type"] == "sample" else None

        f = handlers.trace(handlers.substitute(model, substitute_fn=value)).get_trace(x)["f"]["value"]
        if unknown_sites := [site for site in values if site.endswith(NETWORK_SITES) and site not in seen]:
            raise ValueError(f"this program has no site {unknown_sites[0]}; is it a fit of another program?")
        return f

    return jax.jit(run)
