"""A trimmed net as files that need neither the run nor its data, and back.

``net.safetensors``
    the kept weights by index and value (see `packed`), the biases, and ``x_mean`` and ``x_scale`` of the features.
``net.json``
    what the net is (words of the network, task, classes, ``y_mean`` and ``y_scale``), what was trimmed, what that cost.
``compact.safetensors``
    for a net of dense layers, the smaller dense net (see `compact`) that predicts the same.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..models import catalogue
from ..models.names import unknown
from ..models.network import Network
from ..models.ppl import ppl
from . import compact, folder, packed, sparsity
from .fit import Arrays

NET, TENSORS, COMPACT = "net.json", "net.safetensors", "compact.safetensors"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Net:
    """A net that predicts at its mean weights.

    words : of the network, for `catalogue.network`.
    arrays : weights and biases by site.
    inputs : indices of the features that the net takes.
    x_mean, x_scale : of all features.
    facts : what ``net.json`` says.
    """

    words: str
    arrays: Arrays
    inputs: np.ndarray
    x_mean: np.ndarray
    x_scale: np.ndarray
    facts: dict[str, Any]

    def predict(self, x: Any) -> np.ndarray:
        """From features in their own units (rows, features): probabilities (rows, classes), or y (rows,) in its units.

        Raises ValueError for another shape and for values that are not finite.
        """
        x, known = np.asarray(x, np.float64), len(self.x_mean)
        if x.ndim != 2 or x.shape[1] != known:
            raise ValueError(f"this net takes x of shape (rows, {known}), got {x.shape}")
        if not np.isfinite(x).all():
            raise ValueError("x holds NaN or infinite values; clean or impute them first")
        z = ((x - self.x_mean) / self.x_scale).astype(np.float32)
        model = program(catalogue.network(self.words), width(self.facts["task"], len(self.facts["classes"])))
        return _predicted(sparsity.outputs(model, self.arrays, z[:, self.inputs]), self.facts)


def export(
    out: str | Path,
    loc: Arrays,
    masks: Arrays,
    words: str,
    data: Any,
    rule: str = "",
    threshold: float | None = None,
) -> dict[str, Any]:
    """Write a trimmed net into the folder `out`; returns what ``net.json`` says.

    Parameters
    ----------
    out : made if need be; a net that lies there already is replaced.
    loc : the means of one chain, site -> array.
    masks : which weights stay (see `sparsity.kept`).
    words : those of the network, such as ``"mlp:50"``.
    data : the `Data` it was fitted to.
    rule, threshold : those that made the masks, to be told; ``""`` if none did.

    Raises ValueError if network, means, masks and data do not go together, and OSError if it cannot be written.
    """
    from .session import versions

    loc, out, size = sparsity.network_sites(loc), Path(out), width(data.task, len(data.classes))
    model = program(catalogue.network(words), size)
    found = sparsity.measure(model, loc, masks, data, words)
    net = packed.pack(loc, masks)
    if any(np.shape(v) != (len(data.features),) for v in (data.x_mean, data.x_scale)):
        raise ValueError(f"x_mean and x_scale of the data must have shape ({len(data.features)},)")
    tensors = packed.to_bytes({**net, "x_mean": data.x_mean, "x_scale": data.x_scale})
    small = _compact(loc, masks, words, data)
    facts = {
        "format": FORMAT,
        "network": words,
        "task": data.task,
        "classes": list(data.classes),
        "features": list(data.features),
        "target": data.target,
        "unit": data.unit,
        "y_mean": data.y_mean,
        "y_scale": data.y_scale,
        "data": data.name,
        "shapes": {site: list(np.shape(loc[site])) for site in sparsity.weights(loc)},
        **(sparsity.told(rule, threshold) if rule else {"rule": "", "threshold": None, "text": "masks as given"}),
        **found,
        "compact": None,
        "sha256": {TENSORS: _sha256(tensors)},
        "versions": versions(),
    }
    facts["bytes"].update(after=len(tensors), compact=None)
    out.mkdir(parents=True, exist_ok=True)
    folder.write(out / TENSORS, tensors)
    if small is None:
        (out / COMPACT).unlink(missing_ok=True)  # of a net that lay here before
    else:
        facts["compact"], tensors = small[0], packed.to_bytes(small[1])
        facts["sha256"][COMPACT] = _sha256(tensors)
        facts["bytes"]["compact"] = len(tensors)
        folder.write(out / COMPACT, tensors)
    folder.write(out / NET, json.dumps(facts, indent=2, allow_nan=False) + "\n")
    return facts


def load_net(path: str | Path, small: bool = False) -> Net:
    """The net that `export` wrote into the folder `path`; with `small` the smaller dense net of the same function.

    Raises FileNotFoundError if there is none, ValueError if a file is not whole or of another export.
    """
    path = Path(path)
    facts = _facts(path)
    if small and not facts["compact"]:
        raise ValueError(f"{path} holds no smaller dense net; load it without small=True")
    tensors = _tensors(path, TENSORS, facts)
    mean, scale = tensors.pop("x_mean"), tensors.pop("x_scale")
    if small:
        arrays = _tensors(path, COMPACT, facts)
        return Net(facts["compact"], arrays, arrays.pop("inputs"), mean, scale, facts)
    arrays = packed.unpack(tensors, {site: tuple(shape) for site, shape in facts["shapes"].items()})
    return Net(facts["network"], arrays, np.arange(len(mean)), mean, scale, facts)


def trim(
    run: str | Path,
    strategy: str = "",
    rule: str = "log_alpha",
    threshold: float | None = None,
    out: str | Path | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Trim a fit in the folder of a run and export it; returns the folder and what ``net.json`` says.

    `strategy` is the label of the fit, needed if several have a guide of independent normals; `out` is by default a
    folder ``<strategy>-net`` in that of the run.  Of several restarts the one of the lowest loss is taken.  Raises
    ValueError or FileNotFoundError, of one sentence, for a run or a fit that is not there or cannot be trimmed, and for
    data that are no longer those of the run.
    """
    from .. import data as datasets
    from .draws import load
    from .session import checksum

    run = Path(run)
    found = folder.read_run(run)
    label, tree = _guided(found["fits"], strategy, lambda entry: load(run / entry["file"]))
    loc, scale = sparsity.moments(tree)
    masks = sparsity.kept(loc, scale, rule, threshold)
    options = found["options"]
    data = datasets.load(options["data"], split=options["split"])
    if checksum(data) != found["data_sha256"]:
        raise ValueError(f"the data {options['data']} are no longer those of the run; run the comparison again")
    out = run / f"{folder.file_name(label)}-net" if out is None else Path(out)
    return out, export(out, loc, masks, options["network"], data, rule, threshold)


