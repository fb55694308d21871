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
# # Random labels
#
# Zhang et al. (2017): a network that can memorise fits labels drawn at random. Bao & Zhang (2019, table 1) train
# LeNet-5 on MNIST with half of the labels random, under sparse variational dropout and under binary dropout. With ten
# classes, a network that does not memorise agrees with 55% of those labels at best, so an accuracy on "the training
# set" means little unless it says which labels it is against. Here both are given.
#
# As a notebook this is scikit-learn's digits. `python notebooks/random_labels.py --mnist` is LeNet-300-100 on MNIST,
# and writes `docs/results/sparsity/random_labels.csv`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pandas as pd
from noisezoo import data, fit
from noisezoo.data.labels import randomise_labels
from noisezoo.data.published import published
from noisezoo.inference.judging.predict import predict
from noisezoo.inference.sparsity import trimming
from noisezoo.inference.strategies.parse import svi
from noisezoo.models import noises
from noisezoo.models.likelihoods import categorical
from noisezoo.models.networks import lenet_300_100
from noisezoo.models.papers import sparse_vd
from noisezoo.models.weights import parametrisation

MNIST = "--mnist" in sys.argv
RESULTS = next(p for p in (Path("docs/results"), Path("../docs/results"), Path("../../docs/results")) if p.is_dir())
STEPS = 6000 if MNIST else 3000

# %% [markdown]
# Binary dropout is noise that is Bernoulli(1/2) on the units of the hidden layers and none on the pixels, with the
# guide that leaves the noise at its prior and the weights at a point (one mask per minibatch).

# %%
dropped, kept = (parametrisation.prior(noises.bernoulli(p), "ard") for p in (0.5, 1.0))


def binary_dropout(p, name, shape):
    return (kept if name == "layer0" else dropped)(p, name, shape)


METHODS = {
    "sparse_vd": (
        categorical(lenet_300_100(), sparse_vd.prior(), 10),
        svi(
            guide="local",
            steps=STEPS,
            lr=1e-3,
            batch_size=100,
            kl_warmup=STEPS // 10,
            init_scale=float(np.exp(-5)),
            draws=10,
        ),
    ),
    "binary_dropout": (
        categorical(lenet_300_100(), binary_dropout, 10),
        svi(guide="dropout", steps=STEPS, lr=1e-3, batch_size=100, draws=10),
    ),
}


def accuracy(model, draws, x, *labels):
    """Of the class with the largest mean probability over the draws, in %, against each of the `labels`."""
    f = predict(model, draws, jnp.asarray(x)).f[0]
    f = f - f.max(axis=-1, keepdims=True)
    classes = (np.exp(f) / np.exp(f).sum(axis=-1, keepdims=True)).mean(axis=0).argmax(axis=-1)
    return [100 * float(np.mean(classes == y)) for y in labels]


def row(method, clean, fraction):
    """One line of the table: accuracies in %, and the share of weights that are not kept, in % for each layer."""
    model, settings = METHODS[method]
    noisy = randomise_labels(clean, fraction)
    found = fit(model, settings, jnp.asarray(noisy.x_train), jnp.asarray(noisy.y_train), progress=False)
    as_trained, as_true = accuracy(model, found.draws, clean.x_train, noisy.y_train, clean.y_train)
    (test,) = accuracy(model, found.draws, clean.x_test, clean.y_test)
    if found.loc:
        loc, scale = ({k: v[0] for k, v in part.items()} for part in (found.loc, found.scale))
        shares = trimming.table(loc, trimming.kept(loc, scale))["share"]
        zeros = {layer: 100 * (1 - share) for layer, share in shares.items()}
    else:
        sizes = {k.removesuffix(".base"): np.abs(v[0, 0]) for k, v in found.draws.items() if k.endswith(".base")}
        zeros = {layer: 100 * float(np.mean(size < 0.01)) for layer, size in sizes.items()}
    return {
        "method": method,
        "random labels": f"{fraction:.0%}",
        "training, given labels": as_trained,
        "training, true labels": as_true,
        "test": test,
        **{f"zero in {layer}": zeros[layer] for layer in ("layer0", "layer1", "layer2")},
    }


# %%
clean = data.load("mnist" if MNIST else "digits")
table = pd.DataFrame([row(method, clean, fraction) for method in METHODS for fraction in (0.0, 0.5)]).round(2)
if MNIST:
    table.to_csv(RESULTS / "sparsity" / "random_labels.csv", index=False)
table

# %% [markdown]
# "Zero" is log alpha of at least 3 under sparse variational dropout. Binary dropout has no such rule: there it is a
# weight smaller than 0.01, and a share of small weights is all that it says.
#
# LeNet-300-100 on MNIST, 10 epochs, one seed:

# %%
pd.read_csv(RESULTS / "sparsity" / "random_labels.csv")

# %% [markdown]
# What is printed, for LeNet-5 after 50 epochs. Its training accuracies under random labels lie above the 55% that
# labels of which half are random allow without memory, so they are against the true labels, or memorised; the review
# does not say.

# %%
published("random_labels")
