"""A trimmed net as files that need neither the run nor its data, and back.

``net.safetensors``
    kept weights by index and value (`coordinate_format`), biases, ``x_mean`` and ``x_scale`` of the features.
``net.json``
    what the net is (the network's spec, task, classes, ``y_mean`` and ``y_scale``), what was trimmed, what that cost.
``compact.safetensors``
    for a net of dense layers, the smaller dense net (`smaller_net`) that predicts the same.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...models import catalogue
from ...models.catalogue import outputs_of_task
from ...models.networks.bare import bare_program
from .. import files, seals
from ..target.sites import Arrays
from . import coordinate_format, evaluation, report, smaller_net, trimming

NET, TENSORS, COMPACT = "net.json", "net.safetensors", "compact.safetensors"
FORMAT = 1
AGAIN = "trim the run again"
MOST = 2**28  # weights of a net that is read, 1 GB of them
KINDS = {"network": str, "task": str, "classes": list, "shapes": dict, "sha256": dict}


@dataclass(frozen=True, eq=False)
class Net:
    """A net that predicts at its mean weights.

    spec : of the network, for `catalogue.network`.
    arrays : weights and biases by site.
    inputs : indices of the features that the net takes.
    x_mean, x_scale : of all features.
    description : what ``net.json`` says.
    """

    spec: str
    arrays: Arrays
    inputs: np.ndarray
    x_mean: np.ndarray
    x_scale: np.ndarray
    description: dict[str, Any]

    def predict(self, x: Any) -> np.ndarray:
        """From features in their own units (rows, features): probabilities (rows, classes), or y (rows,) in its units.

        A DataFrame is taken by the names of its columns, whatever their order, an array by their places.

        Raises ValueError for another shape, columns that are missing or unknown, and values that are not finite.
        """
        if isinstance(x, pd.DataFrame):
            x = _ordered(x, self.description["features"])
        x, features = np.asarray(x, np.float64), len(self.x_mean)
        if x.ndim != 2 or x.shape[1] != features:
            raise ValueError(f"this net takes x of shape (rows, {features}), got {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError("x holds NaN or infinite values; clean or impute them first")
        z = ((x - self.x_mean) / self.x_scale).astype(np.float32)
        model = bare_program(
            catalogue.network(self.spec), outputs_of_task(self.description["task"], len(self.description["classes"]))
        )
        return _predicted(evaluation.outputs(model, self.arrays, z[:, self.inputs]), self.description)


def export(
    out: str | Path, loc: Arrays, masks: Arrays, spec: str, data: Any, rule: str = "", threshold: float | None = None
) -> dict[str, Any]:
    """Write a trimmed net into the folder `out`; returns what ``net.json`` says.

    Parameters
    ----------
    out : made if need be; a net that lies there already is replaced.
    loc : the means of one chain, site -> array.
    masks : which weights stay (see `trimming.kept`).
    spec : the network, such as ``"mlp:50"``.
    data : the `Data` it was fitted to.
    rule, threshold : those that made the masks, for ``net.json``; ``""`` if none did.

    Raises ValueError if network, means, masks and data do not go together, and OSError if it cannot be written.
    """
    from ..provenance import versions

    loc, out, size = trimming.network_sites(loc), Path(out), outputs_of_task(data.task, len(data.classes))
    model = bare_program(catalogue.network(spec), size)
    measured = report.measure(model, loc, masks, data, spec)
    net = coordinate_format.encode(loc, masks)
    if any(np.shape(v) != (len(data.features),) for v in (data.x_mean, data.x_scale)):
        raise ValueError(f"x_mean and x_scale of the data must have shape ({len(data.features)},)")
    tensors = coordinate_format.to_bytes({**net, "x_mean": data.x_mean, "x_scale": data.x_scale})
    compact = _compact(loc, masks, spec, data)
    description = {
        "format": FORMAT,
        "network": spec,
        "task": data.task,
        "classes": list(data.classes),
        "features": list(data.features),
        "target": data.target,
        "unit": data.unit,
        "y_mean": data.y_mean,
        "y_scale": data.y_scale,
        "data": data.name,
        "shapes": {site: list(np.shape(loc[site])) for site in trimming.weights(loc)},
        **(trimming.rule_facts(rule, threshold) if rule else {"rule": "", "threshold": None, "text": "masks as given"}),
        **measured,
        "compact": None,
        "sha256": {TENSORS: _sha256(tensors)},
        "versions": versions(),
    }
    description["bytes"]["compact"] = None
    out.mkdir(parents=True, exist_ok=True)
    files.write(out / TENSORS, tensors)
    if compact is None:
        (out / COMPACT).unlink(missing_ok=True)  # of a net that lay here before
    else:
        description["compact"], tensors = compact[0], coordinate_format.to_bytes(compact[1])
        description["sha256"][COMPACT] = _sha256(tensors)
        description["bytes"]["compact"] = len(tensors)
        files.write(out / COMPACT, tensors)
    seals.write_json(out / NET, description)
    return description


def load_net(path: str | Path, small: bool = False) -> Net:
    """The net that `export` wrote into the folder `path`; with `small` the smaller dense net of the same function.

    Raises FileNotFoundError if there is none, ValueError if a file is not whole, was changed or is of another export.
    """
    path = Path(path)
    description = _description(path)
    if small and not description["compact"]:
        raise ValueError(f"{path} holds no smaller dense net; load it without small=True")
    tensors = _tensors(path, TENSORS, description)
    try:
        mean, scale = tensors.pop("x_mean"), tensors.pop("x_scale")
        if small:
            arrays = _tensors(path, COMPACT, description)
            return Net(description["compact"], arrays, arrays.pop("inputs"), mean, scale, description)
        arrays = coordinate_format.decode(tensors, _shapes(path, description))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError(f"the files of {path} do not go together; {AGAIN}") from None
    return Net(description["network"], arrays, np.arange(len(mean)), mean, scale, description)


def _ordered(frame: pd.DataFrame, features: list[str]) -> np.ndarray:
    """The columns of a table in the order of the features, as numbers."""
    frame = frame.rename(columns=str)
    missing, extra = [n for n in features if n not in frame], [n for n in frame if n not in features]
    if missing or extra or not frame.columns.is_unique:
        wrong = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has {', '.join(extra)} in addition"] * bool(extra)
        raise ValueError(
            f"the table {' and '.join(wrong) or 'has a column twice'}: this net takes the columns {', '.join(features)}"
        )
    for name in features:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise ValueError(f"column {name!r} holds {frame[name].dtype}, not numbers: convert it first")
    return frame[features].to_numpy(np.float64)


def _shapes(path: Path, description: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights; raises ValueError, before there is memory for them, if these are too many."""
    shapes = {site: tuple(map(int, shape)) for site, shape in description["shapes"].items()}
    weights = sum(math.prod(shape) for shape in shapes.values())
    if not 0 <= weights <= MOST or any(n < 0 for shape in shapes.values() for n in shape):
        raise ValueError(f"{path / NET} declares {weights:,} weights, and at most {MOST:,} are read; {AGAIN}")
    return shapes


