"""Names that a user gave, in a figure: of columns, classes, fits and priors."""

from typing import Any

LONGEST = 48  # characters of a name that a figure has room for


def plain(name: Any) -> str:
    r"""A name as matplotlib is to show it: its dollar signs make no formula, and a long one is cut in the middle.

    >>> plain("spend_$_per_$_won")
    'spend_\\$_per_\\$_won'
    """
    text = " ".join(str(name).split())
    if len(text) > LONGEST:
        text = f"{text[: 2 * LONGEST // 3]}…{text[-LONGEST // 3 + 1 :]}"
    return text.replace("$", r"\$")
