"""``noisezoo list``: what there is."""

from typing import Annotated

import typer

from .console import one_sentence, print_table
from .show import show_strategy


def list_(
    strategy: Annotated[
        str | None, typer.Argument(metavar="[STRATEGY]", help="Its settings instead, as show does.", show_default=False)
    ] = None,
) -> None:
    """What there is: noises and the priors they induce, structures, networks, strategies, data sets."""
    if strategy is not None:
        with one_sentence():
            return show_strategy(strategy)
    from ..data.catalogue import CATALOGUE
    from ..inference.references.problems import agreed
    from ..inference.strategies import STRATEGIES
    from ..inference.strategies.guides import GUIDES
    from ..models.catalogue import EXAMPLES, FORM_MEANINGS, PRIOR_MEANINGS
    from ..models.noises import NOISES
    from ..models.weights.structure import STRUCTURES

    by_default = [noise() for noise in NOISES.values()]
    noises = [(n.name, ", ".join(f"{k}={v:g}" for k, v in n.parameters), n.prior) for n in by_default]
    structures = [
        (name, (f.__doc__ or "").partition("\n")[0].partition(";")[0].rstrip(".")) for name, f in STRUCTURES.items()
    ]
    data = [(name, e.task, f"{e.rows} x {len(e.features)}", e.title) for name, e in CATALOGUE.items()]
    print_table("Noises: PRIOR", ("name", "settings", "prior on a weight"), noises)
    print_table("Priors of every weight by itself: PRIOR", ("name", "what it is"), PRIOR_MEANINGS.items())
    print_table("Structures: --structure", ("name", "who shares a scale"), structures)
    print_table("Forms: --form", ("name", "what is sampled"), FORM_MEANINGS.items())
    print_table("Networks: --network", ("write", "what it is"), EXAMPLES.items())
    print_table(
        "Strategies: --with; settings: noisezoo show NAME",
        ("name", "what it does"),
        [(k, v.summary) for k, v in STRATEGIES.items()],
    )
    print_table("Guides: --with svi:guide=GUIDE", ("name", "what it is"), [(k, v.summary) for k, v in GUIDES.items()])
    print_table("Data sets: --data, or FILE.csv:TARGET", ("name", "task", "rows x features", "title"), data)
    references = [(name, problem.described) for name, problem in agreed().items()]
    print_table("Reference posteriors: --reference stored", ("name", "posterior"), references)
