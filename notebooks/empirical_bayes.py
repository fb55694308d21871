# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---


# %% [markdown]
# # Dropout by empirical Bayes
#
# Kharitonov, Molchanov & Vetrov (2018): give every weight a normal prior with a precision of its own, and let the
# data choose the precision. The objective is nearly that of sparse variational dropout, without an improper prior. A
# Gamma hyperprior trades accuracy for sparsity; integrated out, it makes the weight Student t, which is a posterior
# that NUTS can sample, and so a way to ask whether the guide gets it right.

# %%
# %matplotlib inline
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from noisezoo import compare, data, fit
from noisezoo.data.published import published
from noisezoo.inference.sparsity import report as report_module
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.laws import divergences
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.papers import empirical_bayes, sparse_vd

RESULTS = next(p for p in (Path("docs/results"), Path("../docs/results"), Path("../../docs/results")) if p.is_dir())

# %% [markdown]
# ## What a weight pays
#
# The ARD divergence is never more than that of sparse VD, by at most 0.635, and the two meet at large alpha (section
# 3):

# %%
log_alpha = np.linspace(-10, 10, 401)
mu, sigma = np.ones_like(log_alpha), np.exp(log_alpha / 2)
figure = Figure(figsize=(9, 3.2), layout="constrained")
left, right = figure.subplots(1, 2)
for name, pays in (("sparse VD", divergences.log_uniform), ("empirical Bayes", divergences.empirical_bayes)):
    left.plot(log_alpha, pays(np, mu, sigma), label=name)
left.set(xlabel="log alpha", ylabel="divergence, nats")
left.legend(frameon=False)
right.plot(
    log_alpha, divergences.log_uniform(np, mu, sigma) - divergences.empirical_bayes(np, mu, sigma), color="black"
)
right.set(xlabel="log alpha", ylabel="sparse VD less empirical Bayes", ylim=(0, 0.7))
figure

# %% [markdown]
# ## Precisions in closed form, or learned
#
# `prior` puts the best precision into the divergence, `learned` finds it by gradients as a parameter of the program.
# They have one optimum, and the first gets there sooner.

# %%
digits = data.load("digits")
x, y = jnp.asarray(digits.x_train), jnp.asarray(digits.y_train)
BASE = dict(guide="local", lr=1e-3, batch_size=100, kl_warmup=1000, init_scale=float(np.exp(-5)), draws=1)


def sparse(prior, steps=4000, **more):
    """Error in %, compression and the objective at the end, in nats, of a small network on digits."""
    model = categorical(mlp(100, 50, activation="relu"), prior, 10)
    found = fit(model, svi(**BASE, steps=steps, **more), x, y, progress=False)
    loc, scale = ({k: v[0] for k, v in part.items()} for part in (found.loc, found.scale))
    report = report_module.report(model, loc, scale, digits)
    objective = (found.history["log_lik"] - found.history["kl"])[0, -5:].mean()
    return {"error": report["error"]["after"], "compression": report["compression"], "objective": objective}


pd.DataFrame(
    {
        "empirical Bayes, closed form": sparse(empirical_bayes.prior()),
        "empirical Bayes, learned": sparse(empirical_bayes.learned()),
        "sparse VD": sparse(sparse_vd.prior()),
    }
).T.round(2)

# %% [markdown]
# ## A Gamma hyperprior
#
# tau ~ Gamma(a, b), at its mode. As a goes to 1/2 the weights pay less and less; with b = 1e-8, as in the paper, log
# sigma must be kept below -4, or the objective has no maximum. The paper's table 2 is for a VGG-like network on
# CIFAR-10; here is the same trade on digits:

# %%
rows = {a: sparse(empirical_bayes.prior(a, 1e-8), log_scale_max=-4.0) for a in (0.505, 0.52, 0.6)}
pd.DataFrame(rows).T.drop(columns="objective").rename_axis("a").round(2)

# %%
published("sparsity").query("table == 2")[["network", "a", "b", "error", "error_sd", "compression", "compression_sd"]]

# %% [markdown]
# ## MNIST, beside the paper's table 1

# %%
ours = pd.read_csv(RESULTS / "sparsity" / "mnist.csv")
ours[["network", "prior", "epochs", "rule", "error", "compression"]]

# %%
published("sparsity").query("source == 'kharitonov2018' and table == 1")[
    ["data", "network", "prior", "error", "error_sd", "compression", "compression_sd", "rule"]
]

# %% [markdown]
# ## Fully Bayesian: is the guide right?
#
# With tau integrated out the weight is Student t with 2a degrees of freedom. Now there is a posterior, and NUTS to
# hold the guides against, in the space of functions:

# %%
model = gaussian(mlp(10), empirical_bayes.student_t(a=2.0, b=0.1, form="marginal"))
judged = compare(
    model,
    data.load("diabetes"),
    "svi:steps=5000,svi:guide=local,steps=5000,nuts:warmup=300,draws=300",
    progress=False,
)
judged.table[["rmse", "mlpd", "rhat_f", "distance_mean", "distance_sd", "verdict", "reason"]]

# %% [markdown]
# No closed form is registered for a normal against a Student t, so ``local`` samples these weights after all, and
# says so. In the hierarchical form the weight is normal given its scale, and it need not:

# %%
hierarchical = gaussian(mlp(10), empirical_bayes.student_t(a=2.0, b=0.1))
compare(
    hierarchical,
    data.load("diabetes"),
    "svi:guide=local,steps=5000,nuts:warmup=300,draws=300",
    progress=False,
).table[["rmse", "mlpd", "rhat_f", "distance_mean", "distance_sd", "verdict", "reason"]]
