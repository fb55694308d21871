"""The dropout family: noise from its prior, weights a point, q(lambda, W) = p(lambda) delta(W).

All of it maximises over W the log prior of W plus an estimate, from K draws of the noise, of how well the rows are
predicted.  With l_nk = log p(y_n given x_n, lambda_k W):

- ``average``: sum_n mean_k l_nk, whose expectation is that of Monte-Carlo dropout, E_p(lambda)[log p(y given lambda W)]
  (Nalisnick, Anandkumar & Smyth 2015, eq 3): the ELBO of this q, and by Jensen a lower bound on the next.
- ``importance``: log mean_k exp(l_nk), summed over n, with a mask for each example; log mean_k exp(sum_n l_nk) with one
  for the function.  The importance-weighted bound (Burda, Grosse & Salakhutdinov 2016); as K grows it becomes
  log int p(y given lambda W) p(lambda) dlambda, and maximised with log p(W) that is *marginal MAP*.
- ``tail_adaptive``: sum_n sum_k g_k l_n(k), g_k proportional to 1 / k where k is the rank of l_n(k) within its row, the
  largest first, and held constant: the importance weights of the bound before, replaced by ranks (Wang, Liu & Liu 2018;
  Nalisnick, Hernandez-Lobato & Smyth 2019).  It is no bound.

Which posterior is it?  With one mask for the function (``mask=function``) lambda is a parameter of the whole data set,
as in the prior that the noise induces: ``importance`` on all rows is marginal MAP of that very model.  With one for
each example (``mask=example``, dropout as it is trained everywhere) the model is another one: every row has a lambda of
its own, p(y_n) = int p(y_n given lambda W) p(lambda) dlambda, and nothing is learned of lambda.  Either way the noise
of the guide is its prior, whatever the data say.  Draws have one mask each, the same for all rows of a function draw.

Three ways to predict: the ``average`` over draws of the noise (the ensemble; with one draw, one network), the
``mean_weight`` E[w], and, for noise that turns weights, whose mean is shorter than they are, the ``centre``: the noise
switched off.  For noise that multiplies weights the last two are the same.

See ``docs/gotchas.md#dropout-is-another-posterior``.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from numpyro import handlers
from numpyro.distributions import biject_to

from ....models.ppl import ppl
from ....models.unsampled.local_reparameterisation import Unsampled
from ....models.unsampled.per_row import PerRow
from ...target.numpyro.density import draw_rows, on_rows, uniform
from ...target.random import normal
from ...target.sites import Sites, refuse_improper, without_function
from ..algorithm import Algorithm, of_guide
from ..optimisation.adam import adam
from ..settings import check_choice
from .elbo import OneSplit

OBJECTIVES = ("average", "importance", "tail_adaptive")
MASKS = ("function", "example")
PREDICTIONS = ("average", "mean_weight", "centre")
NO_MEAN = "the noise at {} has no known mean for a mean weight; use prediction=average"


@dataclass(frozen=True)
class Dropout:
    """Settings of the guide ``dropout``, with `particles` draws of the noise a step; the module says what each is.

    objective : ``average`` (Monte-Carlo dropout), ``importance`` (its importance-weighted bound: marginal MAP) or
        ``tail_adaptive``.
    mask : one draw of the noise for the ``function``, shared by all rows, or one for each ``example``.
    prediction : ``average`` over draws of the noise; the ``mean_weight``, the noise at its mean; or the ``centre``,
        noise that turns weights switched off.
    """

    name: ClassVar[str] = "dropout"
    has_density: ClassVar[bool] = False
    objective: str = "average"
    mask: str = "function"
    prediction: str = "average"

    def __post_init__(self) -> None:
        check_choice(self, objective=OBJECTIVES, mask=MASKS, prediction=PREDICTIONS)


class NoKnownMean(ValueError):
    """A prediction needs the mean of a noise, and none is known."""


class State(NamedTuple):
    """The points in unconstrained space, by site, and the optimiser's state."""

    z: Any
    optimiser: Any


