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
# # Multiplicative noise as a scale mixture, and what it says about pruning
#
# Nalisnick, Anandkumar & Smyth (2015): noise on units is a Gaussian scale mixture on the weights, type-II maximum
# likelihood of its scales is EM, and the penalty that EM puts on a weight falls with the square of its posterior mean
# *plus* its variance. Hence their rule for pruning: remove the weights of small |mean| + sd (signal plus robustness,
# SPR) and not those of small |mean| / sd (SNR).
#
# As a notebook this is a small net on scikit-learn's digits. `python notebooks/scale_mixture.py --full` runs all of
# `scale_mixture.toml` (`--full mnist imdb` some of it), one file for each data set and seed, and goes on where it
# stopped.

# %%
# %matplotlib inline
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from noisezoo import compare, data, fit
from noisezoo.inference.driver.type_ii import em
from noisezoo.inference.judging.datatree import save
from noisezoo.inference.sparsity import distillation, evaluation, pruning, trimming
from noisezoo.inference.sparsity.pictures import pruning as pruning_pictures
from noisezoo.inference.strategies.nuts import NUTS
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.sgld import SGLD
from noisezoo.models import noises
from noisezoo.models.likelihoods import bernoulli, categorical, gaussian, soft_targets
from noisezoo.models.networks import mlp
from noisezoo.models.weights.parametrisation import normal, prior

FULL = "--full" in sys.argv
ROOT = next(p for p in (Path("."), Path(".."), Path("../..")) if (p / "docs" / "results").is_dir())
RESULTS = ROOT / "docs" / "results" / "pruning"
SETTINGS = tomllib.loads((ROOT / "notebooks" / "scale_mixture.toml").read_text())
RULES = ("spr", "snr", "second_moment", "magnitude", "random")

# %% [markdown]
# ## The recipe
#
# A net is trained with Bernoulli noise on its inputs and hidden units, a mask for each example; its weights are then
# those at the mean of the noise. From there Langevin dynamics samples the posterior *without* noise, where
# w ~ N(0, 1 / fan_in), at temperature 1/4, and gathers mean and sd of every weight over all 10,000 samples. The same is
# done from a net that was trained without noise. 1/4 is the temperature that the noise scale printed in the paper
# stands for, if its gradient is that of the log joint.

# %%


def program(task, hidden, classes, weights):
    """The model of a task, a ReLU perceptron with these weights."""
    net = mlp(*hidden, activation="relu")
    return (
        {"regression": gaussian, "binary": bernoulli}[task](net, weights)
        if not classes
        else categorical(net, weights, classes)
    )


def model_of(d, hidden, weights):
    return program(d.task, hidden, len(d.classes) if d.task == "categorical" else 0, weights)


def dropped(keep):
    """Bernoulli noise: the probabilities to keep an input, and a hidden unit."""
    first, rest = (prior(noises.bernoulli(p), "ard", "expanded") for p in keep)
    return lambda p, name, shape: (first if name == "layer0" else rest)(p, name, shape)


def split(d, share):
    """The training rows without the last of them, and those for validation in place of the test rows."""
    cut = round((1 - share) * len(d.y_train))
    return (
        replace(d, x_train=d.x_train[:cut], y_train=d.y_train[:cut]),
        replace(d, x_test=d.x_train[cut:], y_test=d.y_train[cut:]),
    )


def trained(d, facts, noisy, seed, path):
    """A net at its weights, trained with or without noise, as a file to start from."""
    steps = facts["epochs"] * len(d.y_train) // SETTINGS["batch_size"]
    common = {"steps": steps, "lr": facts["lr"], "batch_size": SETTINGS["batch_size"], "draws": 2}
    if noisy:
        config = svi(guide="dropout", mask="example", prediction="mean_weight", **common)
    else:
        config = svi(guide="map", **common)
    weights = dropped(facts["keep"]) if noisy else normal()
    x, y = jnp.asarray(d.x_train), jnp.asarray(d.y_train)
    found = fit(model_of(d, facts["hidden"], weights), config, x, y, seed=seed, progress=FULL)
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({k: _dims(k, v) for k, v in found.draws.items()})})
    tree.attrs["strategy"] = found.strategy
    save(tree, path)


