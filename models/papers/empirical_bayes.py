"""Empirical-Bayes automatic relevance determination: every weight has a precision of its own, chosen by the data.

Kharitonov, Molchanov & Vetrov (2018), *Variational dropout via empirical Bayes*: w ~ N(0, 1 / tau), with the tau that
makes the ELBO largest, or, under a hyperprior tau ~ Gamma(a, rate b), ELBO + log p(tau).  With q(w) = N(mu, sigma^2):

- ARD (eq 1): tau = 1 / (mu^2 + sigma^2), and the weight pays 1/2 log(1 + mu^2 / sigma^2).
- ARD dropout (eqs 2 and 3): the same with sigma^2 = alpha mu^2; it pays 1/2 log(1 + 1 / alpha), a constant if alpha is
  held fixed, and the objective is then that of Gaussian dropout.
- Gamma hyperprior, type-II MAP (section 4): tau = (2a - 1) / (mu^2 + sigma^2 + 2b), a > 1/2.  This is the mode over
  tau; over log tau it would be 2a + 1, so that the bound on a comes from the parameterisation.
- Fully Bayesian (appendix C): tau integrated out; the weight is Student t.  This one is a posterior to sample.

A precision that is tuned to the data makes no prior to sample under, so NUTS and SGLD refuse `prior` and `learned`.
"""

from functools import cache
from typing import Any

from ..laws import divergences
from ..noises import Noise, gamma_precision
from ..ppl import PPL
from ..ppl.named import named
from ..weights import parametrisation
from ..weights.parametrisation import Prior
from ..weights.structure import iid
from . import Equation, Paper, Site

NAME = "empirical-Bayes"


