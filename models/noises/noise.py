"""Noise: the law of a multiplicative scale, and the prior that it induces on a weight.

A noise is a function ``(p, name, shape) -> scales`` that samples scales lambda of exactly `shape` in the language `p`
(see `ppl`), at a site called `name` and, where it needs more, at sites ``name.<something>``.
With w = lambda z and z ~ N(0, sigma0^2), the weight w has a Gaussian scale mixture as its prior (Andrews & Mallows
1974; Nalisnick, Anandkumar & Smyth 2015, eqs 6 and 7).  `Noise` puts the known facts about that prior around
the function; what is not known is computed (`noises.marginal`).  A bare function is as good a noise:

>>> def exponential(p, name, shape):
...     return p.sample(name, p.dist.Exponential(1.0).expand(shape).to_event(len(shape)))
>>> as_noise(exponential).name
'exponential'

The main site is lambda itself wherever both languages have its distribution, if need be as a power of a Gamma variable.
One site, positive, hence sampled as log lambda by NUTS and by the automatic guides: the same geometry as log lambda^2
or the log precision, and no second name for the same thing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import check_size
from ..laws.m_steps import MStep
from ..ppl import PPL

Program = Callable[[PPL, str, tuple[int, ...]], Any]


GSM = "Nalisnick, Anandkumar & Smyth (2015), section 3"
SHRINKAGE = "Nalisnick, Hernandez-Lobato & Smyth (2019), table of noise distributions"


@dataclass(frozen=True, repr=False)
class Noise:
    """A noise program and what is known about it; calling it runs the program.

    Parameters
    ----------
    program : ``(p, name, shape) -> scales``, an array of exactly `shape`.
    name, parameters : what it is called and its settings, as pairs.
    prior : what the literature calls the induced prior on a weight.
    source : paper and equation.
    law : ``() -> scipy.stats distribution`` of lambda^2, its parameters fixed; None where unknown or improper.
    closed_form : ``(w, sigma0) -> log p(w)``, elementwise in NumPy; of the part that has a density.
    row : ``(w, sigma0) -> log p(w)`` of rows, shape (..., d) -> (...), whose d weights share one lambda.
    weight : ``(p, sigma0) -> distribution`` of one weight, where both languages have it.
    row_weight : ``(p, sigma0, d) -> distribution`` of one row, event shape (d,), where both languages have it.
    m_step : the scale that fits its weights best, in closed form (`laws.m_steps`); the site of lambda carries it
        too, as ``infer={"m_step": ...}``, for the guide ``em``.
    proper : whether p(lambda) integrates to one.
    discrete : whether lambda has no density.
    signed : whether lambda may be negative.
    """

    program: Program
    name: str
    parameters: tuple[tuple[str, float], ...] = ()
    prior: str = ""
    source: str = ""
    law: Callable[[], Any] | None = None
    closed_form: Callable[[Any, float], Any] | None = None
    row: Callable[[Any, float], Any] | None = None
    weight: Callable[[PPL, float], Any] | None = None
    row_weight: Callable[[PPL, float, int], Any] | None = None
    m_step: MStep | None = None
    proper: bool = True
    discrete: bool = False
    signed: bool = False

    def __call__(self, p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        """Scales of exactly `shape`; raises ValueError if the program returns anything else."""
        scales = self.program(p, name, shape)
        returned = getattr(scales, "shape", None)
        if returned is None or tuple(returned) != tuple(shape):
            description = f"a {type(scales).__name__}" if returned is None else f"shape {tuple(returned)}"
            raise ValueError(
                f"noise {self.name} returned {description} where scales of shape {tuple(shape)} were asked for; "
                "sample from D(...).expand(shape).to_event(len(shape)) and return the result"
            )
        return scales

    def __repr__(self) -> str:
        return f"<noise {self}>"

    def __str__(self) -> str:
        settings = ", ".join(f"{k}={v:g}" for k, v in self.parameters)
        return f"{self.name}({settings})" if settings else self.name


def as_noise(f: Noise | Program) -> Noise:
    """`f` itself if it is a Noise, else a Noise without facts around the function; raises TypeError otherwise."""
    if isinstance(f, Noise):
        return f
    if not callable(f):
        raise TypeError(f"a noise is a function (p, name, shape) -> scales, got a value of type {type(f).__name__}")
    return Noise(f, getattr(f, "__name__", type(f).__name__))


def scale_site(
    p: PPL, name: str, shape: tuple[int, ...], law: Any, m_step: MStep | None = None, per_row: bool = False
) -> Any:
    """The site of lambda; `per_row` where a layer may draw normal scales for each row (`unsampled.per_row`)."""
    infer = {**({"m_step": m_step} if m_step else {}), **({"per_row": True} if per_row else {})}
    return p.sample(name, law.expand(shape).to_event(len(shape)), infer=infer)


def row_of_one(row: Callable[[Any, float], Any]) -> Callable[[Any, float], Any]:
    """The law of one weight as that of a row of one."""

    def closed_form(w: Any, sigma0: float) -> Any:
        import numpy as np

        return row(np.asarray(w)[..., None], sigma0)

    return closed_form


def scipy_law(name: str, *args: float, **kwargs: float) -> Callable[[], Any]:
    """``() -> scipy.stats distribution`` of this name, which imports SciPy only when called."""

    def law() -> Any:
        from scipy import stats

        return getattr(stats, name)(*args, **kwargs)

    return law


def check_positive(noise: str, **parameters: float) -> None:
    """Raise ValueError unless these parameters of a noise are positive and not too large or small to compute with."""
    for name, value in parameters.items():
        check_size(f"{noise}: {name}", value)
