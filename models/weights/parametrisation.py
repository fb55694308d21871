"""From scale to weight: the same prior in three parametrisations, and noise on normalised weights.

With lambda from a structure and sigma0 the width of the underlying Gaussian (Nalisnick, Anandkumar & Smyth 2015, eqs 6
and 7, Fig. 1):

- ``hierarchical`` (centred): w ~ N(0, lambda^2 sigma0^2);
- ``expanded`` (non-centred): z ~ N(0, sigma0^2), w = lambda z;
- ``marginal``: w from p(w) = int N(w; 0, lambda^2 sigma0^2) p(lambda) dlambda, lambda integrated out.

These three give a weight the same law.  They differ in what is sampled, hence in how well an inference works.  The
fourth is a law of its own:

- ``weight_norm``: w = lambda g v / norm(v), noise on weight-normalised layers (`models.weights.weight_norm`).
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from ...errors import check_size, unknown
from ..noises import Noise, as_noise
from ..ppl import PPL
from ..ppl.named import name_of, named
from ..unsampled.local_reparameterisation import Unsampled
from ..unsampled.per_row import PerRow
from . import weight_norm
from .structure import STRUCTURES, Structure, add, ard, iid

FORMS = ("expanded", "hierarchical", "marginal", "weight_norm")
AUTO = "auto"  # expanded or hierarchical, as a pilot run decides for each layer
Prior = Callable[[PPL, str, tuple[int, ...]], Any]


@cache
def prior(
    noise: Noise | Callable, structure: Structure | str = ard, form: str = "expanded", sigma0: float | None = None
) -> Prior:
    """The prior ``(p, name, shape) -> weight`` of a weight under a noise, `shape` being (..., unit_in, unit_out).

    Parameters
    ----------
    noise : a Noise, or any function ``(p, name, shape) -> scales``.
    structure : who shares a scale: a function, or ``"iid"``, ``"ard"``, ``"add"``, ``"ard_add"``.
    form : ``"expanded"``, ``"hierarchical"``, ``"marginal"`` or ``"weight_norm"`` (see the module); or one for each
        layer, as in ``"layer0=hierarchical,layer1=expanded"``.
    sigma0 : standard deviation of the weight at lambda = 1; by default 1 / sqrt(fan_in).  In the last form, where it is
        the median of g over the root of the vector's entries.

    The returned function samples the sites ``{name}.scale`` and ``{name}.weight`` (``{name}.base`` in expanded form,
    where the weight is a deterministic site, and with it ``{name}.magnitude`` in the last form; no scale in marginal
    form).  The same arguments give the same function.

    Raises ValueError where the combination does not exist: a discrete noise has no density in hierarchical form, and
    few noises have a marginal that both languages can sample.
    """
    noise = as_noise(noise)
    if isinstance(structure, str):
        if structure not in STRUCTURES:
            raise unknown("structure", structure, STRUCTURES)
        structure = STRUCTURES[structure]
    if "=" in form:
        return _by_layer({layer: prior(noise, structure, of, sigma0) for layer, of in _layers(form).items()})
    if form == AUTO:
        raise ValueError("form='auto' needs the data: noisezoo compare has it, and in Python driver.form.choose_form")
    if form not in FORMS:
        raise unknown("form", form, FORMS)
    if sigma0 is not None:
        check_size("sigma0", sigma0)
    if form == "hierarchical" and noise.discrete:
        raise ValueError(f"{noise.name} has scales of exactly zero, where N(0, 0) has no density; use form='expanded'")
    name = f"{noise} {name_of(structure)} {form}"
    if form == "marginal":
        return named(name)(_marginal(noise, structure, sigma0))

    @named(name)
    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        s0 = _width(sigma0, shape)
        scale = structure(p, f"{name}.scale", noise, shape)
        if form == "weight_norm":
            g = weight_norm.magnitude(p, name, shape, scale=s0 * math.sqrt(weight_norm.entries(shape, "outputs")))
            return _record(p, f"{name}.weight", scale * (g * weight_norm.direction(p, name, shape)))
        if form == "expanded":
            base = p.sample(f"{name}.base", p.dist.Normal(0.0, s0).expand(shape).to_event(len(shape)))
            return _record(p, f"{name}.weight", scale * base)
        sd = s0 * (p.xp.abs(scale) if noise.signed else scale)
        return p.sample(f"{name}.weight", p.dist.Normal(0.0, sd).expand(shape).to_event(len(shape)))

    return weight


def _layers(form: str) -> dict[str, str]:
    """Layer -> form of ``layer0=hierarchical,layer1=expanded``."""
    pairs = [[part.strip() for part in token.split("=")] for token in form.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs) or len(dict(pairs)) != len(pairs):
        raise ValueError(f"write a form for each layer once, as in layer0=hierarchical,layer1=expanded, not {form!r}")
    return dict(pairs)


def _by_layer(priors: dict[str, Prior]) -> Prior:
    """The prior that is another one in every layer."""

    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        if name not in priors:
            raise ValueError(
                f"the form says nothing of {name}; write {name}=expanded beside those of {', '.join(priors)}"
            )
        return priors[name](p, name, shape)

    return weight


@cache
def normal(sigma0: float | None = None) -> Prior:
    """The prior without noise, N(0, sigma0^2) for every weight, with the site ``{name}.weight``; see `prior`."""
    if sigma0 is not None:
        check_size("sigma0", sigma0)

    @named("normal" if sigma0 is None else f"normal:sigma0={sigma0:g}")
    def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
        law = p.dist.Normal(0.0, _width(sigma0, shape))
        return p.sample(f"{name}.weight", law.expand(shape).to_event(len(shape)))

    return weight


def _record(p: PPL, name: str, weight: Any) -> Any:
    """A deterministic site, of a weight that has a value to record."""
    return weight if isinstance(weight, (Unsampled, PerRow)) else p.deterministic(name, weight)


def _width(sigma0: float | None, shape: tuple[int, ...]) -> float:
    return 1.0 / math.sqrt(math.prod(shape[:-1])) if sigma0 is None else sigma0


def _marginal(noise: Noise, structure: Structure, sigma0: float | None) -> Prior:
    """Lambda integrated out: per weight under iid, per row under ard, over the whole matrix under add."""
    weight_law, row = noise.weight, noise.row_weight
    if structure is iid and weight_law is not None:

        def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
            law = weight_law(p, _width(sigma0, shape))
            return p.sample(f"{name}.weight", law.expand(shape).to_event(len(shape)))

    elif structure is ard and row is not None:

        def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
            units, rest = shape[-2], (*shape[:-2], shape[-1])
            law = row(p, _width(sigma0, shape), math.prod(rest)).expand((units,)).to_event(1)
            if len(shape) == 2:
                return p.sample(f"{name}.weight", law)
            rows = p.sample(f"{name}.row", law).reshape((units, *rest))  # a kernel's rows are not its last axes
            return p.deterministic(f"{name}.weight", p.xp.moveaxis(rows, 0, -2))

    elif structure is add and row is not None:

        def weight(p: PPL, name: str, shape: tuple[int, ...]) -> Any:
            flat = p.sample(f"{name}.row", row(p, _width(sigma0, shape), math.prod(shape)))
            return p.deterministic(f"{name}.weight", flat.reshape(shape))

    else:
        raise ValueError(
            f"{noise.name} with structure {name_of(structure)} has no marginal that both languages can sample; "
            "use form='hierarchical' or form='expanded'"
        )
    return weight
