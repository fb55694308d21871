"""The tables and the report of a sweep, made from the cells that are finished."""

import html
from collections import Counter
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import files
from ..judging.pictures.style import Picture
from ..runs.report import HEAD, figure, png
from . import ranks, store
from .store import DONE, FAILED, Cell
from .worker import SCORES

BEST = {"rmse": False, "mae": False, "mae_samples": False, "mlpd": True, "accuracy": True}  # is larger better?
RANKED = ("rmse", "mlpd")
HEADS = {
    **{"rmse": "RMSE", "mae": "MAE", "mae_samples": "MAE of draws", "mlpd": "log p(y)", "accuracy": "accuracy"},
    **{"calibration": "calib.", "rhat_f": "R-hat", "ess_bulk_f": "ESS", "divergences": "div.", "elbo": "ELBO"},
}
SHORT = ("rmse", "accuracy", "mlpd")  # of the terminal
CAPTION = (
    "Average ranks over data sets, the best on the left. Methods under one bar are not shown to differ at the 5% "
    "level: their ranks are within Nemenyi's critical difference, CD."
)
Frame = Any  # a pandas DataFrame
Table = tuple[str, list[str], list[list[str]]]  # title, head, rows


class Ranking(NamedTuple):
    """Methods by average rank of one score: `why` says why there is no test, where there is none."""

    score: str
    methods: list[str]
    mean: np.ndarray
    data: list[str]
    left_out: list[str]
    test: ranks.Friedman | None
    difference: float
    why: str


def make(folder: Path) -> list[Table]:
    """Write results.parquet, results.csv, table.csv, report.html and its pictures; returns tables for the terminal.

    Raises ValueError or FileNotFoundError if the folder holds no sweep, OSError if it cannot be written.
    """
    about = store.read(folder)
    known = store.keys(about["facts"])
    results = frame(known, store.finished(folder, known))
    files.through(folder / "results.parquet", lambda part: results.to_parquet(part, index=False))
    files.through(folder / "results.csv", lambda part: results.to_csv(part, index=False))
    summary = table(results)
    files.through(folder / "table.csv", lambda part: summary.to_csv(part, index=False))
    rankings = [ranking(results, score) for score in RANKED if score in set(summary["score"])]
    pictures = [(made, png(made)) for made in map(picture, rankings) if made]
    for made, image in pictures:
        files.write(folder / f"{made.name}.png", image)
    files.write(folder / "report.html", page(folder.name, about, results, summary, rankings, pictures))
    return [*_tables(summary), *_ranked(rankings), *_counts(results)]


def frame(known: dict[Cell, str], found: dict[Cell, dict[str, Any]]) -> Frame:
    """One row for each finished cell, in order."""
    rows = [
        {**cell._asdict(), **{k: result[k] for k in ("status", "reason", "seconds")}, **result["scores"]}
        for cell in sorted(known)
        if (result := found.get(cell))
    ]
    columns = [*Cell._fields, "status", "reason", *SCORES, "seconds"]
    kinds = dict.fromkeys((*SCORES, "seconds"), float)
    return pd.DataFrame(rows, columns=columns).astype(kinds).assign(file=[known[Cell(*row)] for row in _cells(rows)])


def _cells(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in Cell._fields) for row in rows]


