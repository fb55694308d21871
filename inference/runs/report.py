"""The report of a run: its table, its pictures, and one HTML file that holds both."""

import html
import itertools
import math
import shlex
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from ...data.frame import WARNING
from .. import files
from ..judging.pictures import directions, pictures, weights
from ..sparsity.pictures import sparsity
from ..sparsity.summary import judged
from ..target.precision import SINGLE
from . import images


class Column(NamedTuple):
    """How a column of the table is shown: a short head, a format, and what it means."""

    head: str
    format: str
    meaning: str


COLUMNS = {
    "rmse": Column("RMSE", ".3g", "root mean square error of the predictive mean, test rows, in the target's units"),
    "mae": Column("MAE", ".3g", "mean absolute error, likewise"),
    "accuracy": Column("accuracy", ".1%", "share of the test rows whose likeliest class is right"),
    "mlpd": Column("log p(y)", ".3f", "mean log predictive density of the test rows; larger is better"),
    "calibration": Column(
        "calib.", ".1%", "regression: share of test rows in the 90% interval; classes: expected calibration error"
    ),
    "elpd_loo": Column("LOO", ".1f", "expected log predictive density by leave-one-out (PSIS), over the training rows"),
    "elpd_loo_se": Column("LOO se", ".1f", "its standard error"),
    "pareto_k": Column(
        "bad k", ".1%", "share of training rows with a Pareto k above 0.7, where LOO is not to be trusted"
    ),
    "rhat_f": Column("R-hat", ".3f", "of f(x), the worst test row; 1 where chains agree, too large above 1.05"),
    "ess_bulk_f": Column("ESS", ".0f", "effective number of draws of f(x), the worst test row"),
    "ess_tail_f": Column("ESS tail", ".0f", "the same for its tails"),
    "ess_per_second": Column("ESS/s", ".3g", "ESS by second of sampling; empty where R-hat says not converged"),
    "divergences": Column("div.", ".0f", "divergent transitions: the sampler met a corner that it cannot turn in"),
    "ebfmi": Column("E-BFMI", ".2f", "how well the sampler explores the energy, the worst chain; low below 0.3"),
    "steps": Column("steps", ".0f", "of the optimisation that fitted a guide"),
    "elbo": Column("ELBO", ".1f", "evidence lower bound over its draws, of a guide"),
    "elbo_se": Column("± (ELBO)", ".2f", "its standard error"),
    "khat": Column("k-hat", ".2f", "of a guide's weights; above 0.7 nearly always for a network, so see the distances"),
    "distance_mean": Column("mean off", ".2f", "distance of the mean of f(x) from the reference, in its sds"),
    "distance_sd": Column("sd ratio", ".2f", "sd of f(x) over that of the reference, the median row"),
    "step_bias_mean": Column(
        "bias mean", ".2f", "how far the steps moved the mean of f(x), in sds: half the step tells"
    ),
    "step_bias_sd": Column("bias sd", ".2f", "sd of f(x) over what it would be with steps of no size, likewise"),
    "step_bias_error": Column("bias ±", ".2f", "Monte Carlo error of these two"),
    "sparsity": Column("sparsity", ".2f", "share of a layer's weights that do nothing, mean over layers"),
    "seconds_compile": Column("compile s", ".1f", "seconds of compiling"),
    "seconds_adapt": Column("adapt s", ".1f", "seconds of warmup, or of fitting the guide"),
    "seconds_sample": Column("sample s", ".1f", "seconds of drawing"),
}
# those that the terminal shows, the most important first
SHORT = (
    *("rmse", "accuracy", "mlpd", "calibration", "rhat_f", "distance_mean", "distance_sd", "ess_bulk_f"),
    *(
        "khat",
        "divergences",
        "step_bias_mean",
        "step_bias_sd",
        "seconds_adapt",
        "seconds_sample",
        "ess_per_second",
        "elpd_loo",
    ),
)


