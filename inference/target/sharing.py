"""Which weights share a scale, asked of the program itself: of a square layer the shapes do not tell."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...models.ppl import ppl
from ...models.ppl.programs import trace
from .sites import Arrays


def along_outputs(model: Callable, draws: Arrays, x: Any, site: str, weight: str) -> bool:
    """Whether each number of `site` (unit,) belongs to the weights (unit_in, unit_out) of a unit out, not of a unit in.

    The program runs twice on one row of `x`, all its sites but the weight at the first of `draws` (chain, draw, ...),
    and once with another first number in the site: then a column or a row of the weight is another, too.
    """
    values = {name: v[0, 0] for name, v in draws.items() if name != weight}
    changed = np.concatenate([values[site][:1] + 1, values[site][1:]])
    before, after = (_weight(model, x, {**values, site: v}, weight) for v in (values[site], changed))
    moved = before != after
    return bool(moved[:, 0].all() and not moved[:, 1:].any() and not moved[0].all())


def _weight(model: Callable, x: Any, values: Arrays, weight: str) -> np.ndarray:
    given = {name: ppl(x).xp.asarray(v, copy=True) for name, v in values.items()}
    return np.asarray(trace(model, 0, x[:1], values=given)[weight]["value"])
