"""The leaderboard: strategies with their default settings on every problem that has a reference posterior.

python docs/results/leaderboard/run.py                              # what is missing
python docs/results/leaderboard/run.py diabetes-net --with svi,nuts # of one problem, for two strategies
rm runs/leaderboard/*,mclmc.json                                    # so that mclmc runs again on all

A cell, one strategy on one problem, is a file in runs/leaderboard, which counts as long as the problem, its reference
and all settings of the strategy are the same.  All cells go into leaderboard.csv beside this file, of which
docs/leaderboard_page.py makes a page.  Ctrl-C keeps what is finished.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from noisezoo import data as datasets
from noisezoo.inference import files, seals
from noisezoo.inference.references import problems, stored
from noisezoo.inference.runs.compare import compare
from noisezoo.inference.strategies import STRATEGIES, config_class
from noisezoo.inference.strategies.guides import GUIDES
from noisezoo.inference.strategies.parse import parse, settings

CELLS, TABLE = Path("runs/leaderboard"), Path(__file__).with_name("leaderboard.csv")
NO_POSTERIOR = ("dropout", "em", "map")  # guides that are not after the posterior
NOT_OF_ALL = ("local", "flipout")  # guides that few of these priors have
COLUMNS = (
    *("distance_mean", "distance_sd", "rhat_f", "ess_bulk_f", "khat", "divergences"),
    *("seconds_compile", "seconds_adapt", "seconds_sample", "verdict", "reason"),
)


def default_strategies():
    """All strategies, `svi` with every guide that is after the posterior of any model."""
    left_out = (*NO_POSTERIOR, *NOT_OF_ALL, config_class("svi")().guide.name)
    guides = [f"svi:guide={name}" for name in GUIDES if name not in left_out]
    return ",".join(["svi", *guides, *(name for name in STRATEGIES if name != "svi")])


def cell(reference, label, config):
    """The file of a cell, and what decides what it computes."""
    key = seals.digest([asdict(reference), config.name, settings(config)])
    return CELLS / f"{reference.name},{files.file_name(label)}.json", key


def finished(path, key):
    """The row of a cell; None if it is still to run."""
    try:
        found = seals.read_json(path, "remove it")
    except (FileNotFoundError, ValueError):
        return None
    return found["row"] if found["key"] == key else None


def run(reference, label, config):
    """The row of a strategy on a problem; raises KeyboardInterrupt on Ctrl-C."""
    problem = problems.problem(reference.name)
    data = datasets.load(problem.data, split=problem.split)
    model = problems.program(problem, problem.forms[0], data)
    found = compare(model, data, {label: config}, progress=False, reference=reference)
    row = found.table.loc[label]
    if row["reason"] == "interrupted" or found.trees and found.trees[label].attrs["stopped"]:
        raise KeyboardInterrupt
    return {name: None if pd.isna(v) else v if isinstance(v, str) else float(v) for name, v in row[[*COLUMNS]].items()}


def fill(cells):
    """Run the cells that are missing."""
    for reference, label, config in cells:
        path, key = cell(reference, label, config)
        if finished(path, key) is None:
            row = run(reference, label, config)
            seals.write_json(path, {"key": key, "row": row})
            print(f"{reference.name} {label}: {row['verdict']}: {row['reason']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Strategies against the reference posteriors.")
    parser.add_argument("names", nargs="*", metavar="PROBLEM", help="all that have a reference by default")
    parser.add_argument("--with", dest="strategies", default=default_strategies(), help="%(default)s")
    options = parser.parse_args()
    CELLS.mkdir(parents=True, exist_ok=True)
    references = {name: one for name, one in stored.stored().items() if one.agreed}
    asked = {name: references[name] for name in options.names or references}
    try:
        fill((one, label, config) for one in asked.values() for label, config in parse(options.strategies).items())
    finally:
        board = [(one, *pair) for one in references.values() for pair in parse(default_strategies()).items()]
        rows = {(one.name, label): finished(*cell(one, label, config)) for one, label, config in board}
        table = pd.DataFrame.from_dict({k: v for k, v in rows.items() if v}, orient="index", columns=list(COLUMNS))
        table.index = pd.MultiIndex.from_tuples(table.index, names=["problem", "strategy"])
        table.to_csv(TABLE, float_format="%.4g")


if __name__ == "__main__":
    main()
