"""Sparse variational dropout: every weight has the scale-free prior p(w) proportional to 1 / abs(w).

Molchanov, Ashukha & Vetrov (2017), *Variational dropout sparsifies deep neural networks*, as reviewed by Bao & Zhang
(2019).  The guide is q(w) = N(mu, sigma^2) = N(mu, alpha mu^2), one alpha per weight; where alpha grows without bound
the weight is noise around zero and can be left out.

The prior is the marginal of noise whose scale is log-uniform (`noisezoo.models.noises.log_uniform`).  It is improper,
and so is its posterior: NUTS and SGLD refuse it.  Its proper relatives are the horseshoe (`half_cauchy`) and the
Student t (`gamma_precision`).
"""

from functools import cache
from typing import Any

from ..noises.improper import log_uniform_weight
from ..ppl import PPL
from ..ppl.named import named
from ..weights.parametrisation import Prior
from . import Equation, Paper, Site


@cache
def prior(approximate: bool = False) -> Prior:
    """The prior ``(p, name, shape) -> weight`` with the site ``{name}.weight``; `shape` is (..., unit_in, unit_out).

    `approximate` takes the three-constant fit of the divergence (at most 0.0094 off per weight), to compare with what
    is published, in place of the exact one.
    """

    @named("sparse_vd:approximate=1" if approximate else "sparse_vd")
    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        law, infer = log_uniform_weight(p, approximate)
        return p.sample(f"{name}.weight", law.expand(shape).to_event(len(shape)), infer=infer)

    return weight


PAPER = Paper(
    name="sparse_vd",
    title="Variational dropout sparsifies deep neural networks",
    authors="Molchanov, D., Ashukha, A. & Vetrov, D.",
    year=2017,
    where="ICML 2017; as reviewed by Bao & Zhang (2019), whose equations these are",
    idea="A weight with the scale-free prior 1 / abs(w) and the guide N(mu, alpha mu^2), one alpha for each: where "
    "alpha grows without bound the weight is noise, and can go.",
    programs={
        "sparse_vd": "p(w) proportional to 1 / abs(w), its divergence exact",
        "sparse_vd:approximate=1": "the divergence by three constants, as published",
    },
    sites=(
        Site("layerN.weight", "1 / abs(w), improper", "N(mu, sigma^2), locally reparameterised"),
        Site("layerN.bias", "N(0, 1)", "N(mu, sigma^2)"),
    ),
    equations=(
        Equation("1, 2", "w = theta (1 + sqrt(alpha) eps); log-uniform prior", "svi:guide=local,parameters=alpha"),
        Equation(
            "3, 4",
            "additive: mu and log sigma are learned, sigma = sqrt(alpha) abs(mu)",
            "svi:guide=local",
            "printed as sqrt(alpha theta)",
        ),
        Equation(
            "5, 6",
            "E_q log p - KL, the divergence by three constants",
            "models.laws.divergences.log_uniform_approximate",
            "k2 = 1.87329 is a slip for 1.87320; the exact divergence is 2 int_0^sqrt(u) Dawson, u = 1 / (2 alpha)",
        ),
        Equation(
            "7", "linear model: mu = (X'X + diag(X'X) diag(alpha))^-1 X'y at a fixed alpha", "notebooks/sparse_vd.py"
        ),
        Equation(
            "figure 2",
            "sparsity of a perceptron settles at 70%",
            "",
            "most likely that of its last layer: the listing is a course's, whose layers end at 97%, 96% and 70%",
        ),
        Equation(
            "table 1",
            "50% random labels: 83.5% 'train accuracy'",
            "notebooks/random_labels.py",
            "a net that memorises nothing agrees with noisy labels to 55% at best: these must be clean ones",
        ),
    ),
    guide="svi:guide=local,init_scale=0.0067,pretrain=3000,kl_warmup=9000,log_alpha_clip=8",
    protocol={
        "training": "MNIST, 60k images, Adam 1e-3, linear to 0 over 200 epochs, batch 100",
        "start": "log sigma^2 = -10; KL weight 0 for 5 epochs, linear to 1 at epoch 20",
        "clip": "abs(log alpha) below 8; means that are pruned are masked while training",
        "pruning": "log alpha at least 3",
    },
    run=(
        "noisezoo compare sparse_vd --data digits --network mlp:100-50,activation=relu --with "
        "svi:guide=local,steps=4000,lr=1e-3,batch_size=100,kl_warmup=1000,init_scale=0.0067,draws=10 --out runs/sparse",
        "noisezoo trim runs/sparse",
        "noisezoo compare sparse_vd --data mnist --network lenet_300_100 --with "
        "svi:guide=local,steps=120000,lr=1e-3,batch_size=100,kl_warmup=12000,init_scale=0.0067,draws=10",
    ),
    results="results.md#sparse-networks",
)
