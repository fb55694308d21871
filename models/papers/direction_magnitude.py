"""Direction and magnitude noise: turn and stretch a weight vector instead of jittering its entries.

Kirichenko (2018), *Bayesian methods for regularisation of neural networks*, on top of weight normalisation
(`models.weights.weight_norm`), w = g v.

**As noise** (`noise`; sections 3.2 to 3.5), whose law stays what it is: any law of `models.laws.directions`, and a mean-one
noise on g, on weights, on activations, or on both.

=========================  =================================  ==========================================
site                       law                                with the guide ``dropout``
=========================  =================================  ==========================================
``layerN.base``            v: its direction uniform           a point
``layerN.magnitude``       g: half-Cauchy                     a point
``layerN.noise.*``         angle (or its radius and shift),   drawn; ``mask=function``: once for a
                           plane z and magnitude, (units,)    minibatch, ``mask=example``: by each row
``layerN.signal.noise.*``  the same of the activations        drawn, likewise
=========================  =================================  ==========================================

With ``mask=example`` a rotation of *weights* is drawn for each row, too, exactly (`models.unsampled.rotated`): the thesis has one
for the minibatch.

**As a posterior** (`prior`; section 4.1): w = g (cos(e) v + sin(e) phi), the program that the thesis fits a guide to.

====================  ==================================================  =====================================
site                  law (eq 27)                                         guides ``local``, ``flipout`` (eq 29)
====================  ==================================================  =====================================
``layerN.base``       v: its direction uniform                            a point
``layerN.magnitude``  g: 1 / abs(g), improper; or half-Cauchy, or Gamma   N(m, alpha m^2); or log-normal
``layerN.angle``      e: uniform on [0, pi/2]                             normal(mu, sigma^2), truncated to that
``layerN.plane``      z: standard normals; phi is its part at right       its prior, or learned normals: a
                      angles to v, normalised, hence uniform there        projected Gaussian (setting `plane`)
====================  ==================================================  =====================================

The thesis has no prior of v and finds its point by maximum likelihood: the same, for a uniform law is constant.
Printed errors: eq 8 has the posterior where the prior belongs, eq 37 the wrong sign and a sum too many, eq 49 lacks
1 / n.  With C = log(pi / 2), eq 39 is exact.  NUTS needs a proper law of g.
"""

import math
from functools import cache, partial
from typing import Any

from ...errors import unknown
from ..laws import divergences
from ..ppl import PPL
from ..unsampled.rotated import Rotated
from ..weights.direction_noise import plane_site, recorded
from ..weights.parametrisation import Prior
from ..weights.weight_norm import check_entries, check_over, direction, side, units
from .sparse_vd import NAME as LOG_UNIFORM

MAGNITUDES = ("log_uniform", "half_cauchy", "gamma")


@cache
def prior(magnitude: str = "log_uniform", over: str = "outputs") -> Prior:
    """The prior ``(p, name, shape) -> weight`` of w = g (cos(e) v + sin(e) phi).

    `magnitude` is the law of g: ``"log_uniform"`` (improper), or ``"half_cauchy"`` (scale 1) or ``"gamma"`` (2, 2),
    which are proper.  `over` is ``"outputs"`` or ``"inputs"``.
    """
    check_over(over)
    if magnitude not in MAGNITUDES:
        raise unknown("law of the magnitude", magnitude, MAGNITUDES)

    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        check_entries(name, shape, over)
        count = units(shape, over)
        v = direction(p, name, shape, over)
        g = _magnitude(p, f"{name}.magnitude", magnitude, count)
        quarter = p.dist.Uniform(0.0, 0.5 * math.pi).expand(count).to_event(1)
        e = p.sample(f"{name}.angle", quarter, infer={"guide": "truncated_normal", "waits": True})
        return recorded(p, name, Rotated(v, e, plane_site(p, name, shape, waits=True), (g,), side(shape, over)))

    return weight


def _magnitude(p: PPL, name: str, law: str, count: tuple[int]) -> Any:
    if law == "log_uniform":
        pays, slope = (partial(f, p.xp) for f in (divergences.log_uniform, divergences.log_uniform_gradient))
        improper = p.unnormalised(LOG_UNIFORM, lambda g: -p.xp.log(p.xp.abs(g)), pays, slope)
        infer = {"improper": LOG_UNIFORM, "waits": True, "start": 1.0}
        return p.sample(name, improper.expand(count).to_event(1), infer=infer)
    proper = p.dist.HalfCauchy(1.0) if law == "half_cauchy" else p.dist.Gamma(2.0, 2.0)
    return p.sample(name, proper.expand(count).to_event(1))
