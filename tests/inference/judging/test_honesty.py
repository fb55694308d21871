"""The verdict earns its name on real data: one net that can be sampled, one that nobody has sampled yet."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

FLAGS = (
    "--xla_cpu_use_fusion_emitters=false"  # these nets run for longer than they compile: optimised, unlike other tests
)
ALONE = """
from noisezoo.cli import app
from noisezoo.inference.driver import compilation_cache
compilation_cache.persistent_cache = lambda: None  # the user's is left alone
app()
"""


def judged(folder, data, prior, network, strategy):
    """The row of a strategy in the table of a comparison in a process of its own."""
    words = ["compare", prior, "--data", data, "--network", network, "--with", strategy, "--no-progress"]
    command = [sys.executable, "-c", ALONE, *words, "--out", folder / "run"]
    subprocess.run(command, check=True, env={**os.environ, "XLA_FLAGS": FLAGS})
    return pd.read_csv(folder / "run" / "table.csv", index_col="label").loc["nuts"]


@pytest.mark.slow
def test_a_net_that_can_be_sampled_is_ok(tmp_path):
    row = judged(tmp_path, "diabetes", "regularised_half_cauchy", "mlp:20", "nuts:warmup=200,draws=200")
    assert row["verdict"] == "ok", row["reason"]
    assert row["rhat_f"] < 1.05 and row["divergences"] == 0
    assert row["ess_per_second"] > 0


@pytest.mark.slow
def test_a_net_that_does_not_mix_is_not(tmp_path):
    """The same structure on yacht: chains end in different functions, so no rate of independent draws is shown."""
    row = judged(tmp_path, "yacht", "half_cauchy", "mlp:50", "nuts:warmup=100,draws=100,max_tree_depth=7")
    assert row["verdict"] == "not converged"
    assert "R-hat" in row["reason"] and row["rhat_f"] > 1.1
    assert np.isnan(row["ess_per_second"])
