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
# # Direction and magnitude noise
#
# Kirichenko (2018): a weight vector of a weight-normalised layer is w = g v, a magnitude and a direction. Noise turns v
# and stretches g, in place of jittering every entry.
#
# As a notebook this is scikit-learn's digits. `python notebooks/direction_magnitude.py --full` runs
# `direction_magnitude.toml` on MNIST: `--full tables 1000` (or 5000, ...; then methods, if not all) for tables 1 and 2,
# `--full course` for figures 3 to 5, `--full variational lenet_300_100` for table 3. Every cell is kept in
# `runs/direction_magnitude` as it ends, and the same command goes on where it stopped; `--full gather` writes
# `docs/results/direction`, and what is there already is not computed again.

# %%
# %matplotlib inline
import shutil
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from noisezoo import data
from noisezoo.data.published import published
from noisezoo.errors import unknown
from noisezoo.inference.driver.engine import Engine
from noisezoo.inference.driver.fit_many import fit_many
from noisezoo.inference.judging import direction_posterior
from noisezoo.inference.judging.accuracy import classification
from noisezoo.inference.judging.pictures import directions as direction_pictures
from noisezoo.inference.judging.predict import predict
from noisezoo.inference.judging.prediction_modes import is_point, networks, points, prediction_modes
from noisezoo.inference.sparsity import unit_removal
from noisezoo.inference.strategies.parse import svi
from noisezoo.inference.strategies.svi import algorithm
from noisezoo.inference.target.numpyro.density import sites
from noisezoo.models import catalogue
from noisezoo.models.laws import directions
from noisezoo.models.likelihoods import categorical
from noisezoo.models.networks import lenet5, lenet_300_100, mlp
from noisezoo.models.views import directions as direction_views

FULL = "--full" in sys.argv
ROOT = next(p for p in (Path("."), Path(".."), Path("../..")) if (p / "docs" / "results").is_dir())
RESULTS, RUNS = ROOT / "docs" / "results" / "direction", ROOT / "runs" / "direction_magnitude"
SETTINGS = tomllib.loads((ROOT / "notebooks" / "direction_magnitude.toml").read_text())
METHODS = SETTINGS["methods"]

# %% [markdown]
# ## The recipe
#
# A method is a prior with noise and the guide `dropout`: v and g are points, noise is drawn. `mask="example"` gives
# every image noise of its own, `mask="function"` one draw to a minibatch.

# %%


def program(method, network, classes, alpha=None):
    facts = METHODS[method]
    spec = facts["prior"].format(alpha=alpha)
    shape = {"structure": facts["structure"], "form": facts["form"]} if "structure" in facts else {}
    return categorical(network, catalogue.prior(spec, **shape), classes)


def settings(method, rows, epochs, **more):
    steps = round(epochs * rows / SETTINGS["batch_size"])
    mask = METHODS[method].get("mask", "function")
    size = {"lr": SETTINGS["lr"], "batch_size": SETTINGS["batch_size"]}
    return svi(guide="dropout", mask=mask, steps=steps, draws=1, **size, **more)


def fitted(model, config, sets, seeds):
    """A fit to each of these data sets of one shape, all in one call."""
    xs, ys = [jnp.asarray(d.x_train) for d in sets], [jnp.asarray(d.y_train) for d in sets]
    fits = fit_many(model, config, xs, ys, seeds, progress=FULL)
    for error in fits:
        if isinstance(error, FloatingPointError):
            raise error
    return fits


def trained(method, alpha, sets, network, epochs, seeds):
    """The program of a method and, of a fit to each of these data sets, the points."""
    model = program(method, network, len(sets[0].classes), alpha)
    config = settings(method, len(sets[0].y_train), epochs)
    return model, [points(one) for one in fitted(model, config, sets, seeds)]


def judged(model, at, x, y, draws, seed):
    """Accuracy and log density of the four ways to predict, one row for each."""
    return prediction_modes(model, at, jnp.asarray(x), jnp.asarray(y), draws, seed).rename_axis("way").reset_index()


