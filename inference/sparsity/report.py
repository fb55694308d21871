"""How sparse a fitted guide is, what trimming it costs, and the smaller net that is left."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..target.sites import Arrays
from ..target.warm_start import best_chain
from .evaluation import error, error_of, outputs, same
from .trimming import TOTAL, checked_threshold, compression, kept, network_sites, rule_facts, table, trimmed


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
    network : its spec, such as ``"mlp:50"``; without it no smaller net is looked for.

    Returns what `rule_facts` and `measure` say.
    """
    masks = kept(loc, scale, rule, threshold)
    return {**rule_facts(rule, threshold), **measure(model, loc, masks, data, network)}


def measure(model: Callable, loc: Arrays, masks: Arrays, data: Any, network: str = "") -> dict[str, Any]:
    """What masks leave of a net, in plain Python that JSON can hold.

    ``layers`` : the rows of `table` by layer, None where a number is missing or infinite.
    ``compression``, ``kept``, ``weights`` : the last row of it.
    ``error`` : ``before`` and ``after`` trimming at the test rows, and the ``unit``: %, or RMSE in the target's units.
    ``bytes`` : size of the net's file, ``before`` (dense weights) and ``after`` (indices and values).
    ``structured`` : the smaller net (see `smaller_net.architecture`), or None, and then ``why``.
    """
    from . import coordinate_format, smaller_net

    loc = network_sites(loc)
    trimmed_loc = trimmed(loc, masks)
    f = {when: outputs(model, values, data.x_test) for when, values in (("before", loc), ("after", trimmed_loc))}
    factor, unit = (data.y_scale, "RMSE") if data.task == "regression" else (1.0, "%")
    rows = _plain(table(loc, masks))
    result = {
        "layers": rows,
        "compression": rows[TOTAL]["compression"],
        "kept": rows[TOTAL]["kept"],
        "weights": rows[TOTAL]["total"],
        "error": {
            **{when: factor * error_of(values, np.asarray(data.y_test)) for when, values in f.items()},
            "unit": unit,
        },
        "bytes": {
            "before": coordinate_format.size(loc, data.x_test.shape[1]),
            "after": coordinate_format.size(coordinate_format.encode(loc, masks), data.x_test.shape[1]),
        },
        "structured": None,
        "why": "the words of the network were not given",
    }
    if network:
        try:
            small = smaller_net.smaller(loc, masks, smaller_net.activation(network))
            if not same(outputs(model, small.arrays, data.x_test), f["after"]):
                raise ValueError(f"units cannot be taken out of the network {network}, which is not a plain sequence")
            result.update(structured=smaller_net.architecture(small), why="")
        except ValueError as reason:
            result.update(why=str(reason))
    return result


def watch(
    model: Callable, data: Any, rule: str = "log_alpha", threshold: float | None = None
) -> Callable[[Arrays, Arrays], dict[str, float]]:
    """A `watch` for `fit`: ``(loc, scale) -> {"compression", "error"}`` of the net as if trimmed now.

    The error is that at the test rows of `data`, in % or as a RMSE in the target's units.
    """
    checked_threshold(rule, threshold)
    factor = data.y_scale if data.task == "regression" else 1.0

    def measure_error(loc: Arrays, scale: Arrays) -> dict[str, float]:
        loc = network_sites(loc)
        masks = kept(loc, scale, rule, threshold)
        test_error = error(model, trimmed(loc, masks), data.x_test, data.y_test)
        return {"compression": compression(loc, masks), "error": factor * test_error}

    return measure_error


def moments(tree: Any, chain: int | None = None) -> tuple[Arrays, Arrays]:
    """`loc` and `scale` of one chain from the group ``guide`` of a fit's DataTree; by default that of the lowest loss.

    Raises ValueError if the fit has no guide of independent normals.
    """
    if "guide" not in tree.children:
        raise ValueError("this fit has no guide of independent normals; fit one with svi:guide=local")
    chain = best_chain(tree) if chain is None else chain
    by_name = {str(name): v.isel(chain=chain).values for name, v in tree["guide"].data_vars.items()}
    scale = {name.removesuffix(".sd"): v for name, v in by_name.items() if name.endswith(".sd")}
    return {name: v for name, v in by_name.items() if not name.endswith(".sd")}, scale


def _plain(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """A table as nested dicts of Python numbers, None where one is missing or infinite."""

    def number(value: Any) -> Any:
        return None if pd.isna(value) or np.isinf(value) else value.item() if isinstance(value, np.generic) else value

    return {str(i): {str(c): number(frame.loc[i, c]) for c in frame} for i in frame.index}