def _dims(name, values):
    return ("chain", "draw", *(f"{name}.{i}" for i in range(values.ndim - 2))), values


def sampled(d, facts, start, step_size, seed, samples):
    """Means and sds of the weights over so many Langevin samples."""
    config = SGLD(
        warmup=SETTINGS["warmup"] if FULL else 500,
        draws=SETTINGS["draws"],
        thin=samples // SETTINGS["draws"],
        step_size=step_size,
        temperature=SETTINGS["temperature"],
        decay=SETTINGS["decay"],
        batch_size=SETTINGS["batch_size"],
        chains=1,
        half_draws=0,
        start=str(start),
    )
    x, y = jnp.asarray(d.x_train), jnp.asarray(d.y_train)
    found = fit(model_of(d, facts["hidden"], normal()), config, x, y, seed=seed, progress=FULL)
    return tuple(trimming.network_sites({k: v[0] for k, v in part.items()}) for part in (found.loc, found.scale))


def tuned(d, validation, facts, start, seed, samples):
    """The step size whose mean weights have the lowest validation error, and the moments that it gives."""
    model, found, errors = model_of(d, facts["hidden"], normal()), {}, {}
    for step_size in facts["step_sizes"]:
        try:
            found[step_size] = sampled(d, facts, start, step_size, seed, samples)
        except FloatingPointError:
            continue
        errors[step_size] = evaluation.error(model, found[step_size][0], validation.x_test, validation.y_test)
    print("validation error of the mean weights by step size:", {k: round(v, 3) for k, v in errors.items()}, flush=True)
    best = min(errors, key=errors.get)
    return best, found[best]


def students(d, facts, loc, seed):
    """Test error of smaller nets of the same depth, trained on the soft targets of the net `loc`."""
    if d.task == "regression":
        return []
    t, classes, hidden = SETTINGS["softness"], len(d.classes), facts["hidden"]
    targets = distillation.teacher(model_of(d, hidden, normal()), loc, d.x_train, t)
    steps = facts["epochs"] * len(d.y_train) // SETTINGS["batch_size"]
    rows = []
    for fraction in SETTINGS["students"]:
        small = mlp(*distillation.widths(fraction, d.x_train.shape[1], hidden, classes), activation="relu")
        config = svi(guide="map", steps=steps, lr=facts["lr"], batch_size=SETTINGS["batch_size"], draws=1)
        x, y = jnp.asarray(d.x_train), jnp.asarray(targets)
        found = fit(soft_targets(small, normal(), classes, t), config, x, y, seed=seed, progress=FULL)
        point = trimming.network_sites({k: v[0, 0] for k, v in found.draws.items()})
        error = evaluation.error(categorical(small, normal(), classes), point, d.x_test, d.y_test)
        rows.append({"rule": "soft targets", "fraction": fraction, "error": error, "unit": "%"})
    return rows


def experiment(d, facts, seed, samples, step_sizes=None):
    """Curves of both nets as a table, their moments by kind of training, and the step sizes that were taken."""
    d, validation = split(d, facts.get("validation", SETTINGS["validation"]))
    model, curves, moments = model_of(d, facts["hidden"], normal()), [], {}
    taken = dict(step_sizes or {})
    with TemporaryDirectory() as folder:
        for training, noisy in (("with noise", True), ("without", False)):
            start = Path(folder) / f"{training}.nc"
            trained(d, facts, noisy, seed, start)
            if training in taken:
                moments[training] = sampled(d, facts, start, taken[training], seed, samples)
            else:
                taken[training], moments[training] = tuned(d, validation, facts, start, seed, samples)
            loc, scale = moments[training]
            found = pruning.curve(model, (loc, scale), d, RULES, SETTINGS["fractions"], seed=seed)
            curves.append(found.assign(training=training))
            if noisy:
                rows = students(d, facts, loc, seed)
                curves.append(pd.DataFrame(rows).assign(training=training))
    table = pd.concat(curves)[["training", "rule", "fraction", "error", "unit"]]
    return table.assign(seed=seed), moments, taken


