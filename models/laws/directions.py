"""The directions by name; what a direction is says `laws.direction`.

======================  =====================================================================================
direction               law of e, or its definition
======================  =====================================================================================
`projected`             atan2(sqrt(alpha r), 1 + sqrt(alpha) z), r ~ chi^2 of n - 1 degrees, z ~ N(0, 1)
`tangent`               tan(e) = sqrt(alpha) chi, chi of n - 1 degrees of freedom
`rotation_normal`       N(0, alpha) truncated to [-pi/2, pi/2]
`rotation_beta`         pi (B - 1/2), B ~ Beta(alpha, alpha)
`von_mises_fisher`      density proportional to sin(e)^(n-2) exp(kappa cos(e)) on [0, pi]; no program
`anisotropic`           not isotropic: the projected normal with a variance for each coordinate
`tangent_as_released`   not isotropic: the tangent noise as the code of the thesis computes it
======================  =====================================================================================

>>> import numpy as np
>>> law = projected(0.0139).law(1000)
>>> f"{law.mean():.3f} {law.std():.3f}"
'1.309 0.030'
>>> vhat = sample(tangent(0.01), np.ones((5, 3)), count=100, seed=0)
>>> vhat.shape, bool(np.all(angle_between(np.ones(3), vhat) < np.pi / 2))
((100, 5, 3), True)
"""

from collections.abc import Callable

from .direction import Direction
from .direction import angle_between as angle_between
from .direction import sample as sample
from .projections import anisotropic, projected, tangent, tangent_as_released
from .rotations import rotation_beta, rotation_normal, von_mises_fisher

DIRECTIONS: dict[str, Callable[..., Direction]] = {
    f.__name__: f
    for f in (projected, tangent, tangent_as_released, rotation_normal, rotation_beta, von_mises_fisher, anisotropic)
}
