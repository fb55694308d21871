"""The strategies by name.  To add one, write its file, and add its line here (and its file below `pyro`, for Pyro).

These are plain facts, importable without JAX; a strategy's file is imported when its config or algorithm is asked for.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Strategy(NamedTuple):
    """Where a strategy is, and what it is in one line.

    module, config : the file of its settings, and their class in it, whose attribute `name` is that of the strategy.
    algorithm : the file, here and below `pyro`, whose function ``algorithm(config, model, sites)`` binds it.
    steadier : what may help where it diverges.
    """

    module: str
    config: str
    algorithm: str
    summary: str
    steadier: str


STRATEGIES = {
    "svi": Strategy(
        "svi",
        "SVI",
        "svi",
        "variational inference: fit a guide to the posterior by maximising the ELBO, then draw from it",
        "a smaller lr",
    ),
    "nuts": Strategy(
        "nuts",
        "NUTS",
        "nuts",
        "No-U-Turn sampler: Hamiltonian Monte Carlo that tunes itself (Gibbs inside for discrete noise)",
        "a noise with lighter tails",
    ),
    "sgld": Strategy(
        "sgld",
        "SGLD",
        "stochastic_gradient",
        "stochastic-gradient Langevin dynamics: noisy gradient steps on minibatches",
        "a smaller step_size, or tolerance if it is auto,",
    ),
    "sghmc": Strategy(
        "sghmc",
        "SGHMC",
        "stochastic_gradient",
        "stochastic-gradient Hamiltonian Monte Carlo: the same with momentum",
        "a smaller step_size, or tolerance if it is auto,",
    ),
    "sgnht": Strategy(
        "sgnht",
        "SGNHT",
        "stochastic_gradient",
        "stochastic-gradient thermostat: the same with a friction that adapts to the minibatch noise",
        "a smaller step_size, or tolerance if it is auto,",
    ),
    "mclmc": Strategy(
        "mclmc",
        "MCLMC",
        "mclmc",
        "microcanonical Langevin Monte Carlo: unadjusted, tunes itself, many draws for few gradients",
        "a smaller energy_variance or a longer warmup",
    ),
}


def config_class(name: str) -> Any:
    """The class of the settings of a strategy."""
    strategy = STRATEGIES[name]
    return getattr(import_module(f".{strategy.module}", __name__), strategy.config)


def implementation(config: Any, language: str) -> Callable[..., Any]:
    """The function ``(config, model, sites) -> Algorithm`` of a config's strategy, for programs of a language."""
    package = f"{__name__}.pyro" if language == "pyro" else __name__
    return import_module(f"{package}.{STRATEGIES[config.name].algorithm}").algorithm
