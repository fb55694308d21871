"""Independent normals over every latent site: the guide of sparse variational dropout, written once for both languages.

A site with constrained support gets the image of a normal.  A weight may be left unsampled
(`models.unsampled`), so that its layer samples pre-activations; the language says how, by a distribution whose draws
are unsampled weights.

A program may ask for another family at a site of its own, by ``infer={"guide": family}``: a ``point``, which pays
nothing, a ``truncated_normal``, or, for the normals of a ``plane`` in which a vector is turned, what the setting
`plane` says.  With ``infer={"unsampled": True}`` its layer draws it, and for each row (`models.unsampled.rotated`).
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ....models.laws.m_steps import MStep
from ....models.ppl import PPL
from ..optimisation import m_step
from ..settings import check_choice, check_not_negative, check_numbers, check_positive

UNREGISTERED = (
    "svi: no closed-form divergence from a normal to the prior of {0}; it is sampled as a weight, not locally"
)
logger = logging.getLogger(__name__)
SPREAD = 0.1  # standard deviation of the first log sigma (Kharitonov, Molchanov & Vetrov 2018, appendix A)


@dataclass(frozen=True)
class Normals:
    """Settings of every guide of independent normals, q(w) = N(mu, sigma^2), alpha = sigma^2 / mu^2.

    What they say of weights holds for the magnitudes of the prior direction_magnitude, too, where their law is
    log-uniform.

    kl : ``sum`` for the ELBO.  ``mean`` averages the divergence over the weights and the log likelihood over the rows,
        that is, multiplies the divergence by rows / weights, and leaves out the density of a scale under ``em``: the
        objective of the released code of Nalisnick, Hernandez-Lobato & Smyth (2019), which is no bound on the evidence.
    kl_weight : what the divergence is multiplied by; 1 is the ELBO.
    pretrain : steps at the start for which the divergence does not count.
    kl_warmup : steps for which its weight then rises to kl_weight, linearly.
    init_scale : sigma at the start, in unconstrained space.
    parameters : what is learned beside mu: ``sigma`` (additive, Molchanov et al. 2017) or ``alpha``, with which a mean
        cannot change its sign, for sigma is zero on the way.
    alpha : a fixed alpha of the weights, which makes the guide Gaussian dropout with noise N(1, alpha).
    log_alpha_clip : the weights keep abs(log alpha) below it.
    log_scale_max : log sigma stays below it (Kharitonov et al. 2018: -4, under a Gamma hyperprior).
    start : a fit's netCDF file, whose posterior means the weights begin at (a warm start); None for random values.
    """

    name: ClassVar[str]
    plane: ClassVar[Any] = "rows"  # a setting of `local`
    scales_are_points: ClassVar[bool] = False
    kl: str = "sum"
    kl_weight: float = 1.0
    pretrain: int = 0
    kl_warmup: int = 0
    init_scale: float = 0.1
    parameters: str = "sigma"
    alpha: float | None = None
    log_alpha_clip: float | None = None
    log_scale_max: float | None = None
    start: str | None = None

    def __post_init__(self) -> None:
        check_numbers("svi", self)
        check_choice(self, kl=("sum", "mean"), parameters=("sigma", "alpha"))
        check_positive("svi", self, "init_scale", "alpha", "log_alpha_clip")
        check_not_negative("svi", self, "kl_weight", "pretrain", "kl_warmup")
        if self.alpha is not None and (self.parameters == "alpha" or self.log_alpha_clip is not None):
            raise ValueError("svi: alpha holds it fixed; leave out parameters and log_alpha_clip, which let it vary")
        if self.log_scale_max is not None and (self.parameters == "alpha" or self.alpha is not None):
            raise ValueError("svi: log_scale_max bounds a learned sigma; leave out alpha, or set parameters=sigma")


class Site(NamedTuple):
    """A latent site.

    shape : of its value.
    transform : the bijection from the reals to its support; None for the reals.
    local : whether it is a weight that may stay unsampled.
    m_step : of a scale whose noise has one in closed form.
    family : of its law in the guide.
    unsampled : whether it is anything else that may stay unsampled.
    start : where its mean begins.
    ends : of the support, where the family needs them.
    spread : standard deviation of its first mean; None for what suits its shape.
    """

    shape: tuple[int, ...]
    transform: Any
    local: bool
    m_step: MStep | None = None
    family: str = "normal"
    unsampled: bool = False
    start: float = 0.0
    ends: tuple[float, float] | None = None
    spread: float | None = None


def layout(p: PPL, traced: dict[str, Any], biject_to: Callable, kl_divergence: Callable) -> dict[str, Site]:
    """What the guide needs to know of the latent sites, as a trace of the program has them.

    A weight may stay unsampled if its divergence from a normal is registered.
    """

    def site(name: str, law: Any, infer: dict) -> Site:
        shape, real = tuple(law.shape()), _is_real(p, law.support)
        normal = p.dist.Normal(p.xp.zeros(shape), p.xp.ones(shape)).to_event(len(shape))
        family = infer.get("guide", "normal")
        registered = real and family == "normal" and _registered(kl_divergence, normal, law)
        return Site(
            shape,
            None if real else biject_to(law.support),
            registered and is_weight(name, shape),
            infer.get("m_step"),
            family,
            bool(infer.get("unsampled")) and (registered or family != "normal"),
            infer.get("start", 0.0),
            _ends(law.support) if family == "truncated_normal" else None,
            infer.get("spread"),
        )

    return {name: site(name, s["fn"], s["infer"]) for name, s in traced.items()}


def is_weight(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a site is what a layer multiplies its activations by."""
    return name.endswith((".weight", ".base")) and len(shape) >= 2


