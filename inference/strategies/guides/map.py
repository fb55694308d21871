"""A point at the mode of all sites: NumPyro's `AutoDelta`."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
from numpyro import handlers
from numpyro.infer import SVI, autoguide
from numpyro.infer.svi import SVIState

from ...target.numpyro.density import draw_rows, on_rows, uniform
from ...target.pole import refuse_pole
from ...target.sites import Sites, refuse_discrete, refuse_pays_only, without_function
from ..algorithm import Algorithm, of_guide
from ..optimisation.adam import adam
from .automatic import Automatic
from .elbo import SampledELBO


class Map(Automatic):
    """A point at the mode of all sites: of their density as it stands, in constrained space."""

    name: ClassVar[str] = "map"
    has_density: ClassVar[bool] = False
    ends_by_itself: ClassVar[bool] = False


State = SVIState  # NumPyro's


def algorithm(config: Any, model: Callable, sites: Sites) -> Algorithm:
    """Bind the point to a NumPyro program; `config` is an `SVI`."""
    refuse_discrete("svi with guide map", sites)
    refuse_pays_only("svi with guide map", sites)
    program = on_rows(model)
    auto = autoguide.AutoDelta(program, init_loc_fn=uniform(0.1))
    guide = _on_rows(auto)
    svi = SVI(program, guide, adam(config, None), SampledELBO(num_particles=config.particles))

    def init(key: Any, x: Any, y: Any) -> State:
        auto.prototype_trace = None  # it keeps values of the tracing that it was first called in
        return svi.init(key, x, y, draw_rows(key, x.shape[0], config.batch_size))

    def step(key: Any, state: State, x: Any, y: Any) -> tuple[State, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        state, loss = svi.update(state._replace(rng_key=key), x, y, rows)
        return state, {"loss": loss}

    def draw(key: Any, state: State, x: Any, y: Any) -> tuple[dict, dict]:
        rows = draw_rows(key, x.shape[0], config.batch_size)
        fitted = handlers.substitute(handlers.seed(guide, key), data=svi.get_params(state))
        trace = handlers.trace(fitted).get_trace(x, y, rows)
        return _with_weights(model, {name: trace[name]["value"] for name in sites.latent}, x, y), {}

    def no_pole(x: Any, y: Any) -> None:
        refuse_pole("svi with guide map", model, sites, x, y)

    return of_guide(config, init, step, draw, refuse=no_pole)


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