# %%
def full():
    """Every data set and seed of the settings that has no file yet."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[sys.argv.index("--full") + 1 :] or SETTINGS["sets"]:
        facts = SETTINGS["sets"][name]
        d, taken = None, None
        for seed in SETTINGS["seeds"]:
            path = RESULTS / "curves" / f"{name}-{seed}.csv"
            steps = RESULTS / "step_sizes" / f"{name}.json"
            if path.is_file():
                continue
            d = d or data.load(name)
            taken = pd.read_json(steps, typ="series").to_dict() if steps.is_file() else None
            table, moments, taken = experiment(d, facts, seed, SETTINGS["samples"], taken)
            steps.parent.mkdir(parents=True, exist_ok=True)
            pd.Series(taken).to_json(steps)
            if seed == SETTINGS["seeds"][0] and name == "mnist":
                some(moments).to_csv(RESULTS / "moments.csv", index=False)
            path.parent.mkdir(parents=True, exist_ok=True)
            table.assign(data=name).round(4).to_csv(part := path.with_suffix(".part"), index=False)
            part.replace(path)
            print(
                name,
                seed,
                pruning.summary(table.query("training == 'with noise' and rule != 'soft targets'")),
                flush=True,
            )


def some(moments, count=2000):
    """So many of the weights of each net, their means and sds."""
    rows = []
    for training, (loc, scale) in moments.items():
        sites = trimming.weights(loc)
        mean, sd = (np.concatenate([part[s].ravel() for s in sites]) for part in (loc, scale))
        picked = np.random.default_rng(0).choice(len(mean), count, replace=False)
        rows.append(pd.DataFrame({"training": training, "mean": mean[picked], "sd": sd[picked]}))
    return pd.concat(rows).round(5)


if FULL:
    full()
    sys.exit()

# %% [markdown]
# On digits, one hidden layer of 50 units, 2,000 samples:

# %%
digits = data.load("digits")
small = {"hidden": [50], "keep": [0.9, 0.7], "epochs": 150, "lr": 3e-3}
table, moments, _ = experiment(digits, small, 0, 2000, {"with noise": 0.1, "without": 0.1})
with_noise = table[table["training"] == "with noise"]
pruning.summary(with_noise[with_noise["rule"] != "soft targets"]).round(2)

# %%
pruning_pictures.curves(with_noise[with_noise["rule"] != "soft targets"].assign(low=np.nan, high=np.nan))

# %% [markdown]
# The moments that the rules look at (the paper's figure 2d), of the nets trained with and without noise:

# %%
pruning_pictures.moments(moments)

# %% [markdown]
# ## What came out at full scale
#
# MNIST (784-300-100-10, 50,000 rows), IMDB (5000-50-50-1), and two UCI regressions (100-100) in place of the Million
# Songs; mean and range over seeds, test error of the mean weights. Dots are smaller nets of the same depth, trained on
# the soft targets of the whole one.

# %%
curves = pd.concat([pd.read_csv(path) for path in sorted((RESULTS / "curves").glob("*.csv"))])
curves = curves[curves["training"] == "with noise"]
figure = Figure(figsize=(11, 7), layout="constrained")
for ax, (name, part) in zip(figure.subplots(2, 2).ravel(), curves.groupby("data", sort=False), strict=False):
    for rule, mine in part.groupby("rule", sort=False):
        error = mine.pivot(index="fraction", columns="seed", values="error")
        if rule == "soft targets":
            ax.plot(error.index, error.mean(axis=1), "o", color="black", label=rule)
            continue
        colour, width, dashes = pruning_pictures.LINES[rule]
        ax.plot(error.index, error.mean(axis=1), color=colour, lw=width, ls=dashes, label=rule)
        ax.fill_between(error.index, error.min(axis=1), error.max(axis=1), color=colour, alpha=0.15, lw=0)
    first = part[part["fraction"] == 0]["error"].mean()
    ax.set(ylim=(0.8 * first, 4 * first), xlabel="weights removed", ylabel=f"test error ({part['unit'].iloc[0]})")
    ax.set_title(f"{name}, {part['seed'].nunique()} seeds", loc="left")
figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False)
figure

# %% [markdown]
# How many weights can go? `close`: the error stays within 1 point (1% of the RMSE) of the unpruned one; `blow-up`:
# within 5 points (20%). Mean and standard error over seeds, in % of the weights, and SPR less SNR, which the paper puts
# at 20 or more:

# %%


def gone(part, close, blow_up):
    """Shares of weights that each rule can remove, in % of all, for both limits."""
    limits = (close, blow_up) if part["unit"].iloc[0] == "%" else (1.0, 20.0)
    both = [100 * pruning.removable(part, within) for within in limits]
    return pd.DataFrame(both, index=["close", "blow-up"]).rename_axis("limit")


ruled = curves[curves["rule"] != "soft targets"]
shares = pd.concat({key: gone(part, 1.0, 5.0) for key, part in ruled.groupby(["data", "seed"])}, names=["data", "seed"])
shares["spr less snr"] = shares["spr"] - shares["snr"]
spread = shares.groupby(["data", "limit"]).agg(["mean", "sem"]).round(1)
spread.columns = [" ".join(c).removesuffix(" mean").replace("sem", "±") for c in spread.columns]
spread

# %% [markdown]
# ## Langevin dynamics against NUTS
#
# The law that Langevin dynamics samples is the posterior as the step size goes to zero. On a small net NUTS has the
# posterior, and the table says how far off the function is: too wide at large steps, and right at small ones, which
# take longer to get anywhere (`thin` grows as the step shrinks).

# %%
asked = {"nuts": NUTS(warmup=300, draws=500, chains=4)}
for step_size in (0.6, 0.4, 0.25, 0.15, 0.1):
    config = SGLD(warmup=5000, draws=500, thin=round(20 / step_size), step_size=step_size)
    asked[f"sgld {step_size:g}"] = config
net = gaussian(mlp(5), normal(), precision=2.0)
judged = compare(net, data.load("diabetes"), asked, progress=False).table
judged[["rmse", "mlpd", "rhat_f", "ess_bulk_f", "distance_mean", "distance_sd", "verdict", "reason"]].round(3)

# %%
steps = [float(label.split()[1]) for label in judged.index if label != "nuts"]
figure = Figure(figsize=(8.4, 3.2), layout="constrained")
for ax, (column, what, right) in zip(
    figure.subplots(1, 2),
    (("distance_sd", "sd of f(x) over that of NUTS", 1), ("distance_mean", "distance of the means, in sds", 0)),
    strict=True,
):
    ax.plot(steps, judged[column].drop("nuts"), "o-", color="#009E73")
    ax.axhline(right, color="black", lw=0.8, ls=":")
    ax.set(xscale="log", xlabel="step size", ylabel=what)
figure

# %% [markdown]
# ## Type-II maximum likelihood
#
# EM on the rows of a linear model of diabetes, the E-step by Langevin dynamics as in the paper, by NUTS, and by
# Laplace, which is exact here and so has the bound. They find the same scales:

# %%
diabetes = data.load("diabetes")
x, y = jnp.asarray(diabetes.x_train), jnp.asarray(diabetes.y_train)
model = gaussian(mlp(), prior(noises.inverse_gamma(1.0, 0.01), "ard", "hierarchical", sigma0=1.0), precision=2.0)
E_STEPS = {
    "laplace": svi(guide="laplace", steps=2000, lr=0.05, draws=200),
    "nuts": NUTS(warmup=200, draws=500, chains=2),
    "sgld": SGLD(warmup=1000, draws=100, thin=100, step_size=0.05, chains=2),
}
found = {name: em(model, config, x, y, iterations=15, progress=False) for name, config in E_STEPS.items()}
pd.DataFrame({name: e.scales["layer0.scale"] for name, e in found.items()}, index=diabetes.features).round(3)

# %%
found["laplace"].trace.tail(3)
