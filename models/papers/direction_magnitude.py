"""Direction and magnitude noise: turn and stretch a weight vector instead of jittering its entries.

Kirichenko (2018), on top of weight normalisation (`models.weights.weight_norm`), w = g v.

**As noise** (`weights.direction_noise`; sections 3.2 to 3.5), whose law stays what it is: any law of
`models.laws.directions`, and a mean-one noise on g, on weights, on activations, or on both.  With ``mask=example`` a
rotation of *weights* is drawn for each row, too, exactly (`models.unsampled.rotated`): the thesis has one for the
minibatch.

**As a posterior** (`prior`; section 4.1): w = g (cos(e) v + sin(e) phi), the program that the thesis fits a guide to.
It has no prior of v and finds its point by maximum likelihood: the same, for a uniform law is constant.
"""

import math
from functools import cache
from typing import Any

from ...errors import unknown
from ..noises.improper import log_uniform_weight
from ..ppl import PPL
from ..ppl.named import named
from ..unsampled.rotated import Rotated
from ..weights.direction_noise import plane_site, recorded
from ..weights.parametrisation import Prior
from ..weights.weight_norm import check_entries, check_over, direction, side, units
from . import Equation, Paper, Site

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

    @named(f"direction_magnitude:magnitude={magnitude},over={over}")
    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        check_entries(name, shape, over)
        count = units(shape, over)
        v = direction(p, name, shape, over)
        g = _magnitude(p, f"{name}.magnitude", magnitude, count)
        quarter = p.dist.Uniform(0.0, 0.5 * math.pi).expand(count).to_event(1)
        e = p.sample(f"{name}.angle", quarter, infer={"guide": "truncated_normal", "unsampled": True})
        return recorded(p, name, Rotated(v, e, plane_site(p, name, shape, unsampled=True), (g,), side(shape, over)))

    return weight


def _magnitude(p: PPL, name: str, law: str, count: tuple[int]) -> Any:
    if law == "log_uniform":
        improper, infer = log_uniform_weight(p)
        infer |= {"unsampled": True, "start": 1.0, "instead": "direction_magnitude:magnitude=half_cauchy"}
        return p.sample(name, improper.expand(count).to_event(1), infer=infer)
    proper = p.dist.HalfCauchy(1.0) if law == "half_cauchy" else p.dist.Gamma(2.0, 2.0)
    return p.sample(name, proper.expand(count).to_event(1))


PAPER = Paper(
    name="direction_magnitude",
    title="Bayesian methods for regularisation of neural networks",
    authors="Kirichenko, P.",
    year=2018,
    where="thesis",
    idea="A weight vector is a direction and a magnitude; noise turns the one and stretches the other, and a "
    "variational model learns how far, a normal of alpha for each magnitude and a truncated normal for each angle.",
    programs={
        "direction_magnitude": "the posterior of section 4.1, g improper: 1 / abs(g)",
        "direction_magnitude:magnitude=half_cauchy": "the same with a proper law of g, for NUTS",
        "direction_magnitude:over=inputs": "a vector for each input unit: 'FC reverse'",
        "projected:alpha=0.014": "projected Gaussian noise on directions",
        "tangent:alpha=0.014": "the same in the tangent space",
        "rotation_normal:alpha=0.1": "a rotation in a random plane, its angle a truncated normal",
        "rotation_beta:alpha=3.27": "the same, its angle a stretched Beta",
        "rotation_beta:alpha=3.27,on=activations": "the same on the activations, for each image",
    },
    sites=(
        Site("layerN.base", "v: its direction uniform", "a point"),
        Site("layerN.magnitude", "g: 1 / abs(g), improper; or half-Cauchy, or Gamma", "N(m, alpha m^2); or log-normal"),
        Site("layerN.angle", "e: uniform on [0, pi/2]", "normal(mu, sigma^2), truncated to that"),
        Site(
            "layerN.plane",
            "z ~ N(0, I); phi, its part at right angles to v, is uniform",
            "its prior, or learned normals",
        ),
        Site("layerN.weight", "g (cos(e) v + sin(e) phi), deterministic", "as these are drawn"),
        Site("layerN.bias", "N(0, 1)", "N(mu, sigma^2)"),
        Site("layerN.noise.*", "as noise on weights: angle, plane, magnitude", "drawn: by minibatch, or mask=example"),
        Site("layerN.signal.noise.*", "the same on activations", "drawn, likewise"),
    ),
    equations=(
        Equation("1 to 3", "binary dropout, p the probability to keep", "models.noises.discrete.bernoulli"),
        Equation("5, 6", "moments by the central limit; alpha = (1 - p) / p", "models.noises.dropout.gaussian"),
        Equation(
            "8", "the ELBO", "inference.strategies.guides.elbo", "printed with the posterior where the prior belongs"
        ),
        Equation("14", "w = g v / norm(v)", "models.weights.weight_norm"),
        Equation(
            "15, 16",
            "projected: (v + eps) / norm, eps ~ N(0, alpha I)",
            "models.laws.projections.projected",
            "'opposite with high probability' overstates it: an angle above 90 degrees has probability 1/2 at most",
        ),
        Equation(
            "17 to 19",
            "tangent: eps less its part along v",
            "models.laws.projections.tangent",
            "the released code sums over output units: nearly projected noise (tangent_as_released)",
        ),
        Equation("20 to 23", "rotation: cos(e) v + sin(e) phi", "models.laws.rotations"),
        Equation("24, 25", "noise on magnitudes, N(1, alpha) or Gamma of mean 1", "models.noises.dropout"),
        Equation("26 to 30", "the variational model", "models.papers.direction_magnitude.prior"),
        Equation("31 to 35", "its draws: plane for the batch, the rest by row", "svi:guide=local,plane=batch"),
        Equation(
            "36, 37",
            "divergence of the magnitude",
            "models.laws.divergences.log_uniform",
            "the wrong sign, and a sum over i too many",
        ),
        Equation(
            "38, 39", "divergence of the angle; exact with C = log(pi / 2)", "inference.strategies.guides.normals"
        ),
        Equation("40 to 43", "variance of the gradient", "tests/benchmarks/rotation_gradient.py"),
        Equation("44, 45", "local reparameterisation", "models.unsampled.local_reparameterisation"),
        Equation("46 to 48", "partly for rotations", "models.unsampled.rotated"),
        Equation("49", "prediction: a mean over draws", "inference.judging.predict", "1 / n is missing"),
    ),
    guide="svi:guide=local",
    protocol={
        "network": "1024-1024-2048, ReLU, weight-normalised; table 3: LeNet-300-100, LeNet-500-300, LeNet-5",
        "start": "v ~ N(0, 0.01), g = 1",
        "training": "MNIST, Adam 1e-3, batch 100, 200 epochs, linear to 0 over the last 100",
        "prediction": "ensembles of 30 to 50 nets",
        "noise": "the best alpha of a grid, which is not printed",
    },
    run=(
        "noisezoo compare direction_magnitude:magnitude=half_cauchy --data diabetes --network mlp:10 "
        "--with svi:guide=local,steps=3000,nuts:warmup=300,draws=300",
        "python notebooks/direction_magnitude.py --full tables 1000",
        "python notebooks/direction_magnitude.py --full variational lenet_300_100 200 0 1 2",
    ),
    results="results.md#direction-and-magnitude-noise",
)