def weights(sites: dict[str, Site]) -> int:
    """How many weights the layers have."""
    return sum(math.prod(site.shape) for name, site in sites.items() if is_weight(name, site.shape))


def report_unregistered(sites: dict[str, Site]) -> None:
    """Say which weights are sampled after all."""
    for name, site in sites.items():
        if is_weight(name, site.shape) and site.family == "normal" and not site.local:
            logger.warning(UNREGISTERED.format(name))


def _is_real(p: PPL, support: Any) -> bool:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support is p.dist.constraints.real


def _ends(support: Any) -> tuple[float, float]:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return float(support.lower_bound), float(support.upper_bound)


def _registered(kl_divergence: Callable, normal: Any, law: Any) -> bool:
    try:
        kl_divergence(normal, law)
    except NotImplementedError:
        return False
    return True


def sample(
    p: PPL, sites: dict[str, Site], config: Any, start: Callable, unsampled: Any, optimise: Callable | None = None
) -> None:
    """Run the guide: one sample statement per site, with the learned values ``{name}.loc`` and ``{name}.log_scale``.

    Parameters
    ----------
    config : the settings of the guide, `Normals`.
    start : ``(name, shape, mean, sd) -> initial value`` of a parameter, normal draws as the `param` of `p` takes them.
    unsampled : distribution class (loc, scale) for sites that may stay unsampled; None samples all as arrays.
    optimise : how the scales become points, for the guide ``em`` (see `m_step`).
    """
    steps = m_step.m_steps({name: site.m_step for name, site in sites.items()}) if optimise else {}
    normal = {name: moments(p, name, site, config, start) for name, site in sites.items() if name not in steps}
    others = {name: normal.pop(name) for name in list(normal) if sites[name].family != "normal"}
    if optimise:
        values = {name: loc if (t := sites[name].transform) is None else t(loc) for name, (loc, _) in normal.items()}
        second = {name: loc**2 + scale**2 for name, (loc, scale) in normal.items() if sites[name].local}
        points = optimise(steps, {name: sites[name].shape for name in steps}, values, second)
        for name, (value, density) in points.items():
            p.sample(name, p.dist.Delta(value, event_dim=len(sites[name].shape)))
            p.factor(f"{name}.density", density)
    for name, (loc, scale) in others.items():
        law = _other(p, sites[name], config, loc, scale, unsampled).to_event(len(sites[name].shape))
        p.sample(name, law, infer={"guide": sites[name].family})  # a replayed program has the guide's
    for name, (loc, scale) in normal.items():
        site = sites[name]
        law = (unsampled if (site.local or site.unsampled) and unsampled else p.dist.Normal)(loc, scale)
        if site.transform is not None:
            law = p.dist.TransformedDistribution(law, [site.transform])
        p.sample(name, law.to_event(len(site.shape) - len(law.event_shape)))


