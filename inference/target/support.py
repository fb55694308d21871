"""The support of a likelihood: which y it takes."""

from typing import Any

import numpy as np

WORDS = {  # by the name of the constraint, that of both languages
    "Boolean": "0 or 1: number the two classes 0 and 1",
    "IntegerNonnegative": "counts 0, 1, 2, ...",
    "IntegerGreaterThan": "counts 0, 1, 2, ...",
    "Positive": "positive numbers",
    "GreaterThan": "positive numbers",
    "UnitInterval": "numbers between 0 and 1",
}


def check_support(support: Any, y: Any) -> None:
    """Raise ValueError if some y lies outside the support of the likelihood, a constraint of the language of y."""
    if support is None:
        return
    inside = np.asarray(support.check(y))
    if not inside.all():
        values = np.asarray(y).reshape(inside.size, -1)[~inside.ravel()]
        raise ValueError(f"y holds {values.flat[0]:g}, which the likelihood does not take; it takes {_words(support)}")


def check_task(support: Any, data: Any) -> None:
    """Raise ValueError if the likelihood with this support is not one for the task of a `Data`."""
    if support is None:
        return
    task = {"Boolean": "binary", "IntegerInterval": "categorical"}.get(_name(support), "regression")
    if task != data.task:
        raise ValueError(f"the likelihood is one for {task} targets, and those of {data.name} are {data.task}")
    if task == "categorical" and (classes := int(support.upper_bound) + 1) != len(data.classes):
        raise ValueError(f"the likelihood has {classes} classes, and {data.name} has {len(data.classes)}")


def _name(support: Any) -> str:
    return type(support).__name__.lstrip("_")


def _words(support: Any) -> str:
    if _name(support) == "IntegerInterval":
        classes = int(support.upper_bound) + 1
        return f"whole numbers 0 to {classes - 1}: number the {classes} classes from 0"
    if _name(support) == "Interval":
        return f"numbers between {float(support.lower_bound):g} and {float(support.upper_bound):g}"
    return WORDS.get(_name(support), f"y in {support}")
