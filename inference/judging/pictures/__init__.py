"""Pictures of fits: pure functions from DataTrees to matplotlib figures, each called when it is wanted.

Every function takes the fits as ``{label: DataTree}`` (see `judging.datatree`) and keeps no state, neither in
pyplot nor here.
"""

from collections.abc import Iterator
from functools import partial

from ..sampler.exact import first_exact
from . import agreement, chains, predictions, scales
from .style import Picture, Trees, any_of, chains_of, task_of


def pictures(trees: Trees) -> Iterator[Picture]:
    """All pictures that these fits may have something to show in; `first_exact` is the reference."""
    if not trees:
        return
    reference = first_exact(trees)
    task = task_of(any_of(trees))
    title, caption = predictions.PREDICTED[predictions.kind(trees)]
    yield Picture("predictions", title, caption, partial(predictions.predictions, trees))
    if task == "regression":
        draw = partial(predictions.coverage, trees)
        yield Picture("calibration", "Calibration", predictions.COVERAGE_CAPTION, draw)
    if reference is not None and len(trees) > 1:
        title, draw = f"Agreement with {reference}", partial(agreement.agreement, trees, reference)
        yield Picture("agreement", title, agreement.AGREEMENT_CAPTION, draw)
    yield Picture("scales", "Scales of the noise", scales.SCALES_CAPTION, partial(scales.scales, trees))
    for label, tree in trees.items():
        if chains_of(tree) > 1 and tree.attrs["independent_chains"]:
            draw = partial(chains.trace, tree, label)
            yield Picture(f"trace-{label}", f"Chains of {label}", chains.TRACE_CAPTION, draw)
    yield Picture("loss", "Loss along the way", chains.LOSS_CAPTION, partial(chains.loss, trees))
