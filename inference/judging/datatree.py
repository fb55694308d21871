"""A fit as an ArviZ DataTree with every group, and its netCDF file.

Groups: posterior, functionals, posterior_predictive, log_likelihood, sample_stats, history, prior, prior_predictive,
observed_data, constant_data, predictions and predictions_constant_data (test rows).  `y` and `f` of a regression are in
the target's own units, and so is the density in log_likelihood.  `functionals` holds what is identified in a network,
where single weights are not: sorted scales, the effective sparsity of each layer, the noise sd.  `guide` holds mean and
sd (``<site>.sd``) of a guide of independent normals whose layers do not sample their weights, `moments` those of other
guides that have them, and of all steps of a stochastic-gradient sampler, not only of its draws.  Inputs of more than
ten million numbers are left out.
"""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ...models.ppl import language
from .. import files, seals
from ..driver.result import Fit
from ..target.sites import Arrays
from ..target.warm_start import SEALED
from .functionals import functionals, layers_with
from .predict import Prediction, predict, prior_draws

PRIOR_DRAWS = {"numpyro": 500, "pyro": 100}
PRIOR_ROWS = 5_000_000  # rows of the prior predictive, those of all draws together
INPUTS = 10_000_000  # numbers in x, beyond which it is not worth a place in the file: `data.load` has it
OF_VECTORS = ("magnitude", "angle", "radius", "shift")  # sites with a number for each weight vector
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
    train = predict(model, fit.draws, x, y, seed)
    test = predict(model, fit.draws, x_test, y_test, seed + 1)
    prior, prior_predictive, no_prior = _prior(model, fit, data, x, y, seed)
    groups = {
        "posterior": fit.draws,
        "functionals": functionals(fit.draws, data.y_scale),
        "posterior_predictive": {"y": _original(train.y, data), "f": _original(train.f, data)},
        "log_likelihood": {"y": _log_lik(train, data)},
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
    dims, coords = _names(groups, data)
    tree = from_dict(
        {name: values for name, values in groups.items() if values},
        dims=dims,
        coords={**coords, "row": np.arange(len(data.y_train))},
        pred_dims=dims,
        pred_coords={**coords, "row": np.arange(len(data.y_test))},
        check_conventions=False,
    )
    if fit.history:
        tree["history"] = xr.DataTree(xr.Dataset({k: (("chain", "record"), v) for k, v in fit.history.items()}))
    if fit.loc:
        sites = {**fit.loc, **{f"{name}.sd": values for name, values in fit.scale.items()}}
        drawn = tree["posterior"].data_vars
        moments = {
            k: (("chain", *drawn[s].dims[2:]), v) for k, v in sites.items() if (s := k.removesuffix(".sd")) in drawn
        }
        tree["moments" if fit.independent_chains or fit.approximation else "guide"] = xr.DataTree(xr.Dataset(moments))
    tree.attrs.update(_facts(fit, data, seed, no_prior))
    return tree


def save(tree: Any, path: str | Path) -> str:
    """Write a DataTree as netCDF, whole or not at all; returns the sha256 of its content, in which the file ends."""
    tree.attrs[SEALED] = "sha256 of the content in the last line of the file"

    def whole(part: Path) -> str:
        tree.to_netcdf(part, engine="h5netcdf")
        return seals.seal(part)

    return files.through(Path(path), whole)


def arrays(ppl: str, *arrays: np.ndarray) -> list[Any]:
    """Copies of NumPy arrays as arrays of a language."""
    return [language(ppl).xp.asarray(a, copy=True) for a in arrays]


def _original(y: np.ndarray, data: Any) -> np.ndarray:
    return data.original(y) if data.task == "regression" else y


def _log_lik(prediction: Prediction, data: Any) -> np.ndarray:
    """The log density of the target in its own units; a probability, for classes, has none."""
    assert prediction.log_lik is not None  # it was given y
    return prediction.log_lik - (np.log(data.y_scale) if data.task == "regression" else 0.0)


def _prior(model: Callable, fit: Fit, data: Any, x: Any, y: Any, seed: int) -> tuple[Arrays, Arrays, str]:
    """Draws of the latent sites and of y from the prior; none, and why, if it is improper."""
    try:
        sites = prior_draws(model, x, min(PRIOR_DRAWS[fit.ppl], max(PRIOR_ROWS // x.shape[0], 1)), seed)
    except NotImplementedError:
        return {}, {}, "the prior is improper: it has no draws"
    prediction = predict(model, sites, x, y, seed + 2)
    return sites, {"y": _original(prediction.y, data), "f": _original(prediction.f, data)}, ""


def _names(groups: dict[str, Arrays], data: Any) -> tuple[dict[str, list[str]], dict[str, Any]]:
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


def _facts(fit: Fit, data: Any, seed: int, no_prior: str) -> dict[str, Any]:
    """Attributes of the tree, all of them kinds that netCDF holds."""
    attributes = {
        "strategy": fit.strategy,
        "settings": json.dumps(fit.settings),
        "ppl": fit.ppl,
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
        "stopped": fit.stopped,
        "versions": json.dumps({name: version(name) for name in VERSIONS}),
    }
    if data.classes:
        attributes["classes"] = [str(c) for c in data.classes]
    return attributes
