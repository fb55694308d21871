"""The problems of the reference posteriors, as plain data: a prior, a network, a data set, and how to sample them."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import unknown
from ...models import catalogue

FOLDER = Path(__file__).parents[2] / "data" / "references"  # of the installed package
PROBLEMS = "problems.toml"


class Problem(NamedTuple):
    """A problem in the words of the command line.

    forms : ways to sample the same law, each of which NUTS goes; the second sampler goes the first.
    nuts : how NUTS is run.
    """

    name: str
    prior: str
    data: str
    structure: str = "ard"
    network: str = "linear"
    split: int = 0
    forms: tuple[str, ...] = ("expanded", "hierarchical")
    nuts: str = "nuts:warmup=2000,draws=4000,target_accept=0.95"

    @property
    def described(self) -> str:
        """The problem in a few words, such as ``half_cauchy(scale=1) ard mlp:10 on yacht``."""
        split = f", split {self.split}" if self.split else ""
        return f"{catalogue.described(self.prior, self.structure)} {self.network} on {self.data}{split}"


def problems() -> dict[str, Problem]:
    """All problems by name, whether there is a reference for them or not."""
    tables = tomllib.loads((FOLDER / PROBLEMS).read_text(encoding="utf-8"))
    return {name: Problem(name, **{k: _plain(v) for k, v in table.items()}) for name, table in tables.items()}


def agreed() -> dict[str, Problem]:
    """The problems that have a reference, by what their files say; `stored` checks these too, which takes longer."""
    files = {name: FOLDER / f"{name}.json" for name in problems()}
    said = {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
    return {name: problem(name) for name, content in said.items() if content.get("agreed")}


def problem(name: str) -> Problem:
    """The problem called `name`; raises ValueError with the nearest known ones."""
    known = problems()
    if name not in known:
        raise unknown("problem", name, known)
    return known[name]


def program(problem: Problem, form: str, data: Any) -> Callable[..., Any]:
    """The model of a problem in one of its forms; `data` is its `Data`."""
    weights = catalogue.prior(problem.prior, problem.structure, form)
    return catalogue.model(weights, catalogue.network(problem.network), data.task, len(data.classes))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
