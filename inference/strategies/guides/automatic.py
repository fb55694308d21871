"""The automatic guides, NumPyro's: a point, independent normals, normals with covariance, a flow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from numpyro import handlers
from numpyro.infer import SVI, autoguide
from numpyro.infer.svi import SVIState
from numpyro.infer.util import log_density

from ...target.numpyro.density import draw_rows, on_rows, uniform
from ...target.pole import refuse_pole
from ...target.sites import Sites, refuse_discrete, refuse_pays_only, without_function
from ..algorithm import Algorithm, of_guide
from .elbo import SampledELBO
from .layout import real_sites


@dataclass(frozen=True)
class Automatic:
    """The automatic guides have no settings of their own."""

    name: ClassVar[str]
    has_density: ClassVar[bool] = True


class Map(Automatic):
    """A point at the mode of all sites: of their density as it stands, in constrained space."""

    name, has_density = "map", False


class MeanField(Automatic):
    """Independent normals."""

    name = "mean_field"


class LowRank(Automatic):
    """A normal with low-rank plus diagonal covariance."""

    name = "low_rank"


class FullRank(Automatic):
    """A normal with full covariance."""

    name = "full_rank"


class Flow(Automatic):
    """Inverse autoregressive flow."""

    name = "flow"


AUTOGUIDES = {
    "map": autoguide.AutoDelta,
    "mean_field": autoguide.AutoNormal,
    "low_rank": autoguide.AutoLowRankMultivariateNormal,
    "full_rank": autoguide.AutoMultivariateNormal,
    "flow": autoguide.AutoIAFNormal,
}
State = SVIState  # NumPyro's


def algorithm(config: Any, model: Callable, sites: Sites, optimiser: optax.GradientTransformation) -> Algorithm:
    """Bind an automatic guide to a NumPyro program; `config` is an `SVI`."""
    refuse_discrete(f"svi with guide {config.guide.name}", sites)
    refuse_pays_only(f"svi with guide {config.guide.name}", sites)
    program = on_rows(model)
    guide = _on_rows(AUTOGUIDES[config.guide.name](program, init_loc_fn=uniform(0.1)))
    svi = SVI(program, guide, optimiser, SampledELBO(num_particles=config.particles))

    def init(key: Any, x: Any, y: Any) -> State:
        return svi.init(key, x, y, draw_rows(key, x.shape[0], config.batch_size))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        state, loss = svi.update(state._replace(rng_key=key), x, y, rows)
        return state, {"loss": loss}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        fitted = handlers.substitute(handlers.seed(guide, key), data=svi.get_params(state))
        trace = handlers.trace(fitted).get_trace(x, y, rows)
        latent = {name: trace[name]["value"] for name in sites.latent}
        stats = {}
        if config.guide.has_density:  # both densities in the constrained space
            log_q = sum(jnp.sum(s["fn"].log_prob(s["value"])) for s in trace.values() if s["type"] == "sample")
            values = {**svi.get_params(state), **latent}  # the program may have learned values too
            stats = {"log_p": log_density(model, (x, y), {}, values)[0], "log_q": log_q}
        return _with_weights(model, latent, x, y), stats

    def moments(state: State, x: Any, y: Any) -> tuple[dict, dict]:
        params, names = svi.get_params(state), real_sites(model, sites, x, y)
        return {k: params[f"{k}_auto_loc"] for k in names}, {k: params[f"{k}_auto_scale"] for k in names}

    def no_pole(x: Any, y: Any) -> None:
        refuse_pole("svi with guide map", model, sites, x, y)

    optional = {"mean_field": {"moments": moments}, "map": {"refuse": no_pole}}.get(config.guide.name, {})
    return of_guide(config, init, step, draw, approximation=config.guide.has_density, **optional)


def _on_rows(auto: Callable) -> Callable:
    """An autoguide called with the model's arguments, its data plate given the same rows."""

    def guide(x: Any, y: Any, rows: Any = None) -> Any:
        if rows is None:
            return auto(x, y, None)
        with handlers.substitute(data={"data": rows}):
            return auto(x, y, rows)

    return guide


def _with_weights(model: Callable, latent: dict, x: Any, y: Any) -> dict:
    """The latent sites and what the program makes of them (expanded weights)."""
    run = handlers.substitute(handlers.seed(model, jax.random.PRNGKey(0)), data=latent)
    trace = handlers.trace(run).get_trace(x, y)
    deterministic = {k: s["value"] for k, s in trace.items() if s["type"] == "deterministic"}
    return without_function({**latent, **deterministic})