def _predicted(f: np.ndarray, description: dict[str, Any]) -> np.ndarray:
    from scipy.special import expit, softmax

    f = f.astype(np.float64)
    if description["task"] == "regression":
        return f * description["y_scale"] + description["y_mean"]
    return softmax(f, axis=-1) if f.ndim == 2 else expit(np.stack([-f, f], axis=-1))


def _compact(loc: Arrays, masks: Arrays, spec: str, data: Any) -> tuple[str, Arrays] | None:
    """Spec and arrays of the smaller net, its inputs among them; None if there is none that predicts the same."""
    try:
        smaller = smaller_net.smaller(loc, masks, smaller_net.activation(spec))
        compact_spec = smaller_net.compact_spec(spec, smaller)
    except ValueError:
        return None
    arrays, inputs = smaller_net.compact(smaller)
    size = outputs_of_task(data.task, len(data.classes))
    full_model, compact_model = (bare_program(catalogue.network(name), size) for name in (spec, compact_spec))
    f = evaluation.outputs(full_model, trimming.trimmed(loc, masks), data.x_test)
    if not evaluation.same(evaluation.outputs(compact_model, arrays, data.x_test[:, inputs]), f):
        return None
    arrays = {site: v.astype(np.float32) for site, v in arrays.items()}
    return compact_spec, {**arrays, "inputs": inputs.astype(np.int32)}


def _description(path: Path) -> dict[str, Any]:
    try:
        description = seals.read_json(files.inside(path, NET), AGAIN)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} holds no net (no {NET} in it); give the folder that trim wrote") from None
    if description.get("format") != FORMAT:
        raise ValueError(f"{path / NET} is not a net of this version of noisezoo; {AGAIN}")
    try:
        seals.check(description, KINDS)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path / NET} is not as trim writes it (see {error}); {AGAIN}") from None
    return description


def _tensors(path: Path, name: str, description: dict[str, Any]) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = files.regular(files.inside(path, name)).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} lacks {name}; {AGAIN}") from None
    if _sha256(content) != description["sha256"].get(name):
        raise ValueError(f"{path / name} is not whole, or not that of {NET}; {AGAIN}")
    try:
        return load(content)
    except SafetensorError:
        raise ValueError(f"{path / name} is no safetensors file; {AGAIN}") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