def judged(tree: Any, words: str) -> list[dict[str, Any]]:
    """What `sparsity.report` says of a fit's DataTree under every rule, the network being that of these `words`.

    Empty where the fit has no guide of independent normals over weights, its file no test rows, or its means do not
    make the function.
    """
    held = tree["predictions_constant_data"] if "predictions_constant_data" in tree.children else {}
    if "guide" not in tree.children or "layer0.weight" not in tree["guide"] or "x" not in held:
        return []
    facts, y = tree.attrs, held["y"].values
    if facts["task"] == "regression":
        y = ((y - facts["y_mean"]) / facts["y_scale"]).astype(np.float32)
    rows = _Rows(held["x"].values, y, facts["task"], facts["y_scale"])
    model = program(catalogue.network(words), width(rows.task, len(facts.get("classes", ()))))
    loc, scale = map(sparsity.network_sites, sparsity.moments(tree))
    try:
        return [sparsity.report(model, loc, scale, rows, rule, network=words) for rule in sparsity.RULES]
    except ValueError:  # a report goes without; `trim` says what is wrong
        return []


@cache
def program(network: Network, out: int) -> Callable[..., Any]:
    """A program ``x -> f`` with the sites of a network and no prior of its weights, to be filled in."""

    def model(x: Any) -> Any:
        p = ppl(x)
        f = network(p, x, lambda p, name, shape: p.deterministic(f"{name}.weight", p.xp.zeros(shape)), out)
        return p.deterministic("f", f[..., 0] if out == 1 else f)

    return model


