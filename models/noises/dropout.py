"""Dropout by continuous noise: normal and Gamma scales."""

import math
from functools import cache
from typing import Any

from ..laws import m_steps as steps
from .noise import SHRINKAGE, Noise, check_positive, row_of_one, scale_site, scipy_law


@cache
def gaussian(a: float = 1.0) -> Noise:
    """lambda ~ N(0, a), `a` its variance; lambda^2 ~ a chi^2_1, and w is a product of two Gaussians."""
    check_positive("gaussian", a=a)

    def row(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import variance_gamma

        return variance_gamma(w, 0.5, 2 * a * sigma0**2)

    m_step = steps.gaussian(a)
    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.Normal(0.0, math.sqrt(a)), m_step),
        "gaussian",
        (("a", a),),
        prior="variance-gamma (generalised hyperbolic limit)",
        source=f"{SHRINKAGE}, for noise of mean zero",
        law=scipy_law("chi2", 1, scale=a),
        closed_form=row_of_one(row),
        row=row,
        m_step=m_step,
        signed=True,
    )


@cache
def gaussian_dropout(a: float = 1.0) -> Noise:
    """Gaussian dropout: lambda ~ N(1, a), `a` its variance (p / (1 - p) for a drop rate p)."""
    check_positive("gaussian_dropout", a=a)

    def closed_form(w: Any, sigma0: float) -> Any:
        from ..laws.closed_forms import gaussian_dropout

        return gaussian_dropout(w, a, sigma0)

    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.Normal(1.0, math.sqrt(a)), per_row=len(shape) > 1),
        "gaussian_dropout",
        (("a", a),),
        prior="Poisson mixture of variance-gammas",
        source="Srivastava et al. (2014), section 10; Wang & Manning (2013)",
        law=scipy_law("ncx2", 1, 1 / a, scale=a),
        closed_form=closed_form,
        signed=True,
    )


@cache
def gamma_dropout(a: float = 1.0) -> Noise:
    """lambda ~ Gamma of mean 1 and variance `a`: as Gaussian dropout, but it never changes a sign."""
    check_positive("gamma_dropout", a=a)
    return Noise(
        lambda p, name, shape: scale_site(p, name, shape, p.dist.Gamma(1 / a, 1 / a)),
        "gamma_dropout",
        (("a", a),),
        prior="Gamma scale mixture",
        source="Kirichenko (2018), section 3.3",
        law=scipy_law("gengamma", 1 / a, 0.5, scale=a**2),
    )
