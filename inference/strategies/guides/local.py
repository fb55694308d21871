"""Independent normals whose layers sample pre-activations, not weights: local reparameterisation, in NumPyro.

The ELBO is that of `elbo`; what the guides ``local``, ``flipout`` and ``em`` share is `bind`.

See ``docs/gotchas.md#the-divergence-is-summed-whatever-the-minibatch``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro import handlers
from numpyro.infer import SVI

from ....models.ppl import language
from ....models.unsampled.local_reparameterisation import Unsampled
from ...target.numpyro.density import draw_rows, on_rows
from ...target.random import normal
from ...target.sites import Sites, refuse_discrete, without_function
from ..algorithm import Algorithm, of_guide
from ..optimisation.adam import adam
from ..settings import check_choice
from . import normals
from .elbo import LocalMeanField_ELBO, Parts, particles, parts
from .layout import layout


@dataclass(frozen=True)
class Local(normals.Normals):
    """Settings of the guide ``local``: those of `Normals`, and

    plane : for the prior direction_magnitude: whether the plane in which a weight vector is turned is drawn for each of
        the ``rows`` (exactly), for the whole ``batch``, or for the batch with its law ``learned`` (a projected
        Gaussian).  The guide ``flipout`` gives the rows of a batch random signs.
    """

    name: ClassVar[str] = "local"
    plane: str = "rows"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, plane=("rows", "batch", "learned"))


class LocalNormal(dist.Normal):
    """A normal whose draw is the unsampled weight."""

    flipout = False

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return Unsampled(self.loc, self.scale, partial(normal, key), self.flipout)


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the guide to a NumPyro program; `config` is an `SVI`."""
    return bind(config, model, sites, LocalNormal)


class State(NamedTuple):
    """NumPyro's optimiser state: the number of the step, and the parameters with Adam's moments."""

    optimiser: Any


def bind(
    config: Any,
    model: Callable,
    sites: Sites,
    unsampled: Any,
    scales: Callable | None = None,
) -> Algorithm:
    """Bind independent normals to a NumPyro program.

    `unsampled` is the law of weights that are not sampled, `scales` says by ``(x, y)`` how scales become points.
    """
    refuse_discrete(f"svi with guide {config.guide.name}", sites)
    program, means, settings = on_rows(model), {}, config.guide

    def guide_of(unsampled: Any) -> Callable:
        def guide(x: Any, y: Any, rows: Any = None) -> None:
            optimise = scales(x, y) if scales else None
            laid_out = layout(model, sites, x, y)
            normals.sample(language("numpyro"), laid_out, settings, _start(means), unsampled, optimise)

        return guide

    guide, sampled = guide_of(unsampled), guide_of(None)
    svi: Any = SVI(program, guide, adam(config, None), LocalMeanField_ELBO())

    def init(key: Any, x: Any, y: Any) -> State:
        laid_out = layout(model, sites, x, y)
        normals.report_unregistered(laid_out)
        means.update(normals.means(settings.start, laid_out) if settings.start else {})
        return State(svi.init(key, x, y, draw_rows(key, x.shape[0], config.batch_size)).optim_state)

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        key, key_rows = jax.random.split(key)
        rows = draw_rows(key_rows, x.shape[0], config.batch_size)
        weight = settings.kl_weight * ramp(state.optimiser[0], settings.pretrain, settings.kl_warmup)
        if settings.kl == "mean":
            weight *= x.shape[0] / normals.weights(layout(model, sites, x, y))

        def loss(params: dict) -> tuple[Any, Parts]:
            particle = partial(
                parts, params=svi.constrain_fn(params), model=program, guide=guide, args=(x, y, rows), kwargs={}
            )
            elbo = particles(particle, key, config.particles)
            return weight * elbo.kl - elbo.log_lik, elbo

        (value, elbo), new = svi.optim.eval_and_update(loss, state.optimiser)
        return State(new), {"loss": value, "log_lik": elbo.log_lik, "kl": elbo.kl}

    def run(key: Any, state: State, x: Any, y: Any) -> dict:
        params = svi.constrain_fn(svi.optim.get_params(state.optimiser))
        return handlers.trace(handlers.substitute(handlers.seed(sampled, key), data=params)).get_trace(x, y)

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        latent = {name: site["value"] for name, site in run(key, state, x, y).items() if name in sites.latent}
        params = svi.constrain_fn(svi.optim.get_params(state.optimiser))
        traced = handlers.trace(handlers.substitute(handlers.seed(model, key), data={**params, **latent}))
        trace = traced.get_trace(x[:1], y[:1])
        deterministic = {k: s["value"] for k, s in trace.items() if s["type"] == "deterministic"}
        return without_function({**latent, **deterministic}), {}

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        laws = {name: s["fn"] for name, s in run(jax.random.PRNGKey(0), state, x, y).items() if s["type"] == "sample"}
        normal_laws: dict[str, Any] = {k: laws[k] for k in normals.with_moments(layout(model, sites, x, y), settings)}
        normal_laws = {k: law.base_dist if isinstance(law, dist.Independent) else law for k, law in normal_laws.items()}
        return {k: law.loc for k, law in normal_laws.items()}, {k: law.scale for k, law in normal_laws.items()}

    return of_guide(config, init, step, draw, moments=moments, method="sequential")


def ramp(step: Any, pretrain: int, warmup: int) -> Any:
    """The weight of the divergence at a step: 0 for `pretrain` steps, then linear to 1 over `warmup` steps."""
    return jnp.clip((step - pretrain + 1) / max(warmup, 1), 0.0, 1.0)


def _start(means: dict[str, Any]) -> Callable:
    """Initial values of the guide's parameters: those of a warm start, else normal draws."""

    def start(name: str, shape: tuple[int, ...], mean: float, sd: float) -> Callable:
        return lambda key: jnp.asarray(means[name]) if name in means else mean + sd * jax.random.normal(key, shape)

    return start
