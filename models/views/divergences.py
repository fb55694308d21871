"""A figure of what a weight pays under each divergence."""

import numpy as np
from matplotlib.figure import Figure

from ..laws import divergences as kl

EXACT, APPROXIMATE, OTHER = "#0072B2", "#D55E00", "#009E73"


def plot_divergences() -> Figure:
    """What a weight pays by its log alpha, and the error of the three constants of Molchanov et al. (2017), eq 14."""
    x = np.linspace(-10, 10, 801)
    loc, scale = np.ones_like(x), np.exp(x / 2)
    exact, approximate = kl.log_uniform(np, loc, scale), kl.log_uniform_approximate(np, loc, scale)
    figure = Figure(figsize=(9.5, 3.8), layout="constrained", dpi=130)
    left, right = figure.subplots(1, 2)
    left.plot(x, exact, color=EXACT, lw=2.4, label="log-uniform, exact")
    left.plot(x, approximate, color=APPROXIMATE, lw=1.4, ls=(0, (4, 2)), label="log-uniform, three constants")
    left.plot(x, kl.empirical_bayes(np, loc, scale), color=OTHER, lw=1.6, label="empirical Bayes (ARD)")
    left.set(xlabel="log alpha", ylabel="divergence (nats)", xlim=(-10, 10), ylim=(0, None))
    left.legend(frameon=False)
    right.plot(x, approximate - exact, color=APPROXIMATE, lw=1.6)
    right.axhline(0, color="#222222", lw=0.8)
    right.set(xlabel="log alpha", ylabel="three constants - exact (nats)", xlim=(-10, 10))
    right.set_title(f"at most {np.abs(approximate - exact).max():.4f} off", loc="left")
    return figure
