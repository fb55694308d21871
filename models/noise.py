"""Noise: the law of a multiplicative scale, and the prior that it induces on a weight.

A noise is a function ``(p, name, shape) -> scales`` that samples scales lambda of exactly `shape` in the language `p`
(see :mod:`noisezoo.models.ppl`), at a site called `name` and, where it needs more, at sites ``name.<something>``.
With w = lambda z and z ~ N(0, sigma0^2), the weight w has a Gaussian scale mixture as its prior (Andrews & Mallows
1974; Nalisnick, Anandkumar & Smyth 2015, eqs 6 and 7).  :class:`Noise` puts the known facts about that prior around
the function; what is not known is computed (:mod:`noisezoo.models.marginal`).  A bare function is as good a noise:

>>> def exponential(p, name, shape):
...     return p.sample(name, p.dist.Exponential(1.0).expand(shape).to_event(len(shape)))
>>> as_noise(exponential).name
'exponential'
>>> half_cauchy(scale=0.5).prior
'horseshoe'

The main site is lambda itself wherever both languages have its distribution, if need be as a power of a Gamma variable.
One site, positive, hence sampled as log lambda by NUTS and by the automatic guides: the same geometry as log lambda^2
or the log precision, and no second name for the same thing.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

from . import m_step as steps
from .m_step import MStep
from .ppl import PPL

Program = Callable[[PPL, str, tuple[int, ...]], Any]

GSM = "Nalisnick, Anandkumar & Smyth (2015), section 3"
SHRINKAGE = "Nalisnick, Hernandez-Lobato & Smyth (2019), table of noise distributions"


@dataclass(frozen=True)
class Noise:
    """A noise program and what is known about it; calling it runs the program.

    Parameters
    ----------
    program : ``(p, name, shape) -> scales``, an array of exactly `shape`.
    name, parameters : what it is called and its settings, as pairs.
    prior : what the literature calls the induced prior on a weight.
    source : paper and equation.
    law : ``() -> scipy.stats distribution`` of lambda^2, its parameters fixed; None where unknown or improper.
    closed_form : ``(w, sigma0) -> log p(w)``, elementwise in NumPy; of the part that has a density.
    row : ``(w, sigma0) -> log p(w)`` of rows, shape (..., d) -> (...), whose d weights share one lambda.
    weight : ``(p, sigma0) -> distribution`` of one weight, where both languages have it.
    row_weight : ``(p, sigma0, d) -> distribution`` of one row, event shape (d,), where both languages have it.
    m_step : the scale that fits its weights best, in closed form (see `models.m_step`); the site of lambda carries it
        too, as ``infer={"m_step": ...}``, for the guide ``em``.
    proper : whether p(lambda) integrates to one.
    discrete : whether lambda has no density.
    signed : whether lambda may be negative.
    """

    program: Program
    name: str
    parameters: tuple[tuple[str, float], ...] = ()
    prior: str = ""
    source: str = ""
    law: Callable[[], Any] | None = None
    closed_form: Callable[[Any, float], Any] | None = None
    row: Callable[[Any, float], Any] | None = None
    weight: Callable[[PPL, float], Any] | None = None
    row_weight: Callable[[PPL, float, int], Any] | None = None
    m_step: MStep | None = None
    proper: bool = True
    discrete: bool = False
    signed: bool = False

    def __call__(self, p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        """Scales of exactly `shape`; raises ValueError if the program returns anything else."""
        scales = self.program(p, name, shape)
        found = getattr(scales, "shape", None)
        if found is None or tuple(found) != tuple(shape):
            what = f"a {type(scales).__name__}" if found is None else f"shape {tuple(found)}"
            raise ValueError(
                f"noise {self.name} returned {what} where scales of shape {tuple(shape)} were asked for; "
                "sample from D(...).expand(shape).to_event(len(shape)) and return the result"
            )
        return scales

    def __str__(self) -> str:
        settings = ", ".join(f"{k}={v:g}" for k, v in self.parameters)
        return f"{self.name}({settings})" if settings else self.name


def as_noise(f: Noise | Program) -> Noise:
    """`f` itself if it is a Noise, else a Noise without facts around the function; raises TypeError otherwise."""
    if isinstance(f, Noise):
        return f
    if not callable(f):
        raise TypeError(f"a noise is a function (p, name, shape) -> scales, got a value of type {type(f).__name__}")
    return Noise(f, getattr(f, "__name__", type(f).__name__))


@cache
def bernoulli(p: float = 0.5) -> Noise:
    """Dropout: lambda ~ Bernoulli(p), `p` the probability to keep; the prior is a spike at 0 and a Gaussian slab."""
    if not 0 < p <= 1:
        raise ValueError(f"bernoulli: p, the probability to keep a unit, must lie in (0, 1], got {p}")

    def closed_form(w: Any, sigma0: float) -> Any:
        from .closed_form import normal

        return math.log(p) + normal(w, sigma0)

    return Noise(
        lambda ppl, name, shape: 1.0 * _plated(ppl, name, shape, ppl.dist.Bernoulli(probs=p)),
        "bernoulli",
        (("p", p),),
        prior="spike and slab",
        source=f"Mitchell & Beauchamp (1988); {GSM}, eq 8",
        law=_scipy("bernoulli", p),
        closed_form=closed_form,
        discrete=True,
    )


@cache
def gaussian(a: float = 1.0) -> Noise:
    """lambda ~ N(0, a), `a` its variance; lambda^2 ~ a chi^2_1, and w is a product of two Gaussians."""
    _positive("gaussian", a=a)

    def row(w: Any, sigma0: float) -> Any:
        from .closed_form import variance_gamma

        return variance_gamma(w, 0.5, 2 * a * sigma0**2)

    m_step = steps.gaussian(a)
    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.Normal(0.0, math.sqrt(a)), m_step),
        "gaussian",
        (("a", a),),
        prior="variance-gamma (generalised hyperbolic limit)",
        source=f"{SHRINKAGE}, for noise of mean zero",
        law=_scipy("chi2", 1, scale=a),
        closed_form=_of_one(row),
        row=row,
        m_step=m_step,
        signed=True,
    )


@cache
def gaussian_dropout(a: float = 1.0) -> Noise:
    """Gaussian dropout: lambda ~ N(1, a), `a` its variance (p / (1 - p) for a drop rate p)."""
    _positive("gaussian_dropout", a=a)

    def closed_form(w: Any, sigma0: float) -> Any:
        from .closed_form import gaussian_dropout

        return gaussian_dropout(w, a, sigma0)

    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.Normal(1.0, math.sqrt(a)), per_row=len(shape) > 1),
        "gaussian_dropout",
        (("a", a),),
        prior="Poisson mixture of variance-gammas",
        source="Srivastava et al. (2014), section 10; Wang & Manning (2013)",
        law=_scipy("ncx2", 1, 1 / a, scale=a),
        closed_form=closed_form,
        signed=True,
    )


@cache
def gamma_dropout(a: float = 1.0) -> Noise:
    """lambda ~ Gamma of mean 1 and variance `a`: as Gaussian dropout, but it never changes a sign."""
    _positive("gamma_dropout", a=a)
    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.Gamma(1 / a, 1 / a)),
        "gamma_dropout",
        (("a", a),),
        source="Kirichenko (2018), section 3.3",
        law=_scipy("gengamma", 1 / a, 0.5, scale=a**2),
    )


@cache
def rayleigh(scale: float = 1.0) -> Noise:
    """lambda ~ Rayleigh(scale): lambda^2 is exponential and w is Laplace, the prior of the lasso."""
    _positive("rayleigh", scale=scale)

    def closed_form(w: Any, sigma0: float) -> Any:
        from .closed_form import laplace

        return laplace(w, scale * sigma0)

    def row(w: Any, sigma0: float) -> Any:
        from .closed_form import variance_gamma

        return variance_gamma(w, 1.0, 2 * (scale * sigma0) ** 2)

    m_step = steps.rayleigh(scale)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        law = p.dist.Weibull(scale=scale * math.sqrt(2), concentration=2.0)
        return _sample(p, name, shape, law, m_step)

    return Noise(
        program,
        "rayleigh",
        (("scale", scale),),
        prior="Laplace (Bayesian lasso)",
        source=f"{SHRINKAGE}; Park & Casella (2008)",
        law=_scipy("expon", scale=2 * scale**2),
        closed_form=closed_form,
        row=row,
        weight=lambda p, sigma0: p.dist.Laplace(0.0, scale * sigma0),
        m_step=m_step,
    )


@cache
def inverse_nakagami(m: float = 1.0, omega: float = 1.0) -> Noise:
    """1 / lambda ~ Nakagami(m, omega): w is Student t with 2m degrees of freedom and scale sigma0 / sqrt(omega)."""
    _positive("inverse_nakagami", m=m, omega=omega)
    return _student_t("inverse_nakagami", {"m": m, "omega": omega}, m, m / omega, -1, SHRINKAGE)


@cache
def inverse_gamma(a: float = 3.0, b: float = 3.0) -> Noise:
    """lambda^2 ~ InverseGamma(a, scale b): w is Student t with 2a degrees of freedom and scale sigma0 sqrt(b / a)."""
    _positive("inverse_gamma", a=a, b=b)
    source = f"{GSM}, eq 7; {SHRINKAGE.split(',')[0]} et al. (2019)"
    return _student_t("inverse_gamma", {"a": a, "b": b}, a, b, 2, source)


@cache
def gamma_precision(a: float = 1.0, b: float = 1.0) -> Noise:
    """1 / lambda^2 ~ Gamma(a, rate b): the hyperprior of the relevance vector machine; w is Student t."""
    _positive("gamma_precision", a=a, b=b)
    source = "Tipping (2001), eq 6; Kharitonov, Molchanov & Vetrov (2018), appendix C"
    return _student_t("gamma_precision", {"a": a, "b": b}, a, b, -2, source)


@cache
def half_cauchy(scale: float = 1.0) -> Noise:
    """lambda ~ HalfCauchy(scale): w has the horseshoe prior, with a pole at 0 and Cauchy tails."""
    _positive("half_cauchy", scale=scale)

    def closed_form(w: Any, sigma0: float) -> Any:
        from .closed_form import horseshoe

        return horseshoe(w, scale * sigma0)

    m_step = steps.half_cauchy(scale)
    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.HalfCauchy(scale), m_step),
        "half_cauchy",
        (("scale", scale),),
        prior="horseshoe",
        source="Carvalho, Polson & Scott (2010)",
        law=_scipy("betaprime", 0.5, 0.5, scale=scale**2),
        closed_form=closed_form,
        m_step=m_step,
    )


@cache
def regularised_half_cauchy(scale: float = 1.0, slab: float = 2.0) -> Noise:
    """The half-Cauchy cut off softly at `slab`: lambda^2 = c^2 t^2 / (c^2 + t^2), t ~ HalfCauchy(scale), c = slab.

    Samples t at the site ``name.raw``, as its authors do; lambda is the deterministic site `name`.
    """
    _positive("regularised_half_cauchy", scale=scale, slab=slab)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        raw = _sample(p, f"{name}.raw", shape, p.dist.HalfCauchy(scale))
        return p.deterministic(name, slab * p.xp.sin(p.xp.atan(raw / slab)))  # the same, without overflow

    def law() -> Any:
        from scipy import stats

        from .closed_form import regularised

        return regularised(stats.betaprime(0.5, 0.5, scale=scale**2), slab**2)

    return Noise(
        program,
        "regularised_half_cauchy",
        (("scale", scale), ("slab", slab)),
        prior="regularised horseshoe",
        source="Piironen & Vehtari (2017), eq 2.8",
        law=law,
    )


@cache
def uniform() -> Noise:
    """lambda ~ Uniform(0, 1)."""

    def closed_form(w: Any, sigma0: float) -> Any:
        from .closed_form import uniform_mixture

        return uniform_mixture(w, sigma0)

    m_step = steps.uniform()
    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.Uniform(0.0, 1.0), m_step),
        "uniform",
        prior="exponential integral",
        source=f"{SHRINKAGE}, extended",
        law=_scipy("beta", 0.5, 1.0),
        closed_form=closed_form,
        m_step=m_step,
    )


@cache
def beta(a: float = 0.5, b: float = 0.5) -> Noise:
    """lambda ~ Beta(a, b); below 1, mass gathers at 0 and 1: the continuous stand-in for Bernoulli noise."""
    _positive("beta", a=a, b=b)

    def law() -> Any:
        from scipy import stats

        from .closed_form import squared

        return squared(stats.beta(a, b))

    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.Beta(a, b)),
        "beta",
        (("a", a), ("b", b)),
        prior="continuous spike and slab",
        source=f"{GSM}.3",
        law=law,
    )


@cache
def log_normal(loc: float = 0.0, scale: float = 1.0) -> Noise:
    """log lambda ~ N(loc, scale^2)."""
    _finite("log_normal", loc=loc)
    _positive("log_normal", scale=scale)
    return Noise(
        lambda p, name, shape: _sample(p, name, shape, p.dist.LogNormal(loc, scale)),
        "log_normal",
        (("loc", loc), ("scale", scale)),
        prior="log-normal scale mixture",
        source="Clark (1973)",
        law=_scipy("lognorm", 2 * scale, scale=math.exp(2 * loc)),
    )


@cache
def log_uniform() -> Noise:
    """p(lambda) proportional to 1 / lambda: improper, so it cannot be drawn from and NUTS has no posterior to sample.

    Its sample statement is flat on the positive line and carries ``infer={"improper": "log-uniform"}``; the factor
    ``name.log_uniform`` adds -log lambda.  The induced p(w) is proportional to 1 / abs(w).
    """

    m_step = steps.inverse_gamma(0.0, 0.0, 2)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        flat = p.dist.ImproperUniform(p.dist.constraints.positive, shape, ()).to_event(len(shape))
        scales = p.sample(name, flat, infer={"improper": "log-uniform", "m_step": m_step})
        p.factor(f"{name}.log_uniform", -p.xp.sum(p.xp.log(scales)))
        return scales

    def row(w: Any, sigma0: float) -> Any:
        from .closed_form import log_uniform

        return log_uniform(w)

    return Noise(
        program,
        "log_uniform",
        prior="normal-Jeffreys",
        source="Kingma, Salimans & Welling (2015), appendix C; Figueiredo (2002)",
        closed_form=_of_one(row),
        row=row,
        m_step=m_step,
        proper=False,
    )


NOISES: dict[str, Callable[..., Noise]] = {
    f.__name__: f
    for f in (
        bernoulli,
        gaussian,
        gaussian_dropout,
        rayleigh,
        inverse_nakagami,
        inverse_gamma,
        gamma_precision,
        half_cauchy,
        regularised_half_cauchy,
        uniform,
        beta,
        log_normal,
        log_uniform,
    )
}


def _student_t(name: str, parameters: dict[str, float], a: float, b: float, power: int, source: str) -> Noise:
    """lambda^2 ~ InverseGamma(a, scale b), sampled as lambda = tau^(-1/2) with tau ~ Gamma(a, rate b).

    `power` is that of lambda whose mode the M-step seeks.
    """
    scale, m_step = math.sqrt(b / a), steps.inverse_gamma(a, b, power)

    def program(p: PPL, site: str, shape: tuple[int, ...]) -> Any:
        root = p.dist.transforms.PowerTransform(-0.5)
        return _sample(p, site, shape, p.dist.TransformedDistribution(p.dist.Gamma(a, b), [root]), m_step)

    def row(w: Any, sigma0: float) -> Any:
        from .closed_form import student_t

        return student_t(w, 2 * a, scale * sigma0)

    def row_weight(p: PPL, sigma0: float, d: int) -> Any:
        return p.dist.MultivariateStudentT(2 * a, p.xp.zeros((d,)), scale * sigma0 * p.xp.eye(d))

    return Noise(
        program,
        name,
        tuple(parameters.items()),
        prior="Student t",
        source=source,
        law=_scipy("invgamma", a, scale=b),
        closed_form=_of_one(row),
        row=row,
        weight=lambda p, sigma0: p.dist.StudentT(2 * a, 0.0, scale * sigma0),
        row_weight=row_weight,
        m_step=m_step,
    )


def _sample(
    p: PPL, name: str, shape: tuple[int, ...], law: Any, m_step: MStep | None = None, per_row: bool = False
) -> Any:
    """The site of lambda; `per_row` where a layer may draw normal scales for each row (`models.local`)."""
    infer = {**({"m_step": m_step} if m_step else {}), **({"per_row": True} if per_row else {})}
    return p.sample(name, law.expand(shape).to_event(len(shape)), infer=infer)


def _of_one(row: Callable[[Any, float], Any]) -> Callable[[Any, float], Any]:
    """The law of one weight as that of a row of one."""

    def closed_form(w: Any, sigma0: float) -> Any:
        import numpy as np

        return row(np.asarray(w)[..., None], sigma0)

    return closed_form


def _scipy(name: str, *args: float, **kwargs: float) -> Callable[[], Any]:
    def law() -> Any:
        from scipy import stats

        return getattr(stats, name)(*args, **kwargs)

    return law


def _positive(noise: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{noise}: {name} must be positive and finite, got {value}")


def _finite(noise: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not math.isfinite(value):
            raise ValueError(f"{noise}: {name} must be finite, got {value}")


def _plated(p: PPL, name: str, shape: tuple[int, ...], law: Any) -> Any:
    """A discrete law in plates, one for each axis, where Gibbs sampling can enumerate its support."""
    with ExitStack() as stack:
        for axis in range(-len(shape), 0):
            stack.enter_context(p.plate(f"{name}.axis{axis}", shape[axis], dim=axis))
        return p.sample(name, law)
