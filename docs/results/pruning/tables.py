"""The tables of docs/results.md on pruning, from the curves of `notebooks/scale_mixture.py --full`.

python docs/results/pruning/tables.py
"""

import sys
from pathlib import Path

import pandas as pd
from noisezoo.inference.sparsity import pruning

HERE = Path(__file__).parent
RULES = ["spr", "snr", "second_moment", "magnitude", "random"]
TRAININGS = ("with noise", "without")
LIMITS = {"close": {"%": 1.0, "RMSE": 1.0}, "blow-up": {"%": 5.0, "RMSE": 20.0}}  # points, or % of the RMSE


def told(values, digits):
    """Mean and standard error over seeds."""
    spread = f" ± {values.sem():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"


def markdown(rows):
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[h]) for h in head] for row in rows)]
    print("\n".join("| " + " | ".join(line) + " |" for line in lines), end="\n\n")


def removable(curves):
    """Shares of the weights, in %, that each rule can remove, by data set, training, limit and seed."""
    rows = []
    for (name, training, seed), part in curves[curves["rule"].isin(RULES)].groupby(["data", "training", "seed"]):
        for limit, within in LIMITS.items():
            share = 100 * pruning.removable(part, within[part["unit"].iloc[0]])
            rows.append({"data": name, "training": training, "seed": seed, "limit": limit, **share})
    return pd.DataFrame(rows)


def errors(curves, digits):
    """Test error at some fractions, by rule; students of the same size beside."""
    for (name, training), part in curves.groupby(["data", "training"], sort=False):
        unit, seeds = part["unit"].iloc[0], part["seed"].nunique()
        print(f"{name}, {training}, {unit}, {seeds} seeds\n")
        at = [f for f in (0.0, 0.5, 0.75, 0.9, 0.95) if (part["fraction"] == f).any()]
        rows = []
        for rule, mine in part.groupby("rule", sort=False):
            by = {f: mine[mine["fraction"] == f]["error"] for f in at}
            cells = {f"{f:.0%}": told(by[f], digits[unit]) if len(by[f]) else "" for f in at}
            rows.append({"rule": rule, **cells})
        markdown(rows)


def main():
    pd.set_option("display.width", 200)
    curves = pd.concat(pd.read_csv(path) for path in sorted((HERE / "curves").glob("*.csv")))
    shares = removable(curves)
    rows = []
    for (name, training, limit), part in shares.groupby(["data", "training", "limit"], sort=False):
        found = {rule: told(part[rule], 0) for rule in RULES}
        difference = told(part["spr"] - part["snr"], 1)
        rows.append({"data": name, "training": training, "limit": limit, **found, "spr less snr": difference})
    markdown(rows)
    errors(curves, {"%": 2, "RMSE": 3})


if __name__ == "__main__":
    sys.exit(main())
