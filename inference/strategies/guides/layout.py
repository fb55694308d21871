"""What a guide needs to know of the latent sites of a NumPyro program."""

from collections.abc import Callable
from typing import Any

import jax
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.distributions.kl import kl_divergence
from numpyro.infer.gibbs import prototype_trace

from ....models.ppl import language
from ...target.sites import Sites
from . import normals


def layout(model: Callable, sites: Sites, x: Any, y: Any) -> dict[str, normals.Site]:
    """The latent sites; weights of a layer may stay unsampled if their divergence is known."""
    laid_out = {}

    def look(x: Any, y: Any) -> None:
        trace = prototype_trace(model, jax.random.PRNGKey(0), (x, y), {})
        latent = {name: trace[name] for name in sites.latent}
        laid_out.update(normals.layout(language("numpyro"), latent, biject_to, kl_divergence))

    with handlers.block():  # the guide that asks is being traced itself
        jax.eval_shape(look, x[:1], y[:1])  # abstractly: no number is computed
    return laid_out


def real_sites(model: Callable, sites: Sites, x: Any, y: Any) -> list[str]:
    """The latent sites that may be any number, whose values are the same in unconstrained space."""
    return [name for name, site in layout(model, sites, x, y).items() if site.transform is None]
