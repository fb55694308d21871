"""What is left of the nets of finished runs, one row per run and rule, as CSV.

python docs/results/sparsity/collect.py runs/sparse/* > docs/results/sparsity/mnist.csv
"""

import json
import sys
from pathlib import Path

import pandas as pd
from noisezoo.inference.runs.folder import read_run
from noisezoo.inference.sparsity.summary import judged
from noisezoo.inference.target.warm_start import load


def rows(folder):
    run = read_run(folder)
    for entry in run["fits"].values():
        tree = load(folder / entry["file"])
        settings = entry["settings"]
        for found in judged(tree, run["options"]["network"]):
            yield {
                "data": run["options"]["data"],
                "network": run["options"]["network"],
                "prior": run["prior"],
                "epochs": settings["steps"] * (settings["batch_size"] or 1) / tree["observed_data"].sizes["row"],
                "seed": run["options"]["seed"],
                "rule": found["text"],
                "error_before": found["error"]["before"],
                "error": found["error"]["after"],
                "compression": found["compression"],
                "structured": (found["structured"] or {}).get("text", ""),
                "layers": json.dumps({k: round(v["share"], 4) for k, v in found["layers"].items() if k != "total"}),
                "train_seconds": tree.attrs["seconds_adapt"],
            }


table = pd.DataFrame([row for folder in sys.argv[1:] for row in rows(Path(folder))])
table.round(3).to_csv(sys.stdout, index=False)