def is_noise(name: str) -> bool:
    """Whether a site belongs to a noise: ``{layer}.scale...`` of a structure, or ``{layer}.noise...``."""
    return ".scale" in name or ".noise." in name


def refuse_for_dropout(sites: Sites) -> None:
    """Raise ValueError if noise cannot be drawn, or the weights are not apart from it."""
    refuse_improper("svi with guide dropout", sites)
    if not any(name.endswith(".base") for name in sites.latent):
        raise ValueError(
            "svi with guide dropout needs weights apart from their noise; use a noise in the expanded form"
        )


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide ``dropout`` to a NumPyro program in expanded form; `config` is an `SVI`."""
    refuse_for_dropout(sites)
    program, settings, optimiser = on_rows(model), config.guide, adam(config, None)
    points = [name for name in sites.latent if not is_noise(name)]

    def init(key: Any, x: Any, y: Any) -> State:
        run = handlers.substitute(handlers.seed(model, key), substitute_fn=uniform(0.1))
        trace = handlers.trace(run).get_trace(x, y)
        z = {name: biject_to(trace[name]["fn"].support).inv(trace[name]["value"]) for name in points}
        for i, name in enumerate(points_without_prior(trace, points)):
            spread = trace[name]["infer"]["spread"]
            z[name] = spread * jax.random.normal(jax.random.fold_in(key, i), z[name].shape)
        return State(z, optimiser.init(z))

    def particle(key: Any, z: dict, x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        """Log likelihoods of the rows under one draw of the noise, and the log prior of the points."""
        count = x.shape[0] if rows is None else rows.shape[0]

        def fill(site: dict) -> Any:
            if site["type"] != "sample" or site["is_observed"]:
                return None
            if site["name"] in z:
                return biject_to(site["fn"].support)(z[site["name"]])
            key = site["kwargs"]["rng_key"]
            if settings.mask == "example" and is_noise(site["name"]):
                return per_example_noise(
                    site, partial(normal, key), lambda: site["fn"](rng_key=key, sample_shape=(count,))
                )
            return normal(key, site["fn"].shape()) if site["infer"].get("guide") == "plane" else None

        with explain_shared_scales():
            run = handlers.substitute(OneSplit(program, key), substitute_fn=fill)
            trace = handlers.trace(run).get_trace(x, y, rows)
        log_lik = trace["y"]["fn"].log_prob(trace["y"]["value"])
        with_prior = [name for name in points if name not in points_without_prior(trace, points)]
        return log_lik, sum(jnp.sum(trace[name]["fn"].log_prob(trace[name]["value"])) for name in with_prior)

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        key, key_rows = jax.random.split(key)
        rows = draw_rows(key_rows, x.shape[0], config.batch_size)
        scale = 1.0 if rows is None else x.shape[0] / rows.shape[0]

        def loss(z: dict) -> tuple[Any, Any]:
            keys = jax.random.split(key, config.particles)
            if config.particles == 1:  # without vmap, under which both branches of a condition run
                log_lik, log_prior = (part[None] for part in particle(keys[0], z, x, y, rows))
            else:
                log_lik, log_prior = jax.vmap(particle, (0, None, None, None, None))(keys, z, x, y, rows)
            fit = objective(jnp, settings, log_lik, scale)
            return -fit - log_prior[0], fit

        (value, fit), gradient = jax.value_and_grad(loss, has_aux=True)(state.z)
        updates, new = optimiser.update(gradient, state.optimiser, state.z)
        return State(optax.apply_updates(state.z, updates), new), {"loss": value, "log_lik": fit}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        def fill(site: dict) -> Any:
            if site["type"] != "sample" or site["is_observed"]:
                return None
            if site["name"] in state.z:
                return biject_to(site["fn"].support)(state.z[site["name"]])
            return noise_without_draws(site, settings.prediction) if is_noise(site["name"]) else None

        run = handlers.substitute(handlers.seed(model, key), substitute_fn=fill)
        trace = handlers.trace(run).get_trace(x[:1], y[:1])
        kept = [name for name, s in trace.items() if name in sites.latent or s["type"] == "deterministic"]
        return without_function({name: trace[name]["value"] for name in kept}), {}

    return of_guide(config, init, step, draw)


@contextmanager
def explain_shared_scales() -> Iterator[None]:
    """Say what is wrong where a program does more with a scale than multiply a weight by it."""
    try:
        yield
    except TypeError as error:
        raise TypeError(
            f"a mask for each example needs scales that are drawn as they are and multiply a weight; "
            f"use mask=function ({error})"
        ) from error


def objective(xp: Any, config: Any, log_lik: Any, scale: float) -> Any:
    """What is maximised beside the log prior, from log likelihoods (particle, row) that stand for `scale` as many."""
    if config.objective == "tail_adaptive":
        weights = 1.0 / xp.arange(1, log_lik.shape[0] + 1)
        return scale * xp.sum(weights @ xp.sort(log_lik, axis=0, descending=True)) / xp.sum(weights)
    if config.objective == "average":
        return scale * xp.sum(xp.mean(log_lik, axis=0))
    if config.mask == "function":
        log_lik, scale = scale * xp.sum(log_lik, axis=1, keepdims=True), 1.0
    top = xp.max(log_lik, axis=0)
    return scale * xp.sum(top + xp.log(xp.mean(xp.exp(log_lik - top), axis=0)))


def points_without_prior(sites: dict, points: Iterable[str]) -> list[str]:
    """The points that pay nothing: the program uses of them what has a constant law, such as a direction."""
    return [name for name in points if sites[name]["infer"].get("guide") == "point"]


def per_example_noise(site: dict, normal: Callable, draws: Callable) -> Any:
    """What a noise site has where each row has noise of its own; None where that cannot be.

    A site says so by ``infer={"per_row": ...}``: True if its program takes an array (rows, ...), or, for the normals of
    a weight, an `Unsampled`; False if rows have to share it.  Other programs get a `PerRow`.
    """
    per_row, shape = site["infer"].get("per_row"), tuple(site["fn"].shape())
    if per_row is False:
        return None
    if per_row and len(shape) > 1:
        loc, variance = site["fn"].mean, site["fn"].variance
        return Unsampled(loc, ppl(loc).xp.sqrt(variance), normal)
    return draws() if per_row else PerRow(draws())


def noise_without_draws(site: dict, prediction: str) -> Any:
    """Where a prediction without noise puts a noise site: at its mean, or at its centre; None to draw it.

    Sites whose mean is not that of the weights say where to go by ``infer={"mean": ..., "centre": ...}``, with a mean
    of NaN if none is known.  Raises `NoKnownMean`.
    """
    if prediction == "average":
        return None
    place = site["infer"].get("centre" if prediction == "centre" else "mean", site["infer"].get("mean"))
    return mean(site) if place is None else jnp.full(site["fn"].shape(), known_place(site, place))


def known_place(site: dict, place: float) -> float:
    """`place`; raises `NoKnownMean` if it is not a number."""
    if math.isnan(place):
        raise NoKnownMean(NO_MEAN.format(site["name"]) + " or centre")
    return place


def mean(site: dict) -> Any:
    """The mean of a noise at its site; raises `NoKnownMean` if it has none that is known."""
    with jax.ensure_compile_time_eval():
        try:
            value = jnp.broadcast_to(site["fn"].mean, site["fn"].shape())
        except NotImplementedError:
            value = jnp.asarray(jnp.nan)
        if bool(jnp.isfinite(value).all()):
            return value
    raise NoKnownMean(NO_MEAN.format(site["name"]))
