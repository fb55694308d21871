"""Figures of noise on a direction: the sphere, the plane of a rotation, and the law of the angle in R^n.

Figures are plain `matplotlib.figure.Figure` objects, made without pyplot: show them in a notebook or save them.
Source: Kirichenko (2018), figures 1, 2, 7 and 11 to 14, whose settings are `PROJECTED` (of the tangent noise, too),
`BETA` and `NORMAL`.

>>> from noisezoo.models.laws.directions import rotation_beta
>>> angles([rotation_beta(a) for a in BETA], n=100, count=200).axes[3].get_title()
'alpha = 1'
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..laws.direction import Direction, angle_between, sample
from ..ppl.sphere import rotate
from .text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PROJECTED = tuple(float(a) for a in np.logspace(-4, -1, 8))
BETA = (0.2, 0.3497, 0.6116, 1.0, 1.8701, 3.2702, 5.7186, 10.0)
NORMAL = (0.01, 0.0204, 0.0416, 0.0849, 0.1732, 0.3533, 0.7208, 1.4706, 3.0)


POLE = np.array([0.0, 0.0, 1.0])
CHUNK = 1_000_000  # entries that are drawn at once
BINS = 50
POINTS = 400  # of a curve
VIEW = 25.0, -55.0  # elevation and azimuth from which spheres are seen, degrees


def angles(directions: Sequence[Direction], n: int = 1000, count: int = 10_000, seed: int = 0) -> "Figure":
    """The angle theta between v and vhat in R^n: histograms of `count` draws under the exact density (figures 11-14).

    One panel for each direction, with the exact mean and standard deviation; from 0 to pi/2 or, where the draws lie
    close together, round them.  Raises ValueError for a direction whose law is not known, and for less than two draws.
    """
    if count < 2:
        raise ValueError(f"count must be at least 2, got {count}")
    for direction in directions:
        if direction.law is None:
            raise ValueError(f"{direction.name} has no exact law of the angle; leave it out of this figure")
    figure, panels = _panels(directions, f"angle between v and vhat in R^{n}, {count:,} draws", (3.0, 2.4))
    for panel, direction in zip(panels, directions, strict=True):
        _plot_angle(panel, direction, n, _draw_angles(direction, n, count, seed))
    figure.supxlabel("radians", fontsize=10)
    return figure


def sphere(directions: Sequence[Direction], count: int = 500) -> "Figure":
    """`count` draws round v = (0, 0, 1) on the unit sphere of R^3, one panel for each direction (figures 1 and 7).

    Draws on the far side of the sphere are pale; the arrow is v.
    """
    figure, panels = _panels(directions, f"{count:,} draws round v", (3.0, 3.0), projection="3d")
    for panel, direction in zip(panels, directions, strict=True):
        _plot_sphere(panel)
        points = sample(direction, POLE, count, seed=0)
        near = points @ _eye() > 0
        for side, alpha in [(~near, 0.25), (near, 0.9)]:
            panel.scatter(*points[side].T, s=5, color="C0", alpha=alpha, linewidths=0, depthshade=False)
        _arrow(panel, POLE, "v", "C3")
    return figure


def plane(angle: float = 0.9) -> "Figure":
    """The rotation cos(e) v + sin(e) phi by e = `angle`, radians, in R^3: phi is drawn from a circle (figure 2)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5.4), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d")
    _plot_sphere(axes)
    phi = np.array([math.cos(0.3), -math.sin(0.3), 0.0])
    across, around = np.cross(POLE, phi), np.linspace(0, 2 * math.pi, POINTS)[:, None]
    axes.plot(*rotate(np, phi, across, around).T, "--", color="C0", linewidth=1, label="phi: uniform on this circle")
    axes.plot(*rotate(np, POLE, phi, around).T, ":", color="0.4", label="the plane of v and phi")
    arc = rotate(np, POLE, phi, np.linspace(0, angle, POINTS)[:, None])
    axes.plot(*arc.T, color="C1", linewidth=3, label=f"rotation by e = {angle:g}")
    for end, name, colour in [(POLE, "v", "C3"), (phi, "phi", "C0"), (arc[-1], "vhat", "C1")]:
        _arrow(axes, end, name, colour)
    figure.legend(loc="outside lower center", fontsize=9)
    return figure


