"""Which samplers have no bias but that of chains that are too short: those that accept or reject what they propose."""

import json
from typing import Any


def is_exact(tree: Any) -> bool:
    """Whether draws are in the long run those of the posterior itself: of `nuts`, or of an adjusted `mclmc`."""
    return tree.attrs["strategy"] == "nuts" or json.loads(tree.attrs["settings"]).get("adjusted") == 1


def first_exact(trees: dict[str, Any]) -> str | None:
    """The label of the fit that others are measured against where nobody names one: the first of `nuts`, else the first
    that is exact; None if there is none."""
    exact = [label for label, tree in trees.items() if is_exact(tree)]
    return next((label for label in exact if trees[label].attrs["strategy"] == "nuts"), exact[0] if exact else None)
