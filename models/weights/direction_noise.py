"""Direction and magnitude noise: turn and stretch a weight vector instead of jittering its entries.

Kirichenko (2018), sections 3.2 to 3.5, on top of weight normalisation (`weight_norm`), w = g v: any law of
`laws.directions`, and a mean-one noise on g, on weights, on activations, or on both, whose laws stay what they are.

=========================  =================================  ==========================================
site                       law                                with the guide ``dropout``
=========================  =================================  ==========================================
``layerN.base``            v: its direction uniform           a point
``layerN.magnitude``       g: half-Cauchy                     a point
``layerN.noise.*``         angle (or its radius and shift),   drawn; ``mask=function``: once for a
                           plane z and magnitude, (units,)    minibatch, ``mask=example``: by each row
``layerN.signal.noise.*``  the same of the activations        drawn, likewise
=========================  =================================  ==========================================

With ``mask=example`` a rotation of *weights* is drawn for each row, too, exactly (`unsampled.rotated`): the thesis has
one for the minibatch.  Where it learns a posterior of the rotation, see `papers.direction_magnitude`.
"""

import math
from functools import cache
from typing import TYPE_CHECKING, Any

from ...errors import check_size, unknown
from ..noises import Noise, gamma_dropout, gaussian_dropout
from ..ppl import PPL
from ..ppl.named import named
from ..unsampled.per_row import PerRow
from ..unsampled.rotated import Rotated, vector_axes
from ..unsampled.signal import DENSE, Signal
from .parametrisation import Prior
from .weight_norm import check_entries, check_over, direction, entries, magnitude, side, units

if TYPE_CHECKING:
    from ..laws.direction import Direction  # which needs NumPy


ON = ("weights", "activations", "both")
STRETCHES: dict[str, Any] = {"none": None, "normal": gaussian_dropout, "gamma": gamma_dropout}


@cache
def direction_noise(
    law: "Direction | None", on: str = "weights", over: str = "outputs", stretch: Noise | None = None
) -> Prior:
    """The prior ``(p, name, shape) -> weight`` of weight-normalised layers under direction noise.

    Parameters
    ----------
    law : of the direction; None to leave it alone.
    on : ``"weights"``, ``"activations"`` or ``"both"``, with noise of its own on either.
    over : whether a weight vector belongs to one of the ``"outputs"`` or of the ``"inputs"``.
    stretch : a noise of mean one on the magnitude: of each weight vector, or of each row's activations.
    """
    check_over(over)
    if on not in ON:
        raise unknown("place of noise", on, ON)
    if law is not None and law.angle is None:
        if law.draw is not None:
            raise ValueError(f"{law.name} is a law to compare with and has no program; use rotation_normal")
        if on != "weights":
            raise ValueError(f"{law.name} is defined for weights; leave out on={on}, or use projected or tangent")

    @named(f"{law.name if law else 'weight_norm'}:on={on},over={over}")
    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        if on != "weights" and len(shape) != 2:
            raise ValueError(DENSE)
        if law is not None and on != "weights" and shape[0] < 2:
            raise ValueError(
                f"the activations before {name} are single numbers, which cannot be turned; use on='weights'"
            )
        if law is not None and on != "activations":
            check_entries(name, shape, over)
        v, g = direction(p, name, shape, over), magnitude(p, name, shape, over)
        turned = Rotated(v, None, None, (g,), side(shape, over))
        if on != "activations":
            turned = _noisy(p, f"{name}.noise", law, turned, stretch)
        w = recorded(p, name, turned)
        return w if on == "weights" else _signal(p, f"{name}.signal.noise", law, w, stretch)

    return weight


def _noisy(p: PPL, name: str, law: "Direction | None", turned: Rotated, stretch: Noise | None) -> Rotated:
    """The weight under noise; a law that is no rotation has turned it here, alike for all rows."""
    shape, along = turned.shape, vector_axes(turned.shape, turned.over)
    count = units(shape, turned.over)
    turned = turned._replace(factors=(*turned.factors, _stretch(p, f"{name}.magnitude", stretch, count)))
    if law is None:
        return turned
    if law.angle is None:
        z = plane_site(p, name, shape, per_row=False, mean=math.nan, centre=0.0)
        return turned._replace(direction=law.turn(p.xp, turned.direction, z, axes=along))
    z = plane_site(p, name, shape, per_row=True, unsampled=True)
    return turned._replace(angle=law.angle(p, name, count, entries(shape, turned.over)), plane=z)


def _signal(p: PPL, name: str, law: "Direction | None", w: Any, stretch: Noise | None) -> Signal:
    factor = _stretch(p, f"{name}.magnitude", stretch, ())
    if law is None:
        return Signal(w, None, None, factor)
    assert law.angle is not None  # see `direction_noise`
    return Signal(w, law.angle(p, name, (), w.shape[0]), plane_site(p, name, w.shape[:1], per_row=True), factor)


def plane_site(p: PPL, name: str, shape: tuple[int, ...], **facts: Any) -> Any:
    """Standard normals whose part at right angles to v is where it turns to; `facts` tell a guide what it may do."""
    law = p.dist.Normal(0.0, 1.0).expand(shape).to_event(len(shape))
    return p.sample(f"{name}.plane", law, infer={"guide": "plane", **facts})


def _stretch(p: PPL, name: str, stretch: Noise | None, shape: tuple[int, ...]) -> Any:
    factor = 1.0 if stretch is None else stretch(p, name, shape)
    return factor.scale if isinstance(factor, PerRow) else factor


def recorded(p: PPL, name: str, turned: Rotated) -> Any:
    """An array, recorded, where rows have no noise of their own."""
    return p.deterministic(f"{name}.weight", turned.array()) if turned.drawn else turned


@cache
def named_direction_noise(
    direction: str,
    alpha: float,
    on: str = "weights",
    over: str = "outputs",
    magnitude: str = "none",
    magnitude_alpha: float | None = None,
) -> Prior:
    """`direction_noise` by names: a law of `DIRECTIONS`, and a magnitude of `STRETCHES`, its variance 0.1."""
    from ..laws.directions import DIRECTIONS

    if magnitude not in STRETCHES:
        raise unknown("noise on the magnitude", magnitude, STRETCHES)
    stretch = STRETCHES[magnitude]
    if stretch is None and magnitude_alpha is not None:
        raise ValueError("magnitude_alpha is the variance of a noise on the magnitude; set magnitude=normal or gamma")
    variance = 0.1 if magnitude_alpha is None else magnitude_alpha
    check_size("magnitude_alpha", variance)
    return direction_noise(DIRECTIONS[direction](alpha), on, over, stretch and stretch(variance))
