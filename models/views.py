"""What a noise believes before it sees data: draws of scales, of weights and of functions, and figures of them.

Figures are plain `matplotlib.figure.Figure` objects, made without pyplot: show them in a notebook or save them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .marginal import atom, log_marginal
from .noise import Noise, as_noise
from .ppl import ppl, simulate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWS = 20_000


def draw_scales(noise: Noise | Callable, n: int, seed: int = 0) -> np.ndarray:
    """`n` independent scales lambda from the program of a noise, run in NumPyro: shape (n,), float64.

    Raises ValueError if the noise is improper.
    """
    return _draw(as_noise(noise), "scale", n, seed)


def draw_weights(noise: Noise | Callable, n: int, sigma0: float = 1.0, seed: int = 0) -> np.ndarray:
    """`n` independent weights w = lambda z, z ~ N(0, sigma0^2), from the program: shape (n,), float64.

    Raises ValueError if the noise is improper.
    """
    return sigma0 * _draw(as_noise(noise), "weight", n, seed)


def prior_functions(model: Callable, x: Any, n: int = 20, seed: int = 0) -> np.ndarray:
    """`n` draws of f(x) from the prior of a composed model, in the language of `x` (rows, features).

    Shape (n, rows), or (n, rows, classes) for a categorical model.  Raises ValueError if the prior is improper.
    """
    if ppl(x).name == "numpyro":
        return _predictive(model, ("f",), n, seed, "this prior", x)["f"]
    seeds = np.random.SeedSequence(seed).generate_state(n)
    try:
        return np.stack([simulate(model, int(s), x)["f"].detach().cpu().numpy() for s in seeds])
    except NotImplementedError as error:
        raise ValueError("this prior is improper: it has no draws") from error


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
    figure.suptitle(f"{noise}: {noise.prior}" if noise.prior else str(noise), fontweight="bold")
    left, middle, right = figure.subplots(1, 3)
    _plot_scale(left, noise, scales)
    _plot_weight(middle, noise, weights)
    _plot_tails(right, noise, weights)
    return figure


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


def _draw(noise: Noise, what: str, n: int, seed: int) -> np.ndarray:
    import jax.numpy as jnp

    return _predictive(_one_weight(noise), ("scale", "weight"), n, seed, noise.name, jnp.zeros(()))[what].astype(float)


@lru_cache(maxsize=16)
def _one_weight(noise: Noise) -> Callable:
    def program(x: Any) -> None:
        p = ppl(x)
        scale = p.deterministic("scale", noise(p, "noise", ()))
        p.deterministic("weight", scale * p.sample("base", p.dist.Normal(0.0, 1.0)))

    return program


def _predictive(model: Callable, sites: tuple[str, ...], n: int, seed: int, name: str, x: Any) -> dict[str, np.ndarray]:
    import jax

    try:
        draws = _compiled(model, sites, n)(jax.random.key(seed), x)
    except NotImplementedError as error:
        raise ValueError(f"{name} is improper: it has no draws") from error
    return {site: np.asarray(draws[site]) for site in sites}


@lru_cache(maxsize=16)
def _compiled(model: Callable, sites: tuple[str, ...], n: int) -> Callable:
    """``(key, x) -> {site: draws}``, compiled once, and of the model only what these sites need."""
    import jax
    from numpyro.infer import Predictive

    return jax.jit(Predictive(model, num_samples=n, return_sites=list(sites), parallel=True))


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
    from .closed_form import laplace, normal

    axes.set(title="the tails, log-log", xlabel="|w|", ylabel="p(w)", xscale="log", yscale="log")
    median = float(np.median(np.abs(weights[weights != 0]))) if noise.proper else 1.0
    grid = np.geomspace(1e-2, 1e3, 300) * median
    axes.plot(grid, np.exp(log_marginal(noise, grid)), color="C0", linewidth=2, label=noise.name)
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
