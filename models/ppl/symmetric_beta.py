"""Beta(alpha, alpha), in JAX drawn in one pass where alpha > 1/2.

B = 1/2 + sqrt(1 - U^(2 / (2 alpha - 1))) cos(2 pi V) / 2 for uniform U and V (Ulrich 1984; Devroye 1986, section IX.3).
JAX makes a beta of two gammas, each by rejection, a loop that the step of a small net waits for, most of all on a GPU.
"""

import math
from functools import cache
from typing import Any


def symmetric_beta(language: str) -> Any:
    """The function ``alpha -> law`` of a language, alpha > 0 a Python number."""
    return _numpyro if language == "numpyro" else _pyro


def _numpyro(alpha: float) -> Any:
    from numpyro.distributions import Beta

    return (_polar() if alpha > 0.5 else Beta)(alpha, alpha)


def _pyro(alpha: float) -> Any:
    from pyro.distributions import Beta

    return Beta(alpha, alpha)


@cache
def _polar() -> Any:
    import jax
    import jax.numpy as jnp
    from numpyro.distributions import Beta

    class SymmetricBeta(Beta):
        in_one_pass = True  # so that a guide gives it a quick key

        def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
            u, v = jax.random.uniform(key, (2, *sample_shape, *self.batch_shape))
            alpha: Any = self.concentration1
            root = jnp.sqrt(-jnp.expm1(2 / (2 * alpha - 1) * jnp.log1p(-u)))
            return 0.5 + 0.5 * root * jnp.cos(2 * math.pi * v)

    return SymmetricBeta
