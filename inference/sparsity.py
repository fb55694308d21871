"""How sparse a fitted guide of independent normals is, and what trimming it costs.

A guide is two dicts of one chain, `loc` and `scale`: site -> array of the site's shape, the mean and the standard
deviation of each weight (``layer0.weight``, (..., unit_in, unit_out)) and bias.  A *rule* says which weights are kept:

- ``log_alpha``: those with log(sigma^2 / mu^2) < 3 (Molchanov, Ashukha & Vetrov 2017);
- ``magnitude``: those with abs(mu) >= 0.01 (Kharitonov, Molchanov & Vetrov 2018, appendix A).

Predictions are those of the mean weights, nothing being drawn (the deterministic mode of the second paper, appendix A).
*Compression* is the number of weights over the number that is not zero after trimming; neither counts biases, as in
both papers.
"""

import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..models.names import unknown
from .fit import Arrays

SITES = (".weight", ".bias", ".gain")  # that make the function; what else a guide has, such as a scale, does not
ROWS, CELLS = 10_000, 500_000  # rows and features that are evaluated at once, at most
TOTAL = "total"
SAME = 1e-4  # of the size of f, or of 1: two nets that differ by less are one function in two orders of adding


class Rule(NamedTuple):
    """Which weights stay.

    keep : ``(loc, scale, threshold) -> mask``, elementwise.
    threshold : the default.
    text : the rule in words, with ``{threshold}``.
    """

    keep: Callable[[np.ndarray, np.ndarray, float], np.ndarray]
    threshold: float
    text: str


