"""Regressions with badly scaled, correlated columns, whose posteriors are known: right with default settings.

All thirty: tests/benchmarks/regressions.py.
"""

import numpy as np
import pytest
from known_regressions import errors, is_right, program, quantities, regression
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.convergence import not_converged
from noisezoo.inference.strategies.parse import parse
from noisezoo.models.ppl import language

KNOWN = [regression(60, 3, seed) for seed in (0, 1)]  # proper and flat
GUIDES = ("svi:guide=full_rank", "svi:guide=pathfinder", "svi:guide=laplace")


def fitted(spec, known, ppl="numpyro"):
    (config,) = parse(spec).values()
    x, y = (language(ppl).xp.asarray(a) for a in (known.x, known.y))
    return fit(program, config, x, y, progress=False)


@pytest.mark.parametrize("spec", [*GUIDES, "mclmc", "mclmc:adjusted=1", "nuts"])
def test_right_with_default_settings(spec):
    for known in KNOWN:
        found = fitted(spec, known)
        assert is_right(known, found.draws), (known.name, errors(known, found.draws))


@pytest.mark.needs_pyro
@pytest.mark.parametrize("spec", GUIDES)
def test_right_in_pyro(spec):
    shorter = ",steps=4000,tolerance=0.3" if "full_rank" in spec else ""
    found = fitted(spec + shorter, KNOWN[1], "pyro")
    means, sds = (part[:-1] for part in errors(KNOWN[1], found.draws))
    assert (means < 0.1).all() and (sds < 0.12).all()


def test_a_guide_ends_by_itself_and_one_that_was_cut_says_so():
    whole = fitted("svi:guide=full_rank", KNOWN[0])
    steps = int(whole.history["step"].max())
    assert whole.optimisation["converged"].all() and steps < whole.settings["steps"]
    cut = fitted(f"svi:guide=full_rank,steps={steps // 10}", KNOWN[0])
    assert not cut.optimisation["converged"].any()
    for found, said in ((whole, ""), (cut, "ELBO still rises|still moves")):
        reason = not_converged(tree(found))
        assert (reason == "") == (said == "") and any(word in reason for word in said.split("|"))


def tree(found):
    """As much of a DataTree as the judgement of an optimisation looks at."""
    import xarray as xr

    history = {name: (("chain", "record"), values) for name, values in found.history.items()}
    ended = {name: ("chain", values) for name, values in found.optimisation.items()}
    groups = {"history": xr.Dataset(history), "optimisation": xr.Dataset(ended)}
    made = xr.DataTree.from_dict(groups)
    made.attrs["approximation"] = found.approximation
    return made


def test_quantities_are_in_the_order_of_the_posterior():
    draws = {"w": np.arange(6.0).reshape(1, 2, 3), "b": np.full((1, 2), 7.0), "variance": np.full((1, 2), 4.0)}
    np.testing.assert_array_equal(quantities(draws), [[0, 1, 2, 7, 2], [3, 4, 5, 7, 2]])
