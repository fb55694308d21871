"""Structured shrinkage: ARD, ADD and ARD-ADD of residual networks: Nalisnick, Hernandez-Lobato & Smyth (2019).

A weight is w_ij ~ N(0, lambda_i^2 tau_l^2 sigma0^2): lambda_i belongs to the input unit (automatic relevance
determination, ARD), tau_l to the layer (automatic depth determination, ADD).  A residual network can do without a layer
that keeps its width and without no other, so those alone have a tau; under ADD the others stay ARD.
"""

from functools import cache

from ...errors import unknown
from ..likelihoods import gaussian
from ..likelihoods.model import Model
from ..networks import residual_mlp
from ..noises import NOISES
from ..weights import parametrisation
from ..weights.parametrisation import Prior
from . import Equation, Paper, Site

STRUCTURES = {"ard": "ard", "add": "inner_add", "ard_add": "inner_ard_add"}


@cache
def prior(
    structure: str = "ard_add", scale: str = "inverse_gamma", form: str = "hierarchical", sigma0: float = 1.0
) -> Prior:
    """The prior ``(p, name, shape) -> weight`` of a residual network.

    Parameters
    ----------
    structure : ``"ard"``, ``"add"`` or ``"ard_add"``.
    scale : the noise of all scales, at its defaults; InverseGamma(3, 3) on their squares in the released code.
    form : ``"hierarchical"``, which variational EM needs, or ``"expanded"``, which dropout needs.
    sigma0 : standard deviation of a weight whose scales are 1.

    Raises ValueError for unknown words.
    """
    if structure not in STRUCTURES:
        raise unknown("structure", structure, STRUCTURES)
    if scale not in NOISES:
        raise unknown("noise", scale, NOISES)
    return parametrisation.prior(NOISES[scale](), STRUCTURES[structure], form, sigma0)


@cache
def model(structure: str = "ard_add", scale: str = "inverse_gamma", precision: float = 20.0) -> Model:
    """The released program for yacht: two hidden layers of 50 ReLU units, the second residual, a known noise precision.

    `precision` is that of the standardised target.
    """
    return gaussian(residual_mlp(50, 50), prior(structure, scale), precision)


PAPER = Paper(
    name="structured_shrinkage",
    title="Dropout as a structured shrinkage prior",
    authors="Nalisnick, E., Hernandez-Lobato, J. M. & Smyth, P.",
    year=2019,
    where="ICML 2019, slides and poster; arXiv:1810.04045",
    idea="Dropout is a structured shrinkage prior; its kin for residual networks shrinks whole layers, and two "
    "inferences improve on its marginal MAP: a tail-adaptive objective, and variational EM.",
    programs={
        "structured_shrinkage:structure=ard_add": "ARD-ADD: a scale for each input unit, times one for a layer",
        "structured_shrinkage:structure=ard": "ARD: a scale for each input unit",
        "structured_shrinkage:structure=add": "ADD: a scale for each residual layer, ARD at both ends",
        "structured_shrinkage:structure=ard_add,scale=half_cauchy": "horseshoes in place of inverse gammas",
    },
    sites=(
        Site("layerN.scale", "p(lambda): (unit_in,) under ARD, () under ADD", "a point at its M-step"),
        Site("layerN.scale.unit, layerN.scale.layer", "p(lambda), p(tau), where ARD-ADD has both", "points, by turns"),
        Site("layerN.weight", "N(0, lambda^2 tau^2 sigma0^2)", "N(mu, sigma^2), locally reparameterised"),
        Site("layerN.bias", "N(0, 1)", "N(mu, sigma^2)"),
        Site("precision", "known (20 in training), or Gamma", "log-normal where learned"),
    ),
    equations=(
        Equation("slide", "h_n,l = f(h_n,l-1 Lambda_l W_l), w ~ N(0, sigma0^2)", "models.weights.parametrisation"),
        Equation(
            "table",
            "noise -> prior",
            "models.noises",
            "'Unnamed' is Beta-prime(1/2, 1/2); Gaussian noise gives the generalised hyperbolic at mean zero only",
        ),
        Equation(
            "ADD", "h_l = f(h_(l-1) W_l) + h_(l-1), w ~ N(0, tau_l^2 sigma0^2)", "models.weights.structure.inner_add"
        ),
        Equation("ARD-ADD", "w ~ N(0, lambda_i^2 tau_l^2 sigma0^2)", "models.weights.structure.inner_ard_add"),
        Equation(
            "M-step",
            "InverseGamma(a, b): lambda^2 = (m + 2b) / (J + 2a + 2)",
            "models.laws.m_steps",
            "in the code tau always restarts at 1, and its update has 1 / lambda where 1 / lambda^2 belongs",
        ),
        Equation(
            "code",
            "tail-adaptive: weights proportional to 1 / rank",
            "svi:guide=dropout,objective=tail_adaptive",
        ),
        Equation(
            "code",
            "the divergence averaged over weights",
            "svi:guide=em,kl=mean",
            "no bound: it weighs the divergence by rows / weights, a tenth on yacht",
        ),
        Equation(
            "code",
            "flipout signs in {-1, 3} and no normal",
            "",
            "meant to be {-1, 1}: a shift of the mean, and 25 times the second moment",
        ),
        Equation(
            "poster",
            "test 'RMSE' of ARD, ADD, ARD-ADD",
            "docs/results/uci/tables.py",
            "the code takes abs(y - f), averaged over points and draws: a mean absolute error",
        ),
    ),
    guide="svi:guide=em,kl=mean,particles=10,init_scale=0.02,lr=0.001,decay=0,batch_size=32",
    protocol={
        "network": "2 x 50 ReLU, residual where the width is kept",
        "scales": "InverseGamma(3, 3) on lambda^2",
        "splits": "20 random 90/10 splits of its own",
        "training": "Adam 1e-3, batch 32, 4500 epochs, last iterate, 10 draws a step, noise precision 20",
        "test": "500 draws, noise precision 0.75 in original units",
    },
    run=(
        "noisezoo compare structured_shrinkage:structure=ard_add,scale=inverse_gamma --data yacht "
        "--network residual_mlp:10-10 --with svi:guide=em,steps=5000,init_scale=0.02,nuts:warmup=300,draws=300",
        "noisezoo sweep notebooks/structured_shrinkage_yacht.toml",
    ),
    results="results.md#structured-shrinkage-on-uci-sets",
)
