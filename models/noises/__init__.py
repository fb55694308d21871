"""The laws of a multiplicative scale, by family; each is a function that returns a `Noise`.

`noise` says what a noise is, `marginal` what prior it induces on a weight, `draws` draws from it.

>>> half_cauchy(scale=0.5).prior
'horseshoe'
"""

from collections.abc import Callable

from .discrete import bernoulli
from .dropout import gamma_dropout, gaussian, gaussian_dropout
from .improper import log_uniform
from .noise import Noise
from .noise import as_noise as as_noise
from .shrinkage import (
    beta,
    gamma_precision,
    half_cauchy,
    inverse_gamma,
    inverse_nakagami,
    log_normal,
    rayleigh,
    regularised_half_cauchy,
    uniform,
)

NOISES: dict[str, Callable[..., Noise]] = {
    f.__name__: f
    for f in (
        bernoulli,
        gaussian,
        gaussian_dropout,
        gamma_dropout,
        rayleigh,
        inverse_nakagami,
        inverse_gamma,
        gamma_precision,
        half_cauchy,
        regularised_half_cauchy,
        uniform,
        beta,
        log_normal,
        log_uniform,
    )
}