def _draw_angles(direction: Direction, n: int, count: int, seed: int) -> np.ndarray:
    """`count` angles in R^n from one random v, drawn in pieces that fit in memory."""
    v = np.random.default_rng(seed).standard_normal(n)
    size = max(1, CHUNK // n)
    pieces = [min(size, count - done) for done in range(0, count, size)]
    seeds = np.random.SeedSequence(seed).generate_state(len(pieces))
    draws = [angle_between(v, sample(direction, v, k, int(s))) for k, s in zip(pieces, seeds, strict=True)]
    return np.concatenate(draws)


def _plot_angle(axes: Any, direction: Direction, n: int, draws: np.ndarray) -> None:
    assert direction.law is not None
    law, (low, high) = direction.law(n), _window(draws)
    heights, *_ = axes.hist(draws, bins=list(np.linspace(low, high, BINS + 1)), density=True, color="0.8")
    grid = np.linspace(low, high, POINTS)
    axes.plot(grid, law.pdf(grid), color="C0")
    axes.set(xlim=(low, high), ylim=(0, 1.35 * np.max(heights)))
    axes.text(0.04, 0.94, f"{law.mean():.3f} ± {law.std():.4f}", transform=axes.transAxes, va="top", fontsize=9)


def _window(draws: np.ndarray) -> tuple[float, float]:
    """The axis of the angle: round the draws, or from 0 to pi/2 (or pi) where they fill a third of that."""
    low, high = float(np.min(draws)), float(np.max(draws))
    if high - low > math.pi / 6:
        return 0.0, max(math.pi / 2, high)
    margin = 0.1 * (high - low)
    return max(0.0, low - margin), high + margin


def _panels(
    directions: Sequence[Direction], title: str, size: tuple[float, float], **kind: Any
) -> tuple["Figure", Any]:
    """A figure with one titled panel for each direction; the name stands above them all if there is just one."""
    from matplotlib.figure import Figure

    if not directions:
        raise ValueError("a figure needs at least one direction, such as projected(0.01)")
    names = {plain(direction.name) for direction in directions}
    columns = min(len(directions), 4 if len(directions) % 3 else 3)
    rows = math.ceil(len(directions) / columns)
    figure = Figure(figsize=(max(4.5, size[0] * columns), size[1] * rows + 0.4), layout="constrained")
    panels = [figure.add_subplot(rows, columns, i + 1, **kind) for i in range(len(directions))]
    for panel, direction in zip(panels, directions, strict=True):
        settings = _settings(direction)
        panel.set_title(settings if len(names) == 1 else f"{plain(direction.name)}\n{settings}", fontsize=10)
    gap = ":\n" if columns == 1 else ": "
    figure.suptitle(f"{names.pop()}{gap}{title}" if len(names) == 1 else title)
    return figure, panels


def _settings(direction: Direction) -> str:
    """``alpha = 0.0139``, or ``alpha = (0.1, 0.2, 0.3)`` for a variance of each coordinate."""
    values = [f"{value:.3g}" for _, value in direction.parameters]
    if len(values) > 1:
        return f"alpha = ({', '.join(values)})"
    return f"{direction.parameters[0][0]} = {values[0]}"


def _plot_sphere(axes: Any) -> None:
    turn, down = np.meshgrid(np.linspace(0, 2 * math.pi, 25), np.linspace(0, math.pi, 13))
    x, y, z = np.sin(down) * np.cos(turn), np.sin(down) * np.sin(turn), np.cos(down)
    axes.plot_wireframe(x, y, z, color="0.6", linewidth=0.3)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(*VIEW)
    axes.set_axis_off()


def _arrow(axes: Any, end: np.ndarray, name: str, colour: str) -> None:
    axes.quiver(0, 0, 0, *end, color=colour, arrow_length_ratio=0.1, linewidth=1.5)
    axes.text(*(1.15 * end), name, color=colour, ha="center", va="center")


def _eye() -> np.ndarray:
    """The direction from the centre of the sphere to whoever looks at it."""
    elevation, azimuth = np.radians(VIEW)
    flat = math.cos(elevation)
    return np.array([flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)])
