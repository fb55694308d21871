"""A Pyro program as a target: what it samples, its minibatch form, its density in unconstrained space."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger
from torch.distributions import biject_to

from ..sites import Sites, described, without_function
from ..sites import refuse_discrete as refuse_discrete_sites

TRIES = 100  # starts tried before the program is given up


def sites(model: Callable, x: Any, y: Any) -> Sites:
    """What `model` samples, found by running it on two rows; torch's random state is left as it was.

    Raises TypeError if `x` is not of torch's default floating type, which is that of the priors.
    """
    if x.dtype != torch.get_default_dtype():
        raise TypeError(f"x is {x.dtype} and Pyro's priors are {torch.get_default_dtype()}; convert x to that type")
    with untouched(x):
        trace: Any = poutine.trace(started(model)).get_trace(x[:2], y[:2])
    sites = latent(trace)
    discrete = tuple(k for k, site in sites.items() if site["fn"].support.is_discrete)
    endless = tuple(name for name in discrete if not sites[name]["fn"].has_enumerate_support)
    found = described(tuple(sites), discrete, dict(trace.nodes), bool(trace.param_nodes), endless)
    bounds = vars(found.support).values() if found.support is not None else ()  # those of a uniform y lie about f
    return found._replace(support=None) if any(isinstance(b, torch.Tensor) for b in bounds) else found


def refuse_discrete(strategy: str, sites: Sites) -> None:
    """Raise ValueError if the program has discrete sites, which a gradient cannot move."""
    refuse_discrete_sites(f"{strategy} under Pyro", sites, "nuts under NumPyro (Gibbs inside)")


def on_rows(program: Callable) -> Callable:
    """``(x, y, rows) -> program(x, y)`` on these rows of the data plate, scaled to all; on all rows if None."""

    def minibatch(x: Any, y: Any, rows: Any = None) -> Any:
        if rows is None:
            return program(x, y)
        return poutine.condition(program, data={"data": rows})(x, y, batch_size=len(rows))

    return minibatch


def draw_rows(size: int, batch_size: int | None) -> Any:
    """Row numbers of a minibatch, uniform with replacement; None for all rows."""
    return None if batch_size is None else torch.randint(size, (batch_size,))


def started(program: Callable, radius: float = 0.5) -> Callable:
    """`program` with each continuous site at a value that is uniform within `radius` of 0 in unconstrained space."""

    def start(site: Any) -> Any:
        law = site["fn"]
        if law.support.is_discrete:
            return law.sample()
        transform = biject_to(law.support)
        return transform(torch.empty(transform.inverse_shape(law.shape())).uniform_(-radius, radius))

    return InitMessenger(start)(program)


def initial(model: Callable, x: Any, y: Any, path: str | None = None) -> tuple[dict, dict]:
    """A start with a finite density, and the transform to each site's support: both by name.

    Random, or at the posterior means in a fit's file.  Raises ValueError if no start has a finite density.
    """
    for _ in range(TRIES):
        trace: Any = poutine.trace(started(model)).get_trace(x, y)
        if torch.isfinite(trace.log_prob_sum()):
            sites = latent(trace)
            transforms = {name: biject_to(site["fn"].support) for name, site in sites.items()}
            values = {name: site["value"] for name, site in sites.items()}
            if path:
                from ..warm_start import means

                values = {k: torch.as_tensor(v).to(values[k]) for k, v in means(path, shapes(values)).items()}
            return {name: transforms[name].inv(value).detach() for name, value in values.items()}, transforms
    raise ValueError(f"the log joint is not finite at any of {TRIES} random starts; check the data and the noise")


def start_and_constrain(model: Callable, sites: Sites, x: Any, y: Any) -> tuple[dict, Callable]:
    """An unconstrained starting point, and the map from there to the values of the latent sites."""
    with untouched(x):
        z, transforms = initial(model, x, y)
    return z, lambda z: {name: transforms[name](value) for name, value in z.items()}


def shapes(values: dict) -> dict[str, tuple[int, ...]]:
    """The shapes of the values, by name."""
    return {name: tuple(value.shape) for name, value in values.items()}


def log_density(model: Callable, transforms: dict, z: dict, x: Any, y: Any, rows: Any = None) -> tuple[Any, dict]:
    """log p(z, y given x) at the unconstrained `z`, Jacobian included, and the sites of the program there.

    An unbiased estimate if `rows` are a minibatch.  Compatible with ``torch.func``.
    """
    values = {name: transform(z[name]) for name, transform in transforms.items()}
    joint, sites = log_joint(model, values, x, y, rows)
    jacobian = [t.log_abs_det_jacobian(z[name], values[name]).sum() for name, t in transforms.items()]
    return joint + sum(jacobian), sites


def vmap_or_loop(f: Callable, us: Any) -> Any:
    """f(u) (draws,) for each of `us` (draws, n): in one call of torch, or one after another of a program whose flow
    depends on values."""
    if len(us) > 1:
        with suppress(RuntimeError):  # vmap's, or the program's own, which comes again
            return torch.vmap(f, randomness="same")(us)
    return torch.stack([f(u) for u in us])


def log_joint(model: Callable, values: dict, x: Any, y: Any, rows: Any = None) -> tuple[Any, dict]:
    """log p(values, y given x) in the constrained space, and what a fit stores: `values` and deterministic weights."""
    trace: Any = poutine.trace(poutine.condition(on_rows(model), data=values)).get_trace(x, y, rows)
    return trace.log_prob_sum(), without_function({**values, **deterministic(trace)})


def deterministic(trace: Any) -> dict:
    """The deterministic sites of a trace."""
    return {name: site["value"] for name, site in trace.nodes.items() if site.get("infer", {}).get("_deterministic")}


def on_device(call: Callable) -> Callable:
    """A function ``(key, ..., x, y)`` of an algorithm: its new tensors lie beside `x`, its laws are not validated."""

    @wraps(call)
    def wrapped(*args: Any) -> Any:
        with _beside(args[-2]):
            return call(*args)

    return wrapped


@contextmanager
def _beside(x: Any) -> Iterator[None]:
    """New tensors on the device of `x`; no validation, so that NaN reaches the driver, which knows what to say."""
    with pyro.validation_enabled(False), nullcontext() if x.device.type == "cpu" else x.device:
        yield


@contextmanager
def untouched(x: Any) -> Iterator[None]:
    """A look at a program beside `x` that leaves torch's random state and Pyro's parameter store as they were."""
    with torch.random.fork_rng([x.device] if x.is_cuda else []), pyro.get_param_store().scope(), _beside(x):
        yield


def latent(trace: Any) -> dict:
    """The sites of a trace that are neither observed nor the rows of a plate."""
    nodes = {name: trace.nodes[name] for name in trace.stochastic_nodes}
    return {name: site for name, site in nodes.items() if not poutine.util.site_is_subsample(site)}
