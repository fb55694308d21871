"""A sweep as a TOML file: models, strategies, and grids of both over data sets, splits and seeds.

Reading finds whatever is wrong with the file before anything is computed, and says in which table.
"""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...errors import check_seed, check_size, unknown
from ...models import catalogue
from ...models.ppl import language
from ..strategies.parse import given, parse
from . import sources, toml
from .sources import is_file
from .store import Cell
from .toml import check_keys, listed, place, tables, typed

MODEL = {"prior": str, "structure": str, "form": str, "network": str, "sigma0": float, "precision": float}
STRATEGY = {"with": str, "epochs": int}
GRID = ("models", "strategies", "data", "splits", "seeds")
TOP = ("ppl", "x64", "models", "strategies", "data", "grid")
DEFAULTS = {"structure": "ard", "form": "expanded", "network": "mlp:50", "sigma0": None, "precision": None}
MOST = 100_000  # cells of a grid, and of the numbers of its splits and seeds
MOST_EPOCHS = 10**6


@dataclass(frozen=True)
class Strategy:
    """A strategy's config, and for how many `epochs` it runs where that is asked for in place of steps."""

    config: Any
    epochs: int | None = None

    def on(self, rows: int) -> Any:
        """The config for so many training rows."""
        if self.epochs is None:
            return self.config
        return replace(self.config, steps=self.epochs * max(rows // (self.config.batch_size or rows), 1))

    def facts(self) -> dict[str, Any]:
        """Everything that decides what it computes, as JSON holds it; a setting at its default goes without saying."""
        return {"strategy": self.config.name, "settings": given(self.config), "epochs": self.epochs}


@dataclass(frozen=True)
class Sweep:
    """What a file asks for: settings of models by name, strategies by name, and the cells, each once.

    `data` has the tables that have a name, and how they are read; `x64` asks for double precision.  `files` has the
    sha256 of the tables and the noises that are files themselves, `folder` is where they are looked up.
    """

    models: dict[str, dict[str, Any]]
    strategies: dict[str, Strategy]
    data: dict[str, dict[str, Any]]
    cells: tuple[Cell, ...]
    ppl: str
    x64: bool
    files: dict[str, str]
    folder: Path
    text: str

    def facts(self) -> dict[str, Any]:
        """Everything that decides what the sweep computes, as JSON holds it: two files with the same facts are one."""
        models, strategies, data = ({getattr(c, field) for c in self.cells} for field in ("model", "strategy", "data"))
        named = {name: v for name, v in self.data.items() if name in data}
        return {
            "ppl": self.ppl,
            **({"x64": True} if self.x64 else {}),
            **({"data": named} if named else {}),
            "models": {name: v for name, v in self.models.items() if name in models},
            "strategies": {name: s.facts() for name, s in self.strategies.items() if name in strategies},
            "files": self.files,
            "cells": [list(cell) for cell in sorted(self.cells)],
        }

    def located(self, spec: str) -> str:
        """A data set or a prior by name as it is, one in a file with the whole path."""
        spec = sources.table(self.data, spec)
        return str(self.folder / spec) if is_file(spec) else spec

    def reading(self, data: str) -> dict[str, Any]:
        """How a data set is read: keywords of `noisezoo.data.load`."""
        return sources.reading(self.data, data)


def read(path: str | Path) -> Sweep:
    """The sweep that the file `path` asks for.

    Raises ValueError, of one sentence that names the place in the file, for TOML that is malformed, unknown keys and
    names, bad values, and where there is nothing to do; FileNotFoundError if there is no such file.  Data are not
    looked at yet, except for their names.
    """
    path = Path(path)
    text, content = toml.read(path)
    with place(str(path)):
        check_keys("key", content, TOP)
        ppl = typed("ppl", content.get("ppl", "numpyro"), str)
        language(ppl)  # is it there?
        x64 = typed("x64", content.get("x64", False), bool)
    folder = path.resolve().parent
    models = {k: _model(k, v, folder) for k, v in tables(path, content, "models", "models.ard").items()}
    strategies = tables(path, content, "strategies", "strategies")
    methods = {name: _strategy(name, given) for name, given in strategies.items()}
    data = sources.named(content.get("data", {}))
    grids = content.get("grid", [])
    if not isinstance(grids, list) or not all(isinstance(grid, dict) for grid in grids):
        raise ValueError(f"{path}: a grid begins with [[grid]], in two brackets")
    if not grids:
        raise ValueError(f"{path} has no [[grid]], so there is nothing to do; add one with data = [...]")
    places = [f"grid {i + 1}" for i in range(len(grids))]
    cells = {
        cell: None for at, grid in zip(places, grids, strict=True) for cell in _cells(at, grid, models, methods, data)
    }
    specs = {settings["prior"] for settings in models.values()} | {sources.table(data, cell.data) for cell in cells}
    files = {spec: sources.checksum(folder, spec) for spec in sorted(specs) if is_file(spec)}
    return Sweep(models, methods, data, tuple(cells), ppl, x64, files, folder, text)


def _model(name: str, settings: Any, folder: Path) -> dict[str, Any]:
    """The settings of a model, with the defaults."""
    with place(f"[models.{name}]"):
        if not isinstance(settings, dict) or "prior" not in settings:
            raise ValueError('a model is a table with a prior, such as prior = "half_cauchy"')
        check_keys("setting of a model", settings, MODEL)
        complete = DEFAULTS | {key: typed(key, value, MODEL[key]) for key, value in settings.items()}
        for key in ("sigma0", "precision"):
            if complete[key] is not None:
                check_size(key, complete[key])
        parts(_located(complete, folder))
        return complete


def _located(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    prior = settings["prior"]
    return settings | {"prior": str(folder / prior) if is_file(prior) else prior}


def parts(settings: dict[str, Any]) -> tuple[Any, Any]:
    """The prior and the network of a model."""
    prior = catalogue.prior(settings["prior"], settings["structure"], settings["form"], settings["sigma0"])
    return prior, catalogue.network(settings["network"])


def _strategy(name: str, given: Any) -> Strategy:
    """A strategy from its text, or from a table with its text and epochs."""
    with place(f"[strategies] {name}"):
        if not isinstance(given, dict):
            return Strategy(_config(typed(name, given, str)))
        check_keys("setting of a strategy", given, STRATEGY)
        if "with" not in given:
            raise ValueError('write the strategy as with = "svi:guide=local"')
        config = _config(typed("with", given["with"], str))
        if "epochs" not in given:
            return Strategy(config)
        epochs = typed("epochs", given["epochs"], int)
        if not 1 <= epochs < MOST_EPOCHS:
            raise ValueError(f"epochs must be at least 1, and less than {MOST_EPOCHS:,}, got {epochs}")
        if not {"steps", "batch_size"} <= {field.name for field in fields(config)}:
            raise ValueError(f"epochs are of svi; {config.name} has no steps to set, leave epochs out")
        if "steps=" in given["with"]:
            raise ValueError("epochs stand in place of steps; leave one of them out")
        return Strategy(config, epochs)


def _config(text: str) -> Any:
    configs = parse(text)
    if len(configs) != 1:
        raise ValueError(f"write one strategy, not {len(configs)}; give each of {', '.join(configs)} a name of its own")
    return next(iter(configs.values()))


def _cells(
    where: str, grid: dict[str, Any], models: dict[str, Any], strategies: dict[str, Any], tables: dict[str, Any]
) -> list[Cell]:
    """The cells of one grid."""
    with place(where):
        check_keys("key of a grid", grid, GRID)
        if "data" not in grid:
            raise ValueError('say on which data, as in data = ["yacht"]')
        names = _chosen("model", grid.get("models", list(models)), models)
        methods = _chosen("strategy", grid.get("strategies", list(strategies)), strategies)
        data = listed("data", grid["data"])
        splits, seeds = (_numbers(key, grid.get(key, 1)) for key in ("splits", "seeds"))
        check_seed(max(seeds))
        if (size := math.prod(map(len, (names, methods, data, splits, seeds)))) > MOST:
            raise ValueError(f"it asks for {size:,} cells, and a grid has {MOST:,} at most; make several sweeps of it")
        for name in data:
            sources.check(tables, name, max(splits))
    return [
        Cell(model, method, name, split, seed)
        for model in names
        for method in methods
        for name in data
        for split in splits
        for seed in seeds
    ]


def _chosen(kind: str, given: Any, available: dict[str, Any]) -> list[str]:
    for name in listed("models" if kind == "model" else "strategies", given):
        if name not in available:
            raise unknown(kind, name, available)
    return given


def _numbers(key: str, given: Any) -> list[int]:
    """A count, from 0 on, or the numbers themselves."""
    numbers = given if isinstance(given, list) else [given]
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise ValueError(f"{key} must be a count or a list of whole numbers from 0 on, got {given!r}")
    if not numbers or given == 0:
        raise ValueError(f"{key} is empty, so there is nothing to do; write {key} = 1 for the first")
    if not isinstance(given, list) and given > MOST:
        raise ValueError(f"{key} = {given} is a count of more than {MOST:,}; write {key} = [{given}] for that one")
    return numbers if isinstance(given, list) else list(range(given))
