"""A fit as an ArviZ DataTree with every group, and its netCDF file.

Groups: posterior, functionals, posterior_predictive, log_likelihood, log_prior, sample_stats, history, prior,
prior_predictive, observed_data, constant_data, predictions and predictions_constant_data (test rows).  `y` and `f` of a
regression are in the target's own units, and so is the density in log_likelihood.  `functionals` holds what is
identified in a network, where single weights are not: sorted scales, the effective sparsity of each layer, the noise
sd.  `log_prior` has the log density of every site, where the prior is proper.  `guide` holds mean and sd
(``<site>.sd``) of a guide of independent normals whose layers do not sample their weights, `moments` those of other
guides that have them, and of all steps of a stochastic-gradient sampler, not only of its draws.  `half_step` has f(x)
at the test rows from such a sampler's run at half the step.  Inputs of more than
ten million numbers are left out, and so are predictions at the training rows of more than twenty million.
`optimisation` says of each restart of a guide that ends by itself whether it has converged, and how that was judged.
`grid` is there for a regression on one feature: f(x) and y along that feature, in its own units, beyond the data on
both sides.
"""

import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...models.ppl import language
from .. import files, seals
from ..driver.result import Fit
from ..target.precision import widened
from ..target.sharing import along_outputs
from ..target.sites import LEARNED, Arrays, no_nuts, sites_of
from ..target.support import check_task
from ..target.warm_start import FIX, SEALED
from .functionals import functionals, layers_with
from .predict import Prediction, log_prior, predict, prior_draws

PRIOR_DRAWS = {"numpyro": 500, "pyro": 100}
AT_ROWS = 20_000_000  # numbers of a group at the training rows, beyond which it is left out: 160 MB
PRIOR_ROWS = 5_000_000  # rows of the prior predictive, those of all draws together
INPUTS = 10_000_000  # numbers in x, beyond which it is not worth a place in the file: `data.load` has it
POINTS, MARGIN = 200, 0.25  # of the grid; how far it reaches beyond the data, as a share of their range
OF_VECTORS = ("magnitude", "angle", "radius", "shift")  # sites with a number for each weight vector
logger = logging.getLogger(__name__)
JUDGED = {"predictions": ("y", "f", "log_lik"), "predictions_constant_data": ("y",)}  # of every fit
FACTS = ("strategy", "ppl", "independent_chains", "approximation", "task", "prior_note")
VERSIONS = ("noisezoo", "numpyro", "jax", "arviz-base", "arviz-stats")


def to_datatree(fit: Fit, model: Callable, data: Any, seed: int = 0) -> Any:
    """The DataTree of a fit.

    Parameters
    ----------
    fit : draws of the latent sites of `model`.
    model : the program that was fitted.
    data : the `Data` it was fitted to: standardised arrays, names, and the way back to the target's units.
    seed : of the predictive and prior draws.
    """
    from arviz_base import from_dict

    x, x_test = arrays(fit.ppl, data.x_train, data.x_test)
    y, y_test = arrays(fit.ppl, data.y_train, data.y_test)
    described = sites_of(model, x, y)
    check_task(described.support, data)
    test = predict(model, fit.draws, x_test, y_test, seed + 1)
    prior, prior_predictive, no_prior = _prior(model, described.improper, fit, data, x, y, seed)
    groups = {
        "posterior": fit.draws,
        "functionals": functionals(fit.draws, data.y_scale),
        **_at_training_rows(model, fit, data, x, y, seed),
        "sample_stats": fit.stats,
        "prior": prior,
        "prior_predictive": prior_predictive,
        "observed_data": {"y": _original(data.y_train, data)},
        "constant_data": {"x": data.x_train} if data.x_train.size <= INPUTS else {},
        "predictions": {"y": _original(test.y, data), "f": _original(test.f, data), "log_lik": _log_lik(test, data)},
        "predictions_constant_data": {
            **({"x": data.x_test} if data.x_test.size <= INPUTS else {}),
            "y": _original(data.y_test, data),
        },
    }
    dims, coords = _names(groups, data, _of_outputs(model, fit.draws, x))
    tree = from_dict(
        {name: values for name, values in groups.items() if values},
        dims=dims,
        coords={**coords, "row": np.arange(len(data.y_train))},
        pred_dims=dims,
        pred_coords={**coords, "row": np.arange(len(data.y_test))},
        check_conventions=False,
    )
    if density := log_prior(model, fit.draws, x, y):
        tree["log_prior"] = xr.DataTree(xr.Dataset({name: (("chain", "draw"), v) for name, v in density.items()}))
    if data.task == "regression" and len(data.features) == 1 and data.x_train.size <= INPUTS:
        tree["grid"] = xr.DataTree(_grid(model, fit, data, seed))
    if fit.half:
        f = _original(predict(model, fit.half, x_test, seed=seed + 4).f, data)
        tree["half_step"] = xr.DataTree(xr.Dataset({"f": (("chain", "draw", *dims["f"]), f)}))
    if fit.history:
        tree["history"] = xr.DataTree(xr.Dataset({k: (("chain", "record"), v) for k, v in fit.history.items()}))
    if fit.optimisation:
        ended = {name: ("chain", values) for name, values in fit.optimisation.items()}
        tree["optimisation"] = xr.DataTree(xr.Dataset(ended))
    if fit.loc:
        sites = {**fit.loc, **{f"{name}.sd": values for name, values in fit.scale.items()}}
        drawn = tree["posterior"].data_vars
        moments = {
            k: (("chain", *drawn[s].dims[2:]), v) for k, v in sites.items() if (s := k.removesuffix(".sd")) in drawn
        }
        tree["moments" if fit.independent_chains or fit.approximation else "guide"] = xr.DataTree(xr.Dataset(moments))
    tree.attrs.update(_facts(fit, data, seed, no_prior, no_nuts(described, fit.ppl)))
    return tree