def table(results: Frame) -> Frame:
    """Mean, sd and standard error over splits of every score, by model, strategy and data set.

    Several seeds of a split are averaged first: they are no further splits.
    """
    keys = ["data", "model", "strategy"]
    long = _by_split(results)
    found = long.groupby([*keys, "score"], sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    found = found.rename(columns={"std": "sd", "count": "n"})
    return found.assign(se=found["sd"] / np.sqrt(found["n"]))[[*keys, "score", "mean", "sd", "se", "n"]]


def _by_split(results: Frame) -> Frame:
    """Scores of the cells that are done, in a column, one row a split."""
    keys = ["data", "model", "strategy", "split"]
    good = results[results["status"] == DONE]
    long = good.melt(id_vars=keys, value_vars=[*SCORES, "seconds"], var_name="score").dropna(subset="value")
    return long.groupby([*keys, "score"], sort=False)["value"].mean().reset_index()


def ranking(results: Frame, score: str) -> Ranking:
    """Methods by the average rank of their mean score, over the data sets where every method has results.

    The means are over the splits that every method has, so that a failed one is held against nobody.
    """
    long = _by_split(results)
    methods = sorted({_method(*pair) for pair in zip(results["model"], results["strategy"], strict=True)})
    data = sorted(set(results["data"]))
    chosen = long[long["score"] == score]
    names = [_method(*pair) for pair in zip(chosen["model"], chosen["strategy"], strict=True)]
    wide = chosen.assign(method=names).pivot(index=["data", "split"], columns="method", values="value")
    means = wide.reindex(columns=methods).dropna().groupby(level="data").mean()
    left_out = [name for name in data if name not in means.index]
    if len(means) == 0:
        why = "there is no data set where every method has results"
        return Ranking(score, methods, np.full(len(methods), np.nan), [], left_out, None, np.nan, why)
    ranked = ranks.ranks(means.to_numpy(), BEST[score])
    why = "there is one method only" if len(methods) < 2 else "there is one data set only" if len(means) < 2 else ""
    order = np.argsort(ranked.mean(axis=0), kind="stable")
    return Ranking(
        score,
        [methods[i] for i in order],
        ranked.mean(axis=0)[order],
        list(means.index),
        left_out,
        None if why else ranks.friedman(ranked),
        np.nan if why else ranks.critical_difference(len(methods), len(means)),
        why,
    )


def _method(model: str, strategy: str) -> str:
    return f"{model}/{strategy}"


def picture(found: Ranking) -> Picture | None:
    """The critical-difference diagram, where there is one."""
    if found.why:
        return None
    made = ranks.plot(found.methods, found.mean, found.difference)
    return Picture(f"ranks-{found.score}", f"Ranks by {HEADS[found.score]}", CAPTION, made)


def sentences(found: Ranking) -> list[str]:
    """What the ranking says and on what it rests."""
    said = [f"Over {len(found.data)} data sets: {', '.join(found.data)}."] if found.data else []
    if found.left_out:
        said.append(f"Left out, for not every method has results there: {', '.join(found.left_out)}.")
    if found.test is None:
        return [*said, f"No critical difference: {found.why}."]
    k, n, test = len(found.methods), len(found.data), found.test
    said.append(
        f"Friedman test: chi-square {test.chi2:.2f}, F({k - 1}, {(k - 1) * (n - 1)}) = {test.f:.2f}, p = {test.p:.2g}; "
        f"Nemenyi's critical difference at the 5% level: {found.difference:.2f}."
    )
    return said


def _wide(summary: Frame, data: str, scores: tuple[str, ...]) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """One data set's table, the best method first: head, and cells with whether each is the best of its column."""
    some = summary[summary["data"] == data]
    shown = [score for score in scores if score in set(some["score"])]
    by = {(_method(r.model, r.strategy), r.score): r for r in some.itertuples()}
    methods = list(dict.fromkeys(method for method, _ in by))
    first = next((score for score in shown if score in BEST), None)
    if first:
        sign = -1 if BEST[first] else 1
        methods.sort(key=lambda method: sign * by[method, first].mean if (method, first) in by else np.inf)
    best = {s: _best([by[m, s].mean for m in methods if (m, s) in by], s) for s in shown}
    rows = []
    for method in methods:
        cells = [by.get((method, score)) for score in shown]
        n = max(int(cell.n) for cell in cells if cell is not None)
        marked = [
            ("", False) if cell is None else (_text(cell), cell.mean == best[score])
            for cell, score in zip(cells, shown, strict=True)
        ]
        rows.append([(method, False), *marked, (str(n), False)])
    return ["", *(HEADS.get(score, score) for score in shown), "splits"], rows


def _best(means: list[float], score: str) -> float:
    """The best of some means; nothing for scores that are no contest, or of which there is one."""
    if score not in BEST or len(means) < 2:
        return np.nan
    return max(means) if BEST[score] else min(means)


def _text(cell: Any) -> str:
    """``1.23 ± 0.04``: the mean, to the digit that its standard error leaves, and that."""
    if not np.isfinite(cell.se) or cell.se == 0:
        return f"{cell.mean:.4g}"
    digits = max(1 - int(np.floor(np.log10(cell.se))), 0)
    return f"{cell.mean:.{digits}f} ± {cell.se:.{digits}f}"


def _tables(summary: Frame) -> list[Table]:
    found = []
    for data in dict.fromkeys(summary["data"]):
        head, rows = _wide(summary, data, SHORT)
        found.append((data, head, [[text for text, _ in row] for row in rows]))
    return found


def _ranked(rankings: list[Ranking]) -> list[Table]:
    """The rankings that rank something."""
    return [
        (f"Average ranks by {HEADS[r.score]}", ["", "rank"], _pairs(r))
        for r in rankings
        if r.data and len(r.methods) > 1
    ]


def _pairs(found: Ranking) -> list[list[str]]:
    return [[method, f"{rank:.2f}"] for method, rank in zip(found.methods, found.mean, strict=True)]


def _counts(results: Frame) -> list[Table]:
    """The reasons of failed cells, and how many have each."""
    bad = results[results["status"] == FAILED]
    if bad.empty:
        return []
    rows = Counter((_method(r.model, r.strategy), str(r.data), str(r.reason)) for r in bad.itertuples())
    head = ["method", "data", "cells", "reason"]
    return [("Failed cells", head, [[m, data, str(n), why] for (m, data, why), n in rows.items()])]


def page(
    name: str,
    about: dict[str, Any],
    results: Frame,
    summary: Frame,
    rankings: list[Ranking],
    pictures: list[tuple[Picture, bytes]],
) -> str:
    """The report as one HTML page that needs no other file."""
    total, statuses = len(about["facts"]["cells"]), Counter(results["status"])
    missing = total - len(results)
    said = f"{statuses[DONE]} of {total} cells done, {statuses[FAILED]} failed" + (
        f", {missing} not run" * bool(missing)
    )
    shown = {made.name: figure(made, image) for made, image in pictures}
    return PAGE.substitute(
        title=html.escape(f"sweep {name}"),
        started=html.escape(said),
        tables="".join(_section(summary, data) for data in dict.fromkeys(summary["data"])),
        ranks="".join(_rank_section(r, shown.get(f"ranks-{r.score}", "")) for r in rankings),
        failed="".join(f"<h2>{title}</h2>{_html(head, _plain(rows))}" for title, head, rows in _counts(results)),
        text=html.escape(about["text"]),
        command=html.escape(f"noisezoo sweep {about['file']}"),
        versions=html.escape(", ".join(f"{k} {v}" for k, v in about["versions"].items())),
    )


def _section(summary: Frame, data: str) -> str:
    return f"<h2>{html.escape(data)}</h2>{_html(*_wide(summary, data, (*SCORES, 'seconds')))}"


def _rank_section(found: Ranking, shown: str) -> str:
    """A ranking as its picture, or as a table where it has none."""
    said = " ".join(sentences(found))
    title = "" if shown else f"<h2>Ranks by {HEADS[found.score]}</h2>"
    pairs = _html(["", "average rank"], _plain(_pairs(found))) if found.data and not shown else ""
    return f'{title}{shown}{pairs}<p class="faint">{html.escape(said)}</p>'


def _plain(rows: list[list[str]]) -> list[list[tuple[str, bool]]]:
    return [[(text, False) for text in row] for row in rows]


def _html(head: list[str], rows: list[list[tuple[str, bool]]]) -> str:
    """A table, the cells that are marked in bold."""
    top = "".join(f"<th>{html.escape(text)}</th>" for text in head)
    body = "".join(f"<tr>{''.join(_cell(*cell) for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str, bold: bool) -> str:
    return f"<td><b>{html.escape(text)}</b></td>" if bold else f"<td>{html.escape(text)}</td>"


PAGE = Template(
    HEAD
    + """$ranks
$tables
<p class="faint">Mean over splits ± its standard error; the best of a column in bold. MAE of draws: mean of |y - f| over
posterior draws and rows. Calibration: of a regression the share of test rows in the 90% interval, of classes the
expected calibration error. R-hat and ESS are of f(x) at the worst test row.</p>
$failed
<h2>The same again</h2>
<pre>$command</pre>
<pre>$text</pre>
<p class="faint">$versions</p>
</body>
</html>
"""
)
