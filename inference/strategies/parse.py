"""Strategies as they are written on a command line: ``svi:guide=low_rank,steps=5000,nuts``.

Names and one-line summaries are plain facts, importable without JAX; the configs come with the first `parse`.
"""

import math
import re
from dataclasses import fields
from types import UnionType
from typing import Any, get_args

from ...errors import unknown
from . import STRATEGIES, config_class, guides
from .guides import GUIDES
from .meanings import meanings

NEW = re.compile(r"[^=:]+(:|$)")  # a token that begins a strategy: "nuts", "svi:guide=flow", but not "steps=5000"


def parse(text: str) -> dict[str, Any]:
    """The configs that `text` asks for, by label, in order.

    Commas separate strategies and their settings alike: a token without ``=`` (or with ``name:`` before it) begins the
    next strategy.  A label is the strategy's name, with the guide if one was named (``svi:low_rank``), or with all its
    given settings where labels would be the same.

    Raises ValueError for unknown names, with the nearest known ones, for bad values and for repetitions.
    """
    requested = [(name, settings, config(name, settings)) for name, settings in split(text)]
    labels = [_label(name, settings) for name, settings, _ in requested]
    labels = [
        _full_label(name, settings) if labels.count(label) > 1 else label
        for label, (name, settings, _) in zip(labels, requested, strict=True)
    ]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"strategy {label!r} is asked for twice; leave one out or give it other settings")
    return {label: config for label, (_, _, config) in zip(labels, requested, strict=True)}


def config(name: str, given: dict[str, Any]) -> Any:
    """The config of strategy `name` with these settings, whose values may be text; those of `svi` and of its guide.

    Raises ValueError for an unknown strategy, guide, setting or value.
    """
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    kind = config_class(name)
    if "guide" not in _types(kind):
        return kind(**_values(name, f"setting of {name}", given, _types(kind), meanings(kind)))
    guide, rest = given.get("guide", kind().guide.name), {k: v for k, v in given.items() if k != "guide"}
    if guide not in GUIDES:
        raise unknown("guide", guide, GUIDES)
    guide_class = guides.config_class(guide)
    shared, special = ({k: t for k, t in _types(one).items() if k != "guide"} for one in (kind, guide_class))
    for key in rest:
        if key not in shared | special and (owners := [g for g in GUIDES if key in _types(guides.config_class(g))]):
            raise ValueError(f"{name}: {key} is a setting of {_either(owners)}, not of the guide {guide}")
    what = f"setting of {name}:guide={guide}" if "guide" in given else f"setting of {name}"
    told = {**meanings(guide_class), **meanings(kind)}
    values = _values(name, what, rest, {"guide": str, **shared, **special}, told)
    settings = guide_class(**{k: v for k, v in values.items() if k in special})
    return kind(guide=settings, **{k: v for k, v in values.items() if k in shared})


def svi(**given: Any) -> Any:
    """The config of `svi` with the settings of its guide beside its own, as they stand on a command line.

    >>> svi(guide="local", steps=100, kl_warmup=10).guide.kl_warmup
    10
    """
    return config("svi", given)


def settings(config: Any) -> dict[str, Any]:
    """The settings of a config as plain values, such that `config` makes it again: those of a guide stand beside."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    if "guide" not in values:
        return values
    guide = values.pop("guide")
    return {"guide": guide.name, **values, **{field.name: getattr(guide, field.name) for field in fields(guide)}}


def given(config: Any) -> dict[str, Any]:
    """Those `settings` of a config that are not at their default."""
    kind = config_class(config.name)
    if not hasattr(config, "guide"):
        default = settings(kind())
    else:  # Defaults of svi's own settings may depend on the guide.
        default = {**settings(kind(guide=type(config.guide)())), "guide": kind().guide.name}
    return {key: value for key, value in settings(config).items() if value != default[key]}


def _types(kind: Any) -> dict[str, Any]:
    return {field.name: field.type for field in fields(kind)}


def _values(name: str, what: str, given: dict[str, Any], types: dict[str, Any], told: dict[str, str]) -> dict[str, Any]:
    """Settings as values of their types; raises ValueError for unknown ones."""
    for key in given:
        if key not in types:
            raise ValueError(f"{unknown(what, key, types, told)}; noisezoo show {name} says what each means")
    return {k: _value(name, k, v, types[k]) if isinstance(v, str) else v for k, v in given.items()}


def _either(names: list[str]) -> str:
    *most, last = names
    return f"the guides {', '.join(most)} and {last}" if most else f"the guide {last}"


def split(text: str) -> list[tuple[str, dict[str, str]]]:
    """Names of strategies and the settings that are given for each, all of it text."""
    strategies: list[tuple[str, dict[str, str]]] = []
    for token in (part.strip() for part in text.split(",")):
        if not token and strategies:
            raise ValueError(f"there is nothing after a comma in {text!r}; name a strategy or a setting there")
        if NEW.match(token):
            name, _, token = (part.strip() for part in token.partition(":"))
            strategies.append((name, {}))
            if not token:
                continue
        if not strategies:
            raise ValueError(f"begin with a strategy, as in 'svi:guide=low_rank,nuts', not with {token!r}")
        name, settings = strategies[-1]
        key, equals, value = (part.strip() for part in token.partition("="))
        if not (key and equals and value):
            raise ValueError(f"{name}: write a setting as name=value, as in 'svi:guide=low_rank', not {token!r}")
        if key in settings:
            raise ValueError(f"{name}: {key} is given twice")
        settings[key] = value
    return strategies


def _value(name: str, key: str, text: str, kind: Any) -> Any:
    """`text` as a value of the type `kind` of a config's field."""
    if isinstance(kind, UnionType):
        if text.lower() == "none":
            return None
        if str in get_args(kind) and text.isalpha():  # a word in a number's place, such as auto
            return text
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