def subset(d, rows, seed):
    """So many training images, drawn by seed, and validation images in place of the test ones."""
    order = np.random.default_rng(seed).permutation(len(d.y_train))
    own, others = order[:rows], order[-SETTINGS["validation"] :]
    small = replace(d, x_train=d.x_train[own], y_train=d.y_train[own])
    return small, replace(small, x_test=d.x_train[others], y_test=d.y_train[others])


def is_there(name):
    return (RUNS / f"{name}.csv").is_file()


def keep(name, table):
    """Write the table of one cell."""
    path = RUNS / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".part{np.random.default_rng().integers(10**9)}")
    table.to_csv(part, index=False)
    part.replace(path)
    print(name, table.round(4).to_string(index=False), flush=True)


def rounds(seeds):
    """Which seeds run in one call: on an accelerator all, for a step costs it about the same for many."""
    return [seeds] if jax.default_backend() != "cpu" and seeds else [[seed] for seed in seeds]


# %%


def fill(rows, method, alpha, seeds):
    """The cells that are not there yet: accuracy and log density on test images and on those that choose alpha."""
    network, d = mlp(*SETTINGS["widths"], activation="relu"), data.load("mnist")
    for some in rounds([seed for seed in seeds if not is_there(cell_name(rows, method, alpha, seed))]):
        sets = [subset(d, rows, seed) for seed in some]
        model, found = trained(method, alpha, [own for own, _ in sets], network, SETTINGS["epochs"], some)
        for seed, at, (own, validation) in zip(some, found, sets, strict=True):
            parts = [
                judged(model, at, part.x_test, part.y_test, SETTINGS["ensemble"], seed).assign(part=name)
                for name, part in {"validation": validation, "test": own}.items()
            ]
            facts = {"rows": rows, "method": method, "alpha": alpha, "seed": seed}
            keep(cell_name(rows, method, alpha, seed), pd.concat(parts).assign(**facts))


def cell_name(rows, method, alpha, seed):
    """Of the file of a cell."""
    return f"table-{rows}-{method}-{alpha:g}-{seed}"


def chosen(method):
    """The best alpha of the grid of a method, whose cells are made if they are not there yet."""
    grid = METHODS[method]["grid"]
    for alpha in grid:
        fill(1000, method, alpha, [0])
    there = [pd.read_csv(RUNS / f"{cell_name(1000, method, alpha, 0)}.csv") for alpha in grid]
    return best(pd.concat(there, ignore_index=True))[method]


def best(cells):
    """By method, the alpha whose ensemble is best on validation images, of 1000 training images and seed 0."""
    found = cells.query("part == 'validation' and way == 'ensemble' and rows == 1000 and seed == 0")
    return found.loc[found.groupby("method")["accuracy"].idxmax()].set_index("method")["alpha"]


def tables_of_mnist(rows="1000", *methods):
    """Tables 1 and 2 at one training size."""
    for method in methods:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
    for seeds in rounds(SETTINGS["seeds"]):
        for method in methods or METHODS:
            fill(int(rows), method, chosen(method), seeds)


# %% [markdown]
# Figure 3 needs the fit along the way: the engine that runs every fit is asked for a block of steps at a time.

# %%


