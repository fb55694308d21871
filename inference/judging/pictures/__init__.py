"""Pictures of fits: pure functions from DataTrees to matplotlib figures.

Every function takes the fits as ``{label: DataTree}`` (see `judging.datatree`) and keeps no state, neither in
pyplot nor here.
"""

from collections.abc import Iterator

from . import agreement, chains, predictions, scales
from .style import Picture, Trees, any_of, chains_of, task_of


def pictures(trees: Trees) -> Iterator[Picture]:
    """All pictures that these fits have something to show in, one at a time; the first NUTS is the reference."""
    if not trees:
        return
    reference = next((label for label, tree in trees.items() if tree.attrs["strategy"] == "nuts"), None)
    task = task_of(any_of(trees))
    title, caption = predictions.PREDICTED["regression" if task == "regression" else "classes"]
    yield Picture("predictions", title, caption, predictions.predictions(trees))
    if task == "regression":
        yield Picture("calibration", "Calibration", predictions.COVERAGE_CAPTION, predictions.coverage(trees))
    if reference is not None and len(trees) > 1:
        title, figure = f"Agreement with {reference}", agreement.agreement(trees, reference)
        yield Picture("agreement", title, agreement.AGREEMENT_CAPTION, figure)
    if (figure := scales.scales(trees)) is not None:
        yield Picture("scales", "Scales of the noise", scales.SCALES_CAPTION, figure)
    for label, tree in trees.items():
        if chains_of(tree) > 1 and tree.attrs["independent_chains"]:
            yield Picture(f"trace-{label}", f"Chains of {label}", chains.TRACE_CAPTION, chains.trace(tree, label))
    if (figure := chains.loss(trees)) is not None:
        yield Picture("loss", "Loss along the way", chains.LOSS_CAPTION, figure)
