"""Continuous scales whose priors shrink weights: Laplace, Student t, horseshoe and their kin."""

import math
from functools import cache
from typing import Any

from ...errors import check_number
from ..laws import m_steps as steps
from ..ppl import PPL
from .noise import GSM, SHRINKAGE, Noise, check_positive, row_of_one, scale_site, scipy_law

LARGEST_LOG = 30  # whose exponential single precision can square


@cache
def rayleigh(scale: float = 1.0) -> Noise:
    """lambda ~ Rayleigh(scale): lambda^2 is exponential and w is Laplace, the prior of the lasso."""
    check_positive("rayleigh", scale=scale)

    def closed_form(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import laplace

        return laplace(w, scale * sigma0)

    def row(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import variance_gamma

        return variance_gamma(w, 1.0, 2 * (scale * sigma0) ** 2)

    m_step = steps.rayleigh(scale)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        law = p.dist.Weibull(scale=scale * math.sqrt(2), concentration=2.0)
        return scale_site(p, name, shape, law, m_step)

    return Noise(
        program,
        "rayleigh",
        (("scale", scale),),
        prior="Laplace (Bayesian lasso)",
        source=f"{SHRINKAGE}; Park & Casella (2008)",
        law=scipy_law("expon", scale=2 * scale**2),
        closed_form=closed_form,
        row=row,
        weight=lambda p, sigma0: p.dist.Laplace(0.0, scale * sigma0),
        m_step=m_step,
    )


@cache
def inverse_nakagami(m: float = 1.0, omega: float = 1.0) -> Noise:
    """1 / lambda ~ Nakagami(m, omega): w is Student t with 2m degrees of freedom and scale sigma0 / sqrt(omega)."""
    check_positive("inverse_nakagami", m=m, omega=omega)
    return _student_t("inverse_nakagami", {"m": m, "omega": omega}, m, m / omega, -1, SHRINKAGE)


@cache
def inverse_gamma(a: float = 3.0, b: float = 3.0) -> Noise:
    """lambda^2 ~ InverseGamma(a, scale b): w is Student t with 2a degrees of freedom and scale sigma0 sqrt(b / a)."""
    check_positive("inverse_gamma", a=a, b=b)
    source = f"{GSM}, eq 7; {SHRINKAGE.split(',')[0]} et al. (2019)"
    return _student_t("inverse_gamma", {"a": a, "b": b}, a, b, 2, source)


@cache
def gamma_precision(a: float = 1.0, b: float = 1.0) -> Noise:
    """1 / lambda^2 ~ Gamma(a, rate b): the hyperprior of the relevance vector machine; w is Student t."""
    check_positive("gamma_precision", a=a, b=b)
    source = "Tipping (2001), eq 6; Kharitonov, Molchanov & Vetrov (2018), appendix C"
    return _student_t("gamma_precision", {"a": a, "b": b}, a, b, -2, source)


@cache
def half_cauchy(scale: float = 1.0) -> Noise:
    """lambda ~ HalfCauchy(scale): w has the horseshoe prior, with a pole at 0 and Cauchy tails."""
    check_positive("half_cauchy", scale=scale)

    def closed_form(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import horseshoe

        return horseshoe(w, scale * sigma0)

    m_step = steps.half_cauchy(scale)
    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.HalfCauchy(scale), m_step),
        "half_cauchy",
        (("scale", scale),),
        prior="horseshoe",
        source="Carvalho, Polson & Scott (2010)",
        law=scipy_law("betaprime", 0.5, 0.5, scale=scale**2),
        closed_form=closed_form,
        m_step=m_step,
    )


@cache
def regularised_half_cauchy(scale: float = 1.0, slab: float = 2.0) -> Noise:
    """The half-Cauchy cut off softly at `slab`: lambda^2 = c^2 t^2 / (c^2 + t^2), t ~ HalfCauchy(scale), c = slab.

    Samples t at the site ``name.raw``, as its authors do; lambda is the deterministic site `name`.
    """
    check_positive("regularised_half_cauchy", scale=scale, slab=slab)

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        raw = scale_site(p, f"{name}.raw", shape, p.dist.HalfCauchy(scale))
        return p.deterministic(name, slab * p.xp.sin(p.xp.atan(raw / slab)))  # the same, without overflow

    def law() -> Any:
        from scipy import stats

        from ..laws.closed_forms import regularised

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
        from ..laws.closed_forms import uniform_mixture

        return uniform_mixture(w, sigma0)

    m_step = steps.uniform()
    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.Uniform(0.0, 1.0), m_step),
        "uniform",
        prior="exponential integral",
        source=f"{SHRINKAGE}, extended",
        law=scipy_law("beta", 0.5, 1.0),
        closed_form=closed_form,
        m_step=m_step,
    )


@cache
def beta(a: float = 0.5, b: float = 0.5) -> Noise:
    """lambda ~ Beta(a, b); below 1, mass gathers at 0 and 1: the continuous stand-in for Bernoulli noise."""
    check_positive("beta", a=a, b=b)

    def law() -> Any:
        from scipy import stats

        from ..laws.closed_forms import squared

        return squared(stats.beta(a, b))

    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.Beta(a, b)),
        "beta",
        (("a", a), ("b", b)),
        prior="continuous spike and slab",
        source=f"{GSM}.3",
        law=law,
    )


@cache
def log_normal(loc: float = 0.0, scale: float = 1.0) -> Noise:
    """log lambda ~ N(loc, scale^2)."""
    check_number("log_normal: loc", loc)
    if not abs(loc) <= LARGEST_LOG:
        raise ValueError(f"log_normal: loc, a logarithm, must lie between -{LARGEST_LOG} and {LARGEST_LOG}, got {loc}")
    check_positive("log_normal", scale=scale)
    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.LogNormal(loc, scale)),
        "log_normal",
        (("loc", loc), ("scale", scale)),
        prior="log-normal scale mixture",
        source="Clark (1973)",
        law=scipy_law("lognorm", 2 * scale, scale=math.exp(2 * loc)),
    )


def _student_t(name: str, parameters: dict[str, float], a: float, b: float, power: int, source: str) -> Noise:
    """lambda^2 ~ InverseGamma(a, scale b), sampled as lambda = tau^(-1/2) with tau ~ Gamma(a, rate b).

    `power` is that of lambda whose mode the M-step seeks.
    """
    scale, m_step = math.sqrt(b / a), steps.inverse_gamma(a, b, power)

    def program(p: PPL, site: str, shape: tuple[int, ...]) -> Any:
        root = p.dist.transforms.PowerTransform(-0.5)
        return scale_site(p, site, shape, p.dist.TransformedDistribution(p.dist.Gamma(a, b), [root]), m_step)

    def row(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import student_t

        return student_t(w, 2 * a, scale * sigma0)

    def row_weight(p: PPL, sigma0: float, d: int) -> Any:
        return p.dist.MultivariateStudentT(2 * a, p.xp.zeros((d,)), scale * sigma0 * p.xp.eye(d))

    return Noise(
        program,
        name,
        tuple(parameters.items()),
        prior="Student t",
        source=source,
        law=scipy_law("invgamma", a, scale=b),
        closed_form=row_of_one(row),
        row=row,
        weight=lambda p, sigma0: p.dist.StudentT(2 * a, 0.0, scale * sigma0),
        row_weight=row_weight,
        m_step=m_step,
    )