def course(method, alpha, d, network, epochs, every, draws=20, rows=1000, seed=0, **more):
    """The four ways to predict, on so many train and test images, each `every` epochs."""
    x, y = jnp.asarray(d.x_train), jnp.asarray(d.y_train)
    model, config = program(method, network, len(d.classes), alpha), settings(method, len(y), epochs, **more)
    bound = algorithm(config, model, sites(model, x, y))
    engine = Engine(bound, seed, x, y)
    steps = round(every * len(y) / config.batch_size)
    tables = []
    for i in range(config.steps // steps):
        engine.block(i * steps, i, 1, steps, config.steps)
        drawn, _ = bound.draw(jax.random.key(0), engine.state[0], x, y)
        at = {name: np.asarray(value) for name, value in drawn.items() if is_point(name)}
        for part, (xs, ys) in {"train": (x, y), "test": (d.x_test, d.y_test)}.items():
            table = prediction_modes(model, at, jnp.asarray(xs[:rows]), jnp.asarray(ys[:rows]), draws)
            tables.append(table.rename_axis("way").reset_index().assign(part=part, epoch=(i + 1) * every))
    return pd.concat(tables), model, at


def softmax(at, x, y, network, classes, alphas, draws=50):
    """Mean and sd of the class probabilities of the networks at each alpha, of projected noise round the same v."""
    tables = []
    for alpha in alphas:
        model = program("projected", network, classes, alpha) if alpha else program("none", network, classes)
        f = networks(model, at, x, y, draws if alpha else 1)
        p = np.exp(f - f.max(axis=-1, keepdims=True))
        p = p / p.sum(axis=-1, keepdims=True)
        for i, label in enumerate(np.asarray(y)):
            mean, sd = p[:, i].mean(axis=0), p[:, i].std(axis=0)
            tables.append(
                pd.DataFrame({"image": i, "label": label, "alpha": alpha, "class": range(classes), "p": mean, "sd": sd})
            )
    return pd.concat(tables)


COURSES = {  # the reduced run; with the rate of the released script; as long as the thesis trains
    "course": {"epochs": 50, "every": 2},
    "course-constant": {"epochs": 50, "every": 2, "decay": 0.0},
    "course-200": {"epochs": 200, "every": 8},
}


def course_of_mnist():
    """Figure 3 on 10,000 images; and figures 4 and 5 from where its first run ends."""
    network, d = mlp(*SETTINGS["widths"], activation="relu"), data.load("mnist")
    small, _ = subset(d, 10_000, 0)

    for name in [name for name in COURSES if not is_there(name)]:
        table, _, at = course("projected", 0.014, small, network, **COURSES[name])
        keep(name, table)
        if name == "course":
            x, y = jnp.asarray(small.x_test), np.asarray(small.y_test)
            wrong = y != networks(program("none", network, 10), at, x, jnp.asarray(y), 1)[0].argmax(axis=-1)
            first = [int(np.flatnonzero(wrong & (y == c))[0]) for c in range(10) if (wrong & (y == c)).any()]
            alphas = [0.0, 0.0005, 0.002, 0.005, 0.01, 0.014, 0.02, 0.05, 0.2, 1.0]
            keep("softmax", softmax(at, x[np.array(first)], jnp.asarray(y[first]), network, 10, alphas))


VARIATIONAL = {
    "No reg": ("weight_norm", {"guide": "dropout"}),
    "Gauss inp": ("gaussian_dropout:a=0.3", {"guide": "dropout", "mask": "example"}),
    "Var": ("direction_magnitude", {"guide": "local", "plane": "batch"}),
    "Var, a plane for each row": ("direction_magnitude", {"guide": "local"}),
    "Var FC reverse": ("direction_magnitude:over=inputs", {"guide": "local", "plane": "batch"}),
}


def variational(method, d, network, epochs, seeds, **more):
    """Table 3: accuracy and log density of the ensembles, the program, and the fits."""
    spec, guide = VARIATIONAL[method]
    facts = SETTINGS["variational"]
    steps = round(epochs * len(d.y_train) / facts["batch_size"])
    shape = {"structure": "ard", "form": "weight_norm"} if spec.startswith("gaussian") else {}
    model = categorical(network, catalogue.prior(spec, **shape), len(d.classes))
    schedule = {"init_scale": facts["init_scale"], "pretrain": round(facts["pretrain"] * steps)}
    schedule |= {"kl_warmup": round(facts["kl_warmup"] * steps)}
    own = schedule if guide["guide"] == "local" else {}
    size = {"steps": steps, "lr": facts["lr"], "batch_size": facts["batch_size"], "draws": SETTINGS["ensemble"]}
    fits = fitted(model, svi(**{**guide, **own, **size, **more}), [d] * len(seeds), seeds)
    rows = []
    for seed, found in zip(seeds, fits, strict=True):
        predicted = predict(model, found.draws, jnp.asarray(d.x_test), jnp.asarray(d.y_test))
        told = classification(np.asarray(d.y_test), predicted.f[0], predicted.log_lik[0])
        rows.append({"method": method, "seed": seed, "epochs": epochs, "rows": len(d.y_train), **told})
    return pd.DataFrame(rows), model, fits


def variational_of_mnist(network="lenet_300_100", epochs="200", *seeds):
    """Table 3, all training images."""
    nets = {
        "lenet_300_100": lenet_300_100(),
        "lenet_500_300": mlp(500, 300, activation="relu"),
        "lenet5": lenet5(),
    }
    if network not in nets:
        raise unknown("network", network, nets)
    d = data.load("mnist")
    for some in rounds([*map(int, seeds or SETTINGS["variational"]["seeds"])]):
        for method in VARIATIONAL:
            names = {seed: variational_name(network, int(epochs), method, seed) for seed in some}
            missing = [seed for seed in some if not is_there(names[seed])]
            table = variational(method, d, nets[network], int(epochs), missing)[0] if missing else pd.DataFrame()
            for seed in missing:
                keep(names[seed], table[table["seed"] == seed].assign(network=network))


def variational_name(network, epochs, method, seed):
    """Of the file of a cell."""
    plain = "".join(c if c.isalnum() else "_" for c in method.lower())
    return f"variational-{network}-{epochs}-{plain}-{seed}"


FILES = {  # under `docs/results/direction`: the file of each of their cells, from the columns that tell it
    "cells": (["rows", "method", "alpha", "seed"], cell_name),
    "variational": (["network", "epochs", "method", "seed"], variational_name),
}


def scatter():
    """What `gather` has put under `docs/results/direction`, as cells again, so that nothing is computed twice."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for name in (*COURSES, "softmax"):
        if (RESULTS / f"{name}.csv").is_file() and not is_there(name):
            shutil.copy(RESULTS / f"{name}.csv", RUNS)
    for table, (columns, name) in FILES.items():
        for values, cell in pd.read_csv(RESULTS / f"{table}.csv").groupby(columns, sort=False):
            path = RUNS / f"{name(*values)}.csv"
            if not path.is_file():
                cell.to_csv(path, index=False)


def gather():
    """The cells as tables under `docs/results/direction`."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    cells = pd.concat([pd.read_csv(path) for path in sorted(RUNS.glob("table-*.csv"))])
    order = ["rows", "method", "alpha", "seed", "part", "way", "accuracy", "mlpd"]
    cells = cells.sort_values(["rows", "method", "alpha", "seed"], kind="stable")
    cells[order].round(4).to_csv(RESULTS / "cells.csv", index=False)
    for name in (*COURSES, "softmax"):
        if (RUNS / f"{name}.csv").is_file():
            pd.read_csv(RUNS / f"{name}.csv").round(4).to_csv(RESULTS / f"{name}.csv", index=False)
    parts = [pd.read_csv(path) for path in sorted(RUNS.glob("variational-*.csv"))]
    if parts:
        order = ["network", "epochs", "method", "seed", "rows", "accuracy", "mlpd", "calibration"]
        pd.concat(parts)[order].round(4).to_csv(RESULTS / "variational.csv", index=False)


def full(what="tables", *rest):
    parts = {
        "tables": tables_of_mnist,
        "course": course_of_mnist,
        "variational": variational_of_mnist,
        "gather": gather,
    }
    if what not in parts:
        raise unknown("part", what, parts)
    scatter()
    parts[what](*rest)


if FULL:
    full(*sys.argv[sys.argv.index("--full") + 1 :])
    sys.exit()


# %% [markdown]
# ## How far a direction turns
#
# Figure 1: 500 directions round one of three entries. In three entries a projected normal is what one thinks it is.

# %%
direction_views.sphere([directions.projected(alpha) for alpha in (0.01, 0.1, 1.0, 10.0)])

# %% [markdown]
# The tangent noise stays on its half of the sphere, and a rotation has the angle that it is given; figure 7 gives each
# coordinate a variance of its own, and figure 2 is how a rotation is drawn.

# %%
direction_views.sphere([directions.tangent(1.0), directions.rotation_normal(0.35), directions.rotation_beta(3.27)])

# %%
direction_views.sphere(
    [directions.anisotropic(alphas) for alphas in ((1, 0.01, 0.01), (1, 0.1, 0.01), (0.01, 0.01, 10))]
)

# %%
direction_views.plane()

# %% [markdown]
# Figures 11 to 14: angles in 1000 entries, with their exact laws. A normal of variance alpha for every entry has the
# length sqrt(1000 alpha): at alpha = 0.01 a direction is turned by 72 degrees, give or take 2. The angle of a rotation
# is what it is said to be.

# %%
direction_views.angles([directions.projected(alpha) for alpha in direction_views.PROJECTED], count=1000)

# %%
direction_views.angles([directions.tangent(alpha) for alpha in direction_views.PROJECTED], count=1000)

# %%
direction_views.angles([directions.rotation_beta(alpha) for alpha in direction_views.BETA], count=1000)

# %%
direction_views.angles([directions.rotation_normal(alpha) for alpha in direction_views.NORMAL], count=1000)

# %% [markdown]
# ## Four ways to predict
#
# The thesis compares the ensemble, one draw, and the "deterministic network", whose weights are g v. That is not the
# network of mean weights: a direction has no mean on the sphere, E[w] = g E[cos(e)] v is shorter than g v. Here it is
# called the `centre`. On digits, 256-256 units:

# %%
digits, small = data.load("digits"), mlp(256, 256, activation="relu")
demo = {"gauss_inp": 0.3, "rot_normal_rows": 0.35, "projected": 0.01}
found = {
    method: judged(model, at, digits.x_test, digits.y_test, 20, 0)
    for method, alpha in demo.items()
    for model, [at] in [trained(method, alpha, [digits], small, 60, [0])]
}
pd.DataFrame({method: table.set_index("way")["accuracy"] for method, table in found.items()}).T.round(3)

# %% [markdown]
# Figure 3 on 10,000 images of MNIST: a net trained under projected noise with alpha = 0.014 for 50 epochs, its learning
# rate falling over the second half, or constant, and for 200 epochs.

# %%
figure = Figure(figsize=(11, 6), layout="constrained")
axes = iter(figure.subplots(2, 3, sharey=True).T.flat)
for name, schedule in zip(COURSES, ("falling rate", "constant rate", "falling rate, longer"), strict=True):
    for part, mine in pd.read_csv(RESULTS / f"{name}.csv").groupby("part", sort=False):
        ax = next(axes)
        for way, one in mine.groupby("way", sort=False):
            ax.plot(one["epoch"], one["accuracy"], label=way.replace("_", " "))
        ax.set(xlabel="epoch", ylim=(0.5, 1.01), title=f"{part}, {schedule}")
figure.axes[0].set_ylabel("accuracy")
figure.axes[-1].legend(frameon=False)
figure

# %% [markdown]
# Figures 4 and 5: of the same weights, images that the centre gets wrong, and what the networks say at other levels of
# noise (mean and sd of the class probabilities over 50 draws).

# %%
softened = pd.read_csv(RESULTS / "softmax.csv")
images = list(softened["image"].unique()[:3])
levels = sorted(softened["alpha"].unique())
figure = Figure(figsize=(1.35 * len(levels), 1.6 * len(images)), layout="constrained")
for axes, image in zip(figure.subplots(len(images), len(levels), sharex=True, sharey=True), images, strict=True):
    for ax, alpha in zip(axes, levels, strict=True):
        one = softened.query("image == @image and alpha == @alpha")
        colours = ["#D55E00" if c == label else "#0072B2" for c, label in zip(one["class"], one["label"], strict=True)]
        ax.bar(one["class"], one["p"], yerr=one["sd"], color=colours, error_kw={"lw": 0.6})
        ax.set_ylim(0, 1.1)
        if image == images[0]:
            ax.set_title(f"{alpha:g}", fontsize=9)
    axes[0].set_ylabel(f"a {one['label'].iloc[0]}")
figure.supxlabel("class; the right one in red; alpha above")
figure

# %% [markdown]
# ## Tables 1 and 2
#
# What is done so far, beside what is printed (which has neither seeds nor errors): test accuracy in each way, the mean
# over seeds, at the alpha whose ensemble did best on validation images; `error` is that of the ensemble.

# %%
cells = pd.read_csv(RESULTS / "cells.csv")
tested = cells[(cells["part"] == "test") & (cells["alpha"] == cells["method"].map(best(cells)))]
by_way = tested.groupby(["rows", "method", "alpha", "way"])
ours = by_way["accuracy"].mean().unstack("way")
ours["error"] = by_way["accuracy"].sem().xs("ensemble", level="way")
ours["log p"] = by_way["mlpd"].mean().xs("ensemble", level="way")
ours["seeds"] = by_way.size().xs("ensemble", level="way")
printed = published("direction_magnitude").query("table < 3").drop_duplicates(["rows", "method"])
printed = printed.set_index(["rows", "method"])["test_accuracy"]
ours["thesis"] = [printed.get((rows, METHODS[method].get("thesis"))) for rows, method, _ in ours.index]
ours.round(4)

# %% [markdown]
# Fits of one seed have the same images. The ensemble's gain over no noise, and that over the tangent noise as released,
# of the tangent noise and of projected noise:

# %%
paired = tested.query("way == 'ensemble'").pivot(index=["rows", "seed"], columns="method", values=["accuracy", "mlpd"])


def gain(value, other):
    """Mean and standard error over seeds, for each number of training images."""
    gap = paired[value].sub(paired[value][other], axis=0)
    return gap.groupby("rows").agg(["mean", "sem"]).T.unstack()


pd.concat({value: gain(value, "none") for value in ("accuracy", "mlpd")}, axis=1).round(4)

# %%
gain("accuracy", "tangent_as_released").loc[["tangent", "projected"]].round(4)

# %% [markdown]
# The grids, at 1000 images and seed 0:

# %%
cells.query("way == 'ensemble' and seed == 0 and rows == 1000").pivot_table(
    index=["method", "alpha"], columns="part", values="accuracy"
).round(4)

# %% [markdown]
# Table 3, on all training images, for 200 epochs and for 20:

# %%
pd.read_csv(RESULTS / "variational.csv")

# %% [markdown]
# ## The posterior of angles and magnitudes
#
# w = g (cos(e) v + sin(e) phi), with q(g) normal and q(e) a truncated normal of their own for each unit (section 4.1).
# On digits, 64-32 units:

# %%
_, model, [learned] = variational(
    "Var, a plane for each row", digits, mlp(64, 32, activation="relu"), 120, [0], lr=3e-3
)
x, y = jnp.asarray(digits.x_test), jnp.asarray(digits.y_test)
direction_posterior.posterior_prediction_modes(model, learned, x, y).round(3)

# %%
direction_pictures.laws(learned)

# %% [markdown]
# The thesis says that where q(g) has its peak at zero the direction is nearly uniform, and where it has not the angle
# is small:

# %%
direction_pictures.magnitudes(learned)

# %%
degrees = direction_posterior.by_unit(learned).assign(m=lambda t: t["m"].abs(), angle=lambda t: np.degrees(t["angle"]))
extremes = {
    layer: {
        "rank correlation": t["m"].corr(t["angle"], method="spearman"),
        "angle at the smallest m": t.loc[t["m"].idxmin(), "angle"],
        "angle at the largest m": t.loc[t["m"].idxmax(), "angle"],
    }
    for layer, t in degrees.groupby("layer")
}
pd.DataFrame(extremes).T.round(2)

# %% [markdown]
# Units go by the length of their mean weight:

# %%
direction_pictures.curve(unit_removal.curve(model, learned, x, y, np.arange(0, 1.01, 0.2)))
