"""The verdict earns its name on real data: one net that can be sampled, one that nobody has sampled yet."""

import numpy as np
import pytest
from noisezoo import data
from noisezoo.inference.runs.compare import compare
from noisezoo.models.likelihoods import gaussian
from noisezoo.models.networks import mlp
from noisezoo.models.noises import half_cauchy, regularised_half_cauchy
from noisezoo.models.weights.parametrisation import prior


def judged(name, noise, settings):
    model = gaussian(mlp(50), prior(noise, structure="ard"))
    return compare(model, data.load(name), settings, progress=False).table.loc["nuts"]


@pytest.mark.slow
def test_a_net_that_can_be_sampled_is_ok():
    row = judged("diabetes", regularised_half_cauchy(), "nuts:warmup=300,draws=300")
    assert row["verdict"] == "ok", row["reason"]
    assert row["rhat_f"] < 1.05 and row["divergences"] == 0
    assert row["ess_per_second"] > 0


@pytest.mark.slow
def test_a_net_that_does_not_mix_is_not():
    """The same structure on yacht: chains end in different functions, so no rate of independent draws is shown."""
    row = judged("yacht", half_cauchy(), "nuts:warmup=150,draws=150,max_tree_depth=8")
    assert row["verdict"] == "not converged"
    assert "R-hat" in row["reason"] and row["rhat_f"] > 1.1
    assert np.isnan(row["ess_per_second"])
