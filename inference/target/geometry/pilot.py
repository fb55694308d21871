"""A short chain that finds the scales of a posterior and its curvature, from gradients alone, in either language.

It is in windows.  Within a window it takes Langevin steps in coordinates divided by `root`, and at every step one turn
of a power iteration: the difference of two gradients, half a posterior sd apart along `direction`, is the Hessian times
that direction, and its length the largest curvature nearby.  Steps are short against that, so that the chain is stable
from its first point on.  A window ends with new scales,

    root_i^2 = sd(z_i) / sd(gradient_i),

the diagonal preconditioner that is nearest to the posterior in Fisher divergence (Seyboldt, Carlson & Carpenter 2026).
It is exact for independent normals however short the way that the chain has gone, so that coordinates whose scales
differ by many orders of magnitude take two windows.  In the last window the scales stay, and the curvature relative to
them, and the variance of minibatch gradients, are what the pilot finds.
"""

import math
from typing import Any, NamedTuple

from ..moments import Moments, all_updated, mean_and_sd, no_moments

ENDS = (50, 100, 200, 300)  # steps at which a window ends with new scales
STEPS = 500  # of the pilot
REST = 10  # steps at the beginning of a window, which wait for the power iteration
PACE = 0.25  # step size times curvature
MEMORY = 0.9  # of the largest curvature of late
REACH = 0.5  # posterior sds between the two gradients
ROWS = 1000  # of a pilot for minibatches, which looks at the same ones throughout


class Pilot(NamedTuple):
    """The chain.

    z, root, direction : by site; the last two in units of 1 / root.
    bound : the largest curvature of late, relative to the scales.
    gathered : `Moments` of this window: ``z``, ``gradient``, ``curvature`` and ``noise``, the squared deviation of a
        minibatch gradient, by site and relative to the scales.
    t, begun : steps so far, and before this window.
    """

    z: dict
    root: dict
    direction: dict
    bound: Any
    gathered: dict[str, Moments]
    t: Any
    begun: Any


def begin(xp: Any, z: dict, direction: dict, t: Any, root: dict | None = None) -> Pilot:
    """A pilot at `z`; `direction` is any, and `t` a zero; with scales `root` it begins with the last window."""
    zeros = {name: 0 * v for name, v in z.items()}
    t = t if root is None else t + ENDS[-1]
    root = {k: v + 1 for k, v in zeros.items()} if root is None else root
    bound = xp.asarray(0.0)
    values = {"z": zeros, "gradient": zeros, "curvature": {"": bound}, "noise": zeros}
    gathered = {name: no_moments(xp, v) for name, v in values.items()}
    return Pilot(z, root, _unit(xp, direction)[0], bound, gathered, t, t)


def ahead(xp: Any, pilot: Pilot) -> dict:
    """The point whose gradient a step needs beside that at the pilot's own."""
    reach = _reach(xp, pilot)
    return {name: z + reach * pilot.root[name] * pilot.direction[name] for name, z in pilot.z.items()}


def advanced(
    xp: Any, pilot: Pilot, gradient: dict, gradient_ahead: dict, batch_gradient: dict, noise: dict, temperature: float
) -> Pilot:
    """The pilot after a step: gradients of the log joint at its point, at `ahead`, and of a minibatch at its point."""
    root, resting = pilot.root, pilot.t - pilot.begun < REST
    reach = _reach(xp, pilot)
    difference = {k: (g - gradient_ahead[k]) * root[k] / reach for k, g in gradient.items()}
    direction, length = _unit(xp, difference)
    valid = xp.isfinite(length) & (length > 0)
    direction = {k: xp.where(valid, v, pilot.direction[k]) for k, v in direction.items()}
    bound = xp.where(valid, length, 2 * pilot.bound)
    bound = xp.where(bound > MEMORY * pilot.bound, bound, MEMORY * pilot.bound)
    size = xp.where(resting | ~(bound > 0), 0 * bound, PACE / xp.where(bound > 0, bound, 1 + bound))
    values = {
        "z": pilot.z,
        "gradient": gradient,
        "curvature": {"": bound},
        "noise": {k: (root[k] * (g - gradient[k])) ** 2 for k, g in batch_gradient.items()},
    }
    weight = xp.where(resting, 0.0, 1.0)
    gathered = all_updated(xp, pilot.gathered, values, weight)
    width = xp.sqrt(2 * temperature * size)
    z = {k: v + size * root[k] ** 2 * gradient[k] + width * root[k] * noise[k] for k, v in pilot.z.items()}
    return _windowed(xp, Pilot(z, root, direction, bound, gathered, pilot.t + 1, pilot.begun))


def step_size(xp: Any, pilot: Pilot, widening: tuple[float, float], excess: float, temperature: float) -> Any:
    """The step size, relative to the scales, at which the variance along the steepest direction is too large by a share
    `excess`; `widening` is how much of it goes with a step, by its curvature and by the variance of the gradient.

    The curvature is one sd above its mean over the last window, as it varies along the chain; the variance of a
    minibatch gradient is that of the coordinate where it is largest.
    """
    mean, sd = (part[""] for part in mean_and_sd(xp, pilot.gathered["curvature"]))
    noise = xp.max(xp.stack([xp.max(v) for v in pilot.gathered["noise"].mean.values()]))
    return excess / (widening[0] * (mean + sd) + widening[1] * noise / temperature)


def scales(xp: Any, gathered: dict[str, Moments], old: dict) -> dict:
    """sqrt(sd(z) / sd(gradient)) by site, from moments of both along a chain; `old` ones where that is no number."""

    def scale(name: str) -> Any:
        new = (gathered["z"].squares[name] / gathered["gradient"].squares[name]) ** 0.25
        return xp.where(xp.isfinite(new) & (new > 0), new, old[name])

    return {name: scale(name) for name in old}


def geometric_mean(xp: Any, root: dict) -> Any:
    """Of all the numbers in a dict by site."""
    return xp.exp(sum(xp.sum(xp.log(v)) for v in root.values()) / sum(math.prod(v.shape) for v in root.values()))


def _windowed(xp: Any, pilot: Pilot) -> Pilot:
    """The pilot with new scales, and all else begun anew, if a window ends here."""
    ends = sum(xp.where(pilot.t == end, 1.0, 0.0) for end in ENDS) > 0
    new = scales(xp, pilot.gathered, pilot.root)
    fresh = {
        name: Moments(
            *(xp.where(ends, 0 * m.weight, m.weight),),
            *({k: xp.where(ends, 0 * v, v) for k, v in part.items()} for part in (m.mean, m.squares)),
        )
        for name, m in pilot.gathered.items()
    }
    return pilot._replace(
        root={name: xp.where(ends, new[name], old) for name, old in pilot.root.items()},
        bound=xp.where(ends, 0 * pilot.bound, pilot.bound),
        gathered=fresh,
        begun=xp.where(ends, pilot.t, pilot.begun),
    )


def _reach(xp: Any, pilot: Pilot) -> Any:
    return REACH / xp.sqrt(xp.where(pilot.bound > 0, pilot.bound, 1 + 0 * pilot.bound))


def _unit(xp: Any, values: dict) -> tuple[dict, Any]:
    """Values by site divided by their length, and that length."""
    largest = xp.max(xp.stack([xp.max(xp.abs(v)) for v in values.values()]))
    divisor = xp.where(
        largest > 0, largest, 1 + 0 * largest
    )  # squares of what is large have no end in single precision
    length = divisor * xp.sqrt(sum(xp.sum((v / divisor) ** 2) for v in values.values()))
    return {name: v / length for name, v in values.items()}, length