@cache
def prior(a: float = 1.0, b: float = 0.0) -> Prior:
    """The prior ``(p, name, shape) -> weight`` with tau in closed form; a = 1, b = 0 is plain ARD.

    The log density of the site ``{name}.weight`` is that of a weight that is known: the maximum over tau of
    log N(w; 0, 1 / tau) + log Gamma(tau; a, b), without the normalising constant of the Gamma where b = 0.
    Raises ValueError unless a > 1/2 and b >= 0.
    """
    constant = divergences.gamma_constant(a, b)

    @named(f"empirical_bayes:a={a:g},b={b:g}")
    def sampled(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        half_log_2_pi_e = 1.4189385332046727

        def log_density(w: Any) -> Any:
            return constant - half_log_2_pi_e - (a - 0.5) * p.xp.log(w**2 + 2 * b)

        def pays(loc: Any, scale: Any) -> Any:
            if (a, b) == (1.0, 0.0):
                return divergences.empirical_bayes(p.xp, loc, scale)
            return divergences.empirical_bayes_gamma(p.xp, loc, scale, a, b)

        law = p.unnormalised(NAME, log_density, pays).expand(shape).to_event(len(shape))
        infer = {"improper": NAME, "instead": "gamma_precision or student_t", "pays_only": True}
        return p.sample(f"{name}.weight", law, infer=infer)

    return sampled


@cache
def learned(a: float = 1.0, b: float = 0.0) -> Prior:
    """The same prior with ``{name}.scale`` = tau^(-1/2) as a learned parameter, one per weight: `prior` found slowly.

    Raises ValueError unless a > 1/2 and b >= 0.
    """
    return parametrisation.prior(_parameter(a, b), iid, "hierarchical", sigma0=1.0)


@cache
def _parameter(a: float, b: float) -> Noise:
    """A scale that is a parameter, under a Gamma(a, b) hyperprior of its precision (none at a = 1, b = 0)."""
    divergences.gamma_constant(a, b)  # a and b in range?

    def program(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        scale = p.param(name, p.xp.ones(shape), constraint=p.dist.constraints.positive)
        tau = scale**-2
        p.factor(f"{name}.hyperprior", p.xp.sum(divergences.log_gamma(p.xp, tau, a, b)))
        return scale

    return Noise(program, "empirical_bayes", (("a", a), ("b", b)), prior="normal, its width chosen by the data")


def student_t(a: float = 1.0, b: float = 1.0, form: str = "hierarchical") -> Prior:
    """The prior with tau ~ Gamma(a, rate b) drawn (``"hierarchical"``) or integrated out (``"marginal"``: Student t).

    w has 2a degrees of freedom and scale sqrt(b / a).  Raises ValueError unless a and b are positive.
    """
    return parametrisation.prior(gamma_precision(a, b), iid, form, sigma0=1.0)


PAPER = Paper(
    name="empirical_bayes",
    title="Variational dropout via empirical Bayes",
    authors="Kharitonov, V., Molchanov, D. & Vetrov, D.",
    year=2018,
    where="arXiv:1811.00596",
    idea="Every weight has a normal prior whose precision the data choose; the objective is nearly that of sparse "
    "variational dropout, without an improper prior, and a Gamma hyperprior trades accuracy for sparsity.",
    programs={
        "empirical_bayes": "ARD: tau at its best, in closed form",
        "empirical_bayes:a=0.51,b=1e-8": "tau at its mode under Gamma(a, rate b)",
        "student_t:a=1,b=1": "tau drawn: fully Bayesian, a posterior to sample",
        "student_t:a=1,b=1,form=marginal": "tau integrated out",
    },
    sites=(
        Site("layerN.weight", "N(0, 1 / tau)", "N(mu, sigma^2), locally reparameterised"),
        Site("layerN.scale", "tau^(-1/2): in closed form, learned, or drawn (student_t)", "none; none; log-normal"),
        Site("layerN.bias", "N(0, 1)", "N(mu, sigma^2)"),
    ),
    equations=(
        Equation("tau*", "tau = 1 / (mu^2 + sigma^2)", "models.papers.empirical_bayes.prior"),
        Equation("1", "ARD: a weight pays 1/2 log(1 + mu^2 / sigma^2)", "models.laws.divergences.empirical_bayes"),
        Equation("2", "sigma^2 = alpha mu^2 at a fixed alpha is Gaussian dropout", "svi:guide=local,alpha=0.5"),
        Equation("3", "ARD dropout: 1/2 log(1 + 1 / alpha)", "svi:guide=local,parameters=alpha"),
        Equation("4", "sparse VD, by three constants", "sparse_vd:approximate=1"),
        Equation(
            "section 4",
            "Gamma(a, b): tau = (2a - 1) / (mu^2 + sigma^2 + 2b)",
            "models.laws.divergences.empirical_bayes_gamma",
            "a > 1/2 comes from maximising over tau; over log tau it is 2a + 1",
        ),
        Equation(
            "appendix C",
            "Student t, 2a degrees of freedom, scale sqrt(b / a)",
            "models.papers.empirical_bayes.student_t",
        ),
    ),
    guide="svi:guide=local,init_scale=0.0067,kl_warmup=12000",
    protocol={
        "start": "log sigma ~ N(-5, 0.1^2)",
        "training": "200 epochs, Adam 1e-3, batch 100, linear decay from epoch 100, KL annealed over 20 epochs",
        "VGG": "penalty times 0.05; under the Gamma hyperprior log sigma below -4 and no factor",
        "prediction": "deterministic, at the means",
        "pruning": "abs(mu) below 0.01",
        "seeds": "5",
    },
    run=(
        "noisezoo compare student_t:a=2,b=0.1 --data diabetes --network mlp:10 "
        "--with svi:guide=local,steps=5000,nuts:warmup=300,draws=300",
        "noisezoo compare empirical_bayes --data mnist --network lenet_300_100 --with "
        "svi:guide=local,steps=120000,lr=1e-3,batch_size=100,kl_warmup=12000,init_scale=0.0067,draws=10",
    ),
    results="results.md#sparse-networks",
)
