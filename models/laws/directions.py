"""The directions by name."""

from collections.abc import Callable

from .direction import Direction
from .projections import anisotropic, projected, tangent, tangent_as_released
from .rotations import rotation_beta, rotation_normal, von_mises_fisher

DIRECTIONS: dict[str, Callable[..., Direction]] = {
    f.__name__: f
    for f in (
        projected,
        tangent,
        tangent_as_released,
        rotation_normal,
        rotation_beta,
        von_mises_fisher,
        anisotropic,
    )
}