def _at_training_rows(model: Callable, fit: Fit, data: Any, x: Any, y: Any, seed: int) -> dict[str, Arrays]:
    """The groups posterior_predictive and log_likelihood; without them, and a word, where they would be very large."""
    chains, draws = next(iter(fit.draws.values())).shape[:2]
    if (numbers := chains * draws * len(data.y_train)) > AT_ROWS:
        logger.warning(
            f"predictions at {len(data.y_train):,} training rows are {numbers:,} numbers and are not kept, "
            f"so there is no elpd_loo; {AT_ROWS // len(data.y_train):,} draws would be"
        )
        return {}
    train = predict(model, fit.draws, x, y, seed)
    return {
        "posterior_predictive": {"y": _original(train.y, data), "f": _original(train.f, data)},
        "log_likelihood": {"y": _log_lik(train, data)},
    }


def save(tree: Any, path: str | Path) -> str:
    """Write a DataTree as netCDF, whole or not at all; returns the sha256 of its content, in which the file ends."""
    tree.attrs[SEALED] = "sha256 of the content in the last line of the file"

    def whole(part: Path) -> str:
        tree.to_netcdf(part, engine="h5netcdf")
        return seals.seal(part)

    return files.through(Path(path), whole)


def check(tree: Any, path: Path) -> None:
    """Raise ValueError if a tree lacks what a judge of it asks for, whatever wrote it to the file `path`."""
    groups = JUDGED | ({"history": ("log_lik", "kl")} if "guide" in tree.children else {})
    lacks = [f"{g}/{name}" for g, names in groups.items() for name in names if name not in tree.children.get(g, {})]
    lacks += [name for name in FACTS if name not in tree.attrs]
    for group in ("posterior", "predictions"):
        lacks += [
            f"{group}/{dim}" for dim in ("chain", "draw") if dim not in tree.children.get(group, xr.Dataset()).sizes
        ]
    if "log_q" in (stats := tree.children.get("sample_stats", {})) and "log_p" not in stats:
        lacks.append("sample_stats/log_p")
    lacks += [
        f"a number {k}" for k, v in tree.attrs.items() if k.startswith("seconds_") and isinstance(v, (str, bytes))
    ]
    if lacks:
        raise ValueError(f"{path} is not a whole fit: it lacks {lacks[0]}; {FIX}")


def arrays(ppl: str, *arrays: np.ndarray) -> list[Any]:
    """Copies of NumPy arrays as arrays of a language, floats at least as wide as it computes in by default."""
    return widened(*(language(ppl).xp.asarray(a, copy=True) for a in arrays))


def _original(y: np.ndarray, data: Any) -> np.ndarray:
    return data.original(y) if data.task == "regression" else y


def _log_lik(prediction: Prediction, data: Any) -> np.ndarray:
    """The log density of the target in its own units; a probability, for classes, has none."""
    assert prediction.log_lik is not None  # it was given y
    return prediction.log_lik - (np.log(data.y_scale) if data.task == "regression" else 0.0)


