"""A stored reference posterior: its file, and how a problem finds it.

A file is sealed JSON.  It has the problem in words and as what tells it from others; `runs`, the runs of record with
their settings, seeds and checks; `agreement`, how far they lie from one another; `versions`.  Where they agree it has
`quantities`, from all chains of the runs that count: mean, sd and quantiles, each with its Monte-Carlo error.

``"f"`` is f(x) at the test rows as distances take it (see `convergence.thinned`), in the target's own units, or logits
less their mean.  ``"log <site>.sorted"`` are the logarithms of the scales of a site in descending order, for under a
half-Cauchy noise the scales themselves have no variance.  ``"log noise_sd"`` is that of the target, in its own units,
where the precision is learned.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ...models import catalogue
from .. import files, seals
from ..judging.distance import Moments
from .problems import FOLDER, Problem, problem, problems

FIX = "install the package again, or make the file again (python -m noisezoo.inference.references.make)"
WITHOUT = "leave --reference out to measure against nuts"
CLOSE = 1e-4  # of a fingerprint: more than rounding, and less than one other row


@dataclass(frozen=True)
class Reference:
    """What the file of a problem says.

    name, problem : the problem, its settings in words.
    identity, data : what tells it from others: see `catalogue.identity` and `fingerprint`.
    agreed, why : whether the runs of record agree, and where they do not.
    quantities : name -> mean, mean_mcse, sd, sd_mcse, and ``q05`` ... ``q95`` with theirs, lists of numbers; none where
        the runs do not agree.
    runs, agreement, versions : how it was made.
    """

    name: str
    problem: dict[str, Any]
    identity: dict[str, str]
    data: dict[str, list[float]]
    agreed: bool
    why: str
    runs: dict[str, dict[str, Any]]
    agreement: dict[str, float]
    quantities: dict[str, dict[str, list[float]]]
    versions: dict[str, str]

    @property
    def moments(self) -> Moments:
        """Those of f(x), for `judging.distance`; raises ValueError where the runs do not agree."""
        if not self.agreed:
            raise ValueError(self.disagreement)
        f = self.quantities["f"]
        return Moments(*(np.array(f[name]) for name in Moments._fields))

    @property
    def disagreement(self) -> str:
        """Why there is no reference, in a sentence."""
        return f"there is no reference for {self.name}: its runs of record do not agree ({self.why})"

    def check(self, data: Any) -> None:
        """Raise ValueError unless `data` is the `Data` that this reference is of, and there is a reference."""
        if not self.agreed:
            raise ValueError(self.disagreement)
        if not same(self.data, fingerprint(data)):
            raise ValueError(
                f"the reference {self.name} is of other data than {data.name}, split {data.split}; "
                f"load {self.problem['data']}, split {self.problem['split']}"
            )


def fingerprint(data: Any) -> dict[str, list[float]]:
    """Numbers that tell one data set and split from another, and are the same on all machines up to rounding.

    Of the target where its units lie, of each array its shape, its root mean square, and its product with a vector that
    tells rows and columns apart.
    """
    units = [float(data.y_mean / data.y_scale), float(np.log(data.y_scale))]
    found: dict[str, list[float]] = {"classes": [len(data.classes)], "target": units}
    for name in ("x_train", "y_train", "x_test", "y_test"):
        values = np.asarray(getattr(data, name), np.float64)
        flat = values.ravel() / np.sqrt(values.size)
        found[name] = [*values.shape, float(np.sqrt(flat @ flat)), float(flat @ np.cos(np.arange(flat.size)))]
    return found


def same(one: dict[str, list[float]], other: dict[str, list[float]]) -> bool:
    """Whether two fingerprints are of the same data."""
    return one.keys() == other.keys() and all(
        len(one[k]) == len(other[k]) and np.allclose(one[k], other[k], CLOSE, CLOSE) for k in one
    )


def path(name: str, folder: Path = FOLDER) -> Path:
    """The file of a problem."""
    return files.inside(folder, f"{name}.json")


def write(reference: Reference, folder: Path = FOLDER) -> None:
    """Write the file of a reference, sealed."""
    seals.write_json(path(reference.name, folder), asdict(reference), indent=None)


def load(name: str, folder: Path = FOLDER) -> Reference:
    """The reference of the problem called `name`; raises ValueError if there is none, or its file was changed."""
    if not path(name, folder).exists():
        found = problem(name)
        raise ValueError(f"{name}, {found.described}, has no stored reference; there is one for {_listed(folder)}")
    content = seals.read_json(path(name, folder), FIX)
    if content.keys() != {field.name for field in fields(Reference)}:
        raise ValueError(f"{path(name, folder)} is not as this version writes it; {FIX}")
    return Reference(**content)


def stored(folder: Path = FOLDER) -> dict[str, Reference]:
    """All problems that have a file, whether their runs agree or not."""
    return {name: load(name, folder) for name in problems() if path(name, folder).exists()}


def find(
    prior: str,
    data: Any,
    *,
    structure: str = "ard",
    form: str = "expanded",
    network: str = "linear",
    folder: Path = FOLDER,
) -> Reference:
    """The reference of a problem in the words of the command line on its `Data`, recognised by its content.

    Raises ValueError if there is none, with those that there are, or if its runs of record do not agree.
    """
    identity = catalogue.identity(prior, network, data.task, len(data.classes), structure, form)
    wanted = fingerprint(data)
    for reference in stored(folder).values():
        if reference.identity == identity and same(reference.data, wanted):
            if not reference.agreed:
                raise ValueError(f"{reference.disagreement}; {WITHOUT}")
            return reference
    asked = f"{catalogue.described(prior, structure)} {network} on {data.name}, split {data.split}"
    raise ValueError(f"no stored reference for {asked}; there is one for {_listed(folder)}; {WITHOUT}")


def _listed(folder: Path) -> str:
    """The problems that have a reference."""
    agreed = [Problem(**one.problem).described for one in stored(folder).values() if one.agreed]
    return "; ".join(agreed) or "no problem"
