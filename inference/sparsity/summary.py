"""What every rule leaves of a fit, from its DataTree."""

from typing import Any, NamedTuple

import numpy as np

from ...models import catalogue
from ...models.catalogue import outputs_of_task
from ...models.networks.bare import bare_program
from . import report, trimming


def judged(tree: Any, network: str) -> list[dict[str, Any]]:
    """What `sparsity.report` says of a fit's DataTree under every rule, the network being that of these `network`.

    Empty where the fit has no guide of independent normals over weights, its file no test rows, or its means do not
    make the function.
    """
    test_rows = tree["predictions_constant_data"] if "predictions_constant_data" in tree.children else {}
    if "guide" not in tree.children or "layer0.weight" not in tree["guide"] or "x" not in test_rows:
        return []
    attributes, y = tree.attrs, test_rows["y"].values
    if attributes["task"] == "regression":
        y = ((y - attributes["y_mean"]) / attributes["y_scale"]).astype(np.float32)
    rows = _Rows(test_rows["x"].values, y, attributes["task"], attributes["y_scale"])
    model = bare_program(catalogue.network(network), outputs_of_task(rows.task, len(attributes.get("classes", ()))))
    loc, scale = map(trimming.network_sites, report.moments(tree))
    try:
        return [report.report(model, loc, scale, rows, rule, network=network) for rule in trimming.RULES]
    except ValueError:  # a report goes without; `runs.trim` says what is wrong
        return []


class _Rows(NamedTuple):
    """Of a `Data`, what `sparsity.report` looks at."""

    x_test: np.ndarray
    y_test: np.ndarray
    task: str
    y_scale: float
