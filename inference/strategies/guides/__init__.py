"""The guides of `svi` by name.  To add one, write its file here and below `pyro`, and add its line.

These are plain facts, importable without JAX; a guide's file is imported when its config or algorithm is asked for.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Guide(NamedTuple):
    """Where a guide is, and what it is in one line.

    module : the file, here and below `pyro`, whose function ``algorithm(config, model, sites, ...)`` binds it.
    config : the class of its own settings in the file here; its attribute `name` is that of the guide.
    """

    module: str
    config: str
    summary: str


GUIDES = {
    "map": Guide("map", "Map", "a point at the mode of all sites"),
    "dropout": Guide("dropout", "Dropout", "noise from its prior, weights a point: Monte-Carlo dropout"),
    "mean_field": Guide("automatic", "MeanField", "independent normals"),
    "low_rank": Guide("automatic", "LowRank", "a normal with low-rank plus diagonal covariance"),
    "full_rank": Guide("automatic", "FullRank", "a normal with full covariance"),
    "laplace": Guide("laplace", "Laplace", "a normal at the mode with the curvature found there"),
    "pathfinder": Guide("pathfinder", "Pathfinder", "a mixture of the best normals along quasi-Newton paths"),
    "flow": Guide("automatic", "Flow", "inverse autoregressive flow"),
    "local": Guide(
        "local",
        "Local",
        "independent normals, each row drawing its own pre-activations (local reparameterisation)",
    ),
    "flipout": Guide(
        "flipout", "Flipout", "independent normals, the rows sharing one draw of the weights up to random signs"
    ),
    "em": Guide(
        "em", "EM", "variational EM: as local, with every scale a point at the closed-form M-step of its noise"
    ),
}


def config_class(name: str) -> Any:
    """The class of the settings of a guide."""
    guide = GUIDES[name]
    return getattr(import_module(f".{guide.module}", __name__), guide.config)


def implementation(guide: Any, language: str) -> Callable[..., Any]:
    """The function that binds the guide of a config to programs of a language."""
    package = f"{__name__.removesuffix('.guides')}.pyro.guides" if language == "pyro" else __name__
    return import_module(f"{package}.{GUIDES[guide.name].module}").algorithm
