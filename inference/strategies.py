"""Strategies as they are written on a command line: ``svi:guide=low_rank,steps=5000,nuts``.

Names and one-line summaries are plain facts, importable without JAX; the configs come with the first `parse`.
"""

import math
import re
from dataclasses import fields
from importlib import import_module
from types import UnionType
from typing import Any, get_args

from ..models.names import unknown

STRATEGIES = {
    "svi": "variational inference: fit a guide to the posterior by maximising the ELBO, then draw from it",
    "nuts": "No-U-Turn sampler: Hamiltonian Monte Carlo that tunes itself (Gibbs inside for discrete noise)",
    "sgld": "stochastic-gradient Langevin dynamics: noisy gradient steps on minibatches",
    "sghmc": "stochastic-gradient Hamiltonian Monte Carlo: the same with momentum",
    "sgnht": "stochastic-gradient thermostat: the same with a friction that adapts to the minibatch noise",
    "mclmc": "microcanonical Langevin Monte Carlo: unadjusted, tunes itself, many draws for few gradients",
}
GUIDES = {
    "map": "a point at the mode of all sites",
    "dropout": "noise from its prior, weights a point: Monte-Carlo dropout",
    "mean_field": "independent normals",
    "low_rank": "a normal with low-rank plus diagonal covariance",
    "full_rank": "a normal with full covariance",
    "laplace": "a normal at the mode with the curvature found there",
    "flow": "inverse autoregressive flow",
    "local": "independent normals, each row drawing its own pre-activations (local reparameterisation)",
    "flipout": "independent normals, the rows sharing one draw of the weights up to random signs",
    "em": "variational EM: as local, with every scale a point at the closed-form M-step of its noise",
}
NEW = re.compile(r"[^=:]+(:|$)")  # a token that begins a strategy: "nuts", "svi:guide=flow", but not "steps=5000"


def parse(text: str) -> dict[str, Any]:
    """The configs that `text` asks for, by label, in order.

    Commas separate strategies and their settings alike: a token without ``=`` (or with ``name:`` before it) begins the
    next strategy.  A label is the strategy's name, with the guide if one was named (``svi:low_rank``), or with all its
    given settings where labels would be the same.

    Raises ValueError for unknown names, with the nearest known ones, for bad values and for repetitions.
    """
    asked = [(name, settings, config(name, settings)) for name, settings in _split(text)]
    labels = [_label(name, settings) for name, settings, _ in asked]
    labels = [
        _full_label(name, settings) if labels.count(label) > 1 else label
        for label, (name, settings, _) in zip(labels, asked, strict=True)
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"strategy {label!r} is asked for twice; leave one out or give it other settings")
    return {label: config for label, (_, _, config) in zip(labels, asked, strict=True)}


def config(name: str, settings: dict[str, str]) -> Any:
    """The config of strategy `name` with these `settings`, whose values are text.

    Raises ValueError for an unknown strategy, setting or value.
    """
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    kind = getattr(import_module(f".{name}", __package__), name.upper())
    types = {field.name: field.type for field in fields(kind)}
    for key in settings:
        if key not in types:
            raise unknown(f"setting of {name}", key, types)
    return kind(**{key: _value(name, key, text, types[key]) for key, text in settings.items()})


def _split(text: str) -> list[tuple[str, dict[str, str]]]:
    """Names and their settings, both as text."""
    found: list[tuple[str, dict[str, str]]] = []
    for token in (part.strip() for part in text.split(",")):
        if not token and found:
            raise ValueError(f"there is nothing after a comma in {text!r}; name a strategy or a setting there")
        if NEW.match(token):
            name, _, token = (part.strip() for part in token.partition(":"))
            found.append((name, {}))
            if not token:
                continue
        if not found:
            raise ValueError(f"begin with a strategy, as in 'svi:guide=low_rank,nuts', not with {token!r}")
        name, settings = found[-1]
        key, equals, value = (part.strip() for part in token.partition("="))
        if not (key and equals and value):
            raise ValueError(f"{name}: write a setting as name=value, as in 'svi:guide=low_rank', not {token!r}")
        if key in settings:
            raise ValueError(f"{name}: {key} is given twice")
        settings[key] = value
    return found


def _value(name: str, key: str, text: str, kind: Any) -> Any:
    """`text` as a value of the type `kind` of a config's field."""
    if isinstance(kind, UnionType):
        if text.lower() == "none":
            return None
        kind = next(t for t in get_args(kind) if t is not type(None))
    if kind is str:
        return text
    wanted = {int: "a whole number", float: "a number"}[kind]
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (kind is int and number != int(number)):
        raise ValueError(f"{name}: {key} must be {wanted}, got {text!r}")
    return kind(number)


def _label(name: str, settings: dict[str, str]) -> str:
    return f"{name}:{settings['guide']}" if "guide" in settings else name


def _full_label(name: str, settings: dict[str, str]) -> str:
    return f"{name}:{','.join(f'{k}={v}' for k, v in settings.items())}" if settings else name
