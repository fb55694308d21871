"""Which strategies apply to a noise: each is bound to a small program of it, and what it says is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...models import catalogue
from ...models.weights.parametrisation import prior
from .. import strategies
from ..judging.datatree import arrays
from ..strategies.guides import GUIDES
from ..strategies.parse import parse
from ..target.numpyro import density

LABELS = (*(f"svi:guide={guide}" for guide in GUIDES), *(name for name in strategies.STRATEGIES if name != "svi"))


def refusals(noise: Any) -> dict[str, str]:
    """Every strategy, `svi` by its guides, with what it says against this noise in NumPyro; "" where it runs.

    The noise multiplies the weights of a linear model, in the expanded form, or in the hierarchical one where a guide
    asks for that.
    """
    x, y = arrays("numpyro", np.ones((4, 3), np.float32), np.ones(4, np.float32))
    said: dict[str, str] = {}
    for form in ("expanded", "hierarchical"):
        try:
            program = catalogue.model(prior(noise, "ard", form), catalogue.network("linear"), "regression")
        except ValueError:  # a noise that has no such form
            continue
        sites = density.sites(program, x, y)
        said |= {label: _refusal(label, program, sites, x, y) for label in LABELS if said.get(label, "none yet")}
    return said


def in_words(said: dict[str, str]) -> list[tuple[str, str]]:
    """Rows of a table: what runs, and what does not, those of one reason together."""
    groups: dict[str, list[str]] = {}
    for label, reason in said.items():
        name, _, guide = label.partition(":guide=")
        groups.setdefault(reason.removeprefix(f"svi with guide {guide}").removeprefix(name).lstrip(" :"), []).append(
            label
        )
    runs = [("runs under", ", ".join(groups.pop("", [])))]
    return runs + [("not under", f"{', '.join(labels)}: {reason}") for reason, labels in groups.items()]


def _refusal(label: str, program: Callable, sites: Any, x: Any, y: Any) -> str:
    import jax

    (config,) = parse(label).values()
    try:
        algorithm = strategies.implementation(config, "numpyro")(config, program, sites)
        if config.name == "svi":  # some guides look at the program only now
            jax.eval_shape(algorithm.init, jax.random.key(0), x, y)
    except (ValueError, TypeError) as error:
        return str(error)
    return ""
