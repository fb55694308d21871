"""The finished cells of sweeps, one row each, as CSV.

python docs/results/uci/collect.py runs/structured_shrinkage* > docs/results/uci/cells.csv
"""

import json
import sys
from pathlib import Path

import pandas as pd

COLUMNS = (
    "rmse",
    "mae",
    "mae_samples",
    "mlpd",
    "calibration",
    "rhat_f",
    "ess_bulk_f",
    "divergences",
    "elbo",
    "seconds",
)


def rows(folder):
    table = pd.read_csv(folder / "results.csv").query("status == 'done'")
    strategies = json.loads((folder / "sweep.json").read_text())["facts"]["strategies"]
    epochs = table["strategy"].map(lambda name: strategies[name]["epochs"])
    return table[["model", "strategy", "data", "split"]].assign(
        epochs=epochs, sweep=folder.name, **table[[*COLUMNS]].round(4)
    )


found = pd.concat([rows(Path(folder)) for folder in sys.argv[1:]])
found[["sweep", "model", "strategy", "epochs", "data", "split", *COLUMNS]].to_csv(sys.stdout, index=False)
