"""What the settings of strategies and guides mean: read from the docstrings of their configs, which are the one source.

An entry is ``name : what it is``; lines further to the right go on with it.
"""

import inspect
import re
from dataclasses import fields
from typing import Any, NamedTuple

from ...errors import unknown
from . import STRATEGIES, config_class, guides
from .guides import GUIDES

ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*) : (?P<text>.*)")
Row = tuple[str, ...]


class Setting(NamedTuple):
    """A setting: its name, its default as it is written on a command line, and what it means."""

    name: str
    default: str
    meaning: str


def settings_of(kind: Any) -> list[Setting]:
    """The settings of a config class, in order; the guide of `svi` is no setting like others and left out."""
    told = meanings(kind)
    return [Setting(f.name, _written(f.default), told[f.name]) for f in fields(kind) if f.name != "guide"]


def meanings(kind: Any) -> dict[str, str]:
    """Name and meaning of every setting of a config class, those that it inherits included."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        found |= _entries(inspect.cleandoc(one.__dict__.get("__doc__") or ""))
    return found


def about(spec: str) -> tuple[str, dict[str, list[Row]]]:
    """What the strategy `spec` does, and the rows of its settings by title; ``svi:guide=local`` asks for those of a
    guide, ``svi`` for those of all guides.

    Raises ValueError for unknown names.
    """
    name, _, rest = spec.partition(":")
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    key, _, guide = rest.partition("=")
    if rest and (name != "svi" or key != "guide"):
        raise ValueError(f"show takes a strategy or its guide, as in nuts or svi:guide=local, not {spec!r}")
    if rest and guide not in GUIDES:
        raise unknown("guide", guide, GUIDES)
    own: list[Row] = [tuple(setting) for setting in settings_of(config_class(name))]
    summary, title = STRATEGIES[name].summary, f"{name}:SETTING=VALUE"
    if name != "svi":
        return summary, {title: own}
    own.insert(0, ("guide", config_class(name)().guide.name, f"one of {', '.join(GUIDES)}"))
    if not guide:
        return summary, {title: own, "svi:guide=GUIDE,SETTING=VALUE": _of_all_guides()}
    special: list[Row] = [tuple(setting) for setting in settings_of(guides.config_class(guide))]
    none: list[Row] = [("none", "", f"the guide {guide} has no settings of its own")]
    return GUIDES[guide].summary, {f"svi:guide={guide},SETTING=VALUE": special or none, title: own}


def _of_all_guides() -> list[Row]:
    """The settings of all guides, each once and with the guides that have it."""
    owners: dict[Setting, list[str]] = {}
    for guide in GUIDES:
        for setting in settings_of(guides.config_class(guide)):
            owners.setdefault(setting, []).append(guide)
    return [(s.name, s.default, f"{s.meaning} Of {', '.join(names)}.") for s, names in owners.items()]


def _entries(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in text.splitlines():
        if entry := ENTRY.match(line):
            names, line = entry["names"].split(", "), entry["text"]
            found.update({name: [] for name in names})
        elif not line.startswith(" "):
            names = []
        for name in names:
            found[name].append(line)
    return {name: " ".join(" ".join(lines).replace("`", "").split()) for name, lines in found.items()}


def _written(default: Any) -> str:
    return "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)
