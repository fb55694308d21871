"""Which weights share a scale, asked of programs whose answer is known."""

import numpy as np
import pytest
from noisezoo.inference.judging.predict import prior_draws
from noisezoo.inference.target.sharing import along_outputs
from noisezoo.models import catalogue
from noisezoo.models.ppl import language as language_of


@pytest.mark.parametrize(
    "noise, form", [("half_cauchy", "expanded"), ("half_cauchy", "hierarchical"), ("beta", "expanded")]
)
def test_scales_of_square_layers_are_those_of_their_structure(language, noise, form):
    x = language_of(language).xp.asarray(np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32))
    for structure in ("ard", "output"):
        weights = catalogue.prior(noise, structure, form)
        model = catalogue.model(weights, catalogue.network("mlp:4-4"), "regression", 0)
        draws = prior_draws(model, x, 2)
        found = [along_outputs(model, draws, x, f"layer{i}.scale", f"layer{i}.weight") for i in (0, 1)]
        assert found == [structure == "output"] * 2


def test_one_weight_is_of_its_unit_in():
    x = language_of("numpyro").xp.asarray(np.ones((12, 1), np.float32))
    model = catalogue.model(catalogue.prior("half_cauchy", "ard"), catalogue.network("linear"), "regression", 0)
    assert not along_outputs(model, prior_draws(model, x, 2), x, "layer0.scale", "layer0.weight")
