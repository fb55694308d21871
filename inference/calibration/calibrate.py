"""Fit a strategy to every simulated data set, rank the truth among its draws, and say what the ranks say."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import sentence
from ...models.ppl import ppl
from ..driver.fit import bind, fit
from ..driver.fit_many import fit_many
from ..driver.progress import Progress, progress_bar
from ..target.sites import Arrays
from .quantities import quantities
from .ranks import holm, p_value, pit, short_p, thinned
from .simulations import Simulations

LEVEL = 0.01  # of the test, over all quantities together
TOLERATED = 0.1  # share of data sets whose fit may fail
INTERVAL = 0.9  # whose coverage is reported


@dataclass(frozen=True)
class Calibration:
    """What came of the simulations.

    Attributes
    ----------
    pit : quantity -> (simulation,), its ranks as uniform numbers (see `ranks`).
    p_values : quantity -> p-value of uniformity by itself.
    draws : draws of a fit that were ranked, after thinning.
    ess : effective number of draws of a fit, of the worst quantity, which all fits but a tenth have.
    failed : why the fits failed that did.
    divergences : share of transitions that diverged, of a sampler that says so.
    seconds : in all.
    """

    pit: Arrays
    p_values: dict[str, float]
    draws: int
    ess: float
    failed: list[str] = field(default_factory=list)
    divergences: float | None = None
    seconds: float = 0.0

    @property
    def p(self) -> float:
        """The p-value over all quantities together, Holm's."""
        return min(holm(self.p_values).values())

    @property
    def worst(self) -> str:
        """The quantity whose ranks are the least uniform."""
        return min(self.p_values, key=self.p_values.__getitem__)


def calibrate(
    model: Callable,
    config: Any,
    simulations: Simulations,
    new: Any,
    seed: int = 0,
    progress: bool | Progress = False,
) -> Calibration:
    """Simulation-based calibration of a strategy on a program.

    Parameters
    ----------
    model : the program that is fitted; another one than made the simulations is a planted error.
    config : the strategy's settings, the same for all data sets.
    simulations : from `simulations.of_prior` or `of_posterior`.
    new : inputs (points, features) where f is ranked.

    A fit that fails is left out, and the ranks are those of the others.  Raises ValueError if the strategy does not
    apply, and if more than a tenth of the fits fail.
    """
    began, rng = time.perf_counter(), np.random.default_rng(seed)
    fits = _fits(model, config, simulations, rng.integers(2**31, size=len(simulations.ys)).tolist(), progress)
    failed = [sentence(one) for one in fits if isinstance(one, Exception)]
    if len(failed) > TOLERATED * len(fits):
        raise ValueError(f"{len(failed)} of {len(fits)} fits failed; the first: {failed[0]}")
    done = [i for i, one in enumerate(fits) if not isinstance(one, Exception)]
    ranked = [_quantities(model, fits[i], simulations, i, new) for i in done]
    names = list(ranked[0])
    values = np.stack([np.stack([of[name] for name in names], axis=-1) for of in ranked])
    truth, flat = values[:, 0], values[:, 1:]
    chains = next(iter(fits[done[0]].draws.values())).shape[0]
    by_chain = flat.reshape(len(done), chains, -1, len(names))
    kept, ess = thinned(by_chain, not fits[done[0]].independent_chains)
    spread = np.linspace(0, flat.shape[1] - 1, kept).astype(int)
    ranks = {name: pit(truth[:, k], flat[:, spread, k], rng) for k, name in enumerate(names)}
    diverging = [np.mean(fits[i].stats["diverging"]) for i in done if "diverging" in fits[i].stats]
    return Calibration(
        ranks,
        {name: p_value(u) for name, u in ranks.items()},
        kept,
        ess,
        failed,
        float(np.mean(diverging)) if diverging else None,
        time.perf_counter() - began,
    )


def _fits(model: Callable, config: Any, simulations: Simulations, seeds: list[int], progress: Any) -> list[Any]:
    """The fit of each data set, or the error it ended with: all in one program, where the strategy lets them."""
    x, ys = simulations.x, simulations.ys
    language = ppl(x).name
    algorithm, _ = bind(language, config, model, x, ys[0])
    if language == "numpyro" and algorithm.after_warmup is None:
        fits: list[Any] = fit_many(model, config, [x] * len(ys), ys, seeds, progress)  # one x, stacked
    else:
        fits = []
        with progress_bar(config.name, progress) as report_progress:
            for y, seed in zip(ys, seeds, strict=True):
                report_progress(len(fits), len(ys), f"{len(fits)} of {len(ys)} data sets")
                fits.append(_alone(model, config, x, y, seed))
    if any(getattr(one, "stopped", "") for one in fits):
        raise KeyboardInterrupt
    return fits


def _alone(model: Callable, config: Any, x: Any, y: Any, seed: int) -> Any:
    try:
        return fit(model, config, x, y, seed=seed, progress=False)
    except (ValueError, ArithmeticError, RuntimeError) as error:  # of this data set: another one may do
        return error


def _quantities(model: Callable, fitted: Any, simulations: Simulations, i: int, new: Any) -> Arrays:
    """Quantities (1 + draw,) of the truth and then of the draws of all chains, chain after chain."""
    draws = {
        name: np.concatenate([simulations.truth[name][i][None], values.reshape(-1, *values.shape[2:])])
        for name, values in fitted.draws.items()
        if name in simulations.truth
    }
    return quantities(model, draws, simulations.x, simulations.ys[i], new)


def said(pits: Arrays, p_values: dict[str, float], ess: float | None = None, draws: int = 0) -> tuple[str, str]:
    """A word, ``calibrated`` or ``not calibrated``, and a sentence that says why, from what a `Calibration` holds.

    >>> u = (np.arange(200) + 0.5) / 200
    >>> said({"f": u}, {"f": p_value(u)})
    ('calibrated', 'nothing against it in 200 simulations (p = 1)')
    """
    adjusted = holm(p_values)
    worst = min(p_values, key=p_values.__getitem__)
    p, u = adjusted[worst], np.asarray(pits[worst])
    if p >= LEVEL:
        return "calibrated", f"nothing against it in {len(u)} simulations ({_equals(p)})"
    low = "" if ess is None or ess >= draws else f"; a tenth of the fits have an ESS below {max(ess, 1):.0f}"
    off = [name for name, q in adjusted.items() if q < LEVEL]
    more = {1: "", 2: ", and one more is off"}.get(len(off), f", and {len(off) - 1} more quantities are off")
    more += "" if any(name.startswith("f(") for name in off) else "; nothing against f(x)"
    return "not calibrated", f"{worst}: {_shape(u)} ({_equals(p)}){more}{low}"


def _equals(p: float) -> str:
    shown = short_p(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def _shape(u: np.ndarray) -> str:
    """What is wrong with these ranks, in words: where they are, or how wide."""
    shift = (u.mean() - 0.5) * np.sqrt(12 * len(u))
    spread = (np.abs(u - 0.5).mean() - 0.25) * np.sqrt(48 * len(u))
    inside = f"{np.mean(np.abs(u - 0.5) < INTERVAL / 2):.0%} of the truths in the {INTERVAL:.0%} interval"
    if abs(shift) > abs(spread):
        return f"the posterior is too {'low' if shift > 0 else 'high'} on average, {inside}"
    return f"the posterior is too {'narrow' if spread > 0 else 'wide'}, {inside}"
