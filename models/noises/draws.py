"""Draws of scales, and of the weights that they make, from the program of a noise."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ppl import language, ppl
from ..ppl.compiled import kept
from ..ppl.programs import draw_sites
from .noise import Noise, as_noise


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


def _draw(noise: Noise, site: str, n: int, seed: int) -> np.ndarray:
    nothing = language("numpyro").xp.zeros(())
    return draw_sites(_one_weight(noise), ("scale", "weight"), n, seed, noise.name, nothing)[site].astype(float)


@kept
def _one_weight(noise: Noise) -> Callable:
    def program(x: Any) -> None:
        p = ppl(x)
        scale = p.deterministic("scale", noise(p, "noise", ()))
        p.deterministic("weight", scale * p.sample("base", p.dist.Normal(0.0, 1.0)))

    return program