def log_alpha(loc: Any, scale: Any) -> np.ndarray:
    """log(scale^2 / loc^2), elementwise, in double precision; inf where `loc` is zero, whatever the `scale`."""
    loc, scale = np.abs(np.asarray(loc, np.float64)), np.asarray(scale, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(loc > 0, 2 * (np.log(scale) - np.log(loc)), np.inf)


RULES = {
    "log_alpha": Rule(lambda loc, scale, t: log_alpha(loc, scale) < t, 3.0, "log alpha below {threshold:g}"),
    "magnitude": Rule(lambda loc, scale, t: np.abs(loc) >= t, 0.01, "size of the mean at least {threshold:g}"),
}


def kept(loc: Arrays, scale: Arrays, rule: str = "log_alpha", threshold: float | None = None) -> Arrays:
    """Which weights a rule keeps: site -> mask, for the weight sites; biases always stay.

    Raises ValueError for an unknown rule, a threshold that is not finite, a guide without weights, standard deviations
    that are missing or of another shape, and values that are NaN or negative.
    """
    threshold = _threshold(rule, threshold)
    masks = {}
    for site in weights(loc):
        if site not in scale:
            raise ValueError(
                f"the guide has no standard deviations for {site}; only independent normals have a sparsity"
            )
        mean, sd = np.asarray(loc[site]), np.asarray(scale[site])
        if mean.shape != sd.shape:
            raise ValueError(
                f"{site} has means of shape {mean.shape} and sds of shape {sd.shape}; give those of one chain"
            )
        if np.isnan(mean).any() or not (sd >= 0).all():
            raise ValueError(f"{site} has means that are NaN or sds that are NaN or negative; fit the guide again")
        masks[site] = RULES[rule].keep(mean, sd, threshold)
    return masks


def weights(sites: Iterable[str]) -> list[str]:
    """The weight sites in the order of their layers; raises ValueError if there are none."""
    found = [site for site in sites if site.endswith(".weight")]
    if not found:
        raise ValueError(
            "the guide has no weight sites (layer0.weight, ...); in the expanded form the weight is not a site of the "
            "guide, so fit the hierarchical or the marginal form"
        )
    return sorted(found, key=lambda site: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", site)])


def network_sites(loc: Arrays) -> Arrays:
    """Only the sites that make the function."""
    return {site: v for site, v in loc.items() if site.endswith(SITES)}


def trimmed(loc: Arrays, masks: Arrays) -> Arrays:
    """The means with zeros where a mask says so; other sites, such as biases, as they are.

    Raises ValueError if a weight site has no mask of its shape.
    """
    for site in weights(loc):
        if site not in masks or np.shape(masks[site]) != np.shape(loc[site]):
            raise ValueError(
                f"there is no mask of shape {np.shape(loc[site])} for {site}; take those that kept() gives"
            )
    return {site: np.where(masks[site], v, 0).astype(v.dtype) if site in masks else v for site, v in loc.items()}


def compression(loc: Arrays, masks: Arrays) -> float:
    """All weights over those that are not zero after trimming, biases not counted; inf if none is left."""
    return float(table(loc, masks).loc[TOTAL, "compression"])  # type: ignore[arg-type]


def table(loc: Arrays, masks: Arrays) -> pd.DataFrame:
    """One row per layer and one for all of them.

    ``kept``, ``total`` : weights that are not zero after trimming, and all.
    ``share`` : kept / total.
    ``compression`` : total / kept, inf if nothing is kept.
    ``units_in``, ``units_out`` : units with a kept weight that leaves them, or that enters them; ``of_in``, ``of_out``
        how many there are.  Of a kernel (kh, kw, in, out), channels.  Missing in the total.
    """
    left = trimmed(loc, masks)
    rows = {}
    for site in weights(loc):
        live = left[site] != 0
        into, out_of = (live.any(axis=tuple(i for i in range(live.ndim) if i != live.ndim + a)) for a in (-2, -1))
        units = {"units_in": into.sum(), "of_in": into.size, "units_out": out_of.sum(), "of_out": out_of.size}
        rows[site.removesuffix(".weight")] = {"kept": live.sum(), "total": live.size, **units}
    frame = pd.DataFrame.from_dict(rows, orient="index").astype("Int64")
    frame.loc[TOTAL, ["kept", "total"]] = frame[["kept", "total"]].sum()
    share = (frame["kept"] / frame["total"]).astype(float)
    frame.insert(2, "share", share)
    frame.insert(3, "compression", np.divide(1.0, share, out=np.full(len(share), np.inf), where=share > 0))
    return frame.rename_axis("layer")


def outputs(model: Callable, values: Arrays, x: Any) -> np.ndarray:
    """f(x) (rows[, classes]) of a program with `values` for its weights and biases, in NumPyro; nothing is drawn.

    Sites that f does not depend on once the weights are given (a scale, the noise precision) need no value.  Raises
    ValueError if a weight or bias is missing, has another shape, is not finite, or is not one of the program's,
    and if x has no rows.
    """
    if bad := [site for site, v in values.items() if not np.isfinite(v).all()]:
        raise ValueError(f"{bad[0]} holds NaN or infinite values; fit the guide again")
    x, compiled = np.asarray(x, np.float32), function(model)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"x must have shape (rows, features) and at least one row, got {x.shape}")
    size = min(len(x), max(1, min(ROWS, CELLS // x.shape[1])))
    values = {site: np.asarray(v) for site, v in values.items()}
    parts = []
    for first in range(0, len(x), size):
        chunk = np.arange(first, first + size) % len(x)  # the last one is filled up, so that shapes stay the same
        parts.append(np.asarray(compiled(values, x[chunk])))
    return np.concatenate(parts)[: len(x)]


@lru_cache(maxsize=32)
def function(model: Callable) -> Callable:
    """``(values, x) -> f`` of a program, compiled; the checks of `outputs` are made where it is traced."""
    import jax
    import jax.numpy as jnp
    from numpyro import handlers

    def run(values: dict, x: Any) -> Any:
        met = set()

        def value(site: dict) -> Any:
            name = site["name"]
            if site["type"] not in ("sample", "deterministic") or name == "f":
                return None
            shape = tuple(site["fn"].shape()) if site["type"] == "sample" else jnp.shape(site["value"])
            if name in values:
                if values[name].shape != shape:
                    found, why = values[name].shape, "is it a fit of another program?"
                    raise ValueError(f"{name} has shape {found}, and {shape} in this program; {why}")
                met.add(name)
                return values[name]
            if name.endswith(SITES):
                raise ValueError(f"there is no value for {name} of this program; is it a fit of another program?")
            return jnp.ones(shape) if site["type"] == "sample" else None

        f = handlers.trace(handlers.substitute(model, substitute_fn=value)).get_trace(x)["f"]["value"]
        if foreign := [site for site in values if site.endswith(SITES) and site not in met]:
            raise ValueError(f"this program has no site {foreign[0]}; is it a fit of another program?")
        return f

    return jax.jit(run)


def error(model: Callable, loc: Arrays, x: Any, y: Any) -> float:
    """Test error at the mean weights.

    For classes (`y` whole numbers) the percentage of rows that are classified wrongly, for a regression (`y` floating
    point) the root mean square error in units of `y`.  Raises ValueError for no rows, or a `y` that does not go with f.
    """
    y = np.asarray(y)
    if not len(y) or np.shape(x)[0] != len(y):
        raise ValueError(f"x and y must have the same number of rows, at least one; got {np.shape(x)[0]} and {len(y)}")
    return error_of(outputs(model, loc, x), y)


def report(
    model: Callable,
    loc: Arrays,
    scale: Arrays,
    data: Any,
    rule: str = "log_alpha",
    threshold: float | None = None,
    network: str = "",
) -> dict[str, Any]:
    """What a rule leaves of a guide, in plain Python that JSON can hold.

    Parameters
    ----------
    model : the program, ``(x, y=None) -> f``.
    loc, scale : the guide of one chain.
    data : its ``x_test``, ``y_test``, ``task`` and ``y_scale`` are looked at.
    rule, threshold : see `kept`.
    network : the words that make the network, such as ``"mlp:50"``; without them no smaller net is looked for.

    Returns what `told` and `measure` say.
    """
    masks = kept(loc, scale, rule, threshold)
    return {**told(rule, threshold), **measure(model, loc, masks, data, network)}


def told(rule: str, threshold: float | None = None) -> dict[str, Any]:
    """``rule``, ``threshold`` and ``text``, the rule in words."""
    value = _threshold(rule, threshold)
    return {"rule": rule, "threshold": value, "text": RULES[rule].text.format(threshold=value)}


def measure(model: Callable, loc: Arrays, masks: Arrays, data: Any, network: str = "") -> dict[str, Any]:
    """What masks leave of a net, in plain Python that JSON can hold.

    ``layers`` : the rows of `table` by layer, None where a number is missing or infinite.
    ``compression``, ``kept``, ``weights`` : the last row of it.
    ``error`` : ``before`` and ``after`` trimming at the test rows, and the ``unit``: %, or RMSE in the target's units.
    ``bytes`` : size of the weights and biases as a file, ``before`` (dense) and ``after`` (indices and values).
    ``structured`` : the smaller net (see `compact.architecture`), or None, and then ``why``.
    """
    from . import compact, packed

    loc = network_sites(loc)
    left = trimmed(loc, masks)
    f = {when: outputs(model, values, data.x_test) for when, values in (("before", loc), ("after", left))}
    factor, unit = (data.y_scale, "RMSE") if data.task == "regression" else (1.0, "%")
    rows = _plain(table(loc, masks))
    found = {
        "layers": rows,
        "compression": rows[TOTAL]["compression"],
        "kept": rows[TOTAL]["kept"],
        "weights": rows[TOTAL]["total"],
        "error": {
            **{when: factor * error_of(values, np.asarray(data.y_test)) for when, values in f.items()},
            "unit": unit,
        },
        "bytes": {"before": packed.size(loc), "after": packed.size(packed.pack(loc, masks))},
        "structured": None,
        "why": "the words of the network were not given",
    }
    if network:
        try:
            small = compact.smaller(loc, masks, compact.activation(network))
            if not same(outputs(model, small.arrays, data.x_test), f["after"]):
                raise ValueError(f"units cannot be taken out of the network {network}, which is not a plain sequence")
            found.update(structured=compact.architecture(small), why="")
        except ValueError as reason:
            found.update(why=str(reason))
    return found


def same(f: np.ndarray, g: np.ndarray) -> bool:
    """Whether two nets are one function, up to the order in which 32-bit numbers are added."""
    return bool(np.max(np.abs(f - g)) <= SAME * max(1.0, float(np.abs(g).max())))


def watch(
    model: Callable, data: Any, rule: str = "log_alpha", threshold: float | None = None
) -> Callable[[Arrays, Arrays], dict[str, float]]:
    """What `run.fit` may be told to watch: ``(loc, scale) -> {"compression", "error"}`` of the net as if trimmed now.

    The error is that at the test rows of `data`, in % or as a RMSE in the target's units.
    """
    _threshold(rule, threshold)
    factor = data.y_scale if data.task == "regression" else 1.0

    def look(loc: Arrays, scale: Arrays) -> dict[str, float]:
        loc = network_sites(loc)
        masks = kept(loc, scale, rule, threshold)
        off = error(model, trimmed(loc, masks), data.x_test, data.y_test)
        return {"compression": compression(loc, masks), "error": factor * off}

    return look


def moments(tree: Any, chain: int | None = None) -> tuple[Arrays, Arrays]:
    """`loc` and `scale` of one chain from the group ``guide`` of a fit's DataTree; by default that of the lowest loss.

    Raises ValueError if the fit has no guide of independent normals.
    """
    if "guide" not in tree.children:
        raise ValueError("this fit has no guide of independent normals; fit one with svi:guide=local")
    chain = best_chain(tree) if chain is None else chain
    found = {str(name): v.isel(chain=chain).values for name, v in tree["guide"].data_vars.items()}
    scale = {name.removesuffix(".sd"): v for name, v in found.items() if name.endswith(".sd")}
    return {name: v for name, v in found.items() if not name.endswith(".sd")}, scale


def best_chain(tree: Any) -> int:
    """The restart of the lowest loss over the last tenth of its history, else the chain of the highest mean ``lp``."""
    if "history" in tree.children and "loss" in tree["history"]:
        loss = tree["history"]["loss"].transpose("chain", ...).values
        return int(np.argmin(loss[:, -max(1, loss.shape[1] // 10) :].mean(axis=1)))
    if "sample_stats" in tree.children and "lp" in tree["sample_stats"]:
        return int(np.argmax(tree["sample_stats"]["lp"].transpose("chain", ...).values.mean(axis=1)))
    return 0


def _threshold(rule: str, threshold: float | None) -> float:
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    value = RULES[rule].threshold if threshold is None else float(threshold)
    if not math.isfinite(value):
        raise ValueError(
            f"the threshold of {rule} must be a finite number, got {value}; by default {RULES[rule].threshold:g}"
        )
    return value


def error_of(f: np.ndarray, y: np.ndarray) -> float:
    """The `error` of function values `f` against `y`."""
    if f.ndim == 1 and np.issubdtype(y.dtype, np.floating):
        return float(np.sqrt(np.mean((f.astype(np.float64) - y) ** 2)))
    if not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"y holds {y.dtype} and f has {f.shape[-1]} classes; give class numbers as integers")
    return float(100 * np.mean((f.argmax(axis=-1) if f.ndim == 2 else f > 0) != y))


def _plain(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """A table as nested dicts of Python numbers, None where one is missing or infinite."""

    def number(value: Any) -> Any:
        return None if pd.isna(value) or np.isinf(value) else value.item() if isinstance(value, np.generic) else value

    return {str(i): {str(c): number(frame.loc[i, c]) for c in frame} for i in frame.index}
