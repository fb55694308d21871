"""Independent normals over every latent site: the guide of sparse variational dropout, written once for both languages.

A site with constrained support gets the image of a normal.  A weight may be left unsampled (`models.local`), so that
its layer samples pre-activations; the language says how, by a distribution whose draws are unsampled weights.
"""

import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..models.ppl import PPL

UNREGISTERED = (
    "svi: no closed-form divergence from a normal to the prior of {0}; it is sampled as a weight, not locally"
)
log = logging.getLogger(__name__)
SPREAD = 0.1  # standard deviation of the first log sigma (Kharitonov, Molchanov & Vetrov 2018, appendix A)


class Site(NamedTuple):
    """A latent site: its shape, the bijection from the reals to its support (None: the reals), whether it may wait."""

    shape: tuple[int, ...]
    transform: Any
    local: bool


def layout(p: PPL, laws: dict[str, Any], biject_to: Callable, kl_divergence: Callable) -> dict[str, Site]:
    """The sites with these laws in the program; a weight may wait if its divergence from a normal is registered."""

    def site(name: str, law: Any) -> Site:
        shape, real = tuple(law.shape()), _is_real(p, law.support)
        normal = p.dist.Normal(p.xp.zeros(shape), p.xp.ones(shape)).to_event(len(shape))
        local = real and is_weight(name, shape) and _registered(kl_divergence, normal, law)
        return Site(shape, None if real else biject_to(law.support), local)

    return {name: site(name, law) for name, law in laws.items()}


def is_weight(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a site is what a layer multiplies its activations by."""
    return name.endswith((".weight", ".base")) and len(shape) >= 2


def report_unregistered(sites: dict[str, Site]) -> None:
    """Say which weights are sampled after all."""
    for name, site in sites.items():
        if is_weight(name, site.shape) and not site.local:
            log.warning(UNREGISTERED.format(name))


def _is_real(p: PPL, support: Any) -> bool:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support is p.dist.constraints.real


def _registered(kl_divergence: Callable, normal: Any, law: Any) -> bool:
    try:
        kl_divergence(normal, law)
    except NotImplementedError:
        return False
    return True


def sample(p: PPL, sites: dict[str, Site], config: Any, start: Callable, unsampled: Any) -> None:
    """Run the guide: one sample statement per site, with the learned values ``{name}.loc`` and ``{name}.log_scale``.

    Parameters
    ----------
    config : an `SVI`: init_scale, parameters, alpha, log_alpha_clip, log_scale_max.
    start : ``(name, shape, mean, sd) -> initial value`` of a parameter, normal draws as the `param` of `p` takes them.
    unsampled : distribution class (loc, scale) for sites that may wait; None samples them all as arrays.
    """
    for name, site in sites.items():
        loc, scale = moments(p, name, site, config, start)
        law = (unsampled if site.local and unsampled else p.dist.Normal)(loc, scale)
        if site.transform is not None:
            law = p.dist.TransformedDistribution(law, [site.transform])
        p.sample(name, law.to_event(len(site.shape) - len(law.event_shape)))


def moments(p: PPL, name: str, site: Site, config: Any, start: Callable) -> tuple[Any, Any]:
    """Mean and standard deviation of a site in unconstrained space, from the parameters of the guide."""
    fan_in = math.prod(site.shape[:-1])
    spread = math.sqrt(2.0 / fan_in) if site.local else SPREAD  # He et al. (2015) for the weights of a layer
    loc = p.param(f"{name}.loc", start(f"{name}.loc", site.shape, 0.0, spread))
    if site.local and config.alpha is not None:
        return loc, math.sqrt(config.alpha) * p.xp.abs(loc)
    first = math.log(config.init_scale)
    if site.local and config.parameters == "alpha":
        own = f"{name}.log_alpha"
        log_alpha = p.param(own, start(own, site.shape, 2 * (first - math.log(spread)), SPREAD))
        scale = p.xp.exp(0.5 * log_alpha) * p.xp.abs(loc)
    else:
        own = f"{name}.log_scale"
        log_scale = p.param(own, start(own, site.shape, first, SPREAD))
        if config.log_scale_max is not None:
            log_scale = p.xp.clip(log_scale, max=config.log_scale_max)
        scale = p.xp.exp(log_scale)
    if site.local and config.log_alpha_clip is not None:
        size, bound = p.xp.abs(loc), math.exp(0.5 * config.log_alpha_clip)
        scale = p.xp.minimum(p.xp.maximum(scale, size / bound), size * bound)
    return loc, scale


def means(path: str, sites: dict[str, Site]) -> dict[str, Any]:
    """The means of the real sites in a fit's netCDF file, by the name of their parameter: where to begin.

    Raises FileNotFoundError or ValueError if there is no such file, or it is of another network.
    """
    from .draws import load

    tree = load(path)
    found = {}
    for name, site in sites.items():
        if site.transform is not None:
            continue
        if name not in tree["posterior"]:
            raise ValueError(f"{path} lacks the site {name} of this program; start from a fit of the same network")
        mean = tree["posterior"][name].mean(("chain", "draw")).to_numpy()
        if mean.shape != site.shape:
            raise ValueError(f"{path}: {name} has shape {mean.shape}, and this program needs {site.shape}")
        found[f"{name}.loc"] = mean
    return found