def _prior(
    model: Callable, improper: str, fit: Fit, data: Any, x: Any, y: Any, seed: int
) -> tuple[Arrays, Arrays, str]:
    """Draws of the latent sites and of y from the prior; none, and why, if it is improper."""
    if improper:
        why = "is chosen by the data" if improper == LEARNED else "is improper"
        return {}, {}, f"the {improper} prior {why}: it has no draws"
    try:
        sites = prior_draws(model, x, min(PRIOR_DRAWS[fit.ppl], max(PRIOR_ROWS // x.shape[0], 1)), seed)
    except NotImplementedError:  # an improper law that is not marked as such
        return {}, {}, "the prior is improper: it has no draws"
    prediction = predict(model, sites, x, y, seed + 2)
    return sites, {"y": _original(prediction.y, data), "f": _original(prediction.f, data)}, ""


def _grid(model: Callable, fit: Fit, data: Any, seed: int) -> xr.Dataset:
    """f(x) and y along the one feature, where there are rows and where there are none."""
    rows = np.concatenate([data.x_train, data.x_test])[:, 0].astype(np.float64)
    margin = MARGIN * (np.ptp(rows) or 1.0)
    z = np.linspace(rows.min() - margin, rows.max() + margin, POINTS)
    found = predict(model, fit.draws, *arrays(fit.ppl, z[:, None].astype(np.float32)), seed=seed + 3)
    values = {name: (("chain", "draw", "x"), _original(getattr(found, name), data)) for name in ("f", "y")}
    own = {"x_mean": float(data.x_mean[0]), "x_scale": float(data.x_scale[0])}
    return xr.Dataset(values, coords={"x": z * own["x_scale"] + own["x_mean"]}, attrs=own)


def _of_outputs(model: Callable, draws: Arrays, x: Any) -> list[str]:
    """The sites with a number for each unit out that their shapes do not tell from those of the units in."""
    square = [layer for layer in layers_with(draws, ".weight") if len(set(draws[f"{layer}.weight"].shape[2:])) == 1]
    shared = [(name, layer) for layer in square for name in draws if name.startswith(f"{layer}.scale")]
    shape = {name: draws[f"{layer}.weight"].shape[:3] for name, layer in shared}
    return [
        name
        for name, layer in shared
        if draws[name].shape == shape[name] and along_outputs(model, draws, x, name, f"{layer}.weight")
    ]


def _names(groups: dict[str, Arrays], data: Any, of_outputs: list[str]) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Names of the dimensions of every site, and of the units along them."""
    dims: dict[str, list[str]] = {"y": ["row"], "f": ["row"], "log_lik": ["row"], "x": ["row", "feature"]}
    coords: dict[str, Any] = {"feature": list(data.features)}
    if data.task == "categorical":
        dims["f"], coords["class"] = ["row", "class"], [str(c) for c in data.classes]
    layers = layers_with(groups["posterior"], ".weight", ".base")
    dims["sparsity"], coords["layer"] = ["layer"], layers_with(groups["posterior"], ".weight")
    for name, values in (groups["posterior"] | groups["functionals"]).items():
        layer, _, parameter = name.partition(".")
        if layer in layers and parameter != "row":
            dims[name] = _unit_dims(layer, parameter, values.shape[2:], _unit_in(groups["posterior"], layer))
    dims.update({name: [f"{name.partition('.')[0]}.unit_out"] for name in of_outputs})
    first = next((v for k, v in groups["posterior"].items() if k in ("layer0.weight", "layer0.base")), None)
    if first is None or first.shape[-2] == len(data.features):  # the units of a convolution are channels
        coords["layer0.unit_in"] = list(data.features)
    return dims, coords


def _unit_in(posterior: Arrays, layer: str) -> int:
    weight = posterior.get(f"{layer}.weight", posterior.get(f"{layer}.base"))
    assert weight is not None  # see `layers_with`
    return weight.shape[-2]


def _unit_dims(layer: str, parameter: str, shape: tuple[int, ...], unit_in: int) -> list[str]:
    """Biases lie along the units out, whatever else is one-dimensional along the units in; sorted ones along ranks.

    A convolution's kernel has its height and width before them.  What belongs to a weight vector lies along these, be
    they of the units out or in.
    """
    if parameter.endswith(".sorted"):
        return [f"{layer}.rank"]
    if len(shape) == 1 and parameter.removeprefix("noise.") in OF_VECTORS:
        return [f"{layer}.vector"]
    unit_dims = [f"{layer}.unit_in", f"{layer}.unit_out"]
    if len(shape) == 4:
        return [f"{layer}.height", f"{layer}.width", *unit_dims]
    if len(shape) == 1 and (parameter in ("bias", "gain") or shape[0] != unit_in):
        return unit_dims[1:]
    return unit_dims[: len(shape)]


def _facts(fit: Fit, data: Any, seed: int, no_prior: str, no_nuts: str) -> dict[str, Any]:
    """Attributes of the tree, all of them kinds that netCDF holds."""
    attributes = {
        "strategy": fit.strategy,
        "settings": json.dumps(fit.settings),
        "ppl": fit.ppl,
        "precision": str(np.result_type(*(v for v in fit.draws.values() if v.dtype.kind == "f"), np.float32)),
        "seed": seed,
        "independent_chains": int(fit.independent_chains),
        "approximation": int(fit.approximation),
        **{f"seconds_{name}": float(value) for name, value in fit.seconds.items()},
        "data": data.name,
        "task": data.task,
        "target": data.target,
        "unit": data.unit,
        "y_mean": float(data.y_mean),
        "y_scale": float(data.y_scale),
        "prior_note": no_prior,
        "no_nuts": no_nuts,
        "stopped": fit.stopped,
        "versions": json.dumps({name: version(name) for name in VERSIONS}),
    }
    if data.classes:
        attributes["classes"] = [str(c) for c in data.classes]
    return attributes
