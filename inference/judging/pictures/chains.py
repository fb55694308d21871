"""Pictures of the way there: chains and their ranks, the loss."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ....models.views.text import plain
from .style import INK, Trees, chains_of, colours, new_figure

TRACE_CAPTION = (
    "Chains that agree lie on top of one another, and their ranks are level: on the right, how many draws of a chain "
    "have these ranks, over how many there would be. Shown are f(x) at the test row where it mixes worst and at a "
    "typical one, and the sd of the noise where that is learned."
)
LOSS_CAPTION = (
    "The negative ELBO, of a point the negative log density. Level at the end: more steps would not help. The steep "
    "beginning is cut off."
)


def trace(tree: Any, label: str = "") -> Figure:
    """Draws and ranks, chain by chain, of f(x) at the worst and at a typical test row and of the noise sd."""
    quantities = _watched(tree)
    figure = new_figure(9.5, 1.9 * len(quantities) + 0.5)
    axes = figure.subplots(len(quantities), 2, squeeze=False, width_ratios=(2, 1))
    shades = _shades(colours([label])[label], chains_of(tree))
    for (left, right), (title, values) in zip(axes, quantities.items(), strict=True):
        step = max(1, values.shape[1] // 500)
        for chain, shade in zip(values, shades, strict=True):
            left.plot(np.arange(0, chain.size, step), chain[::step], color=shade, lw=0.7)
        left.set_ylabel(title)
        left.margins(x=0)
        _ranks(right, values, shades)
    axes[-1, 0].set_xlabel("draw")
    axes[-1, 1].set_xlabel("rank among all draws")
    axes[0, 1].set_title("draws over those of a level chain", loc="left", fontsize=10)
    for ax in axes[:-1].flat:
        ax.tick_params(labelbottom=False)
    return figure


def loss(trees: Trees) -> Figure | None:
    """The loss along the way, of the fits that have one; None if no fit has."""
    histories = {label: tree["history"] for label, tree in trees.items() if "loss" in tree.children.get("history", ())}
    if not histories:
        return None
    figure = new_figure(7, 3.8)
    ax = figure.add_subplot()
    ends = []
    for label, colour in colours(trees).items():
        if label in histories:
            step, value = histories[label]["step"].values, histories[label]["loss"].values
            ax.plot(step.T, value.T, color=colour, lw=1.3, label=[plain(label)] + [None] * (len(value) - 1))
            late = value[:, value.shape[1] // 5 :]
            if np.isfinite(late).any():
                ends.append((value[np.isfinite(value)].min(), np.quantile(late[np.isfinite(late)], 0.99)))
    if ends:
        low, high = min(e[0] for e in ends), max(e[1] for e in ends)
        ax.set_ylim(low - 0.1 * (high - low), high + 0.4 * (high - low))
    ax.set(xlabel="step", ylabel="loss")
    ax.margins(x=0.01)
    ax.legend(frameon=False)
    return figure


def _ranks(ax: Axes, values: np.ndarray, shades: list[str]) -> None:
    """Histogram of each chain's ranks among all draws; level if the chains sample the same law."""
    ranks = np.argsort(np.argsort(values, axis=None)).reshape(values.shape)
    edges = np.linspace(0, values.size, 21)
    for chain, shade in zip(ranks, shades, strict=True):
        ax.stairs(np.histogram(chain, edges)[0] / (values.shape[1] / 20), edges, color=shade, lw=1.1)
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.set_ylim(0, None)
    ax.margins(x=0)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_locator(MaxNLocator(4))


def _watched(tree: Any) -> dict[str, np.ndarray]:
    """What `trace` shows, (chain, draw) by name: f(x) at the test rows of worst and median R-hat, and the noise sd."""
    from arviz_stats.sampling_diagnostics import rhat

    f = tree["predictions"]["f"]
    if "class" in f.dims:
        f = f - f.mean("class")  # softmax does not see a shift
    quantities = {}
    spread = rhat(f)
    worst = spread if "class" not in spread.dims else spread.max("class")
    order = np.argsort(np.nan_to_num(worst.values, nan=np.inf))
    for row, word in ((order[-1], "worst"), (order[(order.size - 1) // 2], "typical")):
        row_draws = f.isel(row=row)
        if "class" in row_draws.dims:
            row_draws = row_draws.isel({"class": int(np.argmax(spread.isel(row=row).values))})
        quantities[f"f(x), {word} row\nR-hat {float(worst[row]):.2f}"] = row_draws.transpose("chain", "draw").values
    if "noise_sd" in tree.children.get("functionals", ()):
        sd = tree["functionals"]["noise_sd"]
        quantities[f"noise sd\nR-hat {float(rhat(sd)):.2f}"] = sd.transpose("chain", "draw").values
    return quantities


def _shades(colour: str, count: int) -> list[str]:
    """`count` shades of one colour, from dark to light."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    mixes = np.linspace(-0.35, 0.45, count) if count > 1 else [0.0]
    return [to_hex(tuple(rgb * (1 + m) if m < 0 else rgb + (1 - rgb) * m)) for m in mixes]
