"""The page of the reference posteriors and the leaderboard, from their files."""

from pathlib import Path

import pandas as pd
from noisezoo.inference.references import stored
from noisezoo.inference.references.problems import Problem

TABLE = Path(__file__).parent / "results" / "leaderboard" / "leaderboard.csv"
COLUMNS = {
    **{"distance_mean": ("mean off", ".2f"), "distance_sd": ("sd ratio", ".2f"), "rhat_f": ("R-hat f", ".2f")},
    **{"seconds_compile": ("compile s", ".1f"), "seconds_adapt": ("adapt s", ".1f")},
    **{"seconds_sample": ("sample s", ".1f")},
}
HEAD = """# References and leaderboard

Posteriors to measure an inference against. Each problem is a prior, a network and a data set, and was sampled at
length by NumPyro's NUTS, in the expanded and in the hierarchical form where the prior has two, and by BlackJAX's
Hamiltonian Monte Carlo. Where these runs agree, what they say together is stored in the package: mean, sd and
quantiles of `f(x)` at the test rows and of the scales, with their Monte-Carlo errors. Where they do not, the file says
so, and there is no reference.

```bash
noisezoo compare regularised_half_cauchy --data diabetes --network linear --reference stored
```

measures every strategy, `nuts` too, against the stored moments of the same problem, which is recognised by its
content: the law of the weights (whatever the form), the network, the likelihood, the data and the split. A verdict
allows for two Monte-Carlo errors of the reference. From Python, `find` has a reference and `compare` takes it:

```python
from noisezoo.inference.references.stored import find

reference = find("regularised_half_cauchy", data, network="linear")
compare(model, data, "svi,nuts", reference=reference)
reference.quantities["f"]["mean"], reference.quantities["f"]["mean_mcse"]
```

## The references

```bash
python -m noisezoo.inference.references.make    # runs what is missing, resumable; hours
```

A run counts if R-hat is at most 1.01 and the bulk and tail ESS at least 400 for every quantity, and E-BFMI at least
0.3. Runs agree if R-hat of all their chains together is at most 1.01, and if no two of them differ in a mean or an sd
by more Monte-Carlo errors than chance explains (at 1%, by Bonferroni for all quantities and pairs). A run of which more
than one transition in a thousand diverged is set aside, as the hierarchical form of a horseshoe on most data; R-hat
with it must be below 1.05 all the same, and both samplers must be left. Scales are compared by their logarithms, for
under a half-Cauchy noise they have no variance. All runs are in single precision.

`runs` are those that count, of all, and `draws` are theirs together; `R-hat` and `z` are of their chains together and
of the two that lie furthest apart, in Monte-Carlo errors, beside what chance explains; `MC error` is that of the stored
mean of `f(x)`, root mean square over the rows, in posterior sds.

"""
BOARD = """
## The leaderboard

```bash
python docs/results/leaderboard/run.py    # runs what is missing, resumable; then make docs
```

Every strategy with its default settings, against each reference: `mean off` and `sd ratio` are [what `compare` calls
distance](choosing.md#the-table), beside the seconds of compiling, of adapting or optimising, and of drawing. The
seconds are those of two cores that had other work to do, and say which is ten times faster, not which is a tenth.

"""


def line(cells):
    return "| " + " | ".join(cells) + " |"


def references(files):
    """A table of the problems, those without a reference among them."""
    yield line(["problem", "what it is", "runs", "draws", "R-hat", "z", "MC error"])
    yield line(["---"] * 7)
    for name, one in files.items():
        used = [facts["transitions"] for facts in one.runs.values() if facts["used"]]
        known = [name, Problem(**one.problem).described, f"{len(used)} of {len(one.runs)}", f"{sum(used):,}"]
        if one.agreed:
            error = ((one.moments.mean_mcse / one.moments.sd) ** 2).mean() ** 0.5
            z = f"{one.agreement['z']:.1f} of {one.agreement['z_limit']:.1f}"
            yield line([*known, f"{one.agreement['rhat']:.3f}", z, f"{error:.4f}"])
        else:
            yield line([*known, f"no reference: {one.why}", "", ""])


def board(table):
    """A table for each problem."""
    for problem, rows in table.groupby("problem", sort=False):
        yield from ("", f"### {problem}", "")
        yield line(["strategy", *(head for head, _ in COLUMNS.values()), "verdict"])
        yield line(["---"] * (len(COLUMNS) + 2))
        for _, row in rows.iterrows():
            numbers = ["" if pd.isna(row[name]) else format(row[name], form) for name, (_, form) in COLUMNS.items()]
            yield line([row["strategy"], *numbers, f"{row['verdict']}: {row['reason']}".replace("|", "\\|")])


def write(path):
    """Write the page."""
    files = stored.stored()
    table = pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame(columns=["problem"])
    Path(path).write_text(HEAD + "\n".join(references(files)) + "\n" + BOARD + "\n".join(board(table)) + "\n")