def _other(p: PPL, site: Site, config: Any, loc: Any, scale: Any, unsampled: Any) -> Any:
    """The law of a site that is not normal in unconstrained space."""
    stays_unsampled = site.unsampled and unsampled
    if site.family == "point":
        return p.dist.Delta(loc)
    if site.ends is not None:
        return (p.local_truncated_normal if stays_unsampled else p.truncated_normal)(loc, scale, *site.ends)
    by_row = config.plane == "rows"
    return (unsampled if stays_unsampled and by_row else p.dist.Normal)(loc, scale)


def with_moments(sites: dict[str, Site], config: Any) -> list[str]:
    """The sites whose `moments` a fit keeps: normal ones, and those of truncated normals, the parents'."""

    def is_kept(site: Site) -> bool:
        if site.family == "normal":
            return site.transform is None and not (config.scales_are_points and site.m_step is not None)
        return site.family == "truncated_normal" or (site.family == "plane" and config.plane == "learned")

    return [name for name, site in sites.items() if is_kept(site)]


def moments(p: PPL, name: str, site: Site, config: Any, start: Callable) -> tuple[Any, Any]:
    """Mean and standard deviation of a site in unconstrained space, from the parameters of the guide.

    Of a truncated normal, those of the normal; of a plane, those of its standard normals or learned ones.
    """
    if site.family == "plane" and config.plane != "learned":
        return p.xp.zeros(site.shape), p.xp.ones(site.shape)
    if site.family == "point":
        loc = p.param(f"{name}.loc", start(f"{name}.loc", site.shape, site.start, site.spread or SPREAD))
        return loc, p.xp.zeros_like(loc)
    fan_in = math.prod(site.shape[:-1])
    spread = math.sqrt(2.0 / fan_in) if site.local else SPREAD  # He et al. (2015) for the weights of a layer
    loc = p.param(f"{name}.loc", start(f"{name}.loc", site.shape, site.start, spread))
    multiplied = site.family == "normal" and (site.local or site.unsampled)  # N(m, alpha m^2): weights, magnitudes
    if multiplied and config.alpha is not None:
        return loc, math.sqrt(config.alpha) * p.xp.abs(loc)
    first = 0.0 if site.family == "plane" else math.log(config.init_scale)
    if multiplied and config.parameters == "alpha":
        param_name, size = f"{name}.log_alpha", max(site.start, spread)
        log_alpha = p.param(param_name, start(param_name, site.shape, 2 * (first - math.log(size)), SPREAD))
        scale = p.xp.exp(0.5 * log_alpha) * p.xp.abs(loc)
    else:
        param_name = f"{name}.log_scale"
        log_scale = p.param(param_name, start(param_name, site.shape, first, SPREAD))
        if config.log_scale_max is not None:
            log_scale = p.xp.clip(log_scale, max=config.log_scale_max)
        scale = p.xp.exp(log_scale)
    if multiplied and config.log_alpha_clip is not None:
        size, bound = p.xp.abs(loc), math.exp(0.5 * config.log_alpha_clip)
        scale = p.xp.minimum(p.xp.maximum(scale, size / bound), size * bound)
    return loc, scale


def means(path: str, sites: dict[str, Site]) -> dict[str, Any]:
    """The means of the real sites in a fit's netCDF file, by the name of their parameter: where to begin."""
    from ...target.warm_start import means

    shapes = {name: site.shape for name, site in sites.items() if site.transform is None and site.family != "plane"}
    return {f"{name}.loc": mean for name, mean in means(path, shapes).items()}
