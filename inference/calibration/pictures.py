"""ECDF-difference figures of ranks, with ArviZ's simultaneous bands."""

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...models.views.text import plain
from ..judging.pictures.style import FAINT, INK, new_figure
from .calibrate import LEVEL
from .quantities import LOG_LIKELIHOOD, NOISE_SD, WEIGHTS
from .ranks import short_p

CAPTION = (
    "The ECDF of each quantity's ranks, less that of uniform ones. A line that leaves its band is a quantity that is "
    f"not calibrated; were all calibrated, one of the lines would do so with probability {LEVEL:.0%}. Above zero "
    "throughout: the truth is below the draws too often, so that the posterior is too high. First above zero and then "
    "below it: the posterior is too narrow; the other way round, too wide."
)
SIMULATED = 20_000  # ECDFs for the bands
COLOURS = {"f(": "#0072B2", NOISE_SD: "#009E73", WEIGHTS: "#CC79A7", LOG_LIKELIHOOD: INK}
SCALES = "#D55E00"  # of the layers
WRONG = "#B22222"
PER_ROW = 4


def figure(pits: dict[str, Any], p_values: dict[str, float], title: str = "") -> Figure:
    """A panel for each quantity, with its p-value."""
    columns = min(PER_ROW, len(pits))
    rows = -(-len(pits) // columns)
    made = new_figure(2.4 * columns, 2.0 * rows + 0.5)
    axes = made.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, (name, u) in zip(axes, pits.items(), strict=False):
        panel(ax, {name: u}, len(pits))
        wrong = p_values[name] < LEVEL / len(pits)
        ax.set_title(f"{plain(name)}: p {short_p(p_values[name])}", fontsize=9, color=WRONG if wrong else INK)
    for ax in axes[len(pits) :]:
        ax.remove()
    made.suptitle(title.replace("$", r"\$"), fontsize=10)
    made.supxlabel("rank of the truth among the draws, as a share", fontsize=9)
    made.supylabel("ECDF less uniform", fontsize=9)
    return made


def panel(ax: Axes, pits: dict[str, Any], quantities: int) -> None:
    """These quantities, with the band of level 1 - `LEVEL` / `quantities`."""
    from arviz_stats.ecdf_utils import compute_ecdf

    z, low, high = band(len(next(iter(pits.values()))), LEVEL / quantities)
    ax.fill_between(z, low, high, color=FAINT, alpha=0.4, lw=0)
    for name, u in pits.items():
        ax.plot(z, compute_ecdf(np.asarray(u), z) - z, color=_colour(name), lw=0.9)


def legend(figure: Figure) -> None:
    """What the colours of `panel` are."""
    from matplotlib.lines import Line2D

    named = {"f(x)": COLOURS["f("], "scales": SCALES, **{name: c for name, c in COLOURS.items() if name != "f("}}
    handles = [Line2D([], [], color=colour, lw=1.2, label=name) for name, colour in named.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


@lru_cache
def band(n: int, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The band that the ECDF of n ranks leaves with probability `level`: where it is, its lower and its upper end."""
    from arviz_stats.ecdf_utils import ecdf_pit

    z, _, low, high = ecdf_pit(np.linspace(0, 1, n), 1 - level, SIMULATED)
    return z, low - z, high - z


def _colour(name: str) -> str:
    return next((colour for start, colour in COLOURS.items() if name.startswith(start)), SCALES)
