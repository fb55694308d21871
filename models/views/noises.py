"""A figure of what a noise believes before it sees data: the density of its scales, and of a weight.

Figures are plain `matplotlib.figure.Figure` objects, made without pyplot: show them in a notebook or save them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..noises import Noise, as_noise
from ..noises.draws import draw_scales, draw_weights
from ..noises.marginal import atom, log_marginal
from .text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWS = 20_000


def plot_noise(noise: Noise | Callable, seed: int = 0) -> "Figure":
    """Three panels at sigma0 = 1: p(lambda), p(w) over a histogram of draws, and the tails of p(w).

    The dashed references of the tails have the same median abs(w).  A spike at zero is written into the panels.  An
    improper noise is drawn without histograms, its densities up to a constant.
    """
    from matplotlib.figure import Figure

    noise = as_noise(noise)
    scales = np.abs(draw_scales(noise, DRAWS, seed)) if noise.proper else np.array([])
    weights = draw_weights(noise, DRAWS, 1.0, seed) if noise.proper else np.array([])
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    figure.suptitle(f"{plain(noise)}: {plain(noise.prior)}" if noise.prior else plain(noise), fontweight="bold")
    left, middle, right = figure.subplots(1, 3)
    _plot_scale(left, noise, scales)
    _plot_weight(middle, noise, weights)
    _plot_tails(right, noise, weights)
    return figure


def _plot_scale(axes: "Axes", noise: Noise, scales: np.ndarray) -> None:
    symbol = "|λ|" if noise.signed else "λ"
    axes.set(title=f"the scale: p({symbol})", xlabel=symbol, ylabel="density")
    if noise.discrete:
        values, counts = np.unique(scales, return_counts=True)
        axes.bar(values, counts / len(scales), width=0.1, color="0.75", label="draws")
        if noise.law is not None:
            axes.plot(values, noise.law().pmf(values**2), "o", color="C0", label="law")
        axes.set(title=f"the scale: P({symbol})", ylabel="probability", xticks=values, ylim=(0, 1.05))
        axes.legend()
        return
    top = float(np.quantile(scales, 0.95)) if noise.proper else 5.0
    grid = np.linspace(0, top, 500)[1:-1]
    if noise.proper:
        height = _histogram(axes, scales, np.linspace(0, top, 51))
        axes.set_ylim(0, 1.15 * height)
    if not noise.proper and noise.name == "log_uniform":
        axes.plot(grid, 1 / grid, color="C0", label="1 / λ, improper")
        axes.set_ylim(0, 5)
    elif noise.law is not None:
        axes.plot(grid, 2 * grid * noise.law().pdf(grid**2), color="C0", label="law")
    axes.set_xlim(0, top)
    axes.legend()


def _plot_weight(axes: "Axes", noise: Noise, weights: np.ndarray) -> None:
    axes.set(title="the weight: p(w)", xlabel="w", ylabel="density")
    top = float(np.quantile(np.abs(weights), 0.95)) if noise.proper else 3.0
    if noise.proper:
        height = _histogram(axes, weights, np.linspace(-top, top, 81))
        axes.set_ylim(0, 1.25 * height)
    else:
        axes.set_ylim(0, 5)
    grid = np.linspace(-top, top, 400)  # an even number of points, so that none is a pole at 0
    axes.plot(grid, np.exp(log_marginal(noise, grid)), color="C0", label=_how(noise))
    axes.set_xlim(-top, top)
    if mass := atom(noise):
        axes.annotate(
            f"P(w = 0) = {mass:.3g}",
            (0, 0),
            (0.04, 0.93),
            textcoords="axes fraction",
            va="top",
            arrowprops={"arrowstyle": "->"},
        )
    axes.legend(loc="upper right")


def _plot_tails(axes: "Axes", noise: Noise, weights: np.ndarray) -> None:
    from ..laws.closed_forms import laplace, normal

    axes.set(title="the tails, log-log", xlabel="|w|", ylabel="p(w)", xscale="log", yscale="log")
    median = float(np.median(np.abs(weights[weights != 0]))) if noise.proper else 1.0
    grid = np.geomspace(1e-2, 1e3, 300) * median
    axes.plot(grid, np.exp(log_marginal(noise, grid)), color="C0", linewidth=2, label=plain(noise.name))
    if noise.proper:
        mass = 1 - atom(noise)
        gaussian, double = np.exp(normal(grid, median / 0.6745)), np.exp(laplace(grid, median / np.log(2)))
        axes.plot(grid, mass * gaussian, "--", color="C1", label="Gaussian, same median |w|")
        axes.plot(grid, mass * double, "--", color="C2", label="Laplace, same median |w|")
    peak = 1 / median
    axes.set(xlim=(grid[0], grid[-1]), ylim=(1e-9 * peak, 1e2 * peak))
    axes.legend(loc="lower left")


def _histogram(axes: "Axes", draws: np.ndarray, bins: np.ndarray) -> float:
    """A histogram of the part of the draws that is not exactly zero, as a share of them all; its height."""
    kept = draws[draws != 0]
    share = np.full(kept.shape, 1 / (len(draws) * (bins[1] - bins[0])))
    height, *_ = axes.hist(kept, bins=list(bins), weights=share, color="0.8", label=f"{len(draws):,} draws")
    return float(np.max(height))


def _how(noise: Noise) -> str:
    if not noise.proper:
        return "up to a constant"
    return "closed form" if noise.closed_form else "quadrature" if noise.law else "average over draws"
