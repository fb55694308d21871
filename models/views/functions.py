"""Functions drawn from the prior of a model, and a figure of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ppl import ppl
from ..ppl.programs import draw_sites, simulate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def prior_functions(model: Callable, x: Any, n: int = 20, seed: int = 0) -> np.ndarray:
    """`n` draws of f(x) from the prior of a composed model, in the language of `x` (rows, features).

    Shape (n, rows), or (n, rows, classes) for a categorical model.  Raises ValueError if the prior is improper.
    """
    if ppl(x).name == "numpyro":
        return draw_sites(model, ("f",), n, seed, "this prior", x)["f"]
    seeds = np.random.SeedSequence(seed).generate_state(n)
    try:
        return np.stack([simulate(model, int(s), x)["f"].detach().cpu().numpy() for s in seeds])
    except NotImplementedError as error:
        raise ValueError("this prior is improper: it has no draws") from error


def plot_functions(model: Callable, x_grid: Any, n: int = 20, seed: int = 0) -> "Figure":
    """`n` functions from the prior of a model over `x_grid` (rows, features), of which one feature varies.

    Of a categorical model, the logits of the first class.  Raises ValueError if no feature varies, or several do.
    """
    from matplotlib.figure import Figure

    columns = np.asarray(x_grid)
    varies = np.flatnonzero(np.ptp(columns, axis=0) > 0)
    if len(varies) != 1:
        raise ValueError(f"x_grid must vary in one feature, it varies in {len(varies)}; hold all the others constant")
    f = prior_functions(model, x_grid, n, seed)
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    lines = f[..., 0].T if f.ndim == 3 else f.T
    axes.plot(columns[:, varies[0]], lines, color="C0", alpha=max(0.15, min(0.8, 8 / n)), linewidth=1.2)
    axes.set(xlabel=f"x[{varies[0]}]", ylabel="f(x), logit of class 0" if f.ndim == 3 else "f(x)")
    axes.set_title(f"{n} functions from the prior")
    return figure
