"""What a posterior of directions and magnitudes learned of each unit, and how its network predicts.

Of the prior ``direction_magnitude`` (Kirichenko 2018, section 4.1): a unit is a weight vector w = g (cos(e) v + sin(e)
phi), into one of the outputs of its layer or, with ``over=inputs``, out of one of its inputs.  The thesis says (section
5.2, figure 6) that where q(g) has its peak at zero the direction is nearly uniform and where it has not the angle is
small, and that units whose q(g) is nearly a delta at zero can be removed without loss.

Everything is of one chain: chains of a network are different networks, whose units do not correspond.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...models.ppl import truncated_quantile
from ..driver.result import Fit
from ..target.sites import Arrays
from .accuracy import error_and_density
from .functionals import log_alpha
from .predict import predict

QUARTER = math.pi / 2  # where the angle ends
LEGENDRE, LEGENDRE_WEIGHTS = ((v + d) / 2 for v, d in zip(np.polynomial.legendre.leggauss(64), (1, 0), strict=True))
# the quantiles at which means over an angle are taken, dense at the ends, where quantiles are steep
LEVELS, WEIGHTS = LEGENDRE**2 * (3 - 2 * LEGENDRE), 6 * LEGENDRE * (1 - LEGENDRE) * LEGENDRE_WEIGHTS


class Learned(NamedTuple):
    """The parts of a `Fit` that these functions look at."""

    strategy: str
    draws: Arrays
    loc: Arrays
    scale: Arrays


def by_unit(fit: Fit | Learned, chain: int = 0) -> pd.DataFrame:
    """One row for each unit of each layer.

    ``layer``, ``unit`` : its place.
    ``m``, ``sd`` : mean and standard deviation of g.
    ``size`` : sqrt(E[g^2]) = sqrt(m^2 + sd^2).
    ``log_alpha`` : log(sd^2 / m^2).
    ``angle``, ``angle_sd`` : mean and standard deviation of e, in radians; of the uniform law pi / 4 and pi / sqrt(48).
    ``mean_cosine`` : E[cos e].
    ``shrunk`` : abs(m) E[cos e], the length of E[w] where phi is uniform (not with svi's plane=learned) and g and e are
        independent (not under nuts).

    They are those of q where the fit has its `loc` and `scale`, as the guides ``local`` and ``flipout`` do, else of the
    draws.  Raises ValueError if it is a fit of another prior, or there is no such chain.
    """
    return pd.concat([_of_layer(fit, layer, chain) for layer in layers(fit, chain)], ignore_index=True)


def from_tree(tree: Any) -> Learned:
    """The same of a fit's DataTree."""
    draws = {str(name): site.transpose("chain", "draw", ...).values for name, site in tree["posterior"].items()}
    group = tree["guide"].data_vars.items() if "guide" in tree.children else ()
    moments = {str(name): site.transpose("chain", ...).values for name, site in group}
    scale = {name.removesuffix(".sd"): values for name, values in moments.items() if name.endswith(".sd")}
    return Learned(tree.attrs["strategy"], draws, {name: moments[name] for name in scale}, scale)


def direction_layers(sites: Iterable[str]) -> list[str]:
    """The layers that have an angle and a magnitude for each unit; none of another prior than direction_magnitude."""
    sites = set(map(str, sites))
    with_angle = [site.removesuffix(".angle") for site in sites if site.endswith(".angle")]
    return [layer for layer in with_angle if {f"{layer}.magnitude", f"{layer}.base"} <= sites]


def layers(fit: Fit | Learned, chain: int = 0) -> list[str]:
    """The names of the layers in their order; raises ValueError as `by_unit` does."""
    names = direction_layers(fit.draws)
    if not names:
        raise ValueError(
            "by_unit() needs a fit whose units have directions and magnitudes: this one has no layer with sites such "
            "as layer0.angle, layer0.magnitude and layer0.base"
        )
    chains = len(fit.draws[f"{names[0]}.angle"])
    if not 0 <= chain < chains:
        raise ValueError(f"there is no chain {chain}; choose one from 0 to {chains - 1}")
    return sorted(names, key=lambda layer: (len(layer), layer))


def magnitude_law(fit: Fit | Learned, layer: str, chain: int = 0) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and sd of the normal q(g), (units,) each; None where g has another law, which only draws tell."""
    return _law(fit, f"{layer}.magnitude", chain)


def angle_law(fit: Fit | Learned, layer: str, chain: int = 0) -> tuple[np.ndarray, np.ndarray] | None:
    """loc and scale, (units,) each, of the normal that is cut to [0, pi/2] for q(e); None where only draws tell."""
    return _law(fit, f"{layer}.angle", chain)


def posterior_prediction_modes(model: Callable, fit: Fit | Learned, x: Any, y: Any, chain: int = 0) -> pd.DataFrame:
    """How well a chain predicts in each way, as `inference.judging.prediction_modes` has them for noise.

    ``ensemble`` : the mean predictive density over its draws.
    ``one_draw`` : that of a single one; the numbers are means over the draws.
    ``mean_weights`` : the network with the weights E[w] = m E[cos e] v, and its other sites at their means.
    ``centre`` : the same with m v, which is longer.

    Parameters
    ----------
    model : the program that was fitted.
    x, y : arrays (rows, features) and (rows,), of the language to run in.

    Returns a frame with a row for each way and the columns ``accuracy`` (a share; for a regression ``rmse``) and
    ``mlpd`` (nats).  The last two have no numbers where E[w] has no closed form: under svi's plane=learned, and where
    the fit is none of the guides ``local`` and ``flipout``.  Raises ValueError as `by_unit` does.
    """

    def judged(draws: Arrays) -> tuple[dict[str, float], dict[str, float]]:
        """Of all draws together, and the mean over them."""
        prediction = predict(model, draws, x, y)
        assert prediction.log_lik is not None  # there is a y
        f, log_lik = prediction.f[0], prediction.log_lik[0]
        scores = [error_and_density(np.asarray(y), f[i : i + 1], log_lik[i : i + 1]) for i in range(len(f))]
        means = {name: float(np.mean([row[name] for row in scores])) for name in scores[0]}
        return error_and_density(np.asarray(y), f, log_lik), means

    names = layers(fit, chain)
    closed_form = all(angle_law(fit, layer, chain) and f"{layer}.plane" not in fit.loc for layer in names)
    ensemble, one_draw = judged({site: values[chain : chain + 1] for site, values in fit.draws.items()})
    rows = {"ensemble": ensemble, "one_draw": one_draw, "mean_weights": {}, "centre": {}}
    for mode in ("mean_weights", "centre") if closed_form else ():
        rows[mode], _ = judged(_one_network(fit, names, mode, chain))
    return pd.DataFrame.from_dict(rows, orient="index")


def _one_network(fit: Fit | Learned, names: list[str], mode: str, chain: int) -> Arrays:
    """The sites (1, 1, ...) of the network that predicts in this way; a plane of zeros leaves v alone."""
    sites = {site: values[chain].mean(axis=0) for site, values in fit.draws.items() if not site.endswith(".weight")}
    sites |= {site: loc[chain] for site, loc in fit.loc.items()}
    for layer in names:
        table = _of_layer(fit, layer, chain)
        cosine = table["mean_cosine"].to_numpy() if mode == "mean_weights" else np.ones(len(table))
        sites |= {f"{layer}.magnitude": table["m"].to_numpy(), f"{layer}.angle": np.arccos(np.minimum(cosine, 1.0))}
        sites[f"{layer}.plane"] = np.zeros_like(sites[f"{layer}.plane"])
    return {site: np.asarray(value, np.float32)[None, None] for site, value in sites.items()}


def _of_layer(fit: Fit | Learned, layer: str, chain: int) -> pd.DataFrame:
    g = fit.draws[f"{layer}.magnitude"][chain].astype(np.float64)
    m, sd = magnitude_law(fit, layer, chain) or (g.mean(axis=0), g.std(axis=0))
    e, weights = _angles(fit, layer, chain)
    angle, mean_cosine = weights @ e, weights @ np.cos(e)
    return pd.DataFrame(
        {
            "layer": layer,
            "unit": np.arange(len(m)),
            "m": m,
            "sd": sd,
            "size": np.hypot(m, sd),
            "log_alpha": log_alpha(m, sd),
            "angle": angle,
            "angle_sd": np.sqrt(weights @ (e - angle) ** 2),
            "mean_cosine": mean_cosine,
            "shrunk": np.abs(m) * mean_cosine,
        }
    )


def _angles(fit: Fit | Learned, layer: str, chain: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles (value, units) and the weights (value,) with which they make means: quantiles of q(e), or draws."""
    law = angle_law(fit, layer, chain)
    if law is None:
        draws = fit.draws[f"{layer}.angle"][chain].astype(np.float64)
        return draws, np.full(len(draws), 1 / len(draws))
    return truncated_quantile.ppf(np, LEVELS[:, None], *law, 0.0, QUARTER), WEIGHTS


def _law(fit: Fit | Learned, site: str, chain: int) -> tuple[np.ndarray, np.ndarray] | None:
    if fit.strategy != "svi" or site not in fit.loc:  # a sampler's loc and scale are moments of what it went through
        return None
    return fit.loc[site][chain].astype(np.float64), fit.scale[site][chain].astype(np.float64)
