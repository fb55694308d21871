"""The tables and the report of a sweep, made from the cells that are finished."""

import html
from collections import Counter
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import files
from ..judging.pictures.style import Picture
from ..runs import images
from ..runs.report import HEAD
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
    record = store.read(folder)
    file_keys = store.keys(record["facts"])
    finished = store.finished(folder, file_keys)
    record["changed"], results = store.changed(folder, file_keys, finished), frame(file_keys, finished)
    files.through(folder / "results.parquet", lambda part: results.to_parquet(part, index=False))
    files.through(folder / "results.csv", lambda part: results.to_csv(part, index=False))
    summary = table(results)
    files.through(folder / "table.csv", lambda part: summary.to_csv(part, index=False))
    rankings = [ranking(results, score) for score in RANKED if score in set(summary["score"])]
    drawn = images.write(folder, filter(None, map(picture, rankings)))
    files.write(folder / "report.html", page(folder.name, record, results, summary, rankings, drawn))
    missing = [("Cells that count as missing", [""], [[record["changed"]]])] if record["changed"] else []
    return [*_tables(summary), *_ranked(rankings), *_counts(results), *missing]


def frame(keys: dict[Cell, str], finished: dict[Cell, dict[str, Any]]) -> Frame:
    """One row for each finished cell, in order."""
    rows = [
        {**cell._asdict(), **{k: result[k] for k in ("status", "reason", "seconds")}, **result["scores"]}
        for cell in sorted(keys)
        if (result := finished.get(cell))
    ]
    columns = [*Cell._fields, "status", "reason", *SCORES, "seconds"]
    kinds = dict.fromkeys((*SCORES, "seconds"), float)
    files = [keys[Cell(**{name: row[name] for name in Cell._fields})] for row in rows]
    return pd.DataFrame(rows, columns=columns).astype(kinds).assign(file=files)


