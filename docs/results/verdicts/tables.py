"""The verdicts of docs/results.md and of the README, from the tables of their runs.

noisezoo compare ... --out runs/demo; cp runs/demo/table.csv docs/results/verdicts/demo.csv
python docs/results/verdicts/tables.py
"""

from pathlib import Path

import pandas as pd
from noisezoo.inference.runs.report import SHORT, numbers

RUNS = {"demo": "demo", "fifty": "with 50 units", "diabetes": "diabetes", "yacht": "yacht"}
COLUMNS = {
    **{"rmse": ("RMSE", ".2f"), "mlpd": ("log p(y)", ".2f"), "rhat_f": ("R-hat f", ".2f")},
    **{"ess_per_second": ("ESS/s", ".3g"), "divergences": ("div.", ".0f")},
    **{"distance_mean": ("mean off", ".2f"), "distance_sd": ("sd ratio", ".2f")},
}


def table(run):
    return pd.read_csv(Path(__file__).with_name(f"{run}.csv"), index_col="label")


def number(value, form):
    """A number as the page has it, and nothing where there is none."""
    return "" if pd.isna(value) else format(value, form)


def page():
    """The table of docs/results.md, a line at a time."""
    yield "| " + " | ".join(["run", "fit", *(head for head, _ in COLUMNS.values()), "verdict"]) + " |"
    yield "|" + "---|" * (len(COLUMNS) + 3)
    for run, name in RUNS.items():
        for label, row in table(run).iterrows():
            cells = [number(row[column], form) for column, (_, form) in COLUMNS.items()]
            yield "| " + " | ".join([name, label, *cells, f"{row['verdict']}: {row['reason']}"]) + " |"


def readme():
    """What the README shows of the demo's terminal, 120 characters wide: the words of each line, in order."""
    head, rows = numbers(table("demo"), SHORT[:-1])
    yield from (" ".join(cell for cell in line if cell) for line in (head, *rows))
    yield from (f"{label} {row['verdict']}: {row['reason']}" for label, row in table("demo").iterrows())


if __name__ == "__main__":
    print("\n".join([*page(), "", *readme()]))
