"""The form of a prior, chosen by a pilot run: centred or not, layer by layer.

In the hierarchical form (centred) a weight is drawn as w ~ N(0, s^2), in the expanded one (not centred) as w = s z with
z ~ N(0, 1).  Between them lie w = s^(1 - c) v with v ~ N(0, s^(2 c)), for every c the same law of w.  The pilot fits a
guide of independent normals together with one c for each layer.  Where data say much about the weights c goes to 1,
where they say little to 0: it tells which end has the posterior that is nearer to independent normals, and so the
easier one for a sampler.  The posterior is the same in either.  Source: Gorinova, Moore & Hoffman (2020).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
from numpyro import handlers
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.reparam import LocScaleReparam
from numpyro.optim import Adam

from ..target.numpyro.density import on_rows, sites, uniform

CENTRED, NOT = "hierarchical", "expanded"
STEPS, RATE, ROWS = 3000, 0.02, 1000  # of the pilot; rows of a minibatch, at most
WEIGHT = ".weight"


def choose_form(model_of: Callable[[str], Any], x: Any, y: Any, seed: int = 0) -> str:
    """The form to give to a model, such as ``"hierarchical"`` or ``"layer0=hierarchical,layer1=expanded"``.

    Parameters
    ----------
    model_of : ``form -> model``, such as ``lambda form: gaussian(mlp(50), prior(half_cauchy(), form=form))``.
    x, y : the data as JAX arrays, whatever the language of the fit.
    seed : the choice is a function of it.

    ``"expanded"`` without a pilot where the model has no hierarchical form, as under a discrete noise, or no posterior.
    """
    try:
        program = model_of(CENTRED)
    except ValueError:
        return NOT
    described = sites(program, x, y)
    if described.improper or described.discrete:
        return NOT
    layers = [name.removesuffix(WEIGHT) for name in described.latent if name.endswith(WEIGHT)]
    found = {layer: CENTRED if c > 0.5 else NOT for layer, c in centring(program, layers, x, y, seed).items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ",".join(f"{layer}={form}" for layer, form in found.items())


def centring(program: Callable, layers: list[str], x: Any, y: Any, seed: int) -> dict[str, float]:
    """The c of each layer of a program in hierarchical form, between 0 and 1."""

    def between(x: Any, y: Any, rows: Any) -> None:
        names = {layer: f"{layer}.centring" for layer in layers}
        c = {layer: numpyro.param(name, 0.5, constraint=constraints.unit_interval) for layer, name in names.items()}
        with handlers.reparam(config={f"{layer}{WEIGHT}": LocScaleReparam(c[layer]) for layer in layers}):
            on_rows(program)(x, y, rows)

    size = min(x.shape[0], ROWS)
    svi: Any = SVI(between, AutoNormal(between, init_loc_fn=uniform(0.5)), Adam(RATE), Trace_ELBO())

    @jax.jit
    def pilot(key: Any) -> dict:
        keys = jax.random.split(key, STEPS)

        def rows_of(key: Any) -> Any:
            return None if size == x.shape[0] else jax.random.randint(key, (size,), 0, x.shape[0])

        def step(state: Any, key: Any) -> tuple[Any, dict]:
            state, _ = svi.update(state, x, y, rows_of(key))
            params = svi.get_params(state)
            return state, {layer: params[f"{layer}.centring"] for layer in layers}

        path = jax.lax.scan(step, svi.init(key, x, y, rows_of(key)), keys)[1]
        return jax.tree.map(lambda c: jnp.mean(c[STEPS // 2 :]), path)

    return {layer: float(c) for layer, c in pilot(jax.random.PRNGKey(seed)).items()}
