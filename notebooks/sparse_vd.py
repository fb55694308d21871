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
# # Sparse variational dropout
#
# Molchanov, Ashukha & Vetrov (2017), as reviewed by Bao & Zhang (2019). Every weight has the prior p(w) proportional
# to 1 / |w| and the guide N(mu, alpha mu^2), with an alpha of its own. Where alpha grows without bound, the weight is
# noise around zero and can be left out. Here: the divergence, a linear model whose optimum is known, a network on
# real data trained and trimmed, and the numbers of the papers beside ours.

# %%
# %matplotlib inline
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
from noisezoo import data, fit
from noisezoo.data.published import published
from noisezoo.inference.sparsity import report as report_module
from noisezoo.inference.sparsity import trimming
from noisezoo.inference.sparsity.net_files import export, load_net
from noisezoo.inference.sparsity.pictures import sparsity as sparsity_module
from noisezoo.inference.strategies.parse import svi
from noisezoo.models.likelihoods import categorical, gaussian
from noisezoo.models.networks import lenet_300_100, mlp
from noisezoo.models.papers.sparse_vd import prior
from noisezoo.models.views import divergences

RESULTS = next(p for p in (Path("docs/results"), Path("../docs/results"), Path("../../docs/results")) if p.is_dir())

# %% [markdown]
# ## The divergence
#
# The divergence of N(mu, alpha mu^2) from the prior depends on alpha alone. The paper fits it by three constants, off
# by at most 0.0094; it also has a closed form, with Dawson's integral, and the zoo trains with that one.

# %%
divergences.plot_divergences()

# %% [markdown]
# ## A linear model
#
# At a fixed alpha the optimal mean of linear regression is known (Bao & Zhang, eq 7): mu = (X'X + diag(X'X)
# diag(alpha))^-1 X'y. The zoo finds it by stochastic gradients:

# %%
rng = np.random.default_rng(0)
x = rng.normal(size=(200, 5)) @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
x -= x.mean(axis=0)
y = x @ [1.0, -2.0, 0.5, 0.0, 3.0] + 0.3 * rng.normal(size=200)
y -= y.mean()
alpha = 0.5
exact = np.linalg.solve(x.T @ x + alpha * np.diag(np.diag(x.T @ x)), x.T @ y)
settings = svi(guide="local", alpha=alpha, steps=5000, lr=0.02, draws=1)
found = fit(
    gaussian(mlp(), prior(), 10.0), settings, jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32), progress=False
)
pd.DataFrame({"exact": exact, "fitted": found.loc["layer0.weight"][0, :, 0]}).round(3)

# %% [markdown]
# ## A network on real data
#
# LeNet-300-100 on scikit-learn's digits: the paper's recipe (additive noise, small sigma at first, the divergence
# rising linearly from nothing) at a scale that runs in a minute. `watch` follows error and compression along the way.

# %%
digits = data.load("digits")
model = categorical(lenet_300_100(), prior(), 10)
recipe = svi(guide="local", steps=8000, lr=1e-3, batch_size=100, kl_warmup=1000, init_scale=float(np.exp(-5)), draws=20)
found = fit(
    model,
    recipe,
    jnp.asarray(digits.x_train),
    jnp.asarray(digits.y_train),
    progress=False,
    watch=report_module.watch(model, digits),
)
loc, scale = ({k: v[0] for k, v in part.items()} for part in (found.loc, found.scale))
masks = trimming.kept(loc, scale)
trimming.table(loc, masks)

# %%
sparsity_module.training({"sparse VD": {k: v[0] for k, v in found.history.items()}})

# %%
sparsity_module.log_alpha(loc, scale)

# %%
sparsity_module.first_layer(loc["layer0.weight"], masks["layer0.weight"])

# %% [markdown]
# What the rule leaves, its error before and after, and the smaller dense network that remains:

# %%
report = report_module.report(model, loc, scale, digits, network="lenet_300_100")
{key: report[key] for key in ("text", "compression", "error", "bytes", "structured")}

# %% [markdown]
# Written as files, it predicts the same without anything else:

# %%
export("trimmed-digits", loc, masks, "lenet_300_100", digits, "log_alpha", None)
net = load_net("trimmed-digits")
raw = digits.x_test * digits.x_scale + digits.x_mean
float(np.mean(net.predict(raw).argmax(axis=1) != digits.y_test))

# %% [markdown]
# ## MNIST, beside the papers
#
# Made by the commands in `docs/results.md`; here one seed on a CPU, of fewer epochs where it says so. The papers
# count a weight as kept by different rules, so both are given. Compression goes on rising with the epochs: the
# networks here are still losing weights when the learning rate ends.

# %%
ours = pd.read_csv(RESULTS / "sparsity" / "mnist.csv")
ours[["network", "prior", "epochs", "rule", "error", "compression", "structured"]]

# %%
published("sparsity").query("data == 'mnist'")[
    ["source", "network", "prior", "error", "error_sd", "compression", "compression_sd", "rule"]
]

# %% [markdown]
# Share of the weights kept in each layer, at log alpha below 3:

# %%
shares = ours[ours["rule"].str.startswith("log alpha")].set_index(["network", "prior"])["layers"].map(json.loads)
pd.DataFrame(shares.to_list(), index=shares.index)

# %% [markdown]
# ## Gradient variance
#
# Why pre-activations and not weights: the variance of the gradient of the ELBO of LeNet-300-100 at batches of 100,
# summed over its parameters, over that with sampled weights (`tests/benchmarks/gradient_variance.py`). Local
# reparameterisation takes most of it out of the standard deviations, some of it out of the means.

# %%
variances = json.loads((RESULTS / "benchmarks" / "gradient_variance.json").read_text())
pd.DataFrame(
    {
        (when.replace("_", " "), estimator): {
            "means": found["noise_ratio"]["means"],
            "log standard deviations": found["noise_ratio"]["log_sds"],
        }
        for when, estimators in variances.items()
        for estimator, found in estimators.items()
    }
).T.round(3)