def width(task: str, classes: int) -> int:
    """Outputs of a network: one for each class of more than two, else one; raises ValueError for an unknown task."""
    if task not in catalogue.TASKS:
        raise unknown("task", task, catalogue.TASKS)
    return classes if task == "categorical" else 1


class _Rows(NamedTuple):
    """Of a `Data`, what `sparsity.report` looks at."""

    x_test: np.ndarray
    y_test: np.ndarray
    task: str
    y_scale: float


def _predicted(f: np.ndarray, facts: dict[str, Any]) -> np.ndarray:
    from scipy.special import expit, softmax

    f = f.astype(np.float64)
    if facts["task"] == "regression":
        return f * facts["y_scale"] + facts["y_mean"]
    return softmax(f, axis=-1) if f.ndim == 2 else expit(np.stack([-f, f], axis=-1))


def _compact(loc: Arrays, masks: Arrays, words: str, data: Any) -> tuple[str, Arrays] | None:
    """Words and arrays of the smaller net, its inputs among them; None if there is none that predicts the same."""
    try:
        small = compact.smaller(loc, masks, compact.activation(words))
        fewer = compact.words(words, small)
    except ValueError:
        return None
    arrays, inputs = compact.cut(small)
    size = width(data.task, len(data.classes))
    whole, cut = (program(catalogue.network(name), size) for name in (words, fewer))
    f = sparsity.outputs(whole, sparsity.trimmed(loc, masks), data.x_test)
    if not sparsity.same(sparsity.outputs(cut, arrays, data.x_test[:, inputs]), f):
        return None
    return fewer, {**{site: v.astype(np.float32) for site, v in arrays.items()}, "inputs": inputs.astype(np.int32)}


def _guided(fits: dict[str, Any], strategy: str, load: Callable) -> tuple[str, Any]:
    """Label and tree of the fit that is asked for, or of the only one with a guide of independent normals."""
    if strategy and strategy not in fits:
        raise unknown("strategy of this run", strategy, fits)
    done = {label: entry for label, entry in fits.items() if entry["status"] in ("done", "partly done")}
    if strategy and strategy not in done:
        raise ValueError(f"{strategy} has no fit in this run ({fits[strategy]['status']}); run it again")
    trees = {label: load(entry) for label, entry in done.items() if label == strategy or not strategy}
    guided = {label: tree for label, tree in trees.items() if "guide" in tree.children}
    if not guided:
        raise ValueError(
            "this run has no fit with a guide of independent normals; make one with --with svi:guide=local"
        )
    if len(guided) > 1:
        raise ValueError(
            f"several fits have a guide of independent normals ({', '.join(guided)}); choose one by --strategy"
        )
    return next(iter(guided.items()))


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads((path / NET).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} holds no net (no {NET} in it); give the folder that trim wrote") from None
    except ValueError:
        raise ValueError(f"{path / NET} is not whole; trim the run again") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"{path / NET} is not a net of this version of noisezoo; trim the run again")
    return facts


def _tensors(path: Path, name: str, facts: dict[str, Any]) -> Arrays:
    from safetensors.numpy import load

    try:
        content = (path / name).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} lacks {name}; trim the run again") from None
    if _sha256(content) != facts["sha256"][name]:
        raise ValueError(f"{path / name} is not whole, or not that of {NET}; trim the run again")
    return load(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
