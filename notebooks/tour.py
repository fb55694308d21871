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
# # A tour of noisezoo
#
# Three questions, on real data:
#
# 1. *Does SVI lie to me about this prior on this data?* Compare inferences.
# 2. *What does the posterior look like?* Read it with ArviZ.
# 3. *What about my own noise?* Write it as a function of a few lines.
#
# The settings are small, so that the whole page runs in a few minutes on two cores.

# %%
# %matplotlib inline
import arviz_stats
import numpy as np
from matplotlib.figure import Figure
from noisezoo import data
from noisezoo.inference.judging.pictures import pictures
from noisezoo.inference.runs.compare import compare
from noisezoo.models.check import check_noise
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy, regularised_half_cauchy
from noisezoo.models.noises.draws import draw_weights
from noisezoo.models.noises.marginal import log_marginal
from noisezoo.models.views.noises import plot_noise
from noisezoo.models.weights.parametrisation import prior

try:
    from IPython.display import display
except ImportError:  # as a script, after `make demo`
    display = print

# %% [markdown]
# ## 1. Compare inferences
#
# A noise is the law of a multiplicative scale, and so a prior on the weights. The half-Cauchy gives the horseshoe:

# %%
plot_noise(half_cauchy())

# %% [markdown]
# We put its regularised relative on the rows of the weights (ARD: one scale per input unit) of a small network, and run
# the same program under three inferences. NUTS is the reference, if it has converged; the table says so.

# %%
diabetes = data.load("diabetes")
model = gaussian(mlp(10), prior(regularised_half_cauchy(), structure="ard"))
found = compare(model, diabetes, "svi:steps=5000,nuts:warmup=300,draws=300,svi:guide=map,steps=3000", progress=False)
found.table[["rmse", "mlpd", "calibration", "rhat_f", "ess_bulk_f", "khat", "distance_sd", "verdict", "reason"]]

# %% [markdown]
# The verdicts are about predictions, not weights: hidden units can be permuted, so the R-hat of a weight says little. A
# point estimate predicts about as well and has no spread at all, which is what its verdict says. The figures:

# %%
for picture in pictures(found.trees):
    if picture.name in ("agreement", "scales"):
        display(picture.draw())

# %% [markdown]
# ## 2. Read the posterior
#
# Each fit is an ArviZ DataTree with every group, and named dimensions. Which inputs does the network use? The scales of
# the first layer, by feature:

# %%
tree = found.trees["nuts"]
arviz_stats.summary(tree, var_names=["layer0.scale"], kind="stats")

# %%
arviz_stats.loo(tree)

# %% [markdown]
# Predictions on the test rows are in the target's own units, and so is the noise:

# %%
predicted = tree["predictions"]["y"].quantile([0.05, 0.5, 0.95], dim=["chain", "draw"])
observed = tree["predictions_constant_data"]["y"]
inside = (predicted[0] <= observed) & (observed <= predicted[2])
print(f"{float(inside.mean()):.0%} of the test rows lie in their 90% interval")
print(f"noise sd {float(tree['functionals']['noise_sd'].mean()):.0f} {diabetes.unit or 'units of the target'}")

# %% [markdown]
# ## 3. A noise of your own
#
# A function of a language `p`, a name and a shape. It is written once, and runs in NumPyro and in Pyro, in every
# structure, network and inference.


# %%
def lognormal(p, name, shape):
    return p.sample(name, p.dist.LogNormal(0.0, 1.0).expand(shape).to_event(len(shape)))


check_noise(lognormal)  # nothing is wrong with it

# %% [markdown]
# Nothing is known of it in closed form, so its marginal p(w) is computed from draws of the program:

# %%
w = np.linspace(-4, 4, 201)
figure = Figure(figsize=(6, 3.2), layout="constrained")
ax = figure.add_subplot()
ax.hist(draw_weights(lognormal, 20_000), bins=200, range=(-4, 4), density=True, color="#CCCCCC", label="draws")
ax.plot(w, np.exp(log_marginal(lognormal, w)), color="#0072B2", label="p(w), computed")
ax.plot(w, np.exp(log_marginal(half_cauchy(), w)), color="#D55E00", label="horseshoe, closed form")
ax.set(xlabel="weight", ylabel="density", ylim=(0, 1.2))
ax.legend(frameon=False)
figure

# %% [markdown]
# And the same comparison for it:

# %%
own = compare(gaussian(mlp(10), prior(lognormal)), diabetes, "svi:steps=5000,nuts:warmup=300,draws=300", progress=False)
own.table[["rmse", "mlpd", "rhat_f", "distance_mean", "distance_sd", "verdict", "reason"]]

# %% [markdown]
# On the command line it is `noisezoo check my_noise.py:lognormal` and `noisezoo compare my_noise.py:lognormal --data
# diabetes --with svi,nuts,sgld`.
