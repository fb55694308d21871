"""Sparse variational dropout: every weight has the scale-free prior p(w) proportional to 1 / abs(w).

Molchanov, Ashukha & Vetrov (2017), *Variational dropout sparsifies deep neural networks*, as reviewed by Bao & Zhang
(2019).  The guide is q(w) = N(mu, sigma^2) = N(mu, alpha mu^2), one alpha per weight; where alpha grows without bound
the weight is noise around zero and can be left out.

==================  ====================================  ========================================
site                law                                   guide
==================  ====================================  ========================================
``layerN.weight``   1 / abs(w), improper                  N(mu, sigma^2), locally reparameterised
``layerN.bias``     N(0, 1)                               N(mu, sigma^2)
==================  ====================================  ========================================

- Objective (Bao & Zhang, eqs 5 and 6): E_q log p(y given x, w) - KL(q || p), the divergence exact or by three constants
  (`noisezoo.models.laws.divergences`).  Their printed k2 = 1.87329 is a slip for 1.87320.
- Additive parameterisation (eqs 3 and 4): mu and log sigma are learned, not mu and alpha; sigma = sqrt(alpha) abs(mu).
- Linear model (eq 7): at a fixed alpha the optimal mean is (X'X + diag(X'X) diag(alpha))^-1 X'y.

The prior is the marginal of noise whose scale is log-uniform (`noisezoo.models.noises.log_uniform`).  It is improper,
and so is its posterior: NUTS and SGLD refuse it.  Its proper relatives are the horseshoe (`half_cauchy`) and the
Student t (`gamma_precision`).
"""

from functools import cache, partial
from typing import Any

from ..laws import divergences
from ..ppl import PPL
from ..weights.parametrisation import Prior

NAME = "log-uniform"


@cache
def prior(approximate: bool = False) -> Prior:
    """The prior ``(p, name, shape) -> weight`` with the site ``{name}.weight``; `shape` is (..., unit_in, unit_out).

    `approximate` takes the three-constant fit of the divergence (at most 0.0094 off per weight), to compare with what
    is published, in place of the exact one.
    """
    pays = divergences.log_uniform_approximate if approximate else divergences.log_uniform
    slope = None if approximate else divergences.log_uniform_gradient

    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        divergence_and_gradient = (f and partial(f, p.xp) for f in (pays, slope))
        law = p.unnormalised(NAME, lambda w: -p.xp.log(p.xp.abs(w)), *divergence_and_gradient)
        return p.sample(f"{name}.weight", law.expand(shape).to_event(len(shape)), infer={"improper": NAME})

    return weight