PICTURES = (pictures, weights.pictures, sparsity.pictures, directions.pictures)
LAYERS = ("layer", "kept", "share", "compression", "units in", "units out")
SPARSITY_CAPTION = (
    "At the mean weights, those that a rule trims set to zero. Compression is all weights over those kept, biases not "
    "counted; the file holds kept weights by index and value. Units: those that a kept weight still connects, and the "
    "dense net of only those. The files of the net itself: noisezoo trim."
)


def write(path: Path, run: dict[str, Any], table: Any, trees: dict[str, Any]) -> None:
    """Write ``table.csv``, the figures and ``report.html`` into the run folder `path`.

    `run` is what ``run.json`` holds, `table` that of `compare`, `trees` the fits.
    """
    files.through(path / "table.csv", table.to_csv)
    drawn = images.write(path, (picture for kind in PICTURES for picture in kind(trees)))
    sparsity_reports = {
        label: judged(tree, run["options"]["network"]) for label, tree in trees.items() if "guide" in tree.children
    }
    files.write(path / "report.html", page(run, table, drawn, sparsity_reports))


def page(
    run: dict[str, Any],
    table: Any,
    drawn: Iterable[images.Image],
    sparse: dict[str, list[dict[str, Any]]] | None = None,
) -> str:
    """The report as one HTML page that needs no other file; `sparse` has the reports of sparsity by label."""
    return PAGE.substitute(
        title=html.escape(run["title"]),
        started=html.escape(run["started"]),
        understood="".join(_understood(line) for line in run.get("understood", [])),
        verdicts="".join(_verdict(*row) for row in verdicts(run, table)),
        table=_table(*numbers(table)),
        meanings=_meanings(table),
        sparsity="".join(_sparsity(label, reports) for label, reports in (sparse or {}).items() if reports),
        pictures="".join(map(images.figure, drawn)),
        command=html.escape(command(run)),
        settings=_table(("strategy", "settings"), [(k, _pairs(v["settings"])) for k, v in run["fits"].items()]),
        versions=html.escape(_pairs(run["versions"] | {"precision": run.get("precision", SINGLE)}, " ")),
        checksum=html.escape(run["data_sha256"]),
    )


def layer_rows(report: dict[str, Any]) -> list[list[str]]:
    """The layers of a report of sparsity as text, under the head `LAYERS`."""
    return [
        [name, f"{r['kept']:,} of {r['total']:,}", f"{r['share']:.2%}", _times(r["compression"]), *_units(r)]
        for name, r in report["layers"].items()
    ]


def sparsity_facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What else a report of sparsity says, as names and text."""
    error, size, smaller = report["error"], report["bytes"], report["structured"]
    before, after = (f"{error[moment]:.3g}" for moment in ("before", "after"))
    return [
        ("weights", f"{report['kept']:,} of {report['weights']:,}"),
        ("compression", _times(report["compression"])),
        ("test error", f"{before} -> {after} {error['unit']}"),
        ("file", f"{size['before'] / 1e3:,.1f} -> {size['after'] / 1e3:,.1f} kB"),
        ("units", smaller["text"] if smaller else f"none taken out: {report['why']}"),
        ("as a dense net", f"{smaller['weights']:,} weights, {_times(smaller['compression'])}" if smaller else ""),
    ]


def command(run: dict[str, Any]) -> str:
    """The shell command that does the run again."""
    options = run["options"] | run.get("reading", {})
    flags = [f"--{name}" for name, value in options.items() if value is True]
    words = [
        (f"--{name.replace('_', '-')}", str(value))
        for name, values in options.items()
        if values is not True
        for value in (values if isinstance(values, list) else [values])
    ]
    return shlex.join(["noisezoo", "compare", run["prior"], *itertools.chain(*words), *flags])


def verdicts(run: dict[str, Any], table: Any) -> list[tuple[str, str, str]]:
    """What to say of each strategy: label, verdict with its reason, and a colour."""
    return [(label, *_judged(label, entry, table)) for label, entry in run["fits"].items()]


def numbers(table: Any, names: Iterable[str] = COLUMNS) -> tuple[list[str], list[list[str]]]:
    """The named columns as text, head and rows, without what is empty."""
    table = table[[n for n in COLUMNS if n in names and n in table]].dropna(axis=1, how="all").dropna(axis=0, how="all")
    head = ["", *(COLUMNS[n].head for n in table)]
    return head, [[str(label), *(_cell(n, row[n]) for n in table)] for label, row in table.iterrows()]


def _judged(label: str, entry: dict[str, Any], table: Any) -> tuple[str, str]:
    if entry["status"] != "done":
        return f"{entry['status']}: {entry['why']}" if entry["why"] else entry["status"], "red"
    verdict, reason = table.loc[label, "verdict"], table.loc[label, "reason"]
    return f"{verdict}: {reason}", "green" if verdict == "ok" else "yellow"


def _cell(name: str, value: Any) -> str:
    """A number as text; nothing where it has no meaning."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return format(value, COLUMNS[name].format)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>" for row in rows)
    top = "".join(f"<th>{html.escape(h)}</th>" for h in head)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{cells}</tbody></table></div>'


