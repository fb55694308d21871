"""The tables of the UCI sweeps in docs/results.md, from their cells.

python docs/results/uci/tables.py
"""

from pathlib import Path

import pandas as pd
from noisezoo.data.published import published

DROPOUT = "dropout/mc"
SMALL = {"kin8nm": 4, "energy": 3}  # digits of the RMSE; two elsewhere
cells = pd.read_csv(Path(__file__).with_name("cells.csv")).assign(method=lambda t: t.model + "/" + t.strategy)
yacht = cells.query("sweep == 'structured_shrinkage_yacht'")
uci = cells.query("sweep != 'structured_shrinkage_yacht'")


def released():
    """The released protocol on yacht: mean and sd over splits, beside what the poster calls RMSE."""
    poster = published("structured_shrinkage").query("data == 'yacht'").set_index("method")["value"]
    table = yacht.groupby(["strategy", "model"])[["mae_samples", "mae", "rmse", "mlpd"]].agg(["mean", "std"]).round(3)
    table["poster", ""] = [poster[model] for _, model in table.index]
    return table


def scores(score):
    """Mean and standard error over the splits, a row for each data set."""
    groups = uci.groupby(["data", "epochs", "method"])[score]
    rows = {
        key: f"{v.mean():.{SMALL.get(key[0], 2)}f} ± {v.sem():.{SMALL.get(key[0], 2)}f}"
        for key, v in groups
        if len(v) == 20
    }
    return pd.Series(rows).unstack().fillna("")


def less_dropout(score, best):
    """The structured method that is best on average, less dropout on the same splits, ± the standard error."""
    for (data, epochs), group in uci.groupby(["data", "epochs"]):
        wide = group.pivot(index="split", columns="method", values=score).dropna(axis=1)
        structured = [name for name in wide if name.startswith(("ard", "add"))]
        if DROPOUT in wide and structured:
            name = getattr(wide[structured].mean(), best)()
            difference = wide[name] - wide[DROPOUT]
            yield data, epochs, name, f"{difference.mean():+.4f} ± {difference.sem():.4f}"


pd.set_option("display.width", 250, "display.max_columns", 20)
for table in (released(), scores("rmse"), scores("mlpd")):
    print(table, end="\n\n")
for score, best in (("rmse", "idxmin"), ("mlpd", "idxmax")):
    print(
        pd.DataFrame(less_dropout(score, best), columns=["data", "epochs", "best", f"{score} less dropout's"]),
        end="\n\n",
    )
