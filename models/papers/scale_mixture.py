"""Multiplicative noise as a Gaussian scale mixture: Nalisnick, Anandkumar & Smyth (2015).

Noise on the unit j is a scale of the row j of the weights that leave it, v_jk = lambda_j w_jk.  The noises themselves
are in `noises`, the penalties that the analysis comes to in `laws.penalties`.
"""

from ...errors import unknown
from ..noises import NOISES
from ..weights import parametrisation
from ..weights.parametrisation import Prior
from . import Equation, Paper, Site


def prior(scale: str = "bernoulli", form: str = "expanded", sigma0: float | None = None) -> Prior:
    """The prior ``(p, name, shape) -> weight``: one scale for each input unit, from the noise called `scale` (Fig. 1).

    `form` is ``"expanded"`` or, for EM, ``"hierarchical"``.  Raises ValueError for an unknown noise, and where a
    discrete one is to have a density.
    """
    if scale not in NOISES:
        raise unknown("noise", scale, NOISES)
    return parametrisation.prior(NOISES[scale](), "ard", form, sigma0)


PAPER = Paper(
    name="scale_mixture",
    title="A scale mixture perspective of multiplicative noise in neural networks",
    authors="Nalisnick, E., Anandkumar, A. & Smyth, P.",
    year=2015,
    where="arXiv:1506.03208",
    idea="Multiplicative noise on a unit is a Gaussian scale mixture as the prior of the weights that leave it; its "
    "analysis by EM gives penalties, and a rule for pruning by mean plus standard deviation.",
    programs={
        "scale_mixture:scale=bernoulli": "dropout: spike and slab, by row",
        "scale_mixture:scale=half_cauchy": "the horseshoe, by row",
        "scale_mixture:scale=inverse_gamma": "multivariate Student t, by row",
        "scale_mixture:scale=rayleigh": "the group lasso, by row",
        "scale_mixture:scale=beta": "Beta(1/2, 1/2), the continuous stand-in for Bernoulli(1/2)",
        "scale_mixture:scale=half_cauchy,form=hierarchical": "the form that EM takes",
    },
    sites=(
        Site("layerN.scale", "p(lambda), the law of the noise: (unit_in,)", "a point, at the M-step given E v^2"),
        Site("layerN.base", "z ~ N(0, sigma0^2), in expanded form", "inferred by any strategy"),
        Site("layerN.weight", "lambda z; in hierarchical form N(0, lambda^2 sigma0^2)", "inferred at fixed scales"),
        Site("layerN.bias", "N(0, 1)", "inferred beside the weights"),
    ),
    equations=(
        Equation("1, 2", "h_l = f(h_(l-1) Lambda W), Lambda diagonal, lambda iid", "models.papers.scale_mixture.prior"),
        Equation(
            "3",
            "E_p(lambda)[-log p(y given X, W, Lambda)], Monte-Carlo dropout",
            "svi:guide=dropout",
            "the text multiplies test weights by 1 - p for Bernoulli(p), where p is the probability to keep",
        ),
        Equation(
            "4",
            "the penalty in linear regression: Var[lambda] sum_j w_j^2 sum_i x_ij^2",
            "models.laws.penalties.linear_dropout",
            "printed with 1/2, which belongs to half the squared error",
        ),
        Equation(
            "5",
            "in logistic regression: 1/2 Var[lambda] sum_j w_j^2 sum_i f (1 - f) x_ij^2",
            "models.laws.penalties.logistic_dropout",
            "right to second order; a bracket is missing",
        ),
        Equation("6, 7", "w = lambda z; p(w) = int N(w; 0, lambda^2 sigma0^2) p(lambda)", "models.noises.marginal"),
        Equation("8", "spike and slab, by row", "models.noises.discrete.bernoulli"),
        Equation(
            "9",
            "the bound of EM",
            "inference.driver.type_ii.em",
            "'proportional to' should be 'equal up to a constant', and the integral is of -q log(p / q)",
        ),
        Equation(
            "12",
            "dQ/dlambda_j = d / lambda_j - sum_k E[v_jk^2] / (sigma0^2 lambda_j^3) - d log p(lambda_j)",
            "",
            "the sign is that of -Q, sigma0^2 is missing, and p(lambda) should be its logarithm",
        ),
        Equation(
            "13",
            "lambda_j^2 = s_j / sigma0^2 + (lambda_j^3 / d) d log p(lambda_j) / dlambda_j",
            "models.laws.m_steps",
            "as 12; s_j is the mean over k of E[v_jk]^2 + Var[v_jk]",
        ),
        Equation(
            "14",
            "-log p(V given the best scales) = sum_j [sum_k v_jk^2 / 2 s_j + d/2 log(2 pi s_j)]",
            "models.laws.penalties.gsm",
            "printed without the 1/2 and the log-determinant; sigma0 cancels",
        ),
        Equation(
            "15",
            "the same at the means",
            "models.laws.penalties.reduced",
            "follows from 14 as printed and does not shrink: constant at Var = 0; with the log-determinant it is "
            "gsm(v, v, Var)",
        ),
        Equation("16", "rows of one weight", "models.laws.penalties.regulariser", "as 15"),
        Equation("17", "signal plus robustness: prune where abs(mu) + sigma is small", "inference.sparsity.pruning"),
    ),
    guide="svi:guide=dropout,mask=example",
    protocol={
        "training": "Bernoulli noise, then Langevin dynamics without it: 10,000 samples on minibatches",
        "Langevin noise": "N(0, lr / 2) beside a step of lr: temperature 1/4 (1/2 if lr is Welling & Teh's step)",
        "data": "MNIST 50k/10k, IMDB (5000 words) 25k/25k, Million Songs 460k/50k",
        "networks": "in a supplement that was not at hand",
    },
    run=(
        "noisezoo compare scale_mixture:scale=half_cauchy --data diabetes --network mlp:10",
        "noisezoo compare scale_mixture --data diabetes --network mlp:10 --with nuts,svi:guide=dropout",
        "python notebooks/scale_mixture.py --full",
    ),
    results="results.md#pruning-by-posterior-moments",
)
