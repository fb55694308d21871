"""Draws that memory does not hold are refused before anything runs."""

import numpy as np
import pytest
from noisezoo.inference.driver.fit import fit
from noisezoo.inference.judging.datatree import arrays
from noisezoo.inference.strategies import STRATEGIES
from noisezoo.inference.strategies.parse import parse
from noisezoo.inference.target import memory
from noisezoo.inference.target.precision import in_double
from noisezoo.inference.target.sites import sites_of
from noisezoo.models import catalogue

X, Y = np.ones((6, 3), np.float32), np.linspace(-1, 1, 6, dtype=np.float32)
MODEL = catalogue.model(catalogue.prior("half_cauchy"), catalogue.network("mlp:4"), "regression")
LATENT = (3 + 3 * 4 + 4) + (4 + 4 + 1) + 1  # scales, base and biases of either layer, and the precision
KEPT = LATENT + 3 * 4 + 4  # and the weights


def test_numbers_of_a_draw(language):
    sites = sites_of(MODEL, *arrays(language, X, Y))
    assert (sites.size, sites.kept) == (LATENT, KEPT)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_thousand_million_draws(language, strategy):
    (config,) = parse(f"{strategy}:draws=2e9,chains=2").values()
    fix = "lower draws, and raise thin to go as far" if hasattr(config, "thin") else "lower draws"
    size = f"{2 * 2e9 * 2 * KEPT * 4 / 1e9:,.1f} GB"
    said = f"^{strategy}: 2,000,000,000 draws of 2 chains, each of {KEPT} numbers, take {size}, and this .*; {fix}$"
    with pytest.raises(ValueError, match=said):
        fit(MODEL, config, *arrays(language, X, Y), progress=False)


def test_memory_is_that_of_the_machine_or_less(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "LIMIT", tmp_path / "max")
    whole = memory.of_machine()
    for text, expected in (("max\n", whole), ("1000\n", 1000), (f"{10 * whole}\n", whole)):
        memory.LIMIT.write_text(text)
        assert memory.of_machine() == expected > 0


def test_it_fits_or_not_by_one_draw_and_by_the_precision(monkeypatch):
    (config,) = parse("svi:draws=100,chains=2").values()
    sites, needed = sites_of(MODEL, *arrays("numpyro", X, Y)), 2 * 100 * 2 * KEPT * 4
    monkeypatch.setattr(memory, "of_machine", lambda: needed)
    memory.check_memory(config, sites, "numpyro")
    with pytest.raises(ValueError, match="svi: 100 draws"), in_double("numpyro"):
        memory.check_memory(config, sites, "numpyro")
    monkeypatch.setattr(memory, "of_machine", lambda: needed - 1)
    with pytest.raises(ValueError, match="svi: 100 draws"):
        memory.check_memory(config, sites, "numpyro")