def table(results: Frame) -> Frame:
    """Mean, sd and standard error over splits of every score, by model, strategy and data set.

    Several seeds of a split are averaged first: they are no further splits.
    """
    keys = ["data", "model", "strategy"]
    long = _by_split(results)
    summary = long.groupby([*keys, "score"], sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    summary = summary.rename(columns={"std": "sd", "count": "n"})
    return summary.assign(se=summary["sd"] / np.sqrt(summary["n"]))[[*keys, "score", "mean", "sd", "se", "n"]]


def _by_split(results: Frame) -> Frame:
    """Scores of the cells that are done, in a column, one row a split."""
    keys = ["data", "model", "strategy", "split"]
    done = results[results["status"] == DONE]
    long = done.melt(id_vars=keys, value_vars=[*SCORES, "seconds"], var_name="score").dropna(subset="value")
    return long.groupby([*keys, "score"], sort=False)["value"].mean().reset_index()


def ranking(results: Frame, score: str) -> Ranking:
    """Methods by the average rank of their mean score, over the data sets where every method has results.

    The means are over the splits that every method has, so that a failed one is held against nobody.
    """
    long = _by_split(results)
    methods = sorted({_method(*pair) for pair in zip(results["model"], results["strategy"], strict=True)})
    data = sorted(set(results["data"]))
    of_score = long[long["score"] == score]
    names = [_method(*pair) for pair in zip(of_score["model"], of_score["strategy"], strict=True)]
    by_method = of_score.assign(method=names).pivot(index=["data", "split"], columns="method", values="value")
    means = by_method.reindex(columns=methods).dropna().groupby(level="data").mean()
    left_out = [name for name in data if name not in means.index]
    if len(means) == 0:
        why = "there is no data set where every method has results"
        return Ranking(score, methods, np.full(len(methods), np.nan), [], left_out, None, np.nan, why)
    ranked = ranks.ranks(means.to_numpy(), BEST[score])
    why = "there is one method only" * (len(methods) < 2) or "there is one data set only" * (len(means) < 2)
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


def picture(ranking: Ranking) -> Picture | None:
    """The critical-difference diagram, where there is one."""
    if ranking.why:
        return None
    draw = partial(ranks.plot, ranking.methods, ranking.mean, ranking.difference)
    return Picture(f"ranks-{ranking.score}", f"Ranks by {HEADS[ranking.score]}", CAPTION, draw)


def sentences(ranking: Ranking) -> list[str]:
    """What the ranking says and on what it rests."""
    lines = [f"Over {len(ranking.data)} data sets: {', '.join(ranking.data)}."] if ranking.data else []
    if ranking.left_out:
        lines.append(f"Left out, for not every method has results there: {', '.join(ranking.left_out)}.")
    if ranking.test is None:
        return [*lines, f"No critical difference: {ranking.why}."]
    k, n, test = len(ranking.methods), len(ranking.data), ranking.test
    lines.append(
        f"Friedman test: chi-square {test.chi2:.2f}, F({k - 1}, {(k - 1) * (n - 1)}) = {test.f:.2f}, p = {test.p:.2g}; "
        f"Nemenyi's critical difference at the 5% level: {ranking.difference:.2f}."
    )
    return lines


def _wide(summary: Frame, data: str, scores: tuple[str, ...]) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """One data set's table, the best method first: head, and cells with whether each is the best of its column."""
    rows_of_data = summary[summary["data"] == data]
    columns = [score for score in scores if score in set(rows_of_data["score"])]
    cells_by = {(_method(r.model, r.strategy), r.score): r for r in rows_of_data.itertuples()}
    methods = list(dict.fromkeys(method for method, _ in cells_by))
    main = next((score for score in columns if score in BEST), None)
    if main:
        sign = -1 if BEST[main] else 1
        methods.sort(key=lambda method: sign * cells_by[method, main].mean if (method, main) in cells_by else np.inf)
    best = {s: _best([cells_by[m, s].mean for m in methods if (m, s) in cells_by], s) for s in columns}
    rows = []
    for method in methods:
        cells = [cells_by.get((method, score)) for score in columns]
        n = max(int(cell.n) for cell in cells if cell is not None)
        marked = [
            ("", False) if cell is None else (_text(cell), cell.mean == best[score])
            for cell, score in zip(cells, columns, strict=True)
        ]
        rows.append([(method, False), *marked, (str(n), False)])
    return ["", *(HEADS.get(score, score) for score in columns), "splits"], rows


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
    tables = []
    for data in dict.fromkeys(summary["data"]):
        head, rows = _wide(summary, data, SHORT)
        tables.append((data, head, [[text for text, _ in row] for row in rows]))
    return tables


def _ranked(rankings: list[Ranking]) -> list[Table]:
    """The rankings that rank something."""
    return [
        (f"Average ranks by {HEADS[r.score]}", ["", "rank"], _pairs(r))
        for r in rankings
        if r.data and len(r.methods) > 1
    ]


def _pairs(ranking: Ranking) -> list[list[str]]:
    return [[method, f"{rank:.2f}"] for method, rank in zip(ranking.methods, ranking.mean, strict=True)]


def _counts(results: Frame) -> list[Table]:
    """The reasons of failed cells and the doubts about finished ones, and how many have each."""
    head, tables = ["method", "data", "cells", "reason"], []
    for title, status in (("Failed cells", FAILED), ("Cells not to be believed as they are", DONE)):
        chosen = results[(results["status"] == status) & (results["reason"] != "")]
        reasons = [r if status == FAILED else r.partition(":")[0] for r in map(str, chosen["reason"])]
        rows = Counter(zip(map(_method, chosen["model"], chosen["strategy"]), chosen["data"], reasons, strict=True))
        tables += [(title, head, [[m, str(data), str(n), r] for (m, data, r), n in rows.items()])] * bool(rows)
    return tables


def page(
    name: str,
    record: dict[str, Any],
    results: Frame,
    summary: Frame,
    rankings: list[Ranking],
    drawn: list[images.Image],
) -> str:
    """The report as one HTML page that needs no other file."""
    total, statuses = len(record["facts"]["cells"]), Counter(results["status"])
    missing = total - len(results)
    state = f"{statuses[DONE]} of {total} cells done, {statuses[FAILED]} failed" + (
        f", {missing} not run" * bool(missing) + f"; {record['changed']}" * bool(record["changed"])
    )
    diagrams = {image.picture.name: image for image in drawn}
    return PAGE.substitute(
        title=html.escape(f"sweep {name}"),
        started=html.escape(state),
        tables="".join(_section(summary, data) for data in dict.fromkeys(summary["data"])),
        ranks="".join(_rank_section(r, diagrams.get(f"ranks-{r.score}")) for r in rankings),
        failed="".join(f"<h2>{title}</h2>{_html(head, _plain(rows))}" for title, head, rows in _counts(results)),
        text=html.escape(record["text"]),
        command=html.escape(f"noisezoo sweep {record['file']}"),
        versions=html.escape(", ".join(f"{k} {v}" for k, v in record["versions"].items())),
    )


def _section(summary: Frame, data: str) -> str:
    return f"<h2>{html.escape(data)}</h2>{_html(*_wide(summary, data, (*SCORES, 'seconds')))}"


def _rank_section(ranking: Ranking, image: images.Image | None) -> str:
    """A ranking as its picture, or as a table where it has none."""
    text, diagram = " ".join(sentences(ranking)), images.figure(image) if image else ""
    bare = not (image and image.png)
    title = f"<h2>Ranks by {HEADS[ranking.score]}</h2>" if bare else ""
    pairs = _html(["", "average rank"], _plain(_pairs(ranking))) if ranking.data and bare else ""
    return f'{title}{diagram}{pairs}<p class="faint">{html.escape(text)}</p>'


def _plain(rows: list[list[str]]) -> list[list[tuple[str, bool]]]:
    return [[(text, False) for text in row] for row in rows]


def _html(head: list[str], rows: list[list[tuple[str, bool]]]) -> str:
    """A table, the cells that are marked in bold."""
    top = "".join(f"<th>{html.escape(text)}</th>" for text in head)
    body = "".join(f"<tr>{''.join(_cell(*cell) for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(text: str, bold: bool) -> str:
    return f"<td>{'<b>' * bold}{html.escape(text)}{'</b>' * bold}</td>"


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