def _verdict(label: str, verdict: str, colour: str) -> str:
    return f'<p class="verdict {colour}"><b>{html.escape(label)}</b> {html.escape(verdict)}</p>'


def _understood(line: str) -> str:
    """A line about the data; a warning looks like a verdict."""
    return f'<p class="{"verdict yellow" if line.startswith(WARNING) else "faint"}">{html.escape(line)}</p>'


def _meanings(table: Any) -> str:
    columns = [COLUMNS[n] for n in COLUMNS if table[n].notna().any()]
    rows = (f"<dt>{html.escape(c.head)}</dt><dd>{html.escape(c.meaning)}</dd>" for c in columns)
    return f"<dl>{''.join(rows)}</dl>"


def _sparsity(label: str, reports: list[dict[str, Any]]) -> str:
    tables = [dict(sparsity_facts(report)) for report in reports]
    rows = [[report["text"], *table.values()] for report, table in zip(reports, tables, strict=True)]
    layers = "".join(f"<h3>{html.escape(r['text'])}</h3>{_table(LAYERS, layer_rows(r))}" for r in reports)
    return (
        f"<h2>Sparsity of {html.escape(label)}</h2>{_table(('', *tables[0]), rows)}"
        f'<p class="faint">{SPARSITY_CAPTION}</p><details><summary>By layer</summary>{layers}</details>'
    )


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}x"


def _units(row: dict[str, Any]) -> list[str]:
    return [
        "" if row[n] is None else f"{row[n]} of {row[of]}" for n, of in (("units_in", "of_in"), ("units_out", "of_out"))
    ]


def _pairs(values: dict[str, Any], between: str = "=") -> str:
    return ", ".join(f"{k}{between}{v}" for k, v in values.items())


HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>noisezoo: $title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
.faint, figcaption { color: #666; }
.verdict { margin: .4rem 0; padding: .35rem .8rem; border-left: .35rem solid; background: #f6f6f6; }
.green { border-color: #009e73; }
.yellow { border-color: #e69f00; }
.red { border-color: #c0392b; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; vertical-align: top; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; font-weight: 600; }
details table td { text-align: left; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { font-weight: 600; }
dd { margin: 0; }
figure { margin: 0; }
img { max-width: 100%; height: auto; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="faint">$started</p>
"""
PAGE = Template(
    HEAD
    + """$understood
<h2>Verdicts</h2>
$verdicts
<h2>Table</h2>
$table
<details><summary>How to read it</summary>
<p>The test scores say how good the predictions are; R-hat, ESS, divergences and k-hat whether the inference did what it
set out to; the distances how far its predictions lie from those of the reference. All of it is judged on f(x), not on
weights, which can be permuted at no cost. An empty cell has no meaning for that strategy.</p>
$meanings
</details>
$sparsity
$pictures
<h2>The same again</h2>
<pre>$command</pre>
<details><summary>Settings and versions</summary>
$settings
<p class="faint">$versions</p>
<p class="faint">sha256 of the data: $checksum</p>
</details>
</body>
</html>
"""
)
